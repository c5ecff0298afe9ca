"""The whole chain: what goes in comes out, by our own code and by the standard tools; and every way it
can break ends it at once, with the first cause and nothing left behind."""

from __future__ import annotations

import hashlib
import io
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cancellation import CancelToken
from engine.errors import (
    Cancelled,
    ChecksumMismatch,
    KeyMissing,
    SpoolError,
    StreamError,
    StrongroomError,
    ToolFailed,
)
from engine.hosts.local import LocalHost
from engine.streams import chain
from engine.streams.chain import Decoded, Encoded, decode, decode_all, encode
from engine.streams.compression import compressor, parse_compression
from engine.streams.encryption import encrypt_bytes
from engine.streams.spool import Spool
from tests.engine.streams.samples import IDENTITY, OTHER_IDENTITY, RECIPIENT, joined, mixed, pieces
from tests.parts.programs import required_program

DUMP = mixed(6_000_000)
ZSTD = parse_compression("zstd")


class WatchedDump:
    """Chunks that can be stopped and asked whether they were closed, as an adapter's `Dump` can."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def cancel() -> CancelToken:
    return CancelToken()


@pytest.fixture
def spool(tmp_path: Path, cancel: CancelToken) -> Iterator[Spool]:
    with Spool(tmp_path / "artifact", cancel) as opened:
        yield opened


def in_spool(spool: Spool) -> Iterator[bytes]:
    reader = spool.reader()
    while chunk := reader.read():
        yield chunk


# --------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("compression", ["zstd", "zstd:12", "gzip", "gzip:9", "brotli", "none"])
@pytest.mark.parametrize("recipients", [[], [RECIPIENT]])
def test_what_goes_in_comes_out(
    compression: str, recipients: list[str], spool: Spool, cancel: CancelToken
) -> None:
    encoded = encode(pieces(DUMP, 1 << 20), parse_compression(compression), recipients, spool, cancel=cancel)
    content = spool.path.read_bytes()
    assert encoded == Encoded(len(DUMP), len(content), hashlib.sha256(content).hexdigest())
    identities = [IDENTITY] if recipients else None
    algorithm = parse_compression(compression).algorithm
    assert joined(decode(in_spool(spool), algorithm, identities, cancel=cancel)) == DUMP
    found = decode_all(in_spool(spool), algorithm, identities, cancel=cancel, sha256=encoded.sha256)
    assert found == Decoded(len(DUMP), hashlib.sha256(DUMP).hexdigest())


@pytest.mark.parametrize("algorithm", ["zstd", "gzip", "brotli"])
def test_the_standard_tools_alone_restore_an_artifact(
    algorithm: str, spool: Spool, cancel: CancelToken, tmp_path: Path
) -> None:
    age, tool = required_program("age", package="age"), required_program(algorithm, package=algorithm)
    encode(pieces(DUMP, 1 << 20), parse_compression(algorithm), [RECIPIENT], spool, cancel=cancel)
    key = tmp_path / "key.txt"
    key.write_text(f"{IDENTITY}\n")
    with spool.path.open("rb") as stream:
        plain = subprocess.run([age, "-d", "-i", str(key)], stdin=stream, capture_output=True, check=True)
    assert subprocess.run([tool, "-dc"], input=plain.stdout, capture_output=True, check=True).stdout == DUMP


@pytest.mark.parametrize("recipients", [[], [RECIPIENT]])
def test_an_empty_dump_becomes_a_valid_artifact(
    recipients: list[str], spool: Spool, cancel: CancelToken
) -> None:
    encoded = encode(iter(()), ZSTD, recipients, spool, cancel=cancel)
    assert encoded.dump_size == 0
    assert encoded.size > 0
    identities = [IDENTITY] if recipients else None
    assert decode_all(in_spool(spool), "zstd", identities, cancel=cancel).size == 0


def test_readers_follow_while_the_dump_still_runs(spool: Spool, cancel: CancelToken) -> None:
    reader, seen = spool.reader(), threading.Event()

    def watch() -> None:
        reader.read(1)
        seen.set()

    def dump() -> Iterator[bytes]:
        yield from pieces(mixed(12_000_000), 1 << 20)
        assert seen.wait(30), "nothing reached the spool before the dump ended"

    thread = threading.Thread(target=watch)
    thread.start()
    encode(dump(), ZSTD, [RECIPIENT], spool, cancel=cancel)
    thread.join()


def test_progress_counts_what_comes_in_and_what_is_in_the_spool(spool: Spool, cancel: CancelToken) -> None:
    told: list[tuple[int, int]] = []
    encoded = encode(
        pieces(DUMP, 1 << 20), ZSTD, [], spool, cancel=cancel, on_progress=lambda *pair: told.append(pair)
    )
    assert told == sorted(told)
    assert told[-1] == (len(DUMP), encoded.size)


def test_memory_does_not_grow_with_the_dump(spool: Spool, cancel: CancelToken) -> None:
    def peak(chunks: int) -> int:
        tracemalloc.reset_peak()
        with Spool(spool.path.with_name(f"of {chunks}"), cancel) as other:
            piece = mixed(1 << 20)
            encode(
                (piece for _ in range(chunks)), parse_compression("none"), [RECIPIENT], other, cancel=cancel
            )
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        peak(4)
        small, large = peak(16), peak(160)
    finally:
        tracemalloc.stop()
    assert large < small + (4 << 20)


# ------------------------------------------------------------------------------------- what breaks


def test_a_dump_that_fails_after_its_last_byte_fails_all(spool: Spool, cancel: CancelToken) -> None:
    late = ToolFailed("pg_dump ended with status 1 after its last byte.")

    def chunks() -> Iterator[bytes]:
        yield from pieces(DUMP, 1 << 20)
        raise late

    dump = WatchedDump(chunks())
    with pytest.raises(ToolFailed) as raised:
        encode(dump, ZSTD, [RECIPIENT], spool, cancel=cancel)
    assert raised.value is late
    assert dump.closed == 1
    assert not spool.finished
    with pytest.raises(ToolFailed, match="last byte"):
        spool.reader().read()


def test_a_tool_whose_exit_status_comes_late_fails_all(spool: Spool, cancel: CancelToken) -> None:
    def chunks() -> Iterator[bytes]:
        with LocalHost(cancel).run(["sh", "-c", "head -c 3000000 /dev/zero; exec >&-; exit 7"]) as tool:
            yield from tool
            if status := tool.wait():
                raise ToolFailed("the tool failed", exit_status=status)

    with pytest.raises(ToolFailed) as raised:
        encode(chunks(), ZSTD, [RECIPIENT], spool, cancel=cancel)
    assert raised.value.exit_status == 7


class _Stage:
    """A compressor that breaks at its third chunk, or at its end."""

    def __init__(self, at_end: bool) -> None:
        self._at_end, self._fed = at_end, 0
        self._real = compressor(ZSTD)

    def feed(self, chunk: bytes) -> bytes:
        self._fed += 1
        if self._fed == 3 and not self._at_end:
            raise MemoryError("the compressor broke")
        return self._real.feed(chunk)

    def finish(self) -> bytes:
        raise MemoryError("the compressor broke")


@pytest.mark.parametrize("at_end", [False, True])
def test_a_compressor_that_fails_ends_all(
    at_end: bool, spool: Spool, cancel: CancelToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "compressor", lambda compression: _Stage(at_end))
    dump = WatchedDump(pieces(DUMP, 1 << 20))
    with pytest.raises(MemoryError, match="compressor broke"):
        encode(dump, ZSTD, [RECIPIENT], spool, cancel=cancel)
    assert dump.closed == 1
    with pytest.raises(MemoryError):
        spool.reader().read()


@pytest.mark.parametrize("after", [0, 3_000_000])
def test_an_encryption_that_fails_ends_all_and_the_dump_is_not_read_on(
    after: int, spool: Spool, cancel: CancelToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(source: io.BytesIO, sink: object, recipients: object) -> None:
        read = 0
        while read < after:
            read += len(source.read(8192))
        raise pyrage.EncryptError("a fault")

    monkeypatch.setattr(pyrage, "encrypt_io", fails)
    given_out = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given_out
        while given_out < 1000:
            given_out += 1
            yield DUMP[: 1 << 20]

    dump = WatchedDump(chunks())
    with pytest.raises(StreamError, match="encryption failed"):
        encode(dump, parse_compression("none"), [RECIPIENT], spool, cancel=cancel)
    assert given_out < 20
    assert dump.closed == 1


@pytest.mark.parametrize("recipients", [[], [RECIPIENT]])
def test_a_spool_that_fails_ends_all_and_the_dump_is_not_read_on(
    recipients: list[str], spool: Spool, cancel: CancelToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SpoolError("The spool folder is full.")

    def write(chunk: bytes) -> None:
        raise full

    monkeypatch.setattr(spool, "write", write)
    given_out = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given_out
        while given_out < 1000:
            given_out += 1
            yield DUMP[: 1 << 20]

    dump = WatchedDump(chunks())
    with pytest.raises(SpoolError) as raised:
        encode(dump, parse_compression("none"), recipients, spool, cancel=cancel)
    assert raised.value is full
    assert given_out < 20
    assert dump.closed == 1


@pytest.mark.parametrize("recipients", [[], [RECIPIENT]])
def test_a_spool_that_fails_at_the_very_last_byte_fails_all(
    recipients: list[str], spool: Spool, cancel: CancelToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dump is over by then, and nobody puts anything more that could meet the error."""
    full = SpoolError("The spool folder is full.")

    def write(chunk: bytes) -> None:
        raise full

    monkeypatch.setattr(spool, "write", write)
    dump = WatchedDump(iter([b"a small dump"]))
    with pytest.raises(SpoolError) as raised:
        encode(dump, parse_compression("gzip"), recipients, spool, cancel=cancel)
    assert raised.value is full
    assert dump.closed == 1
    assert not spool.finished


def test_slow_compressors_are_fed_little_at_a_time_so_that_a_cancel_is_seen(
    spool: Spool, cancel: CancelToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[int] = []

    class Counting(_Stage):
        def feed(self, chunk: bytes) -> bytes:
            fed.append(len(chunk))
            if len(fed) == 2:
                cancel.cancel("by hand")
            return b""

    monkeypatch.setattr(chain, "compressor", lambda compression: Counting(at_end=False))
    with pytest.raises(Cancelled):
        encode(iter([DUMP]), parse_compression("brotli:11"), [], spool, cancel=cancel)
    assert fed == [64 << 10, 64 << 10]


def test_failing_the_spool_from_outside_stops_the_dump(spool: Spool, cancel: CancelToken) -> None:
    """So a run whose destinations have all failed need not dump on."""

    def chunks() -> Iterator[bytes]:
        yield DUMP
        spool.fail(StrongroomError("no destination is left"))
        while True:
            yield DUMP

    with pytest.raises(StrongroomError, match="no destination is left"):
        encode(chunks(), ZSTD, [], spool, cancel=cancel)


def test_an_error_while_closing_does_not_hide_the_cause(spool: Spool, cancel: CancelToken) -> None:
    class Stubborn(WatchedDump):
        def close(self) -> None:
            raise OSError("while closing")

    def chunks() -> Iterator[bytes]:
        yield b"some"
        raise ToolFailed("the cause")

    with pytest.raises(ToolFailed, match="the cause"):
        encode(Stubborn(chunks()), ZSTD, [], spool, cancel=cancel)


# ------------------------------------------------------------------------------------------ cancel


def stalled_tool(cancel: CancelToken, reached: threading.Event) -> Iterator[bytes]:
    """A tool that writes some, and then nothing more."""
    with LocalHost(cancel).run(["sh", "-c", "head -c 100000 /dev/zero; sleep 60"]) as tool:
        for chunk in tool:
            reached.set()
            yield chunk
        tool.wait()


def failing_tool(cancel: CancelToken, reached: threading.Event) -> Iterator[bytes]:
    """A tool whose adapter says what it saw: that the tool ended wrongly, because of the cancel."""
    try:
        yield from stalled_tool(cancel, reached)
    except Cancelled as cancelled:
        raise ToolFailed("pg_dump was killed by a signal") from cancelled


def endless_dump(cancel: CancelToken, reached: threading.Event) -> Iterator[bytes]:
    """A dump that never ends, and that keeps the later stages busy."""
    for _ in range(6):
        yield DUMP[: 1 << 20]
    reached.set()
    while True:
        yield DUMP[: 1 << 20]


@pytest.mark.parametrize("dump", [stalled_tool, failing_tool, endless_dump])
@pytest.mark.parametrize("compression", ["zstd", "zstd:15", "gzip:9", "brotli", "brotli:9", "none"])
@pytest.mark.parametrize("recipients", [[], [RECIPIENT]])
def test_a_cancel_ends_every_stage_within_two_seconds(
    dump: Callable[[CancelToken, threading.Event], Iterator[bytes]],
    compression: str,
    recipients: list[str],
    spool: Spool,
    cancel: CancelToken,
) -> None:
    reached, cancelled_at = threading.Event(), 0.0

    def stop() -> None:
        nonlocal cancelled_at
        reached.wait(60)
        cancelled_at = time.monotonic()
        cancel.cancel("by hand")

    canceller = threading.Thread(target=stop)
    canceller.start()
    with pytest.raises(Cancelled, match="by hand"):
        encode(dump(cancel, reached), parse_compression(compression), recipients, spool, cancel=cancel)
    assert time.monotonic() - cancelled_at < 2.0
    canceller.join()
    assert not spool.finished
    with pytest.raises(Cancelled):
        spool.reader().read()


@pytest.mark.parametrize("identities", [None, [IDENTITY]])
def test_a_cancel_ends_a_decode(identities: list[str] | None, cancel: CancelToken) -> None:
    artifact = compressor(ZSTD).feed(b"") + compressed("zstd", DUMP)
    if identities:
        artifact = encrypt_bytes(artifact, [RECIPIENT])

    def chunks() -> Iterator[bytes]:
        for number, chunk in enumerate(pieces(artifact, 1 << 16)):
            if number == 3:
                cancel.cancel("by hand")
            yield chunk

    with pytest.raises(Cancelled, match="by hand"):
        joined(decode(chunks(), "zstd", identities, cancel=cancel))


def test_a_consumer_that_leaves_a_decode_early_leaves_nothing(cancel: CancelToken) -> None:
    closed = []

    def chunks() -> Iterator[bytes]:
        try:
            yield from pieces(ARTIFACTS["zstd.age"], 1 << 14)
        finally:
            closed.append(True)

    source = chunks()
    plain = decode(source, "zstd", [IDENTITY], cancel=cancel)
    assert next(plain)
    plain.close()  # type: ignore[attr-defined]
    source.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert [thread for thread in threading.enumerate() if thread.name.startswith("age")] == []


# -------------------------------------------------------------------- artifacts that are not whole


def compressed(algorithm: str, data: bytes) -> bytes:
    stage = compressor(parse_compression(algorithm))
    return stage.feed(data) + stage.finish()


SMALL = mixed(150_000)
ARTIFACTS = {
    "zstd.age": encrypt_bytes(compressed("zstd", SMALL), [RECIPIENT]),
    "gzip.age": encrypt_bytes(compressed("gzip", SMALL), [RECIPIENT]),
    "brotli.age": encrypt_bytes(compressed("brotli", SMALL), [RECIPIENT]),
    "none.age": encrypt_bytes(SMALL, [RECIPIENT]),
    "zstd": compressed("zstd", SMALL),
    "gzip": compressed("gzip", SMALL),
    "brotli": compressed("brotli", SMALL),
    "none": SMALL,
}
ENCRYPTED = [kind for kind in ARTIFACTS if kind.endswith(".age")]
SELF_ENDING = [kind for kind in ARTIFACTS if kind != "none"]
places = st.integers(0, min(map(len, ARTIFACTS.values())) - 1) | st.integers(0, len(SMALL) - 1)


def decoded(kind: str, data: bytes, sha256: str | None = None) -> bytes:
    algorithm, _, age = kind.partition(".")
    identities = [IDENTITY] if age else None
    return joined(decode(pieces(data, 1 << 16), algorithm, identities, cancel=CancelToken(), sha256=sha256))


def flipped(data: bytes, place: int, bit: int) -> bytes:
    wrong = bytearray(data)
    wrong[place % len(data)] ^= 1 << bit
    return bytes(wrong)


@pytest.mark.parametrize("kind", list(ARTIFACTS))
def test_the_whole_artifacts_are_read(kind: str) -> None:
    assert decoded(kind, ARTIFACTS[kind], hashlib.sha256(ARTIFACTS[kind]).hexdigest()) == SMALL


@pytest.mark.parametrize("kind", SELF_ENDING)
@given(place=places)
def test_an_artifact_that_is_cut_anywhere_is_never_read_as_whole(kind: str, place: int) -> None:
    with pytest.raises(StreamError):
        decoded(kind, ARTIFACTS[kind][: place % len(ARTIFACTS[kind])])


@pytest.mark.parametrize("kind", ENCRYPTED)
@given(place=places, bit=st.integers(0, 7))
def test_one_flipped_bit_of_an_encrypted_artifact_is_always_refused(kind: str, place: int, bit: int) -> None:
    with pytest.raises(StreamError):
        decoded(kind, flipped(ARTIFACTS[kind], place, bit))


@pytest.mark.parametrize("kind", ["zstd", "gzip"])
@given(place=places, bit=st.integers(0, 7))
def test_one_flipped_bit_of_a_checked_format_never_changes_the_dump(kind: str, place: int, bit: int) -> None:
    try:
        assert decoded(kind, flipped(ARTIFACTS[kind], place, bit)) == SMALL
    except StreamError:
        return


@pytest.mark.parametrize("kind", list(ARTIFACTS))
@given(place=places, bit=st.integers(0, 7))
def test_with_its_checksum_no_flipped_bit_of_any_artifact_passes(kind: str, place: int, bit: int) -> None:
    sha256 = hashlib.sha256(ARTIFACTS[kind]).hexdigest()
    with pytest.raises((StreamError, ChecksumMismatch)):
        decoded(kind, flipped(ARTIFACTS[kind], place, bit), sha256)


@pytest.mark.parametrize("kind", list(ARTIFACTS))
@given(place=places)
def test_with_its_checksum_no_cut_of_any_artifact_passes(kind: str, place: int) -> None:
    sha256 = hashlib.sha256(ARTIFACTS[kind]).hexdigest()
    with pytest.raises((StreamError, ChecksumMismatch)):
        decoded(kind, ARTIFACTS[kind][: place % len(ARTIFACTS[kind])], sha256)


@pytest.mark.parametrize("kind", list(ARTIFACTS))
def test_with_its_checksum_nothing_may_follow_the_end(kind: str) -> None:
    sha256 = hashlib.sha256(ARTIFACTS[kind]).hexdigest()
    with pytest.raises((StreamError, ChecksumMismatch)):
        decoded(kind, ARTIFACTS[kind] + b"\0", sha256)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(KeyMissing):
        joined(decode([ARTIFACTS["zstd.age"]], "zstd", [OTHER_IDENTITY], cancel=CancelToken()))


def test_no_key_at_all_says_that_one_is_missing() -> None:
    with pytest.raises(KeyMissing):
        joined(decode([ARTIFACTS["zstd.age"]], "zstd", [], cancel=CancelToken()))
