"""The plan of a swap, written down in the server before anything of it is done.

It lies as a table in the database that is to take the other's place, which goes as the last step. So
whoever finds it there, after a crash of ours or of the server's, can finish what was begun.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from plugins.sources.maria import catalogue
from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import identifier
from strongroom import SourceError

TABLE = "strongroom_swap_journal"
_PIECE = 1 << 20
"""Bytes of a row: far below what a server takes at once."""


@dataclass(frozen=True)
class Plan:
    """What a swap has to do. `kept` is "" where there is no old database.

    `made` are the words with which the database that is missing yet, `kept` or else `database`, is made.
    """

    database: str
    kept: str
    made: str
    tables: dict[str, list[str]]
    """What RENAME TABLE moves, by the database that holds it."""
    triggers: dict[str, int]
    """How many each of these has."""
    old: dict[str, bytes] = field(default_factory=dict)
    new: dict[str, bytes] = field(default_factory=dict)
    """The texts of each one's parts: bytes, for not all that the servers keep is text."""
    routines: list[list[str]] = field(default_factory=list)
    """The new one's, by kind and name."""
    old_routines: list[list[str]] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)


class Journal:
    """The plan in one database. Raises `SourceError`s."""

    def __init__(self, client: Client, beside: str) -> None:
        self._client = client
        self._beside = beside
        self._table = f"{identifier(beside)}.{identifier(TABLE)}"

    def write(self, plan: Plan) -> None:
        """Write it down."""
        text = json.dumps(asdict(plan), default=bytes.hex).encode("utf-8", "surrogatepass")
        pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
        self._client.ask(
            f"CREATE TABLE {self._table}"
            " (n INT NOT NULL PRIMARY KEY, last INT NOT NULL, piece LONGBLOB NOT NULL);"
        )
        for number, piece in enumerate(pieces):
            self._client.ask(
                f"INSERT INTO {self._table} VALUES ({number}, {len(pieces) - 1}, 0x{piece.hex()});"  # noqa: S608
            )

    def read(self) -> Plan | None:
        """The plan; None where there is none, or one that was not written whole: nothing was done by it."""
        there = self._client.ask(
            "SELECT 1 FROM information_schema.TABLES WHERE"  # noqa: S608 - quoted
            f" {catalogue.is_name('TABLE_SCHEMA', self._beside)} AND TABLE_NAME = '{TABLE}';"
        )
        if not there:
            return None
        rows = self._client.ask(f"SELECT last, HEX(piece) FROM {self._table} ORDER BY n;")  # noqa: S608
        if not rows or len(rows) != int(rows[0][0]) + 1:
            return None
        try:
            text = bytes.fromhex("".join(piece for _, piece in rows)).decode("utf-8", "surrogatepass")
            values = json.loads(text)
            for one in ("old", "new"):
                values[one] = {part: bytes.fromhex(digits) for part, digits in values[one].items()}
            return Plan(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SourceError(
                f"The table {TABLE} in {self._beside!r} cannot be read: {error}.",
                remedy="Look whether it is Strongroom's; it holds the plan of a swap.",
            ) from error

    def remove(self) -> None:
        """Take it away."""
        self._client.ask(f"DROP TABLE IF EXISTS {self._table};")
