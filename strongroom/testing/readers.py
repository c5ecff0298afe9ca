"""The readers and the context that the conformance suites hand to adapters."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import strongroom

_BLOCK = 1 << 16


class StreamReader(strongroom.Reader):
    """Reproducible bytes that are made while they are read, so that a large file costs no memory.

    With `known` the length is told beforehand; else, as with a spool that grows, at the end alone.
    """

    def __init__(self, size: int, *, known: bool = False, seed: int = 0) -> None:
        self._size = size
        self._known = known
        self._block = _block(seed)
        self._digest = hashlib.sha256()
        self._ended = False
        self.position = 0

    def read(self, size: int = strongroom.CHUNK, /) -> bytes:
        size = min(size, strongroom.CHUNK, self._size - self.position)
        if size <= 0:
            self._ended = True
            return b""
        start = self.position % _BLOCK
        chunk = (self._block * (size // _BLOCK + 2))[start : start + size]
        self.position += size
        self._digest.update(chunk)
        return chunk

    @property
    def size(self) -> int | None:
        return self._size if self._known or self._ended else None

    def sha256(self) -> str:
        assert self._ended, "the digest was asked for before the end had been read"
        return self._digest.hexdigest()

    @staticmethod
    def digest(size: int, seed: int = 0) -> str:
        """The SHA-256 of a whole stream."""
        reader = StreamReader(size, seed=seed)
        while reader.read():
            pass
        return reader.sha256()


class HookedReader(StreamReader):
    """Calls `hook(position)` before each read; what the hook raises is what the dump or a cancel raises."""

    def __init__(
        self, size: int, hook: Callable[[int], object], *, known: bool = False, seed: int = 0
    ) -> None:
        super().__init__(size, known=known, seed=seed)
        self._hook = hook

    def read(self, size: int = strongroom.CHUNK, /) -> bytes:
        self._hook(self.position)
        return super().read(size)


def contents(storage: strongroom.Storage, name: str) -> bytes:
    """A stored file, whole."""
    return b"".join(storage.get(name))


def context(folder: Path, cancel: strongroom.CancelToken | None = None) -> strongroom.Context:
    """A context for an adapter that runs no tools, with its scratch folders below `folder`."""

    @contextmanager
    def scratch() -> Iterator[Path]:
        made = folder / f"scratch-{secrets.token_hex(4)}"
        made.mkdir(mode=0o700)
        try:
            yield made
        finally:
            for path in made.iterdir():
                path.unlink()
            made.rmdir()

    return strongroom.Context(host=NoHost(), cancel=cancel or strongroom.CancelToken(), scratch=scratch)


class NoHost(strongroom.Host):
    """The host of adapters that run no tools."""

    name = "nowhere"

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bool = False
    ) -> NoReturn:
        raise strongroom.ToolMissing(f"{argv[0]}: no tool runs here.")

    def capture(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float = 60.0,
    ) -> NoReturn:
        raise strongroom.ToolMissing(f"{argv[0]}: no tool runs here.")

    def which(self, tool: str) -> None:
        return None

    def exists(self, path: str) -> bool:
        return False

    def glob(self, pattern: str) -> list[str]:
        return []

    def secret_file(self, content: str) -> AbstractContextManager[str]:
        raise strongroom.ToolMissing("No tool runs here that could read a secret file.")

    def folder(self) -> AbstractContextManager[str]:
        raise strongroom.SourceError("There is no folder here.")

    def read_file(self, path: str) -> NoReturn:
        raise strongroom.SourceError(f"{path} is not here.")

    def write_file(self, path: str, chunks: Iterable[bytes]) -> None:
        raise strongroom.SourceError(f"{path} cannot be written here.")

    @contextmanager
    def tunnel(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        yield host, port

    def aside(self) -> NoHost:
        return self


def _block(seed: int) -> bytes:
    """64 KiB that do not compress and differ by seed."""
    found = b""
    while len(found) < _BLOCK:
        found += hashlib.sha512(f"{seed}/{len(found)}".encode()).digest()
    return found
