"""A container in a pod of Kubernetes, reached by `kubectl exec`."""

from __future__ import annotations

from pathlib import Path

import pydantic

import strongroom
from plugins.hosts.container import ContainerHost


class Settings(strongroom.AdapterConfig):
    """Which pod, and where kubectl finds its cluster."""

    pod: str = strongroom.field(
        title="Pod",
        description="The pod's name, or what kubectl takes for one, such as deploy/shop-db.",
        placeholder="shop-db-0",
        min_length=1,
        pattern=r"^[a-z0-9]([a-z0-9./-]*[a-z0-9])?$",
    )
    namespace: str = strongroom.field(
        "",
        title="Namespace",
        description="Left empty: the context's own.",
        placeholder="shop",
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$",
    )
    container: str = strongroom.field(
        "",
        title="Container",
        description="Which of the pod's containers. Left empty: its first.",
        placeholder="postgres",
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$",
    )
    kube_context: str = strongroom.field(
        "",
        title="Context",
        description="Left empty: kubectl's current one, which may change under a backup.",
        placeholder="production",
        pattern=r"^([^\s-]\S*)?$",
        advanced=True,
    )
    kubeconfig: Path | None = strongroom.field(
        None,
        title="Kubeconfig",
        description="kubectl's configuration on the machine that runs it. Left empty: its usual one.",
        placeholder="~/.kube/config",
        widget="file",
        advanced=True,
    )

    @pydantic.field_validator("kubeconfig", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value


class Kubernetes(strongroom.HostAdapter):
    """A running pod."""

    name = "kubectl"
    title = "Kubernetes pod"
    icon = "database"

    Config = Settings
    config: Settings

    def open(self) -> ContainerHost:
        config = self.config
        argv = ["kubectl"]
        if config.kubeconfig is not None:
            argv.append(f"--kubeconfig={config.kubeconfig}")
        if config.kube_context:
            argv.append(f"--context={config.kube_context}")
        if config.namespace:
            argv.append(f"--namespace={config.namespace}")
        argv += ["exec", "-i", config.pod]
        if config.container:
            argv += ["-c", config.container]
        return ContainerHost(self.context.host, f"the pod {config.pod}", [*argv, "--"])


@strongroom.hookimpl
def strongroom_hosts() -> list[type[strongroom.HostAdapter]]:
    return [Kubernetes]
