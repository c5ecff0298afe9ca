"""SSH for plugins: an access, and the connection that it makes.

Import it inside the functions that connect: the library below it takes 0.2 s to load.
"""

from __future__ import annotations

from engine.errors import SshError
from engine.ssh.access import Access
from engine.ssh.commands import Answer, Command, run
from engine.ssh.connection import GRACE, Connection, connect
from engine.ssh.forwarding import forwarded
from engine.ssh.processes import SshProcess, connection_failed

__all__ = [
    "GRACE",
    "Access",
    "Answer",
    "Command",
    "Connection",
    "SshError",
    "SshProcess",
    "connect",
    "connection_failed",
    "forwarded",
    "run",
]
