"""An application that keeps an SQLite file busy: a program of its own, which never stops writing.

Money moves between two tables, whose sum is always the same, and each move is a row of a ledger.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import sys
import threading
from pathlib import Path

ACCOUNTS = 50
START = 1000


def create(path: Path, journal: str, rows: int) -> None:
    """Make the file, with so many moves in its ledger."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {journal}")
    for side in ("lefts", "rights"):
        database.execute(f"CREATE TABLE {side} (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)")
        database.execute("BEGIN")
        database.executemany(f"INSERT INTO {side} VALUES (?, {START})", ((at,) for at in range(ACCOUNTS)))  # noqa: S608
        database.execute("COMMIT")
    columns = "id INTEGER PRIMARY KEY, lefts INTEGER, rights INTEGER, amount INTEGER, words TEXT"
    database.execute(f"CREATE TABLE ledger ({columns})")
    database.execute("BEGIN")
    for number in range(1, rows + 1):
        move(database, number)
    database.execute("COMMIT")
    database.close()


def move(database: sqlite3.Connection, number: int) -> None:
    """The move of that number, which is always the same one."""
    chance = random.Random(number)
    left, right, amount = chance.randrange(ACCOUNTS), chance.randrange(ACCOUNTS), chance.randint(-50, 50)
    words = f"Überweisung {number} 💶 " + hashlib.sha512(str(number).encode()).hexdigest()
    database.execute("UPDATE lefts SET balance = balance - ? WHERE id = ?", (amount, left))
    database.execute("UPDATE rights SET balance = balance + ? WHERE id = ?", (amount, right))
    database.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?)", (number, left, right, amount, words))


def main() -> None:
    database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
    # What is written stays in the WAL: whoever copies the file alone gets none of it.
    database.execute("PRAGMA wal_autocheckpoint = 0")
    (number,) = database.execute("SELECT max(id) FROM ledger").fetchone()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    print("writing", flush=True)
    while not over.wait(0.002):  # some hundred moves a second: the WAL is to stay small
        number += 1
        database.execute("BEGIN IMMEDIATE")
        move(database, number)
        database.execute("COMMIT")
    database.close()


if __name__ == "__main__":
    main()
