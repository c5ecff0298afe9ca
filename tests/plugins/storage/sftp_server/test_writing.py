"""Writing: errors that come late and are not lost, servers that die, disks that fill up, cancels."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import strongroom
from plugins.storage.sftp import SftpServer
from plugins.storage.sftp_server import protocol as sftp
from plugins.storage.sftp_server import session, writing
from strongroom.testing.readers import HookedReader, StreamReader, context
from tests.parts.cancelling import cancelled_within
from tests.parts.disks import machine
from tests.parts.sshd import SshServer
from tests.plugins.storage.sftp_server.conftest import Opener, got, put
from tests.plugins.storage.sftp_server.test_reading import stop, stopped

MIB = 1 << 20


def ignore(leftover: strongroom.Leftover) -> None:
    """Nobody listens."""


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ----------------------------------------------------------------------------------------- what is written


@pytest.mark.parametrize("chunk", [1000, 32768, 255 << 10, MIB])
def test_it_arrives_whole_whatever_the_readers_chunks(storage: SftpServer, folder: Path, chunk: int) -> None:
    class Chunky(StreamReader):
        def read(self, size: int = MIB, /) -> bytes:
            return super().read(min(size, chunk))

    size = 3 * MIB + 5 if chunk < 32768 else 20 * MIB + 5
    reader = Chunky(size)
    storage.put("a.dump", reader, begun=ignore)
    assert hashlib.sha256((folder / "a.dump").read_bytes()).hexdigest() == StreamReader.digest(size)


def test_several_requests_are_under_way_and_no_more_than_the_bound(storage: SftpServer) -> None:
    channel = storage._open().remote.session
    send, answer = channel.send, channel.answer
    lengths: dict[int, int] = {}
    most = 0

    def counting_send(kind: int, head: bytes, data: bytes = b"") -> int:
        nonlocal most
        number = send(kind, head, data)
        if kind == sftp.WRITE:
            lengths[number] = len(data)
            most = max(most, sum(lengths.values()))
        return number

    def counting_answer(number: int) -> tuple[int, bytes]:
        lengths.pop(number, None)
        return answer(number)

    channel.send, channel.answer = counting_send, counting_answer  # type: ignore[method-assign]
    storage.put("a.dump", StreamReader(32 * MIB), begun=ignore)
    assert writing.BEHIND / 2 < most <= writing.BEHIND


def test_a_server_without_limits_gets_requests_that_every_server_takes(
    storage: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.storage.sftp_server.remote import Sizes

    storage._open().remote.sizes = Sizes(32768, 32768)
    put(storage, "a.dump", os.urandom(3 * MIB + 1))
    assert len(got(storage, "a.dump")) == 3 * MIB + 1


@pytest.mark.parametrize("without", [sftp.POSIX_RENAME, sftp.FSYNC, sftp.STATVFS, sftp.LIMITS])
def test_a_server_without_an_extension_does(opened: Opener, folder: Path, without: str) -> None:
    storage = opened()
    del storage._open().remote.session.extensions[without]
    put(storage, "job/a.dump", b"old")
    put(storage, "job/a.dump", b"newer", overwrite=True)
    put(storage, "job/b.dump", b"first", overwrite=True)
    assert got(storage, "job/a.dump") == b"newer"
    assert below(folder) == ["job", "job/a.dump", "job/b.dump"]
    report = storage.check()
    assert (report.free is None) == (without == sftp.STATVFS)
    assert any("cannot promise" in note for note in report.notes) == (without == sftp.FSYNC)


def test_the_servers_disk_is_asked_to_hold_the_file_before_it_counts(storage: SftpServer) -> None:
    channel = storage._open().remote.session
    order: list[str] = []
    send = channel.send
    kinds = {sftp.WRITE: "write", sftp.CLOSE: "close", sftp.RENAME: "rename"}

    def noting(kind: int, head: bytes, data: bytes = b"") -> int:
        name = sftp.Fields(head).text() if kind == sftp.EXTENDED else kinds.get(kind, "")
        order.append(name)
        return send(kind, head, data)

    channel.send = noting  # type: ignore[method-assign]
    put(storage, "a.dump", b"x")
    assert [name for name in order if name] == ["write", sftp.FSYNC, "close", "rename"]


# ------------------------------------------------------------------------------------------ late errors


class Meddling(HookedReader):
    """Does something behind the storage's back when so much has been read."""

    def __init__(self, size: int, at: int, act: Callable[[], object]) -> None:
        self.done = False

        def hook(position: int) -> None:
            if position >= at and not self.done:
                self.done = True
                act()

        super().__init__(size, hook)


def test_a_server_that_dies_in_the_middle_is_a_passing_error_and_the_rest_is_on_record(
    opened: Opener, folder: Path, server: SshServer
) -> None:
    told: list[strongroom.Leftover] = []
    with pytest.raises(strongroom.StorageError) as caught:
        opened().put("job/a.dump", Meddling(40 * MIB, 20 * MIB, server.drop_connections), begun=told.append)
    assert caught.value.transient and not isinstance(caught.value, strongroom.StorageFull)
    assert below(folder) == ["job", told[0].temporary_name]

    fresh = opened(strongroom.CancelToken())
    assert list(fresh.list()) == []
    fresh.discard(told[0])
    assert below(folder) == []


def test_a_server_that_dies_at_the_end_is_no_success(
    storage: SftpServer, folder: Path, server: SshServer
) -> None:
    """All that was sent may lie in buffers: only the answers count."""
    size = 3 * MIB  # less than what may be under way

    def kill_when_sent(position: int) -> None:
        if position == size:
            server.drop_connections()

    with pytest.raises(strongroom.StorageError):
        storage.put("a.dump", HookedReader(size, kill_when_sent), begun=ignore)
    assert "a.dump" not in below(folder)


@pytest.fixture
def small_disk() -> Iterator[SshServer]:
    """A server whose folder lies on a disk of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can run an SSH server in a mount namespace of its own")
    with machine() as box:
        server = SshServer(on=box)
        try:
            box.mount_memory(server.root, 8 * MIB)
            server.start()
            server.inside = box.inside(server.root)  # type: ignore[attr-defined]
            yield server
        finally:
            server.close()


def test_a_full_disk_is_told_as_one_and_nothing_is_left(small_disk: SshServer, tmp_path: Path) -> None:
    inside: Path = small_disk.inside  # type: ignore[attr-defined]
    config = SftpServer.Config(**small_disk.values())
    with closing(SftpServer(config, context(tmp_path))) as storage:
        put(storage, "kept.dump", b"kept")
        with pytest.raises(strongroom.StorageFull) as caught:
            storage.put("job/a.dump", StreamReader(20 * MIB), begun=ignore)
        assert "bytes are free" in caught.value.message and not caught.value.transient
        assert below(inside) == ["kept.dump"]
        assert got(storage, "kept.dump") == b"kept"
        put(storage, "job/b.dump", b"room again")


def test_a_disk_that_is_full_by_the_last_bytes_is_no_success(small_disk: SshServer, tmp_path: Path) -> None:
    """The error comes when everything has been sent: it is in the answers that are still under way."""
    inside: Path = small_disk.inside  # type: ignore[attr-defined]
    (inside / "others").write_bytes(bytes(5 * MIB))
    config = SftpServer.Config(**small_disk.values())
    assert 3 * MIB < 3 * MIB + 4096 <= writing.BEHIND
    with closing(SftpServer(config, context(tmp_path))) as storage:
        with pytest.raises(strongroom.StorageFull):
            storage.put("a.dump", StreamReader(3 * MIB + 4096), begun=ignore)
        assert below(inside) == ["others"]


def test_a_disk_without_room_for_a_folder_is_full_too(small_disk: SshServer, tmp_path: Path) -> None:
    inside: Path = small_disk.inside  # type: ignore[attr-defined]
    with (inside / "others").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    config = SftpServer.Config(**small_disk.values())
    with closing(SftpServer(config, context(tmp_path))) as storage, pytest.raises(strongroom.StorageFull):
        put(storage, "job/a.dump", bytes(10_000))
    assert below(inside) == ["others"]


def test_a_server_that_stores_fewer_bytes_is_found_out(storage: SftpServer, folder: Path) -> None:
    whole = 4 * (255 << 10)  # requests that are full, so that nothing waits for the end

    def cut() -> None:
        (temporary,) = (path for path in folder.iterdir() if path.name.endswith(".partial"))
        os.truncate(temporary, 5)

    class Cut(HookedReader):
        def read(self, size: int = MIB, /) -> bytes:
            chunk = super().read(size)
            if not chunk:
                deadline = time.monotonic() + 10
                while next(folder.iterdir()).stat().st_size < whole:
                    assert time.monotonic() < deadline
                cut()
            return chunk

    with pytest.raises(strongroom.ChecksumMismatch, match="5 bytes instead of"):
        storage.put("a.dump", Cut(whole, lambda position: None), begun=ignore)
    assert below(folder) == []


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(storage: SftpServer, folder: Path) -> None:
    reader = Meddling(4 * MIB, 2 * MIB, lambda: (folder / "a.dump").write_bytes(b"another's"))
    with pytest.raises(strongroom.AlreadyExists):
        storage.put("a.dump", reader, begun=ignore)
    assert below(folder) == ["a.dump"]
    assert (folder / "a.dump").read_bytes() == b"another's"


def test_a_folder_that_another_upload_removes_is_made_anew(storage: SftpServer, folder: Path) -> None:
    folders = storage._open().folders
    make, seen = folders.make, []

    def make_and_lose(*args: object) -> None:
        make(*args)  # type: ignore[arg-type]
        if not seen:
            seen.append(1)
            (folder / "job").rmdir()

    folders.make = make_and_lose  # type: ignore[method-assign]
    put(storage, "job/a.dump", b"x")
    assert below(folder) == ["job", "job/a.dump"]


def test_of_many_racing_uploads_exactly_one_wins(opened: Opener, folder: Path) -> None:
    barrier = threading.Barrier(6, timeout=60)
    outcomes: list[str] = []

    def upload(seed: int) -> None:
        def wait(position: int) -> None:
            if position == MIB:
                barrier.wait()

        try:
            opened().put("job/a.dump", HookedReader(2 * MIB, wait, seed=seed), begun=ignore)
        except strongroom.AlreadyExists:
            outcomes.append("taken")
        else:
            outcomes.append(f"won {seed}")

    threads = [threading.Thread(target=upload, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (winner,) = (its for its in outcomes if its.startswith("won"))
    assert outcomes.count("taken") == 5
    stored = hashlib.sha256((folder / "job" / "a.dump").read_bytes()).hexdigest()
    assert stored == StreamReader.digest(2 * MIB, int(winner.split()[1]))
    assert below(folder) == ["job", "job/a.dump"]


# ---------------------------------------------------------------------------------------------- cancels


def test_a_cancel_while_the_server_is_silent_returns_in_time(
    opened: Opener, folder: Path, server: SshServer
) -> None:
    told: list[strongroom.Leftover] = []

    def work(token: strongroom.CancelToken) -> None:
        reader = Meddling(200 * MIB, 8 * MIB, lambda: stop(server))
        opened(token).put("a.dump", reader, begun=told.append)

    try:
        cancelled_within(2, work, after=lambda: stopped(server))
    finally:
        server.drop_connections()
    opened(strongroom.CancelToken()).discard(told[0])
    assert below(folder) == []


def test_a_cancel_while_the_network_takes_nothing_returns_in_time(
    opened: Opener, folder: Path, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the window is the limit here: the system's own buffers are full."""
    monkeypatch.setattr(writing, "BEHIND", 1 << 30)
    blocked = threading.Event()

    def work(token: strongroom.CancelToken) -> None:
        storage = opened(token)
        storage._open().remote.session._channel.out_window_size = 1 << 30
        reader = Meddling(400 * MIB, MIB, lambda: (stop(server), blocked.set()))
        storage.put("a.dump", reader, begun=ignore)

    def full() -> None:
        assert blocked.wait(30)
        stopped(server)
        time.sleep(0.5)  # until the buffers are full; nothing tells of that

    try:
        cancelled_within(2, work, after=full)
    finally:
        server.drop_connections()


def test_a_disk_that_fails_to_hold_the_file_is_no_success(storage: SftpServer, folder: Path) -> None:
    """The server's answer to the sync comes while it hashes, and is not lost."""
    session = storage._open().remote.session
    send = session.send

    def spoilt(kind: int, head: bytes, data: bytes = b"") -> int:
        if kind == sftp.EXTENDED and sftp.Fields(head).text() == sftp.FSYNC:
            head = sftp.text(sftp.FSYNC) + sftp.text(b"no handle")
        return send(kind, head, data)

    session.send = spoilt  # type: ignore[method-assign]
    with pytest.raises(strongroom.StorageError):
        put(storage, "a.dump", b"data")
    assert below(folder) == []


@pytest.mark.parametrize("read_back", ["auto", "always"])
def test_a_cancel_during_the_proof_leaves_nothing(
    opened: Opener, folder: Path, server: SshServer, read_back: str
) -> None:
    proving = threading.Event()

    def work(token: strongroom.CancelToken) -> None:
        storage = opened(token, read_back=read_back)
        prover = storage._open().prover
        prove = prover.prove

        def slow(*arguments: Any) -> str:
            proving.set()
            token.wait(30)
            return prove(*arguments)

        prover.prove = slow  # type: ignore[method-assign]
        storage.put("job/a.dump", StreamReader(MIB), begun=ignore)

    cancelled_within(2, work, after=lambda: proving.wait(30))
    assert below(folder) == []


def test_a_cancel_that_comes_with_the_rename_is_too_late(opened: Opener, folder: Path) -> None:
    """The name was given: it is a copy that counts, not one that is left lying about."""
    token = strongroom.CancelToken()
    storage = opened(token)
    remote = storage._open().remote
    rename = remote.rename

    def cancelled(old: str, new: str) -> None:
        token.cancel()
        rename(old, new)

    remote.rename = cancelled  # type: ignore[method-assign]
    assert storage.put("a.dump", strongroom.BytesReader(b"x"), begun=ignore).proof
    assert below(folder) == ["a.dump"]


def test_an_attempt_can_be_closed_from_another_thread(opened: Opener, folder: Path) -> None:
    storage = opened()
    waiting, ended = threading.Event(), []

    def hook(position: int) -> None:
        if position >= MIB:
            waiting.set()
            time.sleep(0)

    def upload() -> None:
        try:
            storage.put("a.dump", HookedReader(1 << 40, hook), begun=ignore)
        except strongroom.StorageError as error:
            ended.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    assert waiting.wait(30)
    begun = time.monotonic()
    storage.close()
    thread.join(10)
    assert not thread.is_alive() and time.monotonic() - begun < 3
    assert len(ended) == 1
    assert "a.dump" not in below(folder)


def test_a_server_that_is_silent_for_long_is_given_up(
    opened: Opener, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWER", 0.5)
    reader = Meddling(200 * MIB, 8 * MIB, lambda: stop(server))
    begun = time.monotonic()
    try:
        with pytest.raises(strongroom.StorageError, match="has not answered") as caught:
            opened().put("a.dump", reader, begun=ignore)
    finally:
        server.drop_connections()
    assert caught.value.transient
    assert time.monotonic() - begun < 10


def test_a_server_that_is_stopped_and_goes_on_is_waited_for(
    opened: Opener, folder: Path, server: SshServer
) -> None:
    def pause() -> None:
        stop(server)
        for pid in server.sessions():
            threading.Timer(1, os.kill, (pid, signal.SIGCONT)).start()

    opened().put("a.dump", Meddling(40 * MIB, 8 * MIB, pause), begun=ignore)
    assert (folder / "a.dump").stat().st_size == 40 * MIB
