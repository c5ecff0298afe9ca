"""Questions to a Firebird database. Each line of an answer begins with `=`, for isql prints others."""

from __future__ import annotations

from dataclasses import dataclass

from plugins.sources.bird.tools import Toolbox
from strongroom import Fingerprint

_COUNT = 4 * 3600.0  # seconds
_VERSION = """
EXECUTE BLOCK RETURNS (line VARCHAR(1200) CHARACTER SET UTF8) AS BEGIN
  SELECT '=' || rdb$get_context('SYSTEM', 'ENGINE_VERSION') FROM rdb$database INTO :line; SUSPEND;
  SELECT '=' || mon$page_size FROM mon$database INTO :line; SUSPEND;
  SELECT '=' || TRIM(COALESCE(rdb$character_set_name, 'NONE')) FROM rdb$database INTO :line; SUSPEND;
  SELECT '=' || mon$database_name FROM mon$database INTO :line; SUSPEND;
END"""
_THINGS = """
EXECUTE BLOCK RETURNS (line VARCHAR(100) CHARACTER SET UTF8) AS BEGIN
  SELECT '=' || (
    (SELECT COUNT(*) FROM rdb$relations WHERE COALESCE(rdb$system_flag, 0) = 0) +
    (SELECT COUNT(*) FROM rdb$procedures WHERE COALESCE(rdb$system_flag, 0) = 0) +
    (SELECT COUNT(*) FROM rdb$functions WHERE COALESCE(rdb$system_flag, 0) = 0) +
    (SELECT COUNT(*) FROM rdb$exceptions WHERE COALESCE(rdb$system_flag, 0) = 0) +
    (SELECT COUNT(*) FROM rdb$generators WHERE COALESCE(rdb$system_flag, 0) = 0) +
    (SELECT COUNT(*) FROM rdb$roles WHERE COALESCE(rdb$system_flag, 0) = 0) +
    (SELECT COUNT(*) FROM rdb$fields WHERE COALESCE(rdb$system_flag, 0) = 0
      AND rdb$field_name NOT STARTING WITH 'RDB$')) FROM rdb$database INTO :line; SUSPEND;
END"""
# Views have no rows of their own; an external table's are in another file, which gbak leaves alone.
_ROWS = """
EXECUTE BLOCK RETURNS (line VARCHAR(400) CHARACTER SET UTF8) AS
  DECLARE n VARCHAR(63) CHARACTER SET UTF8; DECLARE c BIGINT;
BEGIN
  FOR SELECT TRIM(TRAILING FROM rdb$relation_name) FROM rdb$relations
      WHERE COALESCE(rdb$system_flag, 0) = 0 AND COALESCE(rdb$relation_type, 0) IN (0, 4, 5)
        AND rdb$view_blr IS NULL AND rdb$external_file IS NULL INTO :n DO
  BEGIN
    EXECUTE STATEMENT 'SELECT COUNT(*) FROM "' || REPLACE(n, '"', '""') || '"' INTO :c;
    line = '=' || c || ' ' || n; SUSPEND;
  END
END"""


@dataclass(frozen=True, slots=True)
class About:
    """The engine's version, the page size in bytes, the default character set, the file on the server."""

    version: str
    page_size: int
    charset: str
    path: str


def about(tools: Toolbox, database: str) -> About:
    """Raises `DatabaseMissing`, `ConnectionFailed`."""
    version, size, charset, path = tools.ask(database, _VERSION)
    return About(version, int(size), charset, path)


def things(tools: Toolbox, database: str) -> int:
    """How many things people have made in it."""
    return int(tools.ask(database, _THINGS)[0])


def count_rows(tools: Toolbox, database: str) -> Fingerprint:
    """Rows by table, in one transaction of isql's, whose kind is a snapshot."""
    pairs = (line.partition(" ") for line in tools.ask(database, _ROWS, timeout=_COUNT))
    return Fingerprint({name: int(count) for count, _, name in pairs}, consistent=True)
