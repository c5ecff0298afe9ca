"""One window an installation: a second start raises the first one's window, and ends.

A lock file in the installation's folder decides who is first (the kernel frees it with the process);
a local socket carries the second one's wish.
"""

from __future__ import annotations

import hashlib

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from engine.home import Home

LONGEST_PATH = 100
"""A Unix socket's path has room for 107 bytes; a longer one becomes a name made of its hash."""
WAIT_MS = 3000
RAISE = b"raise\n"
DONE = b"done\n"


class SingleInstance(QObject):
    """Whether this process is the one that shows the installation's window."""

    raise_asked = Signal()

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = QLockFile(str(home.root / "window.lock"))
        self._lock.setStaleLockTime(0)
        self._name = _server_name(home)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._sockets: list[QLocalSocket] = []
        self._server.newConnection.connect(self._connected)

    def take(self) -> bool:
        """Become the first; False when another process is."""
        if not self._lock.tryLock(0):
            return False
        QLocalServer.removeServer(self._name)  # what a crash left; the lock says that nobody listens
        self._server.listen(self._name)
        return True

    def ask_first_to_raise(self) -> bool:
        """Ask the first process to show its window; whether it answered. Blocks for seconds at most.

        Only a process that has no window of its own calls this.
        """
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(WAIT_MS):
            return False
        socket.write(RAISE)
        socket.flush()
        answered = socket.waitForReadyRead(WAIT_MS) and bytes(socket.readAll().data()) == DONE
        socket.disconnectFromServer()
        return answered

    def release(self) -> None:
        """Let another process be the first."""
        self._server.close()
        self._lock.unlock()

    def _connected(self) -> None:
        while self._server.hasPendingConnections():
            socket = self._server.nextPendingConnection()
            self._sockets.append(socket)
            socket.readyRead.connect(self._read)
            socket.disconnected.connect(self._forget)
        self._read()

    def _read(self) -> None:
        for socket in self._sockets:
            if socket.canReadLine() and bytes(socket.readLine().data()) == RAISE:
                self.raise_asked.emit()
                socket.write(DONE)
                socket.flush()

    def _forget(self) -> None:
        gone = [its for its in self._sockets if its.state() is QLocalSocket.LocalSocketState.UnconnectedState]
        for socket in gone:
            self._sockets.remove(socket)
            socket.deleteLater()


def _server_name(home: Home) -> str:
    path = str(home.root / "window.sock")
    if len(path.encode()) <= LONGEST_PATH and not _is_windows():
        return path
    return f"strongroom-{hashlib.sha256(path.encode()).hexdigest()[:24]}"


def _is_windows() -> bool:
    import sys

    return sys.platform == "win32"
