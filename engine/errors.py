"""The one hierarchy of errors. Each says what failed, where, and what to do next.

    StrongroomError                     exit code 1
    ├── UsageError                      2   the command or its arguments are wrong
    │   └── NotFound                    2   nothing of that name
    ├── ConfigError                     2   a configuration is wrong (file, line, field)
    ├── PluginError                     2   an adapter is missing or does not load
    ├── SourceError                     1   the database side
    │   ├── ConnectionFailed                cannot be reached, or refused
    │   ├── ToolMissing                     a client tool is not there, or too old
    │   ├── ToolFailed                      a tool ended with an error
    │   ├── DatabaseMissing                 the database is not there (any more)
    │   ├── DumpIncomplete                  a dump that ended without being whole
    │   └── TargetNotEmpty                  a restore would replace data, and was not told to
    ├── StorageError                    1   the destination side (`transient` says if a retry may help)
    │   ├── StorageFull
    │   ├── StorageMissing                  the named file is not there
    │   ├── NameEscapes                     a name would leave the destination's root
    │   └── AlreadyExists
    ├── NeedsTrust                      1   a server's identity that a person has to confirm
    ├── SshError                        1   an SSH connection (`transient` says if a retry may help)
    ├── SpoolError                      1   the local spool: full, on a tmpfs, aborted
    ├── StreamError                     1   bytes that do not decode
    │   └── KeyMissing                      no key at hand opens this artifact
    ├── IntegrityError                  1
    │   ├── ChecksumMismatch
    │   ├── SidecarUnreadable
    │   ├── SidecarTooNew
    │   └── Unproven                        unsigned, tampered, or signed by a stranger
    ├── CouldNotVerify                  5   neither proven whole nor proven broken
    ├── SecretsError                    1   keyring or vault
    │   ├── NoKeyring
    │   ├── KeyringLocked
    │   └── SecretMissing
    ├── StoreError                      1   the local database
    ├── TimeLimit                       1   a run took longer than its job allows
    ├── Interrupted                     1   the process that ran an execution ended before it was done
    └── AlreadyRunning                  1   one run of a job at a time
        └── SlotTaken                       a planned run was taken by another scheduler

`Cancelled` stands outside: it is not a failure, and no `except StrongroomError` may swallow it.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "AlreadyRunning",
    "Cancelled",
    "ChecksumMismatch",
    "ConfigError",
    "ConnectionFailed",
    "CouldNotVerify",
    "DatabaseMissing",
    "DumpIncomplete",
    "IntegrityError",
    "Interrupted",
    "KeyMissing",
    "KeyringLocked",
    "NameEscapes",
    "NeedsTrust",
    "NoKeyring",
    "NotFound",
    "PluginError",
    "SecretMissing",
    "SecretsError",
    "SidecarTooNew",
    "SidecarUnreadable",
    "SlotTaken",
    "SourceError",
    "SpoolError",
    "SshError",
    "StorageError",
    "StorageFull",
    "StorageMissing",
    "StoreError",
    "StreamError",
    "StrongroomError",
    "TargetNotEmpty",
    "TimeLimit",
    "ToolFailed",
    "ToolMissing",
    "Unproven",
    "UsageError",
]


BUG = "Please report this: it is a bug."
"""The remedy for what no error of ours describes."""


class StrongroomError(Exception):
    """Anything that Strongroom reports as failed.

    `message` says what failed and where; `remedy` says what to do next (may be empty when nothing can
    be said). Neither ever holds a secret. `exit_code` is the command line's (DESIGN, section 6).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    @property
    def kind(self) -> str:
        """The class's name, which `--json` prints as `error.kind`."""
        return type(self).__name__

    def __str__(self) -> str:
        return self.message


class UsageError(StrongroomError):
    """The command or its arguments are wrong."""

    exit_code = 2


class NotFound(UsageError):
    """Nothing of that name: a job, a source, a backup, a key."""


class ConfigError(StrongroomError):
    """A configuration is wrong. `field` is dotted; `file` and `line` (from 1) are set when they are known."""

    exit_code = 2

    def __init__(
        self, message: str, *, remedy: str = "", file: str = "", line: int | None = None, field: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.file = file
        self.line = line
        self.field = field

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place = f"{place}:{self.line}" if place else f"line {self.line}"
        parts = [part for part in (place, self.field) if part]
        return f"{': '.join(parts)}: {self.message}" if parts else self.message


class PluginError(StrongroomError):
    """An adapter is missing, is there twice, or does not load."""

    exit_code = 2


class SourceError(StrongroomError):
    """The database side failed."""


class ConnectionFailed(SourceError):
    """The server cannot be reached, or refused the login."""


class ToolMissing(SourceError):
    """A client tool is not on the host, or none of those there fits the server's version."""


class ToolFailed(SourceError):
    """A client tool ended with an error; `exit_status` is negative for a signal."""

    def __init__(self, message: str, *, remedy: str = "", exit_status: int | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.exit_status = exit_status


class DatabaseMissing(SourceError):
    """The database is not there (any more)."""


class DumpIncomplete(SourceError):
    """A dump ended without being whole: a wrong byte count, or no end mark."""


class TargetNotEmpty(SourceError):
    """A restore would replace data, and was not told to."""


class NotPutBack(SourceError):
    """A swap of databases failed half-way, and so did undoing it: the message says what lies where."""


class StorageError(StrongroomError):
    """The destination side failed. `transient` is True when trying again may help."""

    def __init__(self, message: str, *, remedy: str = "", transient: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.transient = transient


class StorageFull(StorageError):
    """No space is left at the destination."""


class StorageMissing(StorageError):
    """The named file is not at the destination."""


class PlaceMissing(StorageError):
    """The destination's own folder or bucket is not there: not mounted, renamed, or deleted."""


class NameEscapes(StorageError):
    """A name is not relative and normalised, or would leave the destination's root."""


class AlreadyExists(StorageError):
    """A file of that name is there, and is never overwritten."""


class NeedsTrust(StrongroomError):
    """A server showed an identity that nobody has confirmed yet; only a person can.

    `field` is the configuration field that takes the confirmation, and `value` what it takes: the window
    asks with `value` in its question and fills the field in, the command line takes it by `--trust`.
    """

    def __init__(self, message: str, *, field: str, value: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.field = field
        self.value = value


class SshError(StrongroomError):
    """An SSH connection failed: not reached, not trusted, not let in, or lost.

    `transient` is True when trying again may help. Whoever uses the connection makes it an error of its own
    kind: a storage a `StorageError`, a source a `ConnectionFailed`.
    """

    def __init__(self, message: str, *, remedy: str = "", transient: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.transient = transient


class SpoolError(StrongroomError):
    """The spool cannot be used: full, on a tmpfs, not writable."""


class StreamError(StrongroomError):
    """Bytes that do not decode: cut, flipped, or of another format."""


class KeyMissing(StreamError):
    """No key at hand opens this artifact."""


class IntegrityError(StrongroomError):
    """What is stored is not what was written."""


class ChecksumMismatch(IntegrityError):
    """The SHA-256 of the artifact is not the recorded one."""


class SidecarUnreadable(IntegrityError):
    """A sidecar is not valid JSON, or lacks what it must hold."""


class SidecarTooNew(IntegrityError):
    """A sidecar of a newer major version than this Strongroom reads."""


class Unproven(IntegrityError):
    """Who wrote a backup is not proven: no signature, a wrong one, or a stranger's."""


class CouldNotVerify(StrongroomError):
    """Neither proven whole nor proven broken; never counted as a pass."""

    exit_code = 5


class SecretsError(StrongroomError):
    """The keyring or the vault failed."""


class NoKeyring(SecretsError):
    """There is no OS keyring here, and no vault file was chosen."""


class KeyringLocked(SecretsError):
    """The keyring is locked, or its unlock prompt was dismissed."""


class SecretMissing(SecretsError):
    """The secret was never stored, or is gone."""


class StoreError(StrongroomError):
    """The local database failed."""


class TimeLimit(StrongroomError):
    """A run took longer than its job allows."""


class Interrupted(StrongroomError):
    """The process that ran an execution, or had queued it, ended before it was done."""


class AlreadyRunning(StrongroomError):
    """The job runs already; one run of a job at a time."""


class SlotTaken(AlreadyRunning):
    """The run that was planned for this time was taken already, by another process or an earlier tick."""


class Cancelled(Exception):
    """Somebody asked to stop. Not a `StrongroomError`, so that no retry and no handler swallows it."""
