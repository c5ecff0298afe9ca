"""For plugins that lead to a machine or a container: a host behind a POSIX shell, and how its shell begins.

class Jail(strongroom.hosts.PosixHost):
    name = "the jail"

    def open_shell(self, *, aside):
        host = self.before.aside() if aside else self.before
        return host.run(["jexec", "db", "sh", "-c", strongroom.hosts.BOOT], stdin=True)
"""

from __future__ import annotations

from engine.hosts.posix import PosixHost
from engine.hosts.script import BOOT, BOOT_LINE

__all__ = ["BOOT", "BOOT_LINE", "PosixHost"]
