"""The chain of streams: dump, compress, encrypt, hash, spool, and back again.

On the way out, two threads do it. The caller's iterates over the dump (drivers of databases mind which
thread calls them) and compresses; the other encrypts, hashes and writes. zstd has worker threads of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from engine.cancellation import CancelToken
from engine.errors import Cancelled, ChecksumMismatch, StreamError
from engine.streams.compression import Compression, compressor
from engine.streams.decompression import decompressor
from engine.streams.encryption import decrypt, encrypt_into
from engine.streams.pipe import Pipe, cause, pumped
from engine.streams.spool import Spool

OnProgress = Callable[[int, int], None]
"""`on_progress(bytes_in, bytes_out)`: what the dump gave, and what lies in the spool."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A whole artifact in the spool; sizes in bytes, `sha256` of the artifact in lower-case hex."""

    dump_size: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an artifact was found to hold; `size` in bytes and `sha256` are the plain dump's."""

    size: int
    sha256: str


def encode(
    dump: Iterable[bytes],
    compression: Compression,
    recipients: Sequence[str],
    spool: Spool,
    *,
    cancel: CancelToken,
    on_progress: OnProgress | None = None,
) -> Encoded:
    """Turn a dump into the artifact in `spool`, which is finished when this returns.

    Without `recipients` the artifact is not encrypted. Whatever fails first, the dump's last word
    included, is raised: the spool has then failed with it (so that its readers raise it too), the dump
    is closed, and no thread is left. `Cancelled` when somebody asked to stop.
    """
    pipe = Pipe(cancel)

    def spool_it() -> None:
        try:
            if recipients:
                encrypt_into(pipe, spool.write, recipients)
            else:
                for chunk in pipe:
                    spool.write(chunk)
        except BaseException as error:  # raised by the producer's next `put`, or below
            pipe.abort(error)

    writer = threading.Thread(target=spool_it, name="spool", daemon=True)
    writer.start()
    dump_size = 0
    try:
        stage = compressor(compression)
        for chunk in dump:
            dump_size += len(chunk)
            for start in range(0, len(chunk), compression.step):
                pipe.put(stage.feed(chunk[start : start + compression.step]))
            if on_progress is not None:
                on_progress(dump_size, spool.size)
        pipe.put(stage.finish())
        pipe.close()
        writer.join()
        if pipe.error is not None:
            raise pipe.error
        cancel.raise_if_cancelled()
    except BaseException as error:
        pipe.fail(error)
        writer.join()
        reason = cause(pipe.error or error, cancel)
        spool.fail(reason if isinstance(reason, Exception) else Cancelled("interrupted"))
        _close(dump)
        if reason is error:
            raise
        raise reason from reason.__cause__
    spool.finish()
    if on_progress is not None:
        on_progress(dump_size, spool.size)
    return Encoded(dump_size, spool.size, spool.sha256)


def decode(
    chunks: Iterable[bytes],
    algorithm: str,
    identities: Sequence[str] | None,
    *,
    cancel: CancelToken,
    sha256: str | None = None,
) -> Generator[bytes, None, None]:
    """Yield the plain dump that the artifact in `chunks` holds.

    `identities` is None for an artifact that is not encrypted. The end is reached only if age's final
    mark, the compressed stream's end and, where given, the artifact's `sha256` have been seen to be
    right; else `StreamError`, `KeyMissing` or `ChecksumMismatch` is raised in its stead. gzip headers,
    brotli and plain dumps carry no check of their own: give `sha256` for these.

    It is decoded in a thread of its own, a little ahead of whoever writes it down or hands it to a tool.
    """

    def work(put: Callable[[bytes], None]) -> None:
        with closing(_decoded(chunks, algorithm, identities, cancel, sha256)) as pieces:
            for piece in pieces:
                put(piece)

    return pumped(work, cancel, "decode")


def _decoded(
    chunks: Iterable[bytes],
    algorithm: str,
    identities: Sequence[str] | None,
    cancel: CancelToken,
    sha256: str | None,
) -> Generator[bytes, None, None]:
    stage = decompressor(algorithm)
    with closing(_checked(chunks, sha256, cancel)) as checked:
        plain = checked if identities is None else decrypt(checked, identities, cancel)
        with closing(plain):  # ends the thread, should the consumer leave early
            for chunk in plain:
                for piece in stage.feed(chunk):
                    cancel.raise_if_cancelled()
                    yield piece
        stage.finish()
        for _ in checked:  # whatever the stages left unread is still compared
            raise StreamError("Something follows the end of the artifact.", remedy="Take another copy.")


def decode_all(
    chunks: Iterable[bytes],
    algorithm: str,
    identities: Sequence[str] | None,
    *,
    cancel: CancelToken,
    sha256: str | None = None,
) -> Decoded:
    """Decode to the very end, keeping nothing: proves that an artifact can be read. Raises like `decode`."""
    size, digest = 0, hashlib.sha256()
    for piece in decode(chunks, algorithm, identities, cancel=cancel, sha256=sha256):
        size += len(piece)
        digest.update(piece)
    return Decoded(size, digest.hexdigest())


def _checked(
    chunks: Iterable[bytes], sha256: str | None, cancel: CancelToken
) -> Generator[bytes, None, None]:
    digest = hashlib.sha256() if sha256 is not None else None
    for chunk in chunks:
        cancel.raise_if_cancelled()
        if digest is not None:
            digest.update(chunk)
        yield chunk
    if digest is not None and digest.hexdigest() != sha256:
        raise ChecksumMismatch(
            f"The artifact's SHA-256 is {digest.hexdigest()}, not {sha256} as recorded.",
            remedy="Take another copy, or another backup of this database.",
        )


def _close(dump: Iterable[bytes]) -> None:
    """Close a dump that failed; what it says while closing is less than why."""
    close = getattr(dump, "close", None)
    if close is not None:
        with suppress(Exception):
            close()
