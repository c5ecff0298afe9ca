"""Adapters that fail on demand: the real SQLite source and the real local folder, with a fault built in.

Only the fault is made up; all the rest is the built-in adapter at work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

import strongroom
from engine.contract.registry import Origin, Registry
from plugins.sources.sqlite import Sqlite
from plugins.storage.local import LocalFolder


class Gate:
    """Lets a test hold an adapter at a point: `reached` is set there, and `open` lets it go on.

    It holds the first `times` that come there.
    """

    def __init__(self, times: int = 1_000_000) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._left = times

    def hold(self, cancel: strongroom.CancelToken) -> None:
        """Wait for the test, or for a cancel."""
        if self._holds():
            with cancel.calling(self.opened.set):
                self.opened.wait(60)
            cancel.raise_if_cancelled()

    def hang(self) -> None:
        """Wait for the test, whoever asks to stop."""
        if self._holds():
            self.opened.wait(60)

    def _holds(self) -> bool:
        self._left -= 1
        if self._left < 0:
            return False
        self.reached.set()
        return True


GATES: dict[str, Gate] = {}
"""Gates by name; a test makes one, the adapter's configuration names it."""


class FaultySource(Sqlite):
    """An SQLite source that ends as its configuration says."""

    name = "faulty-source"
    title = "Faulty source"

    class Config(Sqlite.Config):
        fault: str = strongroom.field("", title="Fault")
        gate: str = strongroom.field("", title="Gate")
        names: list[str] = strongroom.field([], title="Databases, all of them the same file")
        broken: list[str] = strongroom.field([], title="Databases that fail")

    config: Config

    def check(self) -> strongroom.SourceReport:
        if self.config.fault == "check":
            raise strongroom.ConnectionFailed("The server shop.example refused the login.", remedy="Mend it.")
        if self.config.gate == "initialize":
            GATES[self.config.gate].hold(self.context.cancel)
        return super().check()

    def databases(self) -> list[str]:
        return sorted(self.config.names) or super().databases()

    def file_of(self, database: str) -> Path:
        return self.path if database in self.config.names else super().file_of(database)

    def dump(self, database: str, *, fingerprint: bool = True) -> strongroom.Dump:
        own = super().databases()[0]
        dump = super().dump(own, fingerprint=fingerprint)
        chunks = self._faulty(iter(dump), database)
        return strongroom.Dump(
            chunks,
            engine_version=dump.engine_version,
            tool_version=dump.tool_version,
            fingerprint=dump.fingerprint,
            close=dump.close,
        )

    def _faulty(self, chunks: Iterator[bytes], database: str) -> Iterator[bytes]:
        if database in self.config.broken:
            raise strongroom.DatabaseMissing(
                f"The database {database} is gone.", remedy="Look where it went."
            )
        for chunk in chunks:
            if self.config.gate == "dump":
                yield chunk[:100]
                GATES[self.config.gate].hold(self.context.cancel)
                yield chunk[100:]
            else:
                yield chunk
        if self.config.fault == "late":
            raise strongroom.ToolFailed(
                "pg_dump ended with exit status 1 after its last byte.", exit_status=1
            )
        if self.config.fault == "surprise":
            raise RuntimeError("an adapter's own bug")


class FaultyFolder(LocalFolder):
    """A local folder that fails as its configuration says.

    `gate` and `hang` name points: `open`, `look` (any stat), `list`, `upload` and `sidecar` (before either is
    put), `middle` (the artifact has been begun), `late` and `late-sidecar` (the one or the other has been
    stored, and the answer is to come), `discard`, `delete`, `close`. At a `gate` a cancel is heard; who may
    `hang` is deaf to it everywhere.

    `fault` is one of `put`, `sidecar`, `lost`, `lost-sidecar` (it was stored, the answer is lost),
    `torn-sidecar` (it was begun), `refused`, `full`, `list`, `delete`.
    """

    name = "faulty-folder"
    title = "Faulty folder"

    class Config(LocalFolder.Config):
        fault: str = strongroom.field("", title="Fault")
        times: int = strongroom.field(1000, title="How often it fails before it works")
        only: str = strongroom.field("", title="It fails only for names that hold this")
        gate: str = strongroom.field("", title="Where it waits for the test, or a cancel")
        hang: list[str] = strongroom.field([], title="Where it waits for the test alone")
        token: SecretStr | None = strongroom.field(None, title="Token")

    config: Config
    failures: dict[str, int] = {}  # noqa: RUF012 - shared on purpose: each upload makes a new adapter
    calls: list[tuple[str, str, str]] = []  # noqa: RUF012 - folder, verb and name of each call of any of them

    def __init__(self, config: Any, context: strongroom.Context) -> None:
        deaf = replace(context, cancel=strongroom.CancelToken())
        super().__init__(config, deaf if config.hang else context)
        self._gates_hear = context.cancel
        self._at("open", "")

    def close(self) -> None:
        self._at("close", "")
        super().close()

    def put(
        self,
        name: str,
        reader: strongroom.Reader,
        *,
        begun: Callable[[strongroom.Leftover], None],
        overwrite: bool = False,
    ) -> strongroom.Published:
        sidecar = name.endswith(".meta.json")
        self._at("sidecar" if sidecar else "upload", name)
        if self.config.fault == ("sidecar" if sidecar else "put"):
            self._fail(name, _reset())
        if self.config.fault == "refused":
            self._fail(name, strongroom.StorageError("The key was refused.", remedy="Enter it again."))
        if self.config.fault == "full":
            self._fail(name, strongroom.StorageFull("No space is left.", remedy="Free some."))

        def told(leftover: strongroom.Leftover) -> None:
            begun(leftover)
            if sidecar and self.config.fault == "torn-sidecar":
                self._fail(name, _reset())
            if not sidecar:
                self._at("middle", name)

        published = super().put(name, reader, begun=told, overwrite=overwrite)
        self._at("late-sidecar" if sidecar else "late", name)
        if self.config.fault == ("lost-sidecar" if sidecar else "lost"):
            self._fail(name, strongroom.StorageError("The answer was lost.", transient=True))
        return published

    def stat(self, name: str) -> strongroom.StoredFile:
        self._at("look", name)
        return super().stat(name)

    def list(self, prefix: str = "") -> Any:
        self._at("list", prefix)
        if self.config.fault == "list":
            raise strongroom.StorageError("The folder cannot be listed.", remedy="Mend it.")
        return super().list(prefix)

    def delete(self, name: str) -> None:
        self._at("delete", name)
        if self.config.fault == "delete" and name.endswith(".age"):
            raise strongroom.StorageError("The file cannot be deleted.", remedy="Mend it.")
        super().delete(name)

    def discard(self, leftover: strongroom.Leftover) -> None:
        self._at("discard", leftover.temporary_name)
        super().discard(leftover)

    def _at(self, point: str, name: str) -> None:
        self.calls.append((self.config.path.name, point, name))
        if point in self.config.hang:
            GATES[point].hang()
        if point == self.config.gate:
            GATES[point].hold(self._gates_hear)

    def _fail(self, name: str, error: strongroom.StorageError) -> None:
        if self.config.only not in name:
            return
        key = str(self.config.path)
        self.failures[key] = self.failures.get(key, 0) + 1
        if self.failures[key] <= self.config.times:
            raise error


def _reset() -> strongroom.StorageError:
    return strongroom.StorageError("The connection was reset.", remedy="Try again.", transient=True)


class _Plugin:
    @strongroom.hookimpl
    def strongroom_sources(self) -> list[type[strongroom.Source]]:
        return [FaultySource]

    @strongroom.hookimpl
    def strongroom_storages(self) -> list[type[strongroom.Storage]]:
        return [FaultyFolder]


def faulty_registry() -> Registry:
    """The built-in adapters and these."""
    registry = Registry.load()
    registry.add(_Plugin(), Origin("faulty", "strongroom-tests", "0"))
    return registry
