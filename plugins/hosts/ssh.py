"""A machine with an SSH login: sources' tools run there as they do here, and drivers reach its servers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

import strongroom
from plugins.ssh_login import SshLogin
from strongroom.hosts import BOOT_LINE, PosixHost

if TYPE_CHECKING:
    from strongroom.ssh import Connection, SshProcess


class SshServer(strongroom.HostAdapter):
    """Any server that lets a user in and gives a POSIX shell."""

    name = "ssh"
    title = "SSH server"
    icon = "server"

    Config = SshLogin
    config: SshLogin

    def open(self) -> SshHost:
        from strongroom.ssh import SshError, connect, connection_failed

        access = self.config.access()
        with ExitStack() as stack:
            sock = None
            if not self.context.host.local:
                # Through the host before this one: what goes through it is encrypted to this server.
                way = self.context.host.tunnel(access.host, access.port)
                sock = socket.create_connection(stack.enter_context(way), timeout=10)
                stack.callback(sock.close)
            try:
                connection = connect(access, self.context.cancel, sock=sock)
            except SshError as error:
                raise connection_failed(error) from error
            stack.callback(connection.close)
            return SshHost(connection, stack.pop_all())
        raise AssertionError("unreachable")


class SshHost(PosixHost):
    """One connection, over which everything goes; `held` is what is let go of with it."""

    def __init__(self, connection: Connection, held: ExitStack) -> None:
        super().__init__()
        self._connection = connection
        self._held = held
        self.name = connection.access.server

    def open_shell(self, *, aside: bool) -> SshProcess:
        from strongroom.ssh import SshProcess

        return SshProcess(self._connection, BOOT_LINE, aside=aside)

    def tunnel(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        return self._tunnel(host, port)

    @contextmanager
    def _tunnel(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        from strongroom.ssh import SshError, connection_failed, forwarded

        with ExitStack() as stack:
            try:
                address = stack.enter_context(forwarded(self._connection, host, port))
            except SshError as error:
                raise connection_failed(error) from error
            yield address

    def close(self) -> None:
        self._held.close()


@strongroom.hookimpl
def strongroom_hosts() -> list[type[strongroom.HostAdapter]]:
    return [SshServer]
