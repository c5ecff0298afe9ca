"""psql held open: answers whole, errors said, the connection's end noticed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

import strongroom
from plugins.sources.postgres.connection import Connection
from plugins.sources.postgres.session import Psql, Session, rows_of
from plugins.sources.postgres.tools import Toolbox
from strongroom.testing import Surroundings
from tests.parts.postgres import PASSWORD, Server, postgres  # noqa: F401 - a fixture


@pytest.fixture
def psql(postgres: Server, around: Surroundings) -> Psql:  # noqa: F811
    context = around.context
    tool = Toolbox(context.host).newest("psql")
    connection = Connection("127.0.0.1", postgres.port, "postgres", SecretStr(PASSWORD))
    return Psql(context.host, tool, connection, context.cancel)


@pytest.fixture
def session(psql: Psql) -> Iterator[Session]:
    session = psql.session("postgres")
    yield session
    session.close()
    session.close()


def test_rows_are_told_apart_by_counting_fields() -> None:
    assert rows_of(b"a\0b\0c\0d\0", 2) == [("a", "b"), ("c", "d")]
    assert rows_of(b"", 2) == []
    assert rows_of(b"\0\0", 2) == [("", "")]


def test_values_hold_anything(session: Session) -> None:
    rows = session.ask("SELECT E'two\\nlines', '', NULL, 'Ünï|\t' FROM generate_series(1, 2);", fields=4)
    assert rows == [("two\nlines", "", "", "Ünï|\t")] * 2


def test_a_large_answer_comes_whole(session: Session) -> None:
    rows = session.ask("SELECT repeat('x', 100), g FROM generate_series(1, 50000) g;", fields=2)
    assert len(rows) == 50000
    assert rows[-1] == ("x" * 100, "50000")


def test_an_error_ends_the_session_and_is_said(session: Session) -> None:
    with pytest.raises(strongroom.ToolFailed, match="division by zero"):
        session.ask("SELECT 1/0;")


def test_an_ended_connection_is_noticed(session: Session, postgres: Server) -> None:  # noqa: F811
    (backend,) = session.ask("SELECT pg_backend_pid();")[0]
    assert postgres.sql("postgres", f"SELECT pg_terminate_backend({backend}, 10000)") == "t"
    with pytest.raises(strongroom.ConnectionFailed, match="went away"):
        session.ask("SELECT 1;")


def test_a_cancel_ends_a_question_that_waits(session: Session, around: Surroundings) -> None:
    threading.Timer(0.2, around.cancel.cancel).start()
    with pytest.raises(strongroom.Cancelled):
        session.ask("SELECT pg_sleep(60);")


def test_a_start_up_file_is_not_read(psql: Psql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".psqlrc").write_text("\\echo disturbed\nSELECT 'disturbed';\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert psql.ask("postgres", "SELECT 1;") == [("1",)]
