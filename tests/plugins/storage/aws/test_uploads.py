"""Uploads to a real server: what follows the spool, what is proven, what is there in the end."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from engine.streams.spool import Spool
from plugins.storage.aws import proof
from plugins.storage.aws.parts import FIRST
from tests.parts.leaks import nothing_left_behind
from tests.parts.s3 import S3Server
from tests.plugins.storage.aws.conftest import Opened, without_checksums

MIB = 1 << 20
Spools = Callable[..., Spool]


def some_bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def ignore(leftover: strongroom.Leftover) -> None:
    """The `begun` of a test that does not listen."""


class Told(strongroom.Reader):
    """A spool's reader that notes what it was told of."""

    def __init__(self, spool: Spool) -> None:
        self._reader = spool.reader()
        self.told: list[int] = []

    def read(self, size: int = strongroom.CHUNK, /) -> bytes:
        return self._reader.read(size)

    @property
    def size(self) -> int | None:
        return self._reader.size

    def sha256(self) -> str:
        return self._reader.sha256()

    @property
    def path(self) -> Path:
        return self._reader.path

    def wait_for(self, offset: int) -> int:
        return self._reader.wait_for(offset)

    def taken(self, position: int) -> None:
        self.told.append(position)


def parts_of(s3: S3Server, bucket: str, key: str) -> int:
    """How many parts an object was made of; 0 for one that came whole."""
    tag = s3.api.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    return int(tag.partition("-")[2] or 0)


def test_parts_go_out_while_the_spool_grows(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    data, spool = some_bytes(2 * FIRST + 5), make_spool()
    told: list[strongroom.Leftover] = []
    sent = threading.Event()

    class Watched(Told):
        def taken(self, position: int) -> None:
            super().taken(position)
            if position >= FIRST:
                sent.set()

    reader, ended = Watched(spool), []
    thread = threading.Thread(
        target=lambda: ended.append(opened().put("job/a.dump", reader, begun=told.append))
    )
    thread.start()
    spool.write(data[:FIRST])
    assert sent.wait(60), "the first part has to go out before there is more"
    assert spool.size == FIRST and not spool.finished
    assert s3.objects(bucket) == {}
    assert s3.unfinished(bucket) == {("job/a.dump", told[-1].upload_id)}
    spool.write(data[FIRST:])
    spool.finish()
    thread.join(60)

    assert [published.proof for published in ended] == [proof.CONFIRMED]
    assert s3.read(bucket, "job/a.dump") == data
    assert s3.unfinished(bucket) == set()
    assert reader.told == sorted(reader.told)
    assert reader.told[-1] == len(data)


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (0, 0),
        (1, 0),
        (FIRST - 1, 0),
        (FIRST, 1),
        (FIRST + 1, 2),
        (2 * FIRST - 1, 2),
        (2 * FIRST, 2),
        (3 * FIRST + 7, 4),
    ],
)
def test_a_file_is_whole_at_every_boundary(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools, size: int, parts: int
) -> None:
    data = some_bytes(size)
    spool = make_spool(data)
    opened().put("job/a.dump", spool.reader(), begun=ignore)
    assert s3.read(bucket, "job/a.dump") == data
    assert parts_of(s3, bucket, "job/a.dump") == parts
    assert opened().verify("job/a.dump", size, spool.sha256) == proof.READ_BACK


def test_what_ends_before_the_first_part_is_full_is_one_request(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    """Its length is not known when the upload begins, and is before anything would have to go out."""
    spool, ended = make_spool(), []
    thread = threading.Thread(
        target=lambda: ended.append(opened().put("a.dump", spool.reader(), begun=ignore))
    )
    thread.start()
    spool.write(b"small")
    spool.finish()
    thread.join(60)
    assert len(ended) == 1
    assert (s3.read(bucket, "a.dump"), parts_of(s3, bucket, "a.dump")) == (b"small", 0)


@pytest.mark.parametrize("parallel", [1, 16])
def test_any_number_of_parts_at_once_gives_the_same(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools, parallel: int
) -> None:
    data = some_bytes(3 * FIRST)
    spool = make_spool(data)
    with nothing_left_behind():
        storage = opened(parallel_parts=parallel)
        storage.put("a.dump", spool.reader(), begun=ignore)
        storage.close()
    assert s3.read(bucket, "a.dump") == data


def test_the_spool_is_not_copied_into_memory(opened: Opened, make_spool: Spools) -> None:
    spool = make_spool(some_bytes(6 * FIRST))
    storage = opened(parallel_parts=4)
    storage.list()  # what the client itself needs
    tracemalloc.start()
    try:
        storage.put("a.dump", spool.reader(), begun=ignore)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < FIRST / 2


def test_the_prefix_and_the_storage_class_go_with_it(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    s3.write(bucket, "backups2/other", b"somebody else's")
    storage = opened(prefix="backups/here", storage_class="standard_ia")
    storage.put("large", make_spool(some_bytes(FIRST)).reader(), begun=ignore)
    storage.put("small", strongroom.BytesReader(b"x"), begun=ignore)
    for name in ("large", "small"):
        head = s3.api.head_object(Bucket=bucket, Key=f"backups/here/{name}")
        assert head["StorageClass"] == "STANDARD_IA"
    assert [file.name for file in storage.list()] == ["large", "small"]
    assert [file.name for file in opened(prefix="backups").list("here/s")] == ["here/small"]


# ----------------------------------------------------------------------------------------------- proof


def test_a_server_that_computes_checksums_is_not_read_back(
    opened: Opened, make_spool: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened()
    monkeypatch.setattr(storage, "_read_back", lambda *_: pytest.fail("it was read back"))
    published = storage.put("large", make_spool(some_bytes(FIRST)).reader(), begun=ignore)
    assert published.proof == proof.CONFIRMED
    published = storage.put("small", strongroom.BytesReader(b"x"), begun=ignore)
    assert published.proof == proof.CONFIRMED_WHOLE


@pytest.mark.parametrize("echo", [False, True])
def test_a_server_that_does_not_is_read_back(
    opened: Opened, make_spool: Spools, monkeypatch: pytest.MonkeyPatch, echo: bool
) -> None:
    """Also one that gives back what it was told, which is no proof."""
    without_checksums(monkeypatch, echo=echo)
    storage, alive = opened(), []
    monkeypatch.setattr(storage, "context", _with_alive(storage.context, alive.append))
    published = storage.put("large", make_spool(some_bytes(FIRST + 1)).reader(), begun=ignore)
    assert published.proof == proof.READ_BACK
    assert sum(alive) == FIRST + 1
    published = storage.put("small", strongroom.BytesReader(b"x"), begun=ignore)
    assert published.proof == proof.READ_BACK
    assert "read back" in " ".join(opened().check().notes)


@pytest.mark.parametrize("size", [3, FIRST + 3])
def test_what_is_read_back_wrong_is_no_backup(
    s3: S3Server,
    bucket: str,
    opened: Opened,
    make_spool: Spools,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    without_checksums(monkeypatch)
    storage = opened()
    get = storage.get
    monkeypatch.setattr(storage, "get", lambda name: (chunk[::-1] for chunk in get(name)))
    with pytest.raises(strongroom.StrongroomError, match="SHA-256"):
        storage.put("a.dump", make_spool(some_bytes(size)).reader(), begun=ignore)
    assert s3.everything(bucket) == set()


def test_a_composite_that_differs_is_no_backup(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.storage.aws.upload import Multipart

    complete = Multipart.complete

    def other(self: Multipart, **condition: dict[str, str]) -> dict[str, object]:
        return {**complete(self, **condition), "ChecksumSHA256": "AAAA-1"}

    monkeypatch.setattr(Multipart, "complete", other)
    with pytest.raises(strongroom.ChecksumMismatch, match="AAAA-1"):
        opened().put("a.dump", make_spool(some_bytes(FIRST)).reader(), begun=ignore)
    assert s3.everything(bucket) == set()


def test_a_spool_that_gives_other_bytes_than_were_written_is_found(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    spool = make_spool(b"what was written")
    with spool.path.open("r+b") as file:
        file.write(b"W")
    with pytest.raises(strongroom.ChecksumMismatch, match="SHA-256"):
        opened().put("a.dump", spool.reader(), begun=ignore)
    assert s3.everything(bucket) == set()


# --------------------------------------------------------------------------------------- names in use


def test_who_finishes_second_changes_nothing(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    spool, raised, begun = make_spool(), [], threading.Event()

    def upload() -> None:
        try:
            opened().put("a.dump", spool.reader(), begun=lambda leftover: begun.set())
        except strongroom.StrongroomError as error:
            raised.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    spool.write(some_bytes(FIRST))
    assert begun.wait(60)
    s3.write(bucket, "a.dump", b"somebody else's")
    spool.finish()
    thread.join(60)
    assert [type(error) for error in raised] == [strongroom.AlreadyExists]
    assert s3.read(bucket, "a.dump") == b"somebody else's"
    assert s3.unfinished(bucket) == set()


def test_nothing_is_sent_for_a_name_that_is_in_use(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    s3.write(bucket, "a.dump", b"there")
    spool = make_spool()  # and never written to: who waited for it would wait for ever
    with pytest.raises(strongroom.AlreadyExists):
        opened().put("a.dump", spool.reader(), begun=lambda leftover: pytest.fail("it was begun"))


def _with_alive(context: strongroom.Context, alive: Callable[[int], None]) -> strongroom.Context:
    from dataclasses import replace

    return replace(context, alive=alive)
