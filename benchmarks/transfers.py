"""One storage adapter by itself: a file put there and taken back, as the engine does it.

It is no benchmark. The file does not compress, as an artifact does not. The adapter is opened anew each time,
as a tool is started anew; `put` gets the file's SHA-256 as a job would, which has it from the spool.
"""

from __future__ import annotations

import hashlib
import os
from itertools import count
from pathlib import Path

from engine.contract.readers import CHUNK, Reader
from engine.records import Endpoint
from engine.workspace import Workspace


class FileReader(Reader):
    """A whole file, as a spool that has ended."""

    def __init__(self, path: Path, sha256: str) -> None:
        self._path, self._sha256 = path, sha256
        self._size = path.stat().st_size
        self._file = path.open("rb", buffering=0)

    def read(self, size: int = CHUNK, /) -> bytes:
        return self._file.read(size)

    @property
    def size(self) -> int:
        return self._size

    def sha256(self) -> str:
        return self._sha256

    @property
    def path(self) -> Path:
        return self._path

    def close(self) -> None:
        self._file.close()


class Transfers:
    """Puts and gets of one file by one destination's adapter."""

    def __init__(self, workspace: Workspace, endpoint: Endpoint, folder: Path, size: float) -> None:
        self.file, self.back = folder / "file", folder / "back"
        self._workspace, self._endpoint = workspace, endpoint
        self._sha256 = _random_file(self.file, round(size * 1e9))
        self._numbers = count()
        self._there = ""

    def put(self) -> None:
        """Publish it under a new name, proven."""
        self._there = f"ours-{next(self._numbers)}"
        reader = FileReader(self.file, self._sha256)
        try:
            with self._workspace.endpoints.open_storage(self._endpoint) as storage:
                storage.put(self._there, reader, begun=lambda leftover: None)
        finally:
            reader.close()

    def get(self) -> None:
        """Take the last one back into a file."""
        opened = self._workspace.endpoints.open_storage(self._endpoint)
        with opened as storage, self.back.open("wb", buffering=0) as file:
            for chunk in storage.get(self._there):
                file.write(chunk)

    def forget(self) -> None:
        """Remove what came back."""
        self.back.unlink(missing_ok=True)

    def check(self) -> None:
        """End the benchmark unless what came back last is the file."""
        if _sha256(self.back) != self._sha256:
            raise SystemExit("What came back is not what was sent.")


def _random_file(path: Path, size: int) -> str:
    with path.open("wb") as file:
        for start in range(0, size, CHUNK):
            file.write(os.urandom(min(CHUNK, size - start)))
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
