"""Brings the file to the newest schema, or refuses it: one cheap query as a rule, Alembic when it is old.

A fresh file gets the models' tables at once (Alembic alone takes 450 ms to import); a test proves that
the migrations lead to the very same tables.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect

from engine.errors import StoreError
from engine.store.models import Base

REVISIONS = ("0001", "0002", "0003")
"""The revisions in migrations/versions, oldest first; a test holds them together."""

NEWEST = REVISIONS[-1]


def make_private_file(path: Path) -> None:
    """Make the file with mode 0600 before SQLite does (its WAL files take the mode of the file)."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if os.name == "posix" and path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"Strongroom's own database {path} cannot be opened: {error.strerror}.",
            remedy="Look at the permissions of that folder, or choose another one with STRONGROOM_HOME.",
        ) from error


def refuse_if_emptied(path: Path) -> None:
    """Raise `StoreError` for a file of no bytes at all, where this installation has left other traces.

    It was not made just now: its disk was full, or somebody emptied it. A fresh installation in its place
    would know no job and no destination, and take the vault's secrets for its own.
    """
    try:
        # Looked at before the size: while it is being made, there is no other trace yet.
        used = path.with_name("vault.json").exists() or any(path.with_name("locks").glob("*"))
        emptied = used and path.exists() and path.stat().st_size == 0
    except OSError:
        return  # whoever opens it says what is wrong with the folder
    if emptied:
        raise StoreError(
            f"Strongroom's own database {path} is empty, though this installation was used before.",
            remedy="Put a copy of it back. If there is none, move the empty file away to begin anew: the "
            "destinations keep their backups, and list them to whoever has the key.",
        )


def current_revision(connection: Connection) -> str | None:
    """The revision that the file is at; None when it says none."""
    there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    if connection.exec_driver_sql(there).first() is None:
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def refuse_if_strange(connection: Connection, path: Path) -> None:
    """Raise `StoreError` for a newer schema than ours, and for a database that is not Strongroom's."""
    revision = current_revision(connection)
    if revision is None:
        if inspect(connection).get_table_names():
            raise StoreError(
                f"{path} is a database, but not one of Strongroom's.",
                remedy="Move it away, or choose another folder with STRONGROOM_HOME.",
            )
    elif revision not in REVISIONS:
        raise StoreError(
            f"Strongroom's own database {path} was written by a newer Strongroom (its revision is "
            f"{revision}, this version knows them up to {NEWEST}). It was left as it is.",
            remedy="Install the newest Strongroom, or choose another folder with STRONGROOM_HOME.",
        )


def create(connection: Connection) -> None:
    """Make all tables in the transaction under way, and note the newest revision."""
    Base.metadata.create_all(connection)
    # As Alembic itself would have made it.
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version (version_num) VALUES (?)", (NEWEST,))


def keep_copy(engine: Engine, path: Path, revision: str) -> Path:
    """Copy the file as it is at its old `revision`, for whoever goes back to the older Strongroom."""
    copy = path.with_name(f"{path.name}.{revision}")
    copy.unlink(missing_ok=True)  # of an upgrade that did not end
    make_private_file(copy)
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("VACUUM INTO ?", (str(copy),))
        cursor.close()
    return copy


def upgrade(engine: Engine, to: str = "head") -> None:
    """Run the missing migrations in one transaction: all of them count, or none.

    `engine` begins with BEGIN IMMEDIATE and has foreign keys off: SQLite rebuilds a table by dropping
    it, which would delete the rows that refer to it. They are checked before the commit instead.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise StoreError(
                f"A migration of Strongroom's own database would break {len(broken)} references."
            )
