"""The public face for plugin authors: whatever a plugin may use is what this package exports.

A whole storage plugin is a module like this one, named by an entry point of the group `strongroom`:

    import strongroom

    class Shelf(strongroom.Storage):
        name, title = "shelf", "A shelf"

        class Config(strongroom.AdapterConfig):
            path: str = strongroom.field(title="Folder", placeholder="/mnt/shelf")

        def check(self): ...
        def put(self, name, reader, *, begun, overwrite=False): ...
        # get, list, stat, delete, verify, discard

    @strongroom.hookimpl
    def strongroom_storages():
        return [Shelf]

`strongroom.testing` holds the conformance suites to run such a class against.
"""

from __future__ import annotations

from engine import __version__
from engine.cancellation import CancelToken
from engine.contract.adapters import Adapter, Context, HostAdapter, Notifier, Source, Storage
from engine.contract.config import AdapterConfig, field
from engine.contract.hookspecs import hookimpl
from engine.contract.hosts import Completed, Host, Process
from engine.contract.readers import CHUNK, BytesReader, Reader
from engine.contract.values import (
    BackupFacts,
    Dump,
    Fingerprint,
    Leftover,
    Message,
    Published,
    SourceReport,
    StorageReport,
    StoredFile,
    TargetState,
    Tool,
    look_into_each,
)
from engine.errors import (
    AlreadyExists,
    Cancelled,
    ChecksumMismatch,
    ConfigError,
    ConnectionFailed,
    CouldNotVerify,
    DatabaseMissing,
    DumpIncomplete,
    NameEscapes,
    NeedsTrust,
    NotPutBack,
    PlaceMissing,
    SourceError,
    StorageError,
    StorageFull,
    StorageMissing,
    StrongroomError,
    TargetNotEmpty,
    ToolFailed,
    ToolMissing,
)
from engine.events import LogLevel, LogType
from engine.units import counted, sentence

API_VERSION = 1
"""Grows by one when a plugin written before would break."""

__all__ = [
    "API_VERSION",
    "CHUNK",
    "Adapter",
    "AdapterConfig",
    "AlreadyExists",
    "BackupFacts",
    "BytesReader",
    "CancelToken",
    "Cancelled",
    "ChecksumMismatch",
    "Completed",
    "ConfigError",
    "ConnectionFailed",
    "Context",
    "CouldNotVerify",
    "DatabaseMissing",
    "Dump",
    "DumpIncomplete",
    "Fingerprint",
    "Host",
    "HostAdapter",
    "Leftover",
    "LogLevel",
    "LogType",
    "Message",
    "NameEscapes",
    "NeedsTrust",
    "NotPutBack",
    "Notifier",
    "PlaceMissing",
    "Process",
    "Published",
    "Reader",
    "Source",
    "SourceError",
    "SourceReport",
    "Storage",
    "StorageError",
    "StorageFull",
    "StorageMissing",
    "StorageReport",
    "StoredFile",
    "StrongroomError",
    "TargetNotEmpty",
    "TargetState",
    "Tool",
    "ToolFailed",
    "ToolMissing",
    "__version__",
    "counted",
    "field",
    "hookimpl",
    "look_into_each",
    "sentence",
]
