"""Reading quickly with a bound: what is under way, what is asked for again, and when it stops."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

import strongroom
from plugins.storage.sftp import SftpServer
from plugins.storage.sftp_server import protocol as sftp
from plugins.storage.sftp_server import reading, session
from plugins.storage.sftp_server.protocol import Attributes, Code, Refused
from plugins.storage.sftp_server.remote import Sizes
from tests.parts.cancelling import cancelled_within
from tests.parts.sshd import SshServer
from tests.plugins.storage.sftp_server.conftest import Opener, got

MIB = 1 << 20


def write(path: Path, size: int) -> bytes:
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    return data


@pytest.mark.parametrize("size", [0, 1, 32768, 255 << 10, (255 << 10) + 1, 20 * MIB + 7])
def test_a_file_is_read_whole_and_from_anywhere(storage: SftpServer, folder: Path, size: int) -> None:
    data = write(folder / "a.dump", size)
    assert got(storage, "a.dump") == data
    for offset in {0, 1, size // 2, max(0, size - 1), size, size + 10}:
        assert b"".join(storage.get("a.dump", offset)) == data[offset:]


def test_no_more_is_asked_for_than_the_bound(storage: SftpServer, folder: Path) -> None:
    """What was asked for and not handed out is all that may come meanwhile, however slow the taker is."""
    write(folder / "a.dump", 64 * MIB)
    asked = _asking(storage)
    handed = 0
    for chunk in storage.get("a.dump"):
        handed += len(chunk)
        assert sum(asked) - handed <= reading.AHEAD
    assert handed == sum(asked) == 64 * MIB


def _asking(storage: SftpServer) -> list[int]:
    """Collects the bytes that each request for data asks for."""
    asked: list[int] = []
    channel = storage._open().remote.session
    send = channel.send

    def noting(kind: int, head: bytes, data: bytes = b"") -> int:
        if kind == sftp.READ:
            asked.append(int.from_bytes(head[-4:], "big"))
        return send(kind, head, data)

    channel.send = noting  # type: ignore[method-assign]
    return asked


def test_several_requests_are_under_way_at_once(storage: SftpServer, folder: Path) -> None:
    write(folder / "a.dump", 32 * MIB)
    its = _counting(storage)
    assert len(got(storage, "a.dump")) == 32 * MIB
    assert its.most * (255 << 10) > reading.AHEAD / 2


class _Counter:
    most = 0
    now = 0


def _counting(storage: SftpServer) -> _Counter:
    """Counts the requests for data that the server has not answered yet."""
    counter = _Counter()
    channel = storage._open().remote.session
    send, answer = channel.send, channel.answer
    asked: set[int] = set()

    def counting_send(kind: int, head: bytes, data: bytes = b"") -> int:
        number = send(kind, head, data)
        if kind == sftp.READ:
            asked.add(number)
            counter.most = max(counter.most, len(asked))
        return number

    def counting_answer(number: int) -> tuple[int, bytes]:
        asked.discard(number)
        return answer(number)

    channel.send, channel.answer = counting_send, counting_answer  # type: ignore[method-assign]
    return counter


def test_a_reading_that_is_left_does_not_disturb_the_next(storage: SftpServer, folder: Path) -> None:
    data = write(folder / "a.dump", 16 * MIB)
    for _ in range(3):
        chunks = storage.get("a.dump")
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]
    assert storage.stat("a.dump").size == 16 * MIB
    assert got(storage, "a.dump") == data


def test_two_readings_take_turns_on_one_connection(storage: SftpServer, folder: Path) -> None:
    one, two = write(folder / "one", 12 * MIB), write(folder / "two", 12 * MIB + 1)
    digests = [hashlib.sha256(), hashlib.sha256()]
    readings = [storage.get("one"), storage.get("two")]
    for chunks in zip_longest(*readings, fillvalue=b""):
        for digest, chunk in zip(digests, chunks, strict=True):
            digest.update(chunk)
    assert [its.digest() for its in digests] == [hashlib.sha256(data).digest() for data in (one, two)]


def test_a_file_that_is_cut_while_it_is_read_ends_early(storage: SftpServer, folder: Path) -> None:
    data = write(folder / "a.dump", 40 * MIB)
    chunks = storage.get("a.dump")
    first = next(chunks)
    os.truncate(folder / "a.dump", 30 * MIB)
    rest = b"".join(chunks)
    assert data.startswith(first + rest) and len(first + rest) < len(data)


def test_a_server_that_dies_while_it_is_read_is_a_passing_error(
    storage: SftpServer, folder: Path, server: SshServer
) -> None:
    write(folder / "a.dump", 40 * MIB)
    chunks = storage.get("a.dump")
    next(chunks)
    server.drop_connections()
    with pytest.raises(strongroom.StorageError) as caught:
        list(chunks)
    assert caught.value.transient


def test_a_cancel_ends_a_reading_that_waits(opened: Opener, folder: Path, server: SshServer) -> None:
    write(folder / "a.dump", 40 * MIB)

    def work(token: strongroom.CancelToken) -> None:
        chunks = opened(token).get("a.dump")
        next(chunks)
        stop(server)
        list(chunks)

    try:
        cancelled_within(2, work, after=lambda: stopped(server))
    finally:
        server.drop_connections()


def test_a_server_that_does_not_answer_is_given_up(
    storage: SftpServer, folder: Path, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "a.dump", 40 * MIB)
    chunks = storage.get("a.dump")
    next(chunks)
    monkeypatch.setattr(session, "ANSWER", 0.5)
    stop(server)
    try:
        with pytest.raises(strongroom.StorageError, match="has not answered") as caught:
            list(chunks)
        assert caught.value.transient
    finally:
        server.drop_connections()


def stop(server: SshServer) -> None:
    """Stop what serves the connections; they stay open, and nothing comes."""
    for pid in server.sessions():
        os.kill(pid, signal.SIGSTOP)


def stopped(server: SshServer) -> None:
    """Wait until that is so."""
    end = time.monotonic() + 30
    while not (pids := server.sessions()) or not all(_is_stopped(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False


# ----------------------------------------------------------- servers that OpenSSH's is not, in memory


class _Odd:
    """A server's end in memory, which answers a read by what `answer` says."""

    def __init__(self, data: bytes, *, longest: int = 1 << 30, tells_size: bool = True) -> None:
        self.data, self.longest, self.tells_size = data, longest, tells_size
        self.sizes = Sizes(1000, 1000)
        self.session: Any = self
        self.asked: list[tuple[int, int]] = []
        self.closed = False

    def open(self, path: str, flags: int) -> bytes:
        return b"handle"

    def size_of(self, handle: bytes) -> int | None:
        return Attributes(len(self.data)).size if self.tells_size else None

    def send(self, kind: int, head: bytes, data: bytes = b"") -> int:
        fields = sftp.Fields(head, len(b"handle"))
        self.asked.append((fields.long(), fields.number()))
        return len(self.asked) - 1

    def answer(self, number: int) -> tuple[int, bytes]:
        at, length = self.asked[number]
        if at >= len(self.data):
            raise Refused(Code.END, "")
        return sftp.DATA, self.data[at : at + min(length, self.longest)]

    def forget(self, number: int) -> None:
        pass

    def close_later(self, handle: bytes) -> None:
        self.closed = True


def _nothing() -> None:
    pass


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 54321])
@pytest.mark.parametrize("longest", [1 << 30, 1000, 300, 7])
@pytest.mark.parametrize("tells_size", [True, False])
def test_short_answers_are_asked_for_again(size: int, longest: int, tells_size: bool) -> None:
    odd = _Odd(random.Random(size).randbytes(size), longest=longest, tells_size=tells_size)
    assert b"".join(reading.read(odd, "a", check=_nothing)) == odd.data  # type: ignore[arg-type]
    assert odd.closed


def test_a_server_that_answers_short_is_asked_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SMALLEST", 100)
    monkeypatch.setattr(reading, "AHEAD", 5000)
    odd = _Odd(bytes(100_000), longest=300)
    assert len(b"".join(reading.read(odd, "a", check=_nothing))) == 100_000  # type: ignore[arg-type]
    assert {length for _, length in odd.asked[-100:-1]} == {300}
    assert len(odd.asked) < 100_000 / 300 * 1.1
