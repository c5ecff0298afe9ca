"""The sample database of the demo: a small shop in SQLite, the same rows every time it is made.

A few thousand rows of the kinds that go wrong in careless backups: names in a dozen scripts, emoji,
quotes, line ends, NULLs beside empty texts, BLOBs, reals, a view, a trigger, a table without row IDs.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

CUSTOMERS, PRODUCTS, ORDERS, REVIEWS = 600, 120, 1800, 700
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
T = TypeVar("T")


class _Dice:
    """Chance that falls the same way on every version of Python: only `random()` promises that."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311 - sample rows, nothing secret

    def below(self, limit: int) -> int:
        return int(self._random() * limit)

    def pick(self, values: list[T]) -> T:
        return values[self.below(len(values))]

    def moment(self) -> str:
        return (_FIRST + timedelta(seconds=self.below(2 * 365 * 86400))).strftime("%Y-%m-%d %H:%M:%S")


def make(path: Path, *, seed: int = 20241124) -> dict[str, int]:
    """Make the database at `path` (which must not exist) and return its tables with their row counts."""
    folder = files("resources").joinpath("sample")
    words = json.loads(folder.joinpath("words.json").read_text(encoding="utf-8"))
    if path.exists():
        raise FileExistsError(path)
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # as a busy application would have it
        connection.executescript(folder.joinpath("shop.sql").read_text(encoding="utf-8"))
        with connection:
            for table, rows in _rows(words, _Dice(seed)):
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
            connection.execute("UPDATE orders SET status = 'sent' WHERE status = 'paid' AND id % 3 = 0")
        counts = table_counts(connection)
        # The last connection to close writes the WAL back, so the sample is one file.
    return counts


def table_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """The tables of a database with their row counts, without SQLite's own."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    names = sorted(name for (name,) in connection.execute(query))
    return {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
        for name in names
    }


def differences(one: Path, other: Path) -> list[str]:
    """How two databases of this kind differ, row for row and in their schema; empty when they are equal."""
    found = []
    with closing(_read_only(one)) as first, closing(_read_only(other)) as second:
        schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        if first.execute(schema).fetchall() != second.execute(schema).fetchall():
            found.append("the schemas differ")
        tables = table_counts(first).keys() | table_counts(second).keys()
        for table in sorted(tables):
            if list(_sorted_rows(first, table)) != list(_sorted_rows(second, table)):
                found.append(f"the rows of {table} differ")
    return found


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _sorted_rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    # quote() tells 1 from 1.0, '1' and X'31', which a comparison of Python values would not.
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    if columns:
        quoted = ", ".join(f'quote("{column}")' for column in columns)
        yield from connection.execute(f'SELECT {quoted} FROM "{table}" ORDER BY {quoted}')  # noqa: S608


def _rows(words: dict[str, Any], dice: _Dice) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Each table's rows, in the order in which the references want them."""
    customers: list[tuple[Any, ...]] = []
    for number in range(1, CUSTOMERS + 1):
        place = dice.pick(words["places"])
        note = dice.pick(words["notes"]) if dice.below(4) == 0 else None if dice.below(2) else ""
        customers.append(
            (
                number,
                dice.pick(place["names"]),
                f"customer{number}@example.com",
                dice.pick(place["cities"]),
                place["country"],
                dice.moment(),
                note,
            )
        )
    yield "customers", customers
    yield "categories", list(enumerate(words["categories"], 1))

    products: list[tuple[Any, ...]] = []
    for number in range(1, PRODUCTS + 1):
        picture = bytes(dice.below(256) for _ in range(dice.below(300))) if dice.below(3) else None
        weight = dice.below(5000) / 1000 if dice.below(5) else None
        name = f"{dice.pick(words['adjectives'])} {dice.pick(words['nouns'])}"
        category = 1 + dice.below(len(words["categories"]))
        products.append((number, category, name, f"S-{number:04}", 99 + dice.below(20000), weight, picture))
    yield "products", products

    orders: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    for number in range(1, ORDERS + 1):
        status = dice.pick(["new", "paid", "paid", "paid", "returned"])
        orders.append((number, 1 + dice.below(CUSTOMERS), dice.moment(), status))
        for line in range(1, 2 + dice.below(4)):
            product = products[dice.below(PRODUCTS)]
            lines.append((number, line, product[0], 1 + dice.below(5), product[4]))
    yield "orders", orders
    yield "order_lines", lines

    reviews: list[tuple[Any, ...]] = []
    for number in range(1, REVIEWS + 1):
        text = dice.pick(words["reviews"]) if dice.below(6) else None
        reviews.append((number, 1 + dice.below(PRODUCTS), 1 + dice.below(CUSTOMERS), 1 + dice.below(5), text))
    yield "reviews", reviews
    moves = [
        (number, 1 + dice.below(PRODUCTS), dice.moment(), 10 + dice.below(90)) for number in range(1, 301)
    ]
    yield "stock_moves", moves
