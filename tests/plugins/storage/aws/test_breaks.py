"""What breaks on the way to a real server: tried again where that may help, and nothing left where not."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import strongroom
from engine.streams.spool import Spool
from plugins.storage.aws import proof
from plugins.storage.aws.parts import FIRST
from tests.parts.proxy import Proxy
from tests.parts.s3 import S3Server
from tests.plugins.storage.aws.conftest import Opened

Spools = Callable[..., Spool]
DATA = random.Random(3).randbytes(3 * FIRST + 5)

BEGIN = r"^POST .*[?&]uploads"
SECOND_PART = r"^PUT .*[?&]partNumber=2"
COMPLETE = r"^POST .*[?&]uploadId="


def ignore(leftover: strongroom.Leftover) -> None:
    """The `begun` of a test that does not listen."""


# ------------------------------------------------------------------------------------------- it passes


@pytest.mark.parametrize("answered", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("match", [BEGIN, SECOND_PART, COMPLETE], ids=["begin", "part", "complete"])
def test_one_lost_request_does_no_harm(
    s3: S3Server,
    bucket: str,
    through: Opened,
    proxy: Proxy,
    make_spool: Spools,
    match: str,
    answered: bool,
) -> None:
    lost = proxy.cut_on(match, answered=answered)
    published = through().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert lost.happened
    assert published.proof == proof.CONFIRMED
    assert s3.read(bucket, "a.dump") == DATA
    assert s3.unfinished(bucket) == set()


@pytest.mark.parametrize("answered", [False, True], ids=["request lost", "answer lost"])
def test_a_small_file_whose_answer_was_lost_is_known_again(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, answered: bool
) -> None:
    lost = proxy.cut_on(r"^PUT /[^?]*$", answered=answered)
    through().put("a.meta.json", strongroom.BytesReader(b"{}"), begun=ignore)
    assert lost.happened
    assert s3.read(bucket, "a.meta.json") == b"{}"


@pytest.mark.parametrize(
    ("match", "status", "code"),
    [
        (BEGIN, 429, "TooManyRequests"),
        (SECOND_PART, 503, "SlowDown"),
        (COMPLETE, 500, "InternalError"),
        (COMPLETE, 200, "InternalError"),  # S3 answers before it has put the parts together
    ],
    ids=["begin", "part", "complete", "complete-200"],
)
def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    s3: S3Server,
    bucket: str,
    through: Opened,
    proxy: Proxy,
    make_spool: Spools,
    match: str,
    status: int,
    code: str,
) -> None:
    busy = proxy.answer(status, code, match=match)
    through().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert busy.happened
    assert s3.read(bucket, "a.dump") == DATA


def test_a_part_that_was_damaged_on_its_way_is_sent_again(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools
) -> None:
    damage = proxy.corrupt(after=FIRST + FIRST // 2)
    published = through().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert damage.happened
    assert published.proof == proof.CONFIRMED
    assert s3.read(bucket, "a.dump") == DATA


def test_what_was_sent_is_never_told_to_be_less(through: Opened, proxy: Proxy, make_spool: Spools) -> None:
    told: list[int] = []
    reader = make_spool(DATA).reader()
    reader.taken = told.append  # type: ignore[method-assign]
    proxy.cut(after=2 * FIRST)
    through().put("a.dump", reader, begun=ignore)
    assert told == sorted(told)
    assert told[-1] == len(DATA)


# ------------------------------------------------------------------------------------------ it lasts


@pytest.mark.parametrize("match", [BEGIN, SECOND_PART, COMPLETE], ids=["begin", "part", "complete"])
def test_a_server_that_stays_busy_is_an_error_that_may_pass(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools, match: str
) -> None:
    proxy.answer(503, "SlowDown", match=match, times=100)
    with pytest.raises(strongroom.StorageError, match="SlowDown") as raised:
        through().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert raised.value.transient
    assert s3.everything(bucket) == set()


def test_keys_that_are_refused_half_way_are_no_error_that_passes(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools
) -> None:
    proxy.answer(403, "AccessDenied", match=SECOND_PART, times=100)
    with pytest.raises(strongroom.StorageError, match="does not allow") as raised:
        through().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert not raised.value.transient
    assert s3.everything(bucket) == set()


def test_a_full_server_is_said_to_be_full(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools
) -> None:
    proxy.answer(507, "XMinioStorageFull", match=SECOND_PART, times=100)
    with pytest.raises(strongroom.StorageFull):
        through().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert s3.everything(bucket) == set()


def test_an_upload_that_somebody_ended_may_be_made_anew(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    def end(leftover: strongroom.Leftover) -> None:
        if leftover.upload_id:
            s3.api.abort_multipart_upload(Bucket=bucket, Key="a.dump", UploadId=leftover.upload_id)

    with pytest.raises(strongroom.StorageError, match="NoSuchUpload") as raised:
        opened().put("a.dump", make_spool(DATA).reader(), begun=end)
    assert raised.value.transient


def test_a_server_that_stops_leaves_what_its_record_removes(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    told: list[strongroom.Leftover] = []
    spool = make_spool()
    spool.write(DATA[:FIRST])
    reader = spool.reader()

    def stop(position: int) -> None:
        if s3.is_running:
            s3.stop()
            spool.write(DATA[FIRST:])
            spool.finish()

    reader.taken = stop  # type: ignore[method-assign]
    before = time.monotonic()
    try:
        with pytest.raises(strongroom.StorageError) as raised:
            opened().put("a.dump", reader, begun=told.append)
        assert raised.value.transient
        assert time.monotonic() - before < 10
    finally:
        s3.start()
    assert s3.objects(bucket) == {}
    assert s3.unfinished(bucket) == {("a.dump", told[-1].upload_id)}
    storage = opened()
    for leftover in told:
        storage.discard(leftover)
    assert s3.everything(bucket) == set()
    storage.put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert s3.read(bucket, "a.dump") == DATA


def test_a_list_that_breaks_off_is_no_short_list(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.storage.aws.link import Link

    call = Link.call
    monkeypatch.setattr(
        Link,
        "call",
        lambda self, its, **more: call(self, its, **({"MaxKeys": 2} if "list" in its else {}), **more),
    )
    for number in range(5):
        s3.write(bucket, f"job/{number}", b"x")
    s3.write(bucket, "folder/", b"")
    assert [file.name for file in through().list()] == [f"job/{number}" for number in range(5)]
    proxy.answer(503, match="continuation-token", times=100)
    with pytest.raises(strongroom.StorageError, match="InternalError"):
        list(through().list("job/"))


# ---------------------------------------------------------------------------- servers that know less


@pytest.mark.parametrize("match", [COMPLETE, r"^PUT /[^?]*$"], ids=["complete", "small"])
def test_a_server_without_if_none_match_is_asked_without(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools, match: str
) -> None:
    refusal = proxy.answer(501, "NotImplemented", match=match)
    data = DATA if match == COMPLETE else DATA[:100]
    storage = through()
    storage.put("a.dump", make_spool(data).reader(), begun=ignore)
    assert refusal.happened
    assert s3.read(bucket, "a.dump") == data
    with pytest.raises(strongroom.AlreadyExists):
        storage.put("a.dump", make_spool(data).reader(), begun=ignore)


def test_a_server_that_refuses_checksums_gets_none_and_is_read_back(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools
) -> None:
    refusal = proxy.answer(400, "InvalidArgument", match=BEGIN)
    published = through().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert refusal.happened
    assert published.proof == proof.READ_BACK
    assert s3.read(bucket, "a.dump") == DATA


# ------------------------------------------------------------------------------------------- reading


def test_a_download_goes_on_where_it_broke_off(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy
) -> None:
    s3.write(bucket, "a.dump", DATA)
    stream, read = through().get("a.dump", 5), b""
    for chunk in stream:
        read += chunk
        if len(read) in (strongroom.CHUNK, 9 * strongroom.CHUNK, 17 * strongroom.CHUNK):
            proxy.cut()
    assert read == DATA[5:]
    ranges = [line for line in proxy.lines if line.startswith("GET")]
    assert 2 <= len(ranges) <= 4


def test_a_download_that_breaks_again_and_again_is_an_error_that_may_pass(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy
) -> None:
    s3.write(bucket, "a.dump", DATA)
    with pytest.raises(strongroom.StorageError) as raised:
        for _ in through().get("a.dump"):
            proxy.cut()
    assert raised.value.transient


def test_a_download_never_goes_on_in_another_version(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy
) -> None:
    s3.write(bucket, "a.dump", DATA)
    stream = through().get("a.dump")
    next(stream)
    s3.write(bucket, "a.dump", DATA[::-1])
    proxy.cut()
    with pytest.raises(strongroom.StorageError, match="replaced") as raised:
        list(stream)
    assert raised.value.transient


def test_a_download_never_goes_on_in_another_version_though_the_server_would(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does not know If-Match."""
    from plugins.storage.aws.link import Link

    call = Link.call

    def without(self: Link, operation: str, **params: Any) -> dict[str, Any]:
        params.pop("IfMatch", None)
        return call(self, operation, **params)

    monkeypatch.setattr(Link, "call", without)
    test_a_download_never_goes_on_in_another_version(s3, bucket, through, proxy)


def test_the_end_of_an_upload_whose_answer_was_lost_is_known_without_if_none_match(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools
) -> None:
    storage = through()
    storage._known.conditions = False
    lost = proxy.cut_on(COMPLETE, answered=True)
    gone = proxy.answer(404, "NoSuchUpload", match=COMPLETE)
    storage.put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert lost.happened and gone.happened
    assert s3.read(bucket, "a.dump") == DATA


def test_who_was_overwritten_in_the_moment_of_the_end_has_not_won(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a server whose If-None-Match lets two through."""
    from plugins.storage.aws.upload import Multipart

    complete = Multipart.complete

    def overtaken(self: Multipart, **condition: Any) -> dict[str, Any]:
        answer = complete(self, **condition)
        s3.write(bucket, "a.dump", b"somebody else's")
        return answer

    monkeypatch.setattr(Multipart, "complete", overtaken)
    with pytest.raises(strongroom.AlreadyExists):
        opened().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert s3.read(bucket, "a.dump") == b"somebody else's"


def test_a_server_that_falls_silent_is_given_up(
    s3: S3Server, bucket: str, through: Opened, proxy: Proxy, make_spool: Spools
) -> None:
    from plugins.storage.aws.link import Link

    storage = through()
    storage._made = Link(storage.config, storage.context.cancel, connect_timeout=5, read_timeout=0.3)
    stall = proxy.stall(after=FIRST + FIRST // 2)
    with pytest.raises(strongroom.StorageError) as raised:
        storage.put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert stall.happened
    assert raised.value.transient
    assert "nothing went on" in raised.value.message or "in time" in raised.value.message


def test_a_spool_that_vanished_is_told_of(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools
) -> None:
    spool = make_spool(DATA)
    spool.path.unlink()
    with pytest.raises(strongroom.StorageError, match="cannot be read: No such file"):
        opened().put("a.dump", spool.reader(), begun=ignore)
    assert s3.everything(bucket) == set()


def test_a_server_that_keeps_no_metadata_still_tells_objects_apart(
    s3: S3Server, bucket: str, opened: Opened, make_spool: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.storage.aws.link import Link

    call = Link.call

    def forgetful(self: Link, operation: str, **params: Any) -> dict[str, Any]:
        params.pop("Metadata", None)
        return call(self, operation, **params)

    monkeypatch.setattr(Link, "call", forgetful)
    published = opened().put("a.dump", make_spool(DATA).reader(), begun=ignore)
    assert published.proof == proof.CONFIRMED
    assert s3.read(bucket, "a.dump") == DATA
