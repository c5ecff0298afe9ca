"""The sample shop is the same every time, holds what is hard to back up, and is compared row for row."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine import sample


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    sample.make(path)
    return path


def copy_of(shop: Path, tmp_path: Path, *statements: str) -> Path:
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(shop.read_bytes())
    with closing(sqlite3.connect(copy)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return copy


def test_it_is_the_same_every_time(shop: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.sqlite"
    counts = sample.make(again)
    assert sample.differences(shop, again) == []
    assert sum(counts.values()) > 5000
    with closing(sqlite3.connect(again)) as connection:
        # What version of Python or SQLite made it does not matter: these are figures of the first one.
        found = connection.execute("SELECT count(*), sum(quantity * price_cents) FROM order_lines").fetchone()
        assert found == (4500, 128_630_911)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_another_seed_makes_another_shop(shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    sample.make(other, seed=1)
    assert "the rows of customers differ" in sample.differences(shop, other)


def test_it_holds_what_careless_backups_lose(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:

        def one(query: str) -> int:
            return int(connection.execute(query).fetchone()[0])

        assert one("SELECT count(*) FROM customers WHERE note = ''") > 0
        assert one("SELECT count(*) FROM customers WHERE note IS NULL") > 0
        assert one("SELECT count(*) FROM customers WHERE name LIKE '%佐藤%'") > 0
        assert one("SELECT count(*) FROM reviews WHERE text LIKE '%🎉%'") > 0
        assert one("SELECT count(*) FROM reviews WHERE text LIKE '%' || char(10) || '%'") > 0
        assert one("SELECT count(*) FROM products WHERE typeof(picture) = 'blob'") > 0
        assert one("SELECT count(*) FROM stock_moves WHERE change < 0") > 0, "the trigger ran"
        assert one("SELECT count(*) FROM order_totals") == sample.ORDERS


def test_it_never_replaces_a_file(shop: Path) -> None:
    before = shop.read_bytes()
    with pytest.raises(FileExistsError):
        sample.make(shop)
    assert shop.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("UPDATE reviews SET text = '' WHERE id = (SELECT id FROM reviews WHERE text IS NULL)", "reviews"),
        ("UPDATE customers SET name = name || ' ' WHERE id = 7", "customers"),
        ("DELETE FROM order_lines WHERE order_id = 3", "order_lines"),
        ("UPDATE products SET weight_kg = CAST(weight_kg AS TEXT) || 'x' WHERE id = 1", "products"),
        ("INSERT INTO categories VALUES (99, 'new')", "categories"),
        ("DROP INDEX orders_by_customer", "the schemas differ"),
        ("CREATE TABLE extra (id)", "the schemas differ"),
    ],
)
def test_any_difference_is_found(shop: Path, tmp_path: Path, statement: str, difference: str) -> None:
    found = sample.differences(shop, copy_of(shop, tmp_path, statement))
    assert any(difference in its for its in found)


def test_an_equal_copy_has_no_difference(shop: Path, tmp_path: Path) -> None:
    assert sample.differences(shop, copy_of(shop, tmp_path)) == []
