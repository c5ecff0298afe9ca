"""Redis as a source: an RDB file over the replication protocol, and every key back with DUMP and RESTORE."""

from __future__ import annotations

import strongroom
from plugins.sources.keyvalue.server import KeyValueFamily, ServerConfig


class Redis(KeyValueFamily):
    """A Redis server, with all of its numbered databases."""

    name = "redis"
    title = "Redis"
    engine = "redis"
    accepts = ("valkey",)
    kinds = ("redis", "valkey")

    Config = ServerConfig


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [Redis]
