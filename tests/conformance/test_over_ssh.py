"""The sources' own suites once more, with their tools at the other end of a real SSH connection.

The same adapters, the same laboratories: only the host differs. Names and passwords are as odd as there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract.config import build
from engine.hosts.local import LocalHost
from plugins.hosts.ssh import SshServer as SshHostAdapter
from strongroom.testing import Surroundings
from tests.conformance.test_files import TestFiles as _Files
from tests.conformance.test_maria_sources import TestMariaDB as _MariaDB
from tests.conformance.test_sources import TestPostgres15 as _PostgreSQL
from tests.parts.mariadb import mariadb  # noqa: F401 - a fixture
from tests.parts.postgres import postgres15, postgres18  # noqa: F401 - fixtures
from tests.parts.sshd import SshServer, sshd  # noqa: F401 - a fixture


class SshSurroundings(Surroundings):
    """Surroundings whose tools run over SSH; each has a connection of its own, as each run has."""

    server: SshServer

    @property
    def context(self):  # type: ignore[no-untyped-def]
        if self.host is None:
            values = {key: value for key, value in self.server.values().items() if key != "path"}
            adapter = SshHostAdapter(
                build(SshHostAdapter.Config, values), self.context_on(LocalHost(self.cancel))
            )
            self.host = adapter.open()
        return self.context_on(self.host)


class OverSsh:
    @pytest.fixture
    def around(self, tmp_path: Path, sshd: SshServer) -> Iterator[Surroundings]:  # noqa: F811
        folder = tmp_path / "around"
        folder.mkdir()
        SshSurroundings.server = sshd
        found = SshSurroundings(folder)
        yield found
        if found.host is not None:
            found.host.close()


class TestFilesOverSsh(OverSsh, _Files):
    pass


class TestMariaDBOverSsh(OverSsh, _MariaDB):
    pass


class TestPostgreSQLOverSsh(OverSsh, _PostgreSQL):
    pass
