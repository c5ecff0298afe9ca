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


ESSENTIAL = frozenset(
    {
        "test_a_check_tells_engine_version_and_databases",
        "test_a_restore_gives_row_for_row_what_was_dumped",
        "test_odd_names_work_everywhere",
        "test_large_rows_come_back",
        "test_the_states_of_a_target",
        "test_a_filled_target_is_refused_and_stays_as_it_was",
        "test_a_cut_dump_is_refused_and_leaves_nothing",
        "test_an_error_of_the_stream_is_raised_as_it_is",
        "test_a_cancel_ends_a_dump_at_once",
        "test_a_cancel_ends_a_restore_that_waits_for_bytes",
        "test_a_replaced_database_is_kept",
        "test_dropping_twice_is_fine",
        "test_a_wrong_password_is_said_and_not_shown",
        "test_a_missing_tool_is_named_with_a_remedy",
        "test_a_tool_that_fails_fails_the_dump",
    }
)
"""What a host can spoil. A login each makes all of a suite take minutes; all of them passed over SSH."""


def essential(suite: type) -> type:
    """Leave the others out of a suite; each of `ESSENTIAL` must be there somewhere."""
    for name in dir(suite):
        if name.startswith("test_") and name not in ESSENTIAL:
            setattr(suite, name, None)  # what is not callable is not collected
    return suite


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


@essential
class TestFilesOverSsh(OverSsh, _Files):
    pass


@essential
class TestMariaDBOverSsh(OverSsh, _MariaDB):
    pass


@essential
class TestPostgreSQLOverSsh(OverSsh, _PostgreSQL):
    pass


def test_each_essential_test_is_one_of_a_suite() -> None:
    assert {name for name in dir(TestPostgreSQLOverSsh) if name in ESSENTIAL} == ESSENTIAL
