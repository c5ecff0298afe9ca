"""age encryption (https://age-encryption.org/v1) of streams, through pyrage.

pyrage pulls from a reader and pushes into a writer, and turns whatever these raise into errors of its
own; so the original is kept aside and raised instead. `encrypt` and `decrypt` give iterators, with
pyrage in a thread of its own; `encrypt_into` and `decrypt_into` work in the caller's thread.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from engine.cancellation import CancelToken
from engine.errors import ConfigError, KeyMissing, StreamError
from engine.streams.pipe import pumped

Put = Callable[[bytes], Any]

_BATCH = 512 << 10
"""age's pieces of 64 KiB are handed on by half a MiB: fewer wake-ups downstream."""


def encrypt(
    chunks: Iterable[bytes], recipients: Sequence[str], cancel: CancelToken | None = None
) -> Generator[bytes, None, None]:
    """Yield the age file that holds `chunks`, readable by each of `recipients` ("age1...").

    Raises `ConfigError` for a recipient that is none, and whatever `chunks` raises.
    """
    keys = _recipients(recipients)
    return pumped(
        lambda put: _encrypt(chunks, put, keys),
        cancel if cancel is not None else CancelToken(),
        "age-encrypt",
    )


def decrypt(
    chunks: Iterable[bytes], identities: Sequence[str], cancel: CancelToken | None = None
) -> Generator[bytes, None, None]:
    """Yield the plain bytes of the age file in `chunks`; `identities` are "AGE-SECRET-KEY-1..." lines.

    Raises `KeyMissing` when none of them opens it, `StreamError` when it is cut or damaged (after the
    plain bytes before that place), and whatever `chunks` raises.
    """
    keys = _identities(identities)
    return pumped(
        lambda put: _decrypt(chunks, put, keys),
        cancel if cancel is not None else CancelToken(),
        "age-decrypt",
    )


def encrypt_into(chunks: Iterable[bytes], put: Put, recipients: Sequence[str]) -> None:
    """Like `encrypt`, calling `put` with each piece, in this thread."""
    _encrypt(chunks, put, _recipients(recipients))


def encrypt_bytes(data: bytes, recipients: Sequence[str]) -> bytes:
    """The age file that holds `data`."""
    out = io.BytesIO()
    encrypt_into([data], out.write, recipients)
    return out.getvalue()


def decrypt_bytes(data: bytes, identities: Sequence[str]) -> bytes:
    """What the age file `data` holds. Raises `KeyMissing` and `StreamError`."""
    out = io.BytesIO()
    _decrypt([data], out.write, _identities(identities))
    return out.getvalue()


class _Source:
    """What pyrage reads from: 8 KiB at a time out of chunks of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._current = io.BytesIO()
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        data = self._current.read(size)
        while not data:
            try:
                chunk = next(self._chunks, None)
            except BaseException as error:
                self.error = error
                raise
            if chunk is None:
                return b""
            self._current = io.BytesIO(chunk)
            data = self._current.read(size)
        return data


class _Sink:
    """What pyrage writes to, handing on pieces of about `_BATCH` bytes."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._pieces: list[bytes] = []
        self._held = 0
        self.error: BaseException | None = None

    def write(self, piece: bytes) -> int:
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= _BATCH:
            self.hand_on()
        return len(piece)

    def flush(self) -> None:
        """pyrage's, at places of its own choosing; `hand_on` is ours."""

    def hand_on(self) -> None:
        if not self._pieces:
            return
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        try:
            self._put(data)
        except BaseException as error:
            self.error = error
            raise


def _encrypt(chunks: Iterable[bytes], put: Put, keys: list[Any]) -> None:
    import pyrage

    source, sink = _Source(chunks), _Sink(put)
    try:
        pyrage.encrypt_io(source, sink, keys)
    except Exception as error:
        _raise_ours(source, sink)
        raise StreamError("The encryption failed.", remedy="Run the job again.") from error
    sink.hand_on()


def _decrypt(chunks: Iterable[bytes], put: Put, keys: list[Any]) -> None:
    import pyrage

    source, sink = _Source(chunks), _Sink(put)
    try:
        pyrage.decrypt_io(source, sink, keys)
    except Exception as error:
        _raise_ours(source, sink)
        if "No matching keys" in str(error):
            raise KeyMissing(
                "No key at hand opens this artifact.",
                remedy="Import the key that it was encrypted to: strongroom keys import FILE.",
            ) from error
        raise StreamError(
            "The encrypted artifact is cut or damaged.",
            remedy="Take another copy, or another backup of this database.",
        ) from error
    sink.hand_on()


def _raise_ours(source: _Source, sink: _Sink) -> None:
    """Raise what our own end raised inside pyrage, which had made another error of it."""
    original = source.error or sink.error
    if original is not None:
        raise original from None


def _recipients(texts: Sequence[str]) -> list[Any]:
    import pyrage

    if not texts:
        raise ConfigError("There is no recipient to encrypt to.", remedy="Name a key for the encryption.")
    keys = []
    for text in texts:
        try:
            keys.append(pyrage.x25519.Recipient.from_str(text.strip()))
        except pyrage.RecipientError as error:
            raise ConfigError(
                f"{text.strip()!r} is not an age recipient.", remedy="It begins with age1; check the key."
            ) from error
    return keys


def _identities(texts: Sequence[str]) -> list[Any]:
    import pyrage

    keys = []
    for text in texts:
        try:
            keys.append(pyrage.x25519.Identity.from_str(text.strip()))
        except pyrage.IdentityError:
            # Neither the text nor pyrage's message is repeated: it may hold the secret.
            raise KeyMissing(
                "One of the keys at hand is not an age identity.", remedy="Import the key again."
            ) from None
    if not keys:
        raise KeyMissing(
            "There is no key here to open this artifact.",
            remedy="Import the key that it was encrypted to: strongroom keys import FILE.",
        )
    return keys
