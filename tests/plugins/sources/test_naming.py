"""Lists of databases: a blank name is refused, and one that stands twice counts once."""

from __future__ import annotations

import pytest

from engine.contract.config import build
from engine.errors import ConfigError
from plugins.sources.mariadb import MariaDB
from plugins.sources.mongodb import MongoDB
from plugins.sources.mysql import MySQL
from plugins.sources.postgresql import PostgreSQL

SOURCES = (PostgreSQL, MariaDB, MySQL, MongoDB)


@pytest.mark.parametrize("source", SOURCES)
def test_a_name_that_stands_twice_counts_once(source: type) -> None:
    values = {"host": "db", "user": "u", "databases": ["shop", "blog", "shop"]}
    assert build(source.Config, values).databases == ["shop", "blog"]


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("source", SOURCES)
def test_a_blank_name_is_refused(source: type, blank: str) -> None:
    with pytest.raises(ConfigError, match="a name is empty"):
        build(source.Config, {"host": "db", "user": "u", "databases": ["shop", blank]})
