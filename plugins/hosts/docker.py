"""A container of Docker, reached by `docker exec`: the tools are those of the database's own image."""

from __future__ import annotations

import strongroom
from plugins.hosts.container import ContainerEngine


class Docker(ContainerEngine):
    """A running container on this machine, or on the host that it names."""

    name = "docker"
    title = "Docker container"
    client = "docker"


@strongroom.hookimpl
def strongroom_hosts() -> list[type[strongroom.HostAdapter]]:
    return [Docker]
