"""Valkey as a source: an RDB file over the replication protocol, and every key back with DUMP and RESTORE."""

from __future__ import annotations

import strongroom
from plugins.sources.keyvalue.server import KeyValueFamily, ServerConfig


class Valkey(KeyValueFamily):
    """A Valkey server, with all of its numbered databases."""

    name = "valkey"
    title = "Valkey"
    engine = "valkey"
    accepts = ("redis",)
    kinds = ("valkey", "redis")

    Config = ServerConfig


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [Valkey]
