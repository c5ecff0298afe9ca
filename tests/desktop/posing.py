"""Storages that behave on purpose, for pictures and for tests of what the window shows meanwhile.

Each is the real local folder; only its pace and its failures are made up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import strongroom
from engine.contract.registry import Origin, Registry
from plugins.storage.local import LocalFolder
from tests.desktop.guarded import guarded_registry

CHUNK = 1 << 16


class PosedFolder(LocalFolder):
    """A folder that takes so many bytes a second, and fails after so many, so often."""

    name = "posed-folder"
    title = "Posed folder"

    class Config(LocalFolder.Config):
        pace: int = strongroom.field(0, title="Bytes a second; 0 takes them as they come")
        fails_after: int = strongroom.field(-1, title="Fails after so many bytes; below 0, it never does")
        times: int = strongroom.field(1000, title="How often it fails before it works")
        transient: bool = strongroom.field(True, title="Whether trying again may help")
        message: str = strongroom.field("The connection was reset by the server", title="Message")
        remedy: str = strongroom.field("Test the destination.", title="Remedy")

    config: Config
    failures: ClassVar[dict[str, int]] = {}

    def put(
        self,
        name: str,
        reader: strongroom.Reader,
        *,
        begun: Callable[[strongroom.Leftover], None],
        overwrite: bool = False,
    ) -> strongroom.Published:
        return super().put(name, _Posed(reader, self), begun=begun, overwrite=overwrite)

    def at(self, position: int) -> None:
        """Fail, when it is time to."""
        its = self.config
        if 0 <= its.fails_after <= position:
            key = str(its.path)
            self.failures[key] = self.failures.get(key, 0) + 1
            if self.failures[key] <= its.times:
                raise strongroom.StorageError(its.message, remedy=its.remedy, transient=its.transient)


class _Posed(strongroom.Reader):
    """A reader that gives no faster than its folder takes."""

    def __init__(self, reader: strongroom.Reader, folder: PosedFolder) -> None:
        self._reader = reader
        self._folder = folder
        self._given = 0
        self._since = time.monotonic()

    def read(self, size: int = CHUNK, /) -> bytes:
        self._folder.at(self._given)
        chunk = self._reader.read(min(size, CHUNK))
        self._given += len(chunk)
        if pace := self._folder.config.pace:
            early = self._since + self._given / pace - time.monotonic()
            if early > 0:
                self._folder.context.cancel.wait(early)
                self._folder.context.cancel.raise_if_cancelled()
        return chunk

    @property
    def size(self) -> int | None:
        return self._reader.size

    def sha256(self) -> str:
        return self._reader.sha256()

    @property
    def path(self) -> Path | None:
        return None  # it is to be read, at its own pace

    def wait_for(self, offset: int) -> int:
        return self._reader.wait_for(offset)


class _Plugin:
    @strongroom.hookimpl
    def strongroom_storages(self) -> list[type[strongroom.Storage]]:
        return [PosedFolder]


def posing_registry() -> Registry:
    """The built-in adapters, those of the other tests, and these."""
    registry = guarded_registry()
    registry.add(_Plugin(), Origin("posing", "strongroom-tests", "0"))
    return registry


def posed(folder: Path, **values: Any) -> dict[str, Any]:
    """The configuration of a posed folder."""
    return {"path": str(folder), **values}
