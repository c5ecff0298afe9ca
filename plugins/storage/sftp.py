"""An SFTP server: any machine with an SSH login, most storage boxes and network disks.

A file appears under its name only when the server has it whole, has synced it where it can, and has been
shown to hold the right bytes. Nothing leaves the destination's folder: no link below it is followed.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import strongroom
from plugins.storage import names
from plugins.storage.sftp_server import protocol, reading
from plugins.storage.sftp_server.failures import error_of
from plugins.storage.sftp_server.opening import Opened, opened, storage_error
from plugins.storage.sftp_server.protocol import Attributes, Code, Nonsense, Refused
from plugins.storage.sftp_server.publishing import Upload
from plugins.storage.sftp_server.settings import Settings
from plugins.storage.sftp_server.writing import Writer


class SftpServer(strongroom.Storage):
    """Artifacts as plain files (0600) below one folder of a server."""

    name = "sftp"
    title = "SFTP server"
    icon = "server"
    verifies = "hashed by the server where it can, else read back"

    Config = Settings
    config: Settings

    def __init__(self, config: Settings, context: strongroom.Context) -> None:
        super().__init__(config, context)
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._is_closed = False

    def check(self) -> strongroom.StorageReport:
        there = self._open()
        notes = []
        with self._errors(""):
            if not there.folders.has_root():
                notes.append("The folder is not there yet; the first backup makes it.")
            made = there.folders.make_root()
            try:
                proof = self._probe(there, notes)
                space = there.remote.space(there.folders.root)
            finally:
                there.folders.remove_empty(made)
        notes.append(f"Backups will be proven whole: {proof}.")
        server = there.connection.access.login
        return strongroom.StorageReport(
            f"{there.folders.root} on {server} can be written ({there.connection.server_software}, "
            f"{there.connection.cipher})",
            free=None if space is None else space.free,
            notes=tuple(notes),
        )

    def put(
        self,
        name: str,
        reader: strongroom.Reader,
        *,
        begun: Callable[[strongroom.Leftover], None],
        overwrite: bool = False,
    ) -> strongroom.Published:
        parts = names.parts(name)
        there = self._open()
        with self._errors(name):
            there.folders.make_root()  # it stays, as the folder that a person named
            seen = there.folders.see(parts)
            if not overwrite and seen[-1] is not None:
                raise _taken(name)
        beside = names.temporary(parts[-1])
        begun(strongroom.Leftover("/".join([*parts[:-1], beside])))
        upload = Upload(there, parts, beside)
        try:
            with self._errors(name):
                writer = upload.begin(seen)
            self._copy(reader, writer, name)
            with self._errors(name):
                proof = upload.prove(writer, reader.sha256())
                if not upload.publish(overwrite=overwrite):
                    raise _taken(name)
        except BaseException:
            upload.tidy()
            raise
        return strongroom.Published(proof)

    def get(self, name: str, offset: int = 0) -> Iterator[bytes]:
        parts = names.parts(name)
        there = self._open()
        with self._errors(name):
            there.folders.file(parts, name)
            check = self.context.cancel.raise_if_cancelled
            yield from reading.read(there.remote, there.folders.path(parts), offset, check=check)

    def list(self, prefix: str = "") -> Iterable[strongroom.StoredFile]:
        there = self._open()
        with self._errors(prefix):
            found = [_stored(name, its) for name, its in there.folders.walk(prefix)]
        return sorted(found, key=lambda file: file.name)

    def stat(self, name: str) -> strongroom.StoredFile:
        parts = names.parts(name)
        there = self._open()
        with self._errors(name):
            return _stored(name, there.folders.file(parts, name))

    def delete(self, name: str) -> None:
        self._remove(names.parts(name), name)

    def verify(self, name: str, size: int, sha256: str) -> str:
        parts = names.parts(name)
        there = self._open()
        with self._errors(name):
            found = there.folders.file(parts, name)
            if found.size is not None and found.size != size:
                raise strongroom.ChecksumMismatch(
                    f"{name} in {there.folders.root} has {found.size} bytes instead of {size}."
                )
            return there.prover.prove(there.folders.path(parts), size, sha256)

    def discard(self, leftover: strongroom.Leftover) -> None:
        self._remove(names.temporary_parts(leftover.temporary_name), leftover.temporary_name)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            there, self._opened = self._opened, None
        if there is not None:
            there.close()

    # ---------------------------------------------------------------------------------------- small parts

    def _open(self) -> Opened:
        """The connection, made when it is first needed, and anew when it was lost."""
        with self._lock:
            there = self._opened
        if there is not None:
            if there.is_alive:
                return there
            there.close()
        return self._keep(opened(self.config, self.context))

    def _keep(self, made: Opened) -> Opened:
        """Remember a connection, unless `close` came while it was being made."""
        with self._lock:
            if not self._is_closed:
                self._opened = made
                return made
        made.close()
        raise strongroom.StorageError("This connection was closed.")

    def _copy(self, reader: strongroom.Reader, writer: Writer, name: str) -> None:
        # What the reader raises is not ours to translate: the dump failed, or somebody cancelled.
        while chunk := reader.read(writer.step):
            self.context.cancel.raise_if_cancelled()
            with self._errors(name):
                writer.add(chunk)
        with self._errors(name):
            writer.flush()

    def _probe(self, there: Opened, notes: MutableSequence[str]) -> str:
        """Write a small file, read it, replace it, delete it; return how it was proven."""
        name, probe = f"strongroom-probe-{secrets.token_hex(8)}", secrets.token_bytes(4096)
        proof = self.put(name, strongroom.BytesReader(probe), begun=lambda leftover: None).proof
        try:
            if b"".join(self.get(name)) != probe:
                raise strongroom.StorageError(
                    f"{there.folders.root} gives back other bytes than were written there.",
                    remedy="Check the server before you trust it with a backup.",
                )
            if there.replaces_by_renaming(name):
                notes.append(
                    "This server's rename replaces what is there: of two uploads of one name at the same "
                    "instant, the later one wins. Two jobs should not share a name here."
                )
            try:
                self.put(name, strongroom.BytesReader(probe), begun=lambda leftover: None, overwrite=True)
            except strongroom.StorageError as error:
                error.remedy = f"Replacing a file failed, which lock and proof files need. {error.remedy}"
                raise
        finally:
            self.delete(name)
        if not there.remote.has(protocol.FSYNC):
            notes.append("The server cannot promise that a file is on its disk (fsync@openssh.com).")
        return proof

    def _remove(self, parts: Sequence[str], name: str) -> None:
        there = self._open()
        with self._errors(name):
            found = there.folders.see(parts)[-1]
            if found is None:
                there.folders.need_root()
                return
            if not found.is_file:
                raise strongroom.StorageError(f"{name} in {there.folders.root} is not a file.")
            try:
                there.remote.remove(there.folders.path(parts))
            except Refused as refused:
                if refused.code != Code.NO_SUCH_FILE:
                    raise
            there.folders.remove_empty(there.folders.above(parts))

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Turn what the server refuses and the connection breaks into our errors, with what to do."""
        from strongroom.ssh import SshError

        try:
            yield
        except Refused as refused:
            there = self._opened
            if there is None:
                raise strongroom.StorageError("This connection was closed.") from refused
            raise error_of(refused, there.remote, there.folders.root, name) from refused
        except SshError as error:
            raise storage_error(error) from error
        except Nonsense as error:
            raise strongroom.StorageError(
                f"{self.config.host} sent what is no SFTP: {error}.", remedy="Try again.", transient=True
            ) from error


def _taken(name: str) -> strongroom.AlreadyExists:
    return strongroom.AlreadyExists(f"There is a file {name} already; it stays as it is.")


def _stored(name: str, found: Attributes) -> strongroom.StoredFile:
    return strongroom.StoredFile(name, found.size or 0, datetime.fromtimestamp(found.modified or 0, UTC))


@strongroom.hookimpl
def strongroom_storages() -> list[type[strongroom.Storage]]:
    return [SftpServer]
