"""What the container engines share: a shell is started by the engine's own client, and all goes over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import strongroom
from strongroom.hosts import BOOT, PosixHost


class ContainerHost(PosixHost):
    """A container; `exec_argv` is the client's command line up to the command that runs within.

    The client runs on the host before: this machine, or a server that is reached by SSH.
    """

    def __init__(self, before: strongroom.Host, name: str, exec_argv: Sequence[str]) -> None:
        super().__init__()
        self._before = before
        self._exec = list(exec_argv)
        self.name = name

    def open_shell(self, *, aside: bool) -> strongroom.Process:
        host = self._before.aside() if aside else self._before
        return host.run([*self._exec, "sh", "-c", BOOT], stdin=True)


class ContainerSettings(strongroom.AdapterConfig):
    """Which container."""

    container: str = strongroom.field(
        title="Container",
        description="The running container's name or ID.",
        placeholder="shop-db-1",
        min_length=1,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
    )
    user: str = strongroom.field(
        "",
        title="User",
        description="Who runs the tools in the container. Left empty: whom its image says.",
        placeholder="postgres",
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.:-]*)?$",
        advanced=True,
    )


class ContainerEngine(strongroom.HostAdapter):
    """A client that is spoken to as Docker's is: `CLIENT exec -i`."""

    icon = "database"
    client: ClassVar[str]

    Config = ContainerSettings
    config: ContainerSettings

    def open(self) -> ContainerHost:
        user = ["--user", self.config.user] if self.config.user else []
        argv = [self.client, "exec", "-i", *user, self.config.container]
        return ContainerHost(self.context.host, f"the container {self.config.container}", argv)
