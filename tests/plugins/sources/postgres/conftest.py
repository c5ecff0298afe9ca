"""Real servers for the tests of PostgreSQL's parts; what a test makes on one is gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.contract.config import build
from plugins.sources.postgresql import PostgreSQL
from strongroom.testing import Surroundings
from tests.parts.postgres import (
    Server,
    postgres15,  # noqa: F401 - a fixture
    postgres18,  # noqa: F401 - a fixture
)

Open = Callable[..., PostgreSQL]


def _cleaned(server: Server) -> Iterator[Server]:
    server.clean()  # what whoever had the session's server before has left would be backed up, too
    databases = set(server.databases())
    roles = set(server.list("postgres", "SELECT rolname FROM pg_roles"))
    yield server
    for name in set(server.databases()) - databases:
        server.drop_database(name)
    for role in set(server.list("postgres", "SELECT rolname FROM pg_roles")) - roles:
        quoted = '"' + role.replace('"', '""') + '"'
        server.sql("postgres", f"DROP OWNED BY {quoted}; DROP ROLE {quoted}")


@pytest.fixture
def old(postgres15: Server) -> Iterator[Server]:  # noqa: F811
    yield from _cleaned(postgres15)


@pytest.fixture
def new(postgres18: Server) -> Iterator[Server]:  # noqa: F811
    yield from _cleaned(postgres18)


@pytest.fixture(params=[15, 18])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the two in turn."""
    found: Server = request.getfixturevalue({15: "old", 18: "new"}[request.param])
    return found


@pytest.fixture
def open_on(around: Surroundings) -> Open:
    """`open_on(server, **values)`: the source, configured for that server."""

    def opener(server: Server, **values: object) -> PostgreSQL:
        return PostgreSQL(build(PostgreSQL.Config, server.values(**values)), around.context)

    return opener
