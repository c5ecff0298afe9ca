"""One thread writes, many read: from the start, to the tail, and to what ended the writing."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.errors import Cancelled, SpoolError
from engine.streams import spool as module
from engine.streams.spool import Spool, SpoolReader, free_bytes, make_spool_folder
from tests.engine.streams.samples import mixed, pieces
from tests.parts.postgres import missing_part

DATA = mixed(5_000_000)


@pytest.fixture
def cancel() -> CancelToken:
    return CancelToken()


@pytest.fixture
def spool(tmp_path: Path, cancel: CancelToken) -> Iterator[Spool]:
    with Spool(tmp_path / "artifact", cancel) as opened:
        yield opened


def read_all(reader: SpoolReader, size: int = 1 << 20) -> bytes:
    out = bytearray()
    while chunk := reader.read(size):
        out += chunk
        assert reader.position == len(out)
    return bytes(out)


def waits(thread: threading.Thread) -> None:
    """Give a reader the time to come to the tail; it must still be there."""
    thread.join(0.1)
    assert thread.is_alive()


def test_many_readers_follow_the_growing_file_each_from_the_start(spool: Spool) -> None:
    with ThreadPoolExecutor(8) as pool:
        sizes = [1 << 20, 1 << 16, 4097, 1 << 20, 333_333, 1 << 21, 65_537, 1 << 20]
        found = [pool.submit(read_all, spool.reader(), size) for size in sizes]
        for chunk in pieces(DATA, 100_003):
            spool.write(chunk)
        late = pool.submit(read_all, spool.reader())
        spool.finish()
        assert all(future.result(30) == DATA for future in [*found, late])
    assert spool.size == len(DATA)
    assert spool.sha256 == hashlib.sha256(DATA).hexdigest()
    assert read_all(spool.reader()) == DATA


def test_the_length_and_the_digest_are_known_only_at_the_end(spool: Spool) -> None:
    reader = spool.reader()
    spool.write(b"half")
    assert reader.size is None
    assert reader.read() == b"half"
    with pytest.raises(SpoolError):
        reader.sha256()
    spool.finish()
    assert reader.read() == b""
    assert reader.size == 4
    assert reader.sha256() == hashlib.sha256(b"half").hexdigest()


def test_a_reader_can_wait_for_an_offset_and_open_the_file_itself(spool: Spool) -> None:
    reader = spool.reader()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.wait_for, 10)
        spool.write(b"12345")
        assert not waiting.done()
        spool.write(b"67890a")
        assert waiting.result(10) == 11
        whole = pool.submit(reader.wait_for, sys.maxsize)
        spool.finish()
        assert whole.result(10) == 11
    assert reader.path.read_bytes() == b"1234567890a"


def test_a_reader_at_the_tail_is_woken_by_a_failure_and_raises_it(spool: Spool) -> None:
    error = SpoolError("the dump broke")
    spool.write(b"some")
    reader = spool.reader()
    assert reader.read() == b"some"
    raised: list[BaseException] = []

    def follow() -> None:
        try:
            reader.read()
        except SpoolError as caught:
            raised.append(caught)

    thread = threading.Thread(target=follow)
    thread.start()
    waits(thread)
    spool.fail(error)
    thread.join(10)
    assert raised == [error]


def test_a_reader_that_lags_behind_a_failure_raises_it_too(spool: Spool) -> None:
    spool.write(DATA)
    spool.fail(SpoolError("the dump broke"))
    spool.fail(SpoolError("something later"))
    with pytest.raises(SpoolError, match="the dump broke"):
        spool.reader().read()
    with pytest.raises(SpoolError, match="the dump broke"):
        spool.write(b"more")


@pytest.mark.parametrize("waiting_for", ["read", "wait_for"])
def test_a_cancel_wakes_a_reader_at_the_tail(spool: Spool, cancel: CancelToken, waiting_for: str) -> None:
    reader = spool.reader()
    raised = threading.Event()

    def follow() -> None:
        with pytest.raises(Cancelled, match="stop"):
            reader.read() if waiting_for == "read" else reader.wait_for(1)
        raised.set()

    thread = threading.Thread(target=follow)
    thread.start()
    waits(thread)
    cancel.cancel("stop")
    assert raised.wait(10)
    thread.join()
    with pytest.raises(Cancelled):
        spool.write(b"more")


def test_closing_removes_the_file_and_ends_the_readers(tmp_path: Path, cancel: CancelToken) -> None:
    spool = Spool(tmp_path / "artifact", cancel)
    spool.write(b"some")
    readers = [spool.reader() for _ in range(4)]
    raised = []

    def follow(reader: SpoolReader) -> None:
        try:
            read_all(reader)
        except SpoolError as error:
            raised.append(error)

    threads = [threading.Thread(target=follow, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    spool.close()
    spool.close()
    for thread in threads:
        thread.join(10)
    assert len(raised) == 4
    assert list(tmp_path.iterdir()) == []


def test_closing_while_readers_read_never_hands_them_another_files_bytes(
    tmp_path: Path, cancel: CancelToken
) -> None:
    """The descriptor's number is taken at once by the next file; no reader may then read that one."""
    other = tmp_path / "other"
    other.write_bytes(b"X" * (1 << 16))
    for number in range(30):
        spool = Spool(tmp_path / f"artifact{number}", cancel)
        spool.write(b"S" * (1 << 16))
        wrong, started = [], threading.Barrier(4)

        def follow(
            spool: Spool = spool, wrong: list[bytes] = wrong, started: threading.Barrier = started
        ) -> None:
            started.wait(10)
            try:
                while True:
                    data = spool.read_at(0, 1 << 16)
                    if data != b"S" * (1 << 16):
                        wrong.append(data)
            except SpoolError:
                return

        threads = [threading.Thread(target=follow) for _ in range(3)]
        for thread in threads:
            thread.start()
        started.wait(10)
        spool.close()
        with other.open("rb"):
            for thread in threads:
                thread.join(10)
        assert wrong == []


def test_the_file_is_this_users_alone_and_never_overwritten(spool: Spool, cancel: CancelToken) -> None:
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    with pytest.raises(SpoolError, match="cannot be written"):
        Spool(spool.path, cancel)
    assert spool.path.exists()


def test_a_file_that_somebody_cut_short_is_no_end_of_file(spool: Spool) -> None:
    spool.write(DATA)
    spool.finish()
    os.truncate(spool.path, 1000)
    with pytest.raises(SpoolError, match="cut short"):
        read_all(spool.reader())


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_the_system_refuses_says_where_and_what_is_free(spool: Spool) -> None:
    with file_size_limit(1 << 20), pytest.raises(SpoolError) as raised:
        spool.write(DATA)
    assert str(spool.path.parent) in raised.value.message
    assert "free" in raised.value.message
    assert "larger disk" in raised.value.remedy


FULL_DISK = """
import json, sys
from pathlib import Path
from engine.cancellation import CancelToken
from engine.errors import SpoolError
from engine.streams.spool import Spool, make_spool_folder

folder = Path(sys.argv[1])
try:
    make_spool_folder(folder / "spool")
    refused = ""
except SpoolError as error:
    refused = error.message
spool = Spool(make_spool_folder(folder / "spool", allow_tmpfs=True) / "artifact", CancelToken())
try:
    while True:
        spool.write(bytes(1 << 20))
except SpoolError as error:
    with spool:
        print(json.dumps([refused, error.message, error.remedy, spool.size]))
print(json.dumps([str(path) for path in (folder / "spool").iterdir()]))
"""


def test_closing_waits_for_a_write_under_way_lest_it_go_into_another_file(
    tmp_path: Path, cancel: CancelToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "artifact", cancel)
    writing, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    real = os.write

    def slow(fd: int, data: bytes) -> int:
        writing.set()
        assert go_on.wait(20)
        assert not closed.is_set()
        return real(fd, data)

    def close() -> None:
        spool.close()
        closed.set()

    monkeypatch.setattr(os, "write", slow)
    with ThreadPoolExecutor(2) as pool:
        written = pool.submit(spool.write, b"some bytes")
        assert writing.wait(20)
        closing = pool.submit(close)
        spool.fail(SpoolError("never seen: it is being closed"))
        assert not closed.wait(0.2)
        go_on.set()
        written.result(20)
        closing.result(20)
    with pytest.raises(SpoolError):
        spool.write(b"more")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="a small tmpfs is Linux's")
def test_a_full_spool_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    root = [] if os.geteuid() == 0 else ["-Ur"]
    mount = 'mount -t tmpfs -o size=6m none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-m", *root, "sh", "-c", mount, "sh", str(disk), sys.executable, FULL_DISK]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    if not ended.stdout and ("unshare" in ended.stderr or "mount" in ended.stderr):
        missing_part(f"a mount namespace of one's own for a small tmpfs ({ended.stderr.strip()})")
    assert ended.stdout, ended.stderr
    (refused, message, remedy, size), left = map(json.loads, ended.stdout.splitlines())
    assert "in memory" in refused
    assert f"The spool folder {disk / 'spool'} is full" in message
    assert "Free some space" in remedy
    assert 3 << 20 < size <= 6 << 20
    assert left == []


def test_the_disk_is_not_filled_to_its_last_byte(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_bytes", lambda folder: 1_000_000)
    with pytest.raises(SpoolError, match=r"1\.0 MB free"):
        for _ in range(100):
            spool.write(bytes(1 << 20))
    assert spool.size < 40 << 20


def test_a_small_artifact_is_written_even_where_little_is_free(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "free_bytes", lambda folder: 1_000_000)
    spool.write(b"small")
    spool.finish()
    assert spool.size == 5


def test_the_spool_folder_is_made_and_is_this_users_alone(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)
    for folder in (tmp_path / "a" / "spool", loose):
        assert make_spool_folder(folder, allow_tmpfs=True) == folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert free_bytes(loose) > 0


def test_a_spool_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolError, match="cannot be used") as raised:
        make_spool_folder(tmp_path / "file" / "spool")
    assert raised.value.remedy
