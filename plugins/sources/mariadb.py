"""MariaDB as a source: mariadb-dump from one snapshot, its rows counted as they go by."""

from __future__ import annotations

import strongroom
from plugins.sources.maria.server import MariaFamily, ServerConfig


class MariaDB(MariaFamily):
    """A MariaDB server, and the databases on it that are to be backed up."""

    name = "mariadb"
    title = "MariaDB"
    engine = "mariadb"
    accepts = ("mysql",)
    clients = ("mariadb", "mysql")
    dumpers = ("mariadb-dump", "mysqldump")
    wants_mariadb = True

    Config = ServerConfig


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [MariaDB]
