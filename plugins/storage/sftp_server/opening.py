"""From a configuration to a connection, and to all that works over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import strongroom
from plugins.storage import names
from plugins.storage.sftp_server.folders import Folders, root_of
from plugins.storage.sftp_server.proof import Prover
from plugins.storage.sftp_server.protocol import Refused
from plugins.storage.sftp_server.remote import Remote
from plugins.storage.sftp_server.session import Session
from plugins.storage.sftp_server.settings import Settings
from plugins.storage.sftp_server.writing import Writer

if TYPE_CHECKING:
    from strongroom.ssh import Connection, SshError


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection and what works over it."""

    connection: Connection
    remote: Remote
    folders: Folders
    prover: Prover

    @property
    def is_alive(self) -> bool:
        return self.connection.is_alive

    def replaces_by_renaming(self, name: str) -> bool:
        """Whether the server's rename replaces a file, here a probe; the protocol says that it may not."""
        other = self.folders.path([names.temporary(name)])
        Writer(self.remote, other).finish()
        try:
            self.remote.rename(other, self.folders.path([name]))
        except Refused:
            self.remote.remove(other)
            return False
        return True

    def close(self) -> None:
        self.connection.close()


def opened(config: Settings, context: strongroom.Context) -> Opened:
    """Connect and log in. Raises `StorageError`, `NeedsTrust`, `Cancelled`."""
    from strongroom.ssh import SshError, connect

    access = config.access()
    try:
        connection = connect(access, context.cancel)
        try:
            remote = Remote(Session(connection, context.cancel))
            folders = Folders(remote, root_of(remote, config.path.strip()))
            prover = Prover(remote, connection, context, always_read=config.read_back == "always")
        except BaseException:
            connection.close()
            raise
    except SshError as error:
        raise storage_error(error) from error
    except Refused as refused:
        raise strongroom.StorageError(
            f"{access.server} does not tell where its login folder is: {refused.words}.",
            remedy="Give the folder by its absolute path.",
        ) from refused
    return Opened(connection, remote, folders, prover)


def storage_error(error: SshError) -> strongroom.StorageError:
    """The connection's error as a storage's."""
    return strongroom.StorageError(error.message, remedy=error.remedy, transient=error.transient)
