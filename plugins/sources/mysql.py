"""MySQL as a source: mysqldump from one snapshot, its rows counted as they go by."""

from __future__ import annotations

import strongroom
from plugins.sources.maria.server import MariaFamily, ServerConfig


class MySQL(MariaFamily):
    """A MySQL server, and the databases on it that are to be backed up."""

    name = "mysql"
    title = "MySQL"
    engine = "mysql"
    accepts = ("mariadb",)
    clients = ("mysql", "mariadb")
    dumpers = ("mysqldump", "mariadb-dump")
    wants_mariadb = False

    Config = ServerConfig


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [MySQL]
