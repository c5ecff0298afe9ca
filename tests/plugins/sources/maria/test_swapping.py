"""A swap of two databases: all of both, and a failure or a crash at any moment loses nothing of either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import strongroom
from plugins.sources.maria.client import Client
from plugins.sources.maria.definitions import Definitions
from plugins.sources.maria.swapping import Swap
from strongroom import TargetState
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.mariadb import Server
from tests.plugins.sources.maria.conftest import everything, made_with, whole

NEWER = """
CREATE TABLE t (i int); CREATE TABLE u (i int); CREATE VIEW v AS SELECT i FROM t;
CREATE PROCEDURE p() SELECT 1;
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.i = NEW.i + 1;
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 2;
"""
OLDER = """
CREATE TABLE t (i int, j int); INSERT INTO t VALUES (1, 2); CREATE VIEW v AS SELECT j FROM t;
CREATE VIEW w AS SELECT * FROM v; CREATE FUNCTION f() RETURNS int RETURN 3; CREATE PROCEDURE p() SELECT 2;
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.i = 9;
"""
PACKAGE = """
DELIMITER //
SET sql_mode = ORACLE//
CREATE PACKAGE pack AS FUNCTION one RETURN int; END//
CREATE PACKAGE BODY pack AS FUNCTION one RETURN int AS BEGIN RETURN 1; END; END//
"""


def two(server: Server) -> tuple[list[str], list[str]]:
    """An older and a newer database, and what each is."""
    server.sql("CREATE DATABASE shop CHARACTER SET latin1; CREATE DATABASE shop_r1 CHARACTER SET utf8mb4")
    server.sql(OLDER, "shop")
    server.sql(NEWER, "shop_r1")
    return whole(server, "shop"), whole(server, "shop_r1")


def test_a_swap_moves_all_of_both(server: Server, source: Callable[..., Any]) -> None:
    old = everything(server)
    server.sql("CREATE DATABASE newer CHARACTER SET utf8mb4; CREATE TABLE newer.t (i int)")
    server.sql("CREATE VIEW v AS SELECT i FROM t; CREATE PROCEDURE p() SELECT 1;", "newer")
    server.sql("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.i = NEW.i + 1", "newer")
    before, wanted = whole(server, old), whole(server, "newer")
    here = source()
    beside = here.beside_name(old, "r1")
    here.restore(beside, dumped(here, "newer")[0])
    kept = here.replace(beside, old)
    assert kept == "shop_before_r1"
    assert whole(server, old) == wanted and made_with(server, old)[0] == "utf8mb4"
    assert whole(server, kept) == before and made_with(server, kept)[0] == "latin1"
    assert here.target_state(beside) is TargetState.MISSING


def test_an_event_of_the_old_database_runs_no_more(server: Server, source: Callable[..., Any]) -> None:
    server.sql("CREATE DATABASE shop; CREATE DATABASE beside")
    server.sql("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", "shop")
    server.sql("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 2", "beside")
    kept = source().replace("beside", "shop")
    states = server.sql("SELECT EVENT_SCHEMA, STATUS FROM information_schema.EVENTS ORDER BY 1")
    assert states == [["shop", "ENABLED"], [kept, "DISABLED"]]


@pytest.mark.parametrize(
    ("where", "step"), [(Swap, "_rename"), (Definitions, "make"), (Definitions, "disable_events")]
)
def test_a_swap_that_fails_leaves_both_as_they_were(
    server: Server,
    source: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    where: type[Any],
    step: str,
) -> None:
    old = everything(server)
    here = source()
    beside = here.beside_name(old, "r1")
    here.restore(beside, dumped(here, old)[0])
    server.sql("INSERT INTO parents (name) VALUES ('newest')", beside)
    before, other = whole(server, old), whole(server, beside)
    real = getattr(where, step)
    calls: list[int] = []

    def failing(self: Any, *arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise strongroom.SourceError("it broke", remedy="mend it")
        return real(self, *arguments, **more)

    monkeypatch.setattr(where, step, failing)
    with pytest.raises(strongroom.SourceError, match="it broke"):
        here.replace(beside, old)
    assert whole(server, old) == before
    assert whole(server, beside) == other
    assert sorted(server.databases()) == [old, beside]


class Crash(BaseException):
    """What ends a process, and lets nothing be tidied up."""


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("over", [True, False])
def test_a_crash_at_any_statement_is_put_in_order_afterwards(
    server: Server, source: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, over: bool, first: int
) -> None:
    ran = Client._run
    done = first
    moment = 0
    ends: set[bool] = set()

    def counted(self: Client, *arguments: Any) -> Any:
        nonlocal moment
        if moment == 0:
            raise Crash
        moment -= 1
        return ran(self, *arguments)

    while True:
        older, newer = two(server)
        if not over:
            server.sql("DROP DATABASE shop")
        adapter = source()
        moment = done
        monkeypatch.setattr(Client, "_run", counted)
        try:
            adapter.replace("shop_r1", "shop")
            break
        except Crash:
            pass
        finally:
            monkeypatch.setattr(Client, "_run", ran)
        took = source().resume_replace("shop_r1", "shop")
        ends.add(took)
        if took:
            assert whole(server, "shop") == newer, done
            assert "shop_r1" not in server.databases(), done
            assert not over or whole(server, "shop_before_r1") == older, done
        else:
            assert not over or whole(server, "shop") == older, done
            assert ("shop" in server.databases()) is over, done
            assert "shop_before_r1" not in server.databases(), done
        for name in ("shop", "shop_r1", "shop_before_r1"):
            server.sql(f"DROP DATABASE IF EXISTS {name}")
        done += 3
    assert ends == {True, False}
    assert done > 15


def test_a_package_of_the_oracle_mode_moves_too(server: Server, source: Callable[..., Any]) -> None:
    older, newer = two(server)
    server.sql(PACKAGE, "shop")
    older = whole(server, "shop")
    assert any("PACKAGE BODY" in line for line in older)
    assert source().replace("shop_r1", "shop") == "shop_before_r1"
    assert (whole(server, "shop"), whole(server, "shop_before_r1")) == (newer, older)


def test_rights_on_single_routines_stay(server: Server, source: Callable[..., Any]) -> None:
    two(server)
    server.sql("CREATE USER 'app'@'%' IDENTIFIED BY 'x1'; CREATE ROLE clerks")
    try:
        server.sql("GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE shop.p TO 'app'@'%' WITH GRANT OPTION")
        server.sql(
            "GRANT EXECUTE ON PROCEDURE shop.p TO clerks; GRANT EXECUTE ON FUNCTION shop.f TO 'app'@'%'"
        )
        granted = server.sql("SHOW GRANTS FOR 'app'@'%'") + server.sql("SHOW GRANTS FOR clerks")
        source().replace("shop_r1", "shop")
        now = server.sql("SHOW GRANTS FOR 'app'@'%'") + server.sql("SHOW GRANTS FOR clerks")
        assert sorted(now) == sorted(line for line in granted if "FUNCTION" not in line[0])  # it has no f
    finally:
        server.sql("DROP USER 'app'@'%'; DROP ROLE clerks")


def test_rights_on_single_routines_stay_when_a_swap_is_undone(
    server: Server, source: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    older, _ = two(server)
    server.sql("CREATE USER 'app'@'%' IDENTIFIED BY 'x1'")
    try:
        server.sql("GRANT EXECUTE ON PROCEDURE shop.p TO 'app'@'%'")
        server.sql("GRANT EXECUTE ON FUNCTION shop.f TO 'app'@'%'")
        granted = sorted(server.sql("SHOW GRANTS FOR 'app'@'%'"))
        made = Definitions.make

        def late(self: Definitions, database: str, parts: dict[str, bytes], **more: Any) -> None:
            made(self, database, parts, **more)
            if database == "shop":
                raise strongroom.SourceError("it broke", remedy="mend it")

        monkeypatch.setattr(Definitions, "make", late)
        with pytest.raises(strongroom.SourceError, match="it broke"):
            source().replace("shop_r1", "shop")
        assert sorted(server.sql("SHOW GRANTS FOR 'app'@'%'")) == granted
        assert whole(server, "shop") == older
    finally:
        server.sql("DROP USER 'app'@'%'")


def test_a_broken_old_database_can_be_replaced(
    server: Server, source: Callable[..., Any], around: Surroundings
) -> None:
    _, newer = two(server)
    server.sql("CREATE DEFINER='ghost'@'%' VIEW haunted AS SELECT i FROM t; DROP VIEW v", "shop")
    assert source().replace("shop_r1", "shop") == "shop_before_r1"
    assert whole(server, "shop") == newer
    assert any("Not all that shop" in line for line, _ in around.log)


def test_who_holds_a_table_is_waited_for_and_no_longer(
    server: Server, source: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = two(server)
    monkeypatch.setattr("plugins.sources.maria.definitions.PATIENCE", 1)
    with server.holding("LOCK TABLES t READ", "shop"), pytest.raises(strongroom.SourceError, match="1205"):
        source().replace("shop_r1", "shop")
    assert (whole(server, "shop"), whole(server, "shop_r1")) == (older, newer)
    assert "shop_before_r1" not in server.databases()
