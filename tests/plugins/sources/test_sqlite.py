"""SQLite files in the states that applications leave them in, and what must not be backed up quietly."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import strongroom
from plugins.sources.sqlite import Sqlite
from strongroom import LogLevel
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped


def make(path: Path, rows: int = 500, *, journal_mode: str = "delete") -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.execute("CREATE TABLE t (number INTEGER PRIMARY KEY, words TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"row {n} " * 20) for n in range(rows)])
    return path


def rows(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM t ORDER BY 1").fetchall()


def opened(path: Path, around: Surroundings, *, lock_timeout: float = 30.0) -> Sqlite:
    return Sqlite(Sqlite.Config(path=str(path), lock_timeout=lock_timeout), around.context)


def restored(source: Sqlite, path: Path) -> Path:
    """Dump a source and restore it at `path`."""
    chunks, _ = dumped(source, source.databases()[0])
    source.restore(str(path), chunks)
    return path


@contextmanager
def another_program(path: Path, statements: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has run `statements` on the database, and keeps its connection until a line comes."""
    program = (
        "import sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2].split(';'): database.execute(statement).fetchall()\n"
        "print('ready', flush=True)\nsys.stdin.readline()\ndatabase.close()\n"
    )
    argv = [sys.executable, "-c", program, str(path), statements]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@contextmanager
def as_plain_user() -> Iterator[None]:
    """Root may write everywhere; nobody may not."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, for what a plain user does in a test that root runs."""
    folder = Path(tempfile.mkdtemp(prefix="sqlite-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


# ----------------------------------------------------------------------------- states of a file


def test_rows_that_are_only_in_the_wal_are_dumped(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite", journal_mode="wal")
    with another_program(path, "PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (9999, 'in the WAL')"):
        assert path.with_name("app.sqlite-wal").stat().st_size > 0
        copy = restored(opened(path, around), tmp_path / "copy.sqlite")
    assert rows(copy)[-1] == (9999, "in the WAL")


class WritingToken(strongroom.CancelToken):
    """Commits a row from another connection at each look, which is between any two steps of a copy."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.writer = sqlite3.connect(path)
        self.looks = 0

    def raise_if_cancelled(self) -> None:
        self.looks += 1
        assert self.looks < 1000, "the copy begins again after each write"
        with self.writer:
            self.writer.execute("INSERT INTO t VALUES (?, 'newer')", (10_000 + self.looks,))
        super().raise_if_cancelled()


def test_a_copy_in_many_steps_is_never_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "app.sqlite", rows=5000, journal_mode="wal")
    monkeypatch.setattr("plugins.sources.sqlite.PAGES", 1)
    token = WritingToken(path)
    around = Surroundings(tmp_path, token)
    with closing(token.writer):
        source = Sqlite(Sqlite.Config(path=str(path)), around.context)
        chunks, counted = dumped(source, "app")
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(b"".join(chunks))
    assert len(rows(copy)) == counted.tables["t"]
    assert counted.tables["t"] - 5000 <= 2, "rows of after the snapshot are in the copy"
    assert token.looks > 100


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_a_dump_changes_nothing_in_the_file(tmp_path: Path, around: Surroundings, journal_mode: str) -> None:
    path = make(tmp_path / "app.sqlite", journal_mode=journal_mode)
    before = (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
    source = opened(path, around)
    source.check()
    dumped(source, "app")
    assert (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("with_wal", [True, False])
def test_a_wal_database_in_a_folder_that_cannot_be_written(open_folder: Path, with_wal: bool) -> None:
    folder = open_folder / "read-only"
    folder.mkdir()
    path = make(open_folder / "app.sqlite", journal_mode="wal")
    expected = rows(path)
    if with_wal:
        # A WAL without its index, as a copied folder or a crash leaves it.
        with another_program(path, "INSERT INTO t VALUES (9999, 'in the WAL')") as process:
            process.send_signal(signal.SIGKILL)
            process.wait()
        shutil.copy(open_folder / "app.sqlite-wal", folder / "app.sqlite-wal")
        expected.append((9999, "in the WAL"))
    shutil.copy(path, folder / "app.sqlite")
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    work = open_folder / "work"
    work.mkdir()
    work.chmod(0o777)
    with as_plain_user():
        around = Surroundings(work)
        source = opened(folder / "app.sqlite", around)
        assert source.check().databases == ("app",)
        chunks, counted = dumped(source, "app")
        assert around.left() == []
    assert counted.tables == {"t": len(expected)}
    copy = work / "copy.sqlite"
    copy.write_bytes(b"".join(chunks))
    assert rows(copy) == expected


def test_a_transaction_cut_by_a_crash_is_rolled_back_in_the_copy_alone(
    tmp_path: Path, around: Surroundings
) -> None:
    path = make(tmp_path / "app.sqlite")
    before = rows(path)
    # A small cache makes SQLite write uncommitted pages into the file, the old ones into the journal.
    half = "PRAGMA cache_size = 1; BEGIN; UPDATE t SET words = 'half done ' || words"
    with another_program(path, half) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.with_name("app.sqlite-journal").stat().st_size > 0
    crashed = path.read_bytes()
    assert b"half done" in crashed
    chunks, counted = dumped(opened(path, around), "app")
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(b"".join(chunks))
    assert rows(copy) == before
    assert counted.tables == {"t": 500}
    assert path.read_bytes() == crashed, "the source is the application's to recover"


def test_a_locked_file_is_waited_for(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite")
    with another_program(path, "BEGIN EXCLUSIVE; INSERT INTO t VALUES (9999, 'soon')") as process:
        with pytest.raises(strongroom.ConnectionFailed, match="locked by another program") as caught:
            dumped(opened(path, around, lock_timeout=0.2), "app")
        assert "lock" in caught.value.remedy
        assert process.stdin is not None
        threading.Timer(0.3, lambda: (process.stdin.write("end\n"), process.stdin.flush())).start()
        _, counted = dumped(opened(path, around), "app")
    assert counted.tables == {"t": 500}, "what was not committed is not there"


def test_a_cancel_ends_the_wait_for_a_lock(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite")
    with another_program(path, "BEGIN EXCLUSIVE"):
        threading.Timer(0.2, around.cancel.cancel).start()
        with pytest.raises(strongroom.Cancelled):
            dumped(opened(path, around, lock_timeout=3600), "app")
    assert around.left() == []


# ------------------------------------------------------------------------ what is no such database


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, around: Surroundings) -> None:
    with pytest.raises(strongroom.DatabaseMissing, match=r"There is no file .*gone\.sqlite") as caught:
        opened(tmp_path / "gone.sqlite", around).check()
    assert "path" in caught.value.remedy


def test_a_folder_is_refused(tmp_path: Path, around: Surroundings) -> None:
    with pytest.raises(strongroom.DatabaseMissing, match="is a folder"):
        opened(tmp_path, around).check()


def test_a_file_of_another_kind_is_refused(tmp_path: Path, around: Surroundings) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_text("only a text\n")
    with pytest.raises(strongroom.SourceError, match="is not an SQLite database") as caught:
        dumped(opened(path, around), "notes")
    assert "encrypted" not in caught.value.message


def test_an_encrypted_file_is_recognised(tmp_path: Path, around: Surroundings) -> None:
    path = tmp_path / "secret.sqlite"
    path.write_bytes(hashlib.sha512(b"noise").digest() * 128)
    with pytest.raises(strongroom.SourceError, match="encrypted") as caught:
        opened(path, around).check()
    assert "key" in caught.value.remedy


def test_a_file_that_may_not_be_read_is_said_so(open_folder: Path) -> None:
    path = make(open_folder / "app.sqlite")
    path.chmod(0)
    with (
        as_plain_user(),
        pytest.raises(strongroom.ConnectionFailed, match="permission denied") as caught,
    ):
        opened(path, Surroundings(open_folder)).check()
    assert "right to read" in caught.value.remedy


def test_a_damaged_file_fails_the_dump(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite", rows=5000)
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(strongroom.SourceError, match="damaged") as caught:
        dumped(opened(path, around), "app")
    assert caught.value.remedy


def test_a_collation_of_the_applications_own_is_warned_about(tmp_path: Path, around: Surroundings) -> None:
    path = tmp_path / "app.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.create_collation("ours", lambda a, b: (a > b) - (a < b))
        connection.execute("CREATE TABLE t (number INTEGER, words TEXT COLLATE ours)")
        connection.execute("CREATE INDEX i ON t (words)")
        connection.execute("INSERT INTO t VALUES (1, 'one')")
    _, counted = dumped(opened(path, around), "app")
    assert counted.tables == {"t": 1}
    copy = restored(opened(path, around), tmp_path / "copy.sqlite")
    assert rows(copy) == [(1, "one")]
    assert any("ours" in message and level is LogLevel.WARNING for message, level in around.log)


def test_a_full_text_index_is_copied_and_its_own_tables_counted(tmp_path: Path, around: Surroundings) -> None:
    path = tmp_path / "app.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE VIRTUAL TABLE notes USING fts5(body)")
        connection.execute("INSERT INTO notes VALUES ('the quick brown fox')")
    _, counted = dumped(opened(path, around), "app")
    assert counted.tables["notes_content"] == 1
    assert "notes" not in counted.tables


def test_a_scratch_without_room_is_said_beforehand(
    tmp_path: Path, around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "app.sqlite")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage._replace(free=1000))
    source = opened(path, around)
    for attempt in (source.check, lambda: dumped(source, "app")):
        with pytest.raises(strongroom.SourceError, match=r"needs [\d,]+ bytes.*1,000 free"):
            attempt()


# ----------------------------------------------------------------------------------- restoring


def test_an_open_database_is_not_replaced_under_its_program(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite", journal_mode="wal")
    source = opened(path, around, lock_timeout=0.2)
    beside = source.beside_name("app", "r1")
    source.restore(beside, dumped(source, "app")[0])
    before = rows(path)
    with (
        another_program(path, "SELECT count(*) FROM t"),
        pytest.raises(strongroom.ConnectionFailed, match="locked by another program"),
    ):
        source.replace(beside, "app")
    assert rows(path) == before
    assert source.replace(beside, "app") == "app_before_r1.sqlite"


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path, around: Surroundings) -> None:
    (tmp_path / "disk").mkdir()
    path = make(tmp_path / "disk" / "real.db")
    link = tmp_path / "app.sqlite"
    link.symlink_to(path)
    source = opened(link, around)
    chunks, _ = dumped(source, "app")
    before = rows(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM t WHERE rowid > 3")
    beside = source.beside_name("app", "r1")
    source.restore(beside, chunks)
    assert Path(beside).parent == path.parent
    kept = source.replace(beside, "app")
    assert link.is_symlink() and rows(path) == rows(link) == before
    assert kept is not None and len(rows(Path(kept))) == 4


def test_nothing_is_left_beside_a_restored_file(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite", journal_mode="wal")
    source = opened(path, around)
    chunks, _ = dumped(source, "app")
    for name in ("app", "copy"):
        beside = source.beside_name(name, "r1")
        source.restore(beside, chunks)
        source.fingerprint(beside)  # it is counted before it gets its name, which leaves a log and its index
        source.replace(beside, name)
    left = [
        entry.name for entry in tmp_path.iterdir() if "_r1" in entry.name and "_before_" not in entry.name
    ]
    assert left == []


def test_the_wal_of_the_old_file_goes_with_it(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite", journal_mode="wal")
    source = opened(path, around)
    beside = source.beside_name("app", "r1")
    source.restore(beside, dumped(source, "app")[0])
    with another_program(path, "DELETE FROM t; INSERT INTO t VALUES (1, 'newest')") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.with_name("app.sqlite-wal").stat().st_size > 0
    kept = source.replace(beside, "app")
    assert kept is not None
    assert len(rows(path)) == 500
    assert rows(tmp_path / kept) == [(1, "newest")]


def test_the_journal_of_a_lost_database_is_not_replayed_into_the_restored_one(
    tmp_path: Path, around: Surroundings
) -> None:
    path = make(tmp_path / "app.sqlite")
    chunks, _ = dumped(opened(path, around), "app")
    before = rows(path)
    with another_program(path, "PRAGMA cache_size = 1; BEGIN; UPDATE t SET words = 'x'") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    journal = path.with_name("app.sqlite-journal").read_bytes()
    path.unlink()
    opened(path, around).restore("app", chunks)
    assert rows(path) == before
    assert [file.read_bytes() for file in tmp_path.glob("app.sqlite-journal.stray-*")] == [journal]


def test_a_restored_file_can_be_opened_by_whoever_could_open_the_source(
    tmp_path: Path, around: Surroundings
) -> None:
    path = make(tmp_path / "app.sqlite")
    path.chmod(0o640)
    source = opened(path, around)
    chunks, _ = dumped(source, "app")
    source.restore("copy", chunks)
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o777 == 0o640
    beside = source.beside_name("app", "r1")
    source.restore(beside, chunks)
    source.replace(beside, "app")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_restore_leaves_no_temporary_file(tmp_path: Path, around: Surroundings) -> None:
    path = make(tmp_path / "app.sqlite")
    source = opened(path, around)
    chunks, _ = dumped(source, "app")
    with pytest.raises(strongroom.DumpIncomplete):
        source.restore("copy", [*chunks, b"one byte more"])
    source.restore("copy", chunks)
    names = {file.name for file in tmp_path.iterdir() if file.is_file()}
    assert names == {"app.sqlite", "copy.sqlite"}


@pytest.mark.parametrize("name", ["../escape", "a/b", "..", "", "nul\0byte", "back\\slash"])
def test_a_name_stays_beside_the_source(tmp_path: Path, around: Surroundings, name: str) -> None:
    source = opened(make(tmp_path / "app.sqlite"), around)
    with pytest.raises(strongroom.ConfigError):
        source.restore(name, [b""])


def test_names_and_files(tmp_path: Path, around: Surroundings) -> None:
    source = opened(tmp_path / "my.app.db", around)
    assert source.databases() == ["my.app"]
    assert source.file_of("my.app") == tmp_path / "my.app.db"
    assert source.file_of("copy") == tmp_path / "copy.db"
    assert source.file_of("copy.sqlite3") == tmp_path / "copy.sqlite3"
    assert source.file_of("/srv/x.db") == Path("/srv/x.db")
    assert source.beside_name("my.app", "r1") == "my.app_r1.db"
    assert source.beside_name("/srv/x.db", "r1") == "/srv/x_r1.db"
    assert source.file_of(source.scratch_name("my.app", "r1", tmp_path / "scratch")).parent != tmp_path
    assert source.restored_name("whatever it was") == "my.app"
    assert source.restore_command("a b") == "cat > 'a b.sqlite'"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, around: Surroundings) -> None:
    path = tmp_path / "pipe.sqlite"
    os.mkfifo(path)
    source = Sqlite(Sqlite.Config(path=str(path)), around.context)
    for attempt in (source.check, lambda: dumped(source, "pipe")):
        with pytest.raises(strongroom.DatabaseMissing, match="is not a file"):
            attempt()


def test_a_file_without_a_byte_is_told_of(tmp_path: Path, around: Surroundings) -> None:
    """A crash on a full disk leaves such a file; it is an empty database all the same."""
    (tmp_path / "shop.sqlite").touch()
    source = Sqlite(Sqlite.Config(path=str(tmp_path / "shop.sqlite")), around.context)
    chunks, _ = dumped(source, "shop")
    assert b"".join(chunks)
    assert [level for message, level in around.log if "empty database" in message] == [LogLevel.WARNING]


# --------------------------------------------------------------------------------- several files


def test_further_files_are_found_at_each_run(tmp_path: Path, around: Surroundings) -> None:
    own = make(tmp_path / "app.db")
    (tmp_path / "tenants").mkdir()
    far = make(tmp_path / "tenants" / "one.db", 3)
    beside = make(tmp_path / "users [x].db", 5, journal_mode="wal")
    paths = [str(tmp_path / "tenants" / "*.db"), str(beside)]
    source = Sqlite(Sqlite.Config(path=str(own), paths=paths), around.context)
    assert source.databases() == sorted(["app", str(far), "users [x]"])
    late = make(tmp_path / "tenants" / "two.db", 7)
    report = source.check()
    assert report.databases == tuple(sorted(["app", str(far), str(late), "users [x]"]))
    assert any(note.startswith("users [x]: ") for note in report.notes)
    for name, path in ((str(far), far), ("users [x]", beside), (str(late), late)):
        chunks, counted = dumped(source, name)
        assert dict(counted.tables) == {"t": len(rows(path))}
        source.restore(source.beside_name(name, "copy"), chunks)
        assert rows(path.with_name(f"{path.stem}_copy.db")) == rows(path)
        assert source.restored_name(name) == name


def test_a_further_file_that_went_is_said_to_be_missing(tmp_path: Path, around: Surroundings) -> None:
    own, gone = make(tmp_path / "app.db"), tmp_path / "gone.db"
    source = Sqlite(Sqlite.Config(path=str(own), paths=[str(gone)]), around.context)
    assert source.databases() == ["app", "gone"]
    report = source.check()
    assert list(report.failing) == ["gone"]
    with pytest.raises(strongroom.DatabaseMissing, match=r"gone\.db"):
        report.raise_failing()
    none = Sqlite(Sqlite.Config(path=str(own), paths=[str(tmp_path / "*.none")]), around.context)
    assert none.databases() == ["app"]
    assert any("nothing matches" in note for note in none.check().notes)
