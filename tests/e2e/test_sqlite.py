"""The main job, by the real command line, on an SQLite file that another program writes to all the while."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import rows_of
from tests.e2e.writer import ACCOUNTS, START, create, move
from tests.parts.commands import Installation
from tests.parts.programs import required_program

ROOT = Path(__file__).parents[2]
BY_HAND = 'set -o pipefail; "$1" -d -i "$2" "$3" | "$4" -d -q > "$5"'

PLACES = """
[[source]]
name = "bank"
adapter = "sqlite"
config = { path = "bank.db" }

[[destination]]
name = "disk"
adapter = "local"
config = { path = "disk" }
"""
CONFIG = f"""{PLACES}
[[key]]
name = "default"

[[job]]
name = "hourly"
source = "bank"
destinations = ["disk"]
"""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let a process of its own write to the file, from before the block to after it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.writer", str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        yield
        assert writer.poll() is None, "the writer was never in the way, nor the backup in its way"
        writer.stdin.close()
        assert writer.wait(60) == 0


def last(path: Path) -> int:
    """The number of the last move in a file."""
    with closing(sqlite3.connect(path, timeout=60)) as database:
        return int(database.execute("SELECT max(id) FROM ledger").fetchone()[0])


def assert_is_the_snapshot(copy: Path, live: Path, tmp_path: Path) -> int:
    """The copy is, row for row, what the file was after some move; return that move's number."""
    number = last(copy)
    rows = rows_of(copy)
    balances = [balance for side in ("lefts", "rights") for _, balance in rows[side]]
    assert sum(int(str(its)) for its in balances) == 2 * ACCOUNTS * START, "what every transaction keeps"
    with closing(sqlite3.connect(live, timeout=60)) as database:
        ledger = database.execute("SELECT * FROM ledger WHERE id <= ?", (number,)).fetchall()
    assert rows["ledger"] == sorted(ledger, key=repr)
    again = tmp_path / f"again-{number}.db"
    create(again, "off", number)
    assert rows_of(again) == rows, "every move up to there was made, and none after it"
    return number


@pytest.mark.parametrize(("journal", "rounds"), [("wal", 2), ("delete", 1)])
def test_a_file_under_a_concurrent_writer(tmp_path: Path, journal: str, rounds: int) -> None:
    age, zstd = required_program("age", package="age"), required_program("zstd", package="zstd")
    shell = required_program("sqlite3", package="sqlite3")
    bank = tmp_path / "bank.db"
    create(bank, journal, 20_000)
    installation = Installation(tmp_path)
    (tmp_path / "bank.toml").write_text(CONFIG)
    installation.run("apply", str(tmp_path / "bank.toml"))
    backups: list[tuple[int, int, dict[str, Any]]] = []
    with writing(bank):
        for _ in range(rounds):
            before = last(bank)
            document = installation.run("run", "hourly", "--json").document
            assert document["status"] == "Success"
            after = last(bank)
            assert after > before, "it went on writing"
            backups.append((before, after, document["backups"][0]))

    key = tmp_path / "key.txt"
    installation.run("keys", "export", "default", "-o", str(key))
    for number, (before, after, backup) in enumerate(backups):
        copy = tmp_path / f"copy-{number}.db"
        restored = installation.json("restore", backup["id"], "--to", "bank", "--as", copy.name)
        assert restored["status"] == "Success"
        assert before <= assert_is_the_snapshot(copy, bank, tmp_path) <= after

        by_hand = tmp_path / f"by-hand-{number}.db"
        artifact = tmp_path / "disk" / backup["artifact"]
        done = subprocess.run(
            ["bash", "-c", BY_HAND, "bash", age, str(key), str(artifact), zstd, str(by_hand)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        asked = [shell, str(by_hand), "PRAGMA integrity_check; SELECT max(id) FROM ledger"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        assert told.split() == ["ok", str(last(copy))]
        assert rows_of(by_hand) == rows_of(copy)

    other = Installation(tmp_path, "other")
    other.apply(PLACES.replace("bank.db", "new.db"))
    other.json("keys", "import", str(key))
    assert len(other.json("backups")) == rounds
    assert [its["outcome"] for its in other.json("verify", "--all")] == ["passed"] * rounds
    newest = other.json("backups")[0]
    assert other.json("restore", newest["id"], "--to", "bank")["status"] == "Success"
    assert rows_of(tmp_path / "new.db") == rows_of(tmp_path / f"copy-{rounds - 1}.db")
    assert_moves_go_on(tmp_path / "new.db")
    installation.close()


def assert_moves_go_on(path: Path) -> None:
    """The application can work with what was restored."""
    number = last(path) + 1
    with closing(sqlite3.connect(path)) as database, database:
        move(database, number)
    assert last(path) == number
