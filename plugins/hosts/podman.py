"""A container of Podman, reached by `podman exec`: the tools are those of the database's own image."""

from __future__ import annotations

import strongroom
from plugins.hosts.container import ContainerEngine


class Podman(ContainerEngine):
    """A running container on this machine, or on the host that it names."""

    name = "podman"
    title = "Podman container"
    client = "podman"


@strongroom.hookimpl
def strongroom_hosts() -> list[type[strongroom.HostAdapter]]:
    return [Podman]
