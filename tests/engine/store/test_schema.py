"""The file: fresh, old, newer than we are, somebody else's, damaged, shared by two that open it at once."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.errors import StoreError
from engine.store import schema
from engine.store.database import Store
from engine.store.models import Base
from engine.store.sessions import make_engine
from tests.parts.stores import add_job

MIGRATIONS = Path(schema.__file__).with_name("migrations")


def migrated(path: Path, to: str = "head") -> Path:
    """A file that only the migrations made."""
    engine = make_engine(path, "BEGIN IMMEDIATE", foreign_keys=False)
    schema.upgrade(engine, to)
    engine.dispose()
    return path


def shape(path: Path) -> dict[str, Any]:
    """Every table with its columns, keys and indexes, whatever the order or the spelling of the SQL."""
    with closing(sqlite3.connect(path)) as database:

        def ask(pragma: str) -> list[tuple[Any, ...]]:
            return sorted(database.execute(f"PRAGMA {pragma}").fetchall(), key=repr)

        found: dict[str, Any] = {}
        tables = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        for table, sql in tables:
            indexes = {}
            for _, name, unique, origin, partial in ask(f"index_list('{table}')"):
                columns = [column for _, _, column in database.execute(f"PRAGMA index_info('{name}')")]
                made = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
                where = made.partition(" WHERE ")[2] if made else ""
                key = tuple(columns) if name.startswith("sqlite_autoindex") else name
                indexes[key] = (columns, unique, origin, partial, where)
            found[table] = {
                "columns": {column: rest for _, column, *rest in ask(f"table_info('{table}')")},
                "keys": sorted(tuple(key[2:]) for key in ask(f"foreign_key_list('{table}')")),
                "indexes": indexes,
                "autoincrement": "AUTOINCREMENT" in sql,
                "constraints": sorted(re.findall(r"CONSTRAINT (\w+)", sql)),
            }
        return found


def test_a_fresh_file_equals_what_the_migrations_make(tmp_path: Path) -> None:
    Store(tmp_path / "fresh.db").close()
    fresh, migrations = shape(tmp_path / "fresh.db"), shape(migrated(tmp_path / "migrated.db"))
    assert fresh.keys() == migrations.keys()
    for table, its in fresh.items():
        assert its == migrations[table], table


def test_alembic_finds_nothing_to_add_to_the_migrations(tmp_path: Path) -> None:
    engine = make_engine(migrated(tmp_path / "migrated.db"), "BEGIN")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_listed_revisions_are_the_ones_that_are_there() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    walked = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(walked)) == schema.REVISIONS


def test_an_old_file_is_migrated_and_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An old file with rows, and a newer program: a copy of the migrations with one more.
    path, old = tmp_path / "strongroom.db", schema.NEWEST
    with Store(path) as store:
        store.settings.set("maxConcurrentJobs", 4)
        made = store.installation_id
        job = add_job(store)
    folder = tmp_path / "newer"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "versions").mkdir()
    for script in MIGRATIONS.rglob("*.py"):
        (folder / "migrations" / script.relative_to(MIGRATIONS)).write_text(script.read_text())
    (folder / "migrations" / "versions" / "r9999_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '9999', '{old}', None, None\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('sources', recreate='always') as table:\n"
        "        table.add_column(sa.Column('colour', sa.String(), nullable=True))\n"
        "    with op.batch_alter_table('jobs', recreate='always') as table:\n"
        "        table.add_column(sa.Column('colour', sa.String(), nullable=True))\n"
    )
    monkeypatch.setattr(schema, "__file__", str(folder / "schema.py"))
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    monkeypatch.setattr(schema, "NEWEST", "9999")
    with Store(path) as store:
        assert store.settings.get("maxConcurrentJobs") == 4
        assert store.installation_id == made
        assert store.jobs.list() == [job], "rebuilding a table took the rows that refer to it"
    assert "colour" in shape(path)["sources"]["columns"]
    # The old file is kept, for whoever goes back to the older program.
    copy = path.with_name(f"strongroom.db.{old}")
    assert "colour" not in shape(copy)["sources"]["columns"]
    assert os.name != "posix" or stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "strongroom.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM alembic_version")
        database.execute("INSERT INTO alembic_version VALUES ('0000')")
    before = shape(path)
    engine = make_engine(path, "BEGIN IMMEDIATE", foreign_keys=False)
    with pytest.raises(Exception, match="0000"):
        schema.upgrade(engine)
    engine.dispose()
    assert shape(path) == before


def test_a_newer_file_is_refused_and_left_as_it_is(path: Path) -> None:
    Store(path).close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer Strongroom") as caught:
        Store(path)
    assert "newest Strongroom" in caught.value.remedy
    assert path.read_bytes() == before


def test_a_database_of_somebody_else_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    with pytest.raises(StoreError, match="not one of Strongroom's"):
        Store(path)


def test_a_damaged_file_is_refused_with_a_way_out(path: Path) -> None:
    path.write_bytes(b"this is not a database, and it is longer than the header of one" * 40)
    with pytest.raises(StoreError, match="not a database") as caught:
        Store(path)
    assert "Move it away" in caught.value.remedy


@pytest.mark.parametrize("trace", ["vault.json", "locks/k3f9abcdef.lock"])
def test_an_emptied_file_is_not_taken_for_a_fresh_one(path: Path, trace: str) -> None:
    path.touch()
    (path.parent / "locks").mkdir()
    (path.parent / trace).write_text("{}")
    with pytest.raises(StoreError, match="is empty, though") as caught:
        Store(path)
    assert "copy" in caught.value.remedy
    assert path.stat().st_size == 0

    path.unlink()  # as the remedy says
    Store(path).close()


def test_an_empty_file_alone_is_a_fresh_one(path: Path) -> None:
    """As it lies there when the first of two that open it at once has only just made it."""
    path.touch()
    (path.parent / "locks").mkdir()
    Store(path).close()
    assert path.stat().st_size > 0


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file" / "strongroom.db")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_nobody_else_may_read_the_file(path: Path) -> None:
    old = os.umask(0)
    try:
        with Store(path) as store:
            store.settings.set("a", 1)
            modes = {its.name: stat.S_IMODE(its.stat().st_mode) for its in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert len(modes) >= 3, "the database and its two WAL files were expected"
    assert set(modes.values()) == {0o600}


def test_many_may_open_a_fresh_file_at_once(path: Path) -> None:
    script = (
        "import sys, pathlib; from engine.store.database import Store\n"
        "sys.stdin.readline()\n"
        "with Store(pathlib.Path(sys.argv[1])) as store: print(store.installation_id)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda process: process.communicate("go\n", timeout=60), started))
    assert [process.returncode for process in started] == [0] * 4, outputs
    assert len({out.strip() for out, _ in outputs}) == 1
    with Store(path) as store:
        assert [(out.strip()) for out, _ in outputs] == [store.installation_id] * 4


def test_opening_the_newest_schema_does_not_import_alembic(path: Path) -> None:
    script = (
        "import sys, pathlib; from engine.store.database import Store\n"
        "for _ in range(2): Store(pathlib.Path(sys.argv[1])).close()\n"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_the_engine_itself_does_not_import_the_store() -> None:
    script = (
        "import sys, engine.queue, engine.queue.ownership, engine.scheduler\n"
        "print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
