"""One MariaDB server for this folder's tests, a source on it, and a database that has one of everything."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.config import build
from plugins.sources.mariadb import MariaDB
from strongroom.testing.laboratory import Surroundings
from tests.parts.mariadb import Server, mariadb, quoted  # noqa: F401 - a fixture

# One of everything that a database of an application may hold.
EVERYTHING = r"""
CREATE TABLE parents (id int PRIMARY KEY AUTO_INCREMENT, name varchar(80) UNIQUE);
CREATE TABLE children (
  id bigint PRIMARY KEY, parent int, CONSTRAINT fk FOREIGN KEY (parent) REFERENCES parents (id),
  data longblob, bits bit(9), money decimal(30, 10), at datetime(6), doc json,
  emoji text CHARACTER SET utf8mb4, old text CHARACTER SET latin1,
  twice bigint AS (id * 2) STORED, KEY (at), FULLTEXT KEY words (emoji)
) COMMENT 'it''s; a "comment"';
INSERT INTO parents VALUES (1, 'eins'), (5, 'fünf');
INSERT INTO children (id, parent, data, bits, money, at, doc, emoji, old) VALUES
  (1, 1, 0x000A0D1A275C22FF, b'101010101', 12345678901234567890.0123456789, '2026-11-24 01:02:03.456789',
   '{"a": [1, "x\\ny"]}', 'line\nfeed \\ \' " 漢 😀', 'Zürich'),
  (2, 5, NULL, NULL, -1, NULL, NULL, '', NULL);
CREATE TABLE old_fashioned (i int) ENGINE=MyISAM;
INSERT INTO old_fashioned VALUES (1), (2), (3);
CREATE TABLE versions (i int) WITH SYSTEM VERSIONING;
INSERT INTO versions VALUES (1); UPDATE versions SET i = 2;
CREATE TABLE halves (i int, d date) PARTITION BY RANGE (i)
  (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE);
INSERT INTO halves VALUES (1, '2026-01-01'), (100, '2026-01-02');
CREATE SEQUENCE numbers START WITH 7; SELECT NEXTVAL(numbers);
CREATE VIEW seen AS
  SELECT p.name, c.emoji, add_one(c.id) AS more FROM parents p JOIN children c ON c.parent = p.id;
"""
CODE = r"""
DELIMITER ;;
CREATE FUNCTION add_one(n bigint) RETURNS bigint DETERMINISTIC
BEGIN
  -- INSERT INTO `parents` VALUES
  RETURN n + 1;
END;;
CREATE PROCEDURE clear() BEGIN DELETE FROM children; END;;
CREATE TRIGGER stamped BEFORE INSERT ON parents FOR EACH ROW SET NEW.name = CONCAT(NEW.name, '!');;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO CALL clear();;
DELIMITER ;
"""


@pytest.fixture
def server(mariadb: Server) -> Iterator[Server]:  # noqa: F811
    before = set(mariadb.databases())
    yield mariadb
    for name in set(mariadb.databases()) - before:
        mariadb.sql(f"DROP DATABASE {quoted(name)}")


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


@pytest.fixture
def source(server: Server, around: Surroundings) -> Callable[..., MariaDB]:
    def opened(adapter: type[Any] = MariaDB, **values: object) -> Any:
        return adapter(build(adapter.Config, server.values(**values)), around.context)

    return opened


def everything(server: Server, name: str = "shop") -> str:
    server.sql(f"CREATE DATABASE {quoted(name)} CHARACTER SET latin1 COLLATE latin1_german1_ci")
    # The trigger comes last: it would change the rows on their way in.
    first, trigger, rest = CODE.partition("CREATE TRIGGER")
    function = first + "DELIMITER ;\n"
    server.sql(function, name)
    server.sql(EVERYTHING, name)
    server.sql(f"DELIMITER ;;\n{trigger}{rest}", name)
    return name


def whole(server: Server, database: str) -> list[str]:
    """All of a database as the dump tool writes it, without what differs by nature."""
    argv = [
        str(server.binaries / "mariadb-dump"),
        "--no-defaults",
        f"--socket={server.socket}",
        "--user=root",
        "--skip-comments",
        "--routines",
        "--events",
        "--triggers",
        "--hex-blob",
        "--default-character-set=utf8mb4",
        database,
    ]
    text = subprocess.run(argv, check=True, capture_output=True).stdout.decode("utf-8")
    return [line for line in text.splitlines() if line.strip()]


def made_with(server: Server, database: str) -> list[str]:
    columns = "SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME"
    rows = server.sql(f"SELECT {columns} FROM information_schema.SCHEMATA")  # noqa: S608
    return next(row[1:] for row in rows if row[0] == database)
