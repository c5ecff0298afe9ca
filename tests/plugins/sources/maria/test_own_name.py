"""What names its own database goes from a dump, wherever the dump is cut; what only looks like it stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import strongroom
from plugins.sources.maria.own_name import database_of, without_own_name
from strongroom import TargetState
from strongroom.testing.laboratory import dumped
from tests.parts.mariadb import Server
from tests.plugins.sources.maria.conftest import whole

DUMP = rb"""-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: the `shop`
-- ------------------------------------------------------
CREATE TABLE `t` (
  `a` int(11) DEFAULT nextval(`the ``shop```.`numbers`),
  `b` int(11) DEFAULT nextval(`another`.`numbers`),
  `c` varchar(9) DEFAULT 'nextval(`the ``shop```.`numbers`)' COMMENT 'it''s nextval(`the ``shop```.`x`)'
) ENGINE=InnoDB;
INSERT INTO `t` VALUES
(1,2,'DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER shop.x BEFORE INSERT ON shop.t FOR EACH ROW');
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 trigger shop.one before insert on
 `the ``shop``` . t for each row set new.a = (select max(a) from shop.t)
*/;;
DELIMITER ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER IF NOT EXISTS /* a */ "the x" -- b
. `two` AFTER UPDATE OF a, `on` ON shop.`t` FOR EACH ROW begin end
*/;;
DELIMITER ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`localhost`*/ /*!50003 TRIGGER c AFTER DELETE ON t FOR EACH ROW set a=1
*/;;
DELIMITER ;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `p`()
begin
CREATE TABLE `made` (id int default nextval(`the ``shop```.`numbers`)
) engine=innodb;
CREATE TABLE `open` (a int);
end ;;
DELIMITER ;
DELIMITER ;;
/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY
 ON COMPLETION NOT PRESERVE ENABLE COMMENT 'ON COMPLETION PRESERVE ENABLE' DO begin end */ ;;
DELIMITER ;
-- Dump completed
"""
WANTED = (
    DUMP.replace(b"DEFAULT nextval(`the ``shop```.", b"DEFAULT nextval(", 1)
    .replace(b"trigger shop.one before", b"trigger one before")
    .replace(b"on\n `the ``shop``` . t for", b"on\n t for")
    .replace(b'"the x" -- b\n. `two`', b"`two`")
    .replace(b"ON shop.`t`", b"ON `t`")
)


@pytest.mark.parametrize("size", [1, 3, 17, 400, 1 << 20])
def test_it_is_the_same_wherever_the_dump_is_cut(size: int) -> None:
    chunks = [DUMP[at : at + size] for at in range(0, len(DUMP), size)]
    found = b"".join(without_own_name(chunks, database_of(DUMP)))
    assert found == WANTED
    assert found != DUMP
    resting = b"".join(without_own_name(chunks, database_of(DUMP), resting=True))
    assert resting == WANTED.replace(b"NOT PRESERVE ENABLE", b"NOT PRESERVE DISABLE")


def test_what_has_no_end_goes_by() -> None:
    for text in (
        b"CREATE TABLE `t` (",
        b"DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER a",
        b"x",
        b"",
        b"\n",
    ):
        assert b"".join(without_own_name([text], "shop")) == text


def test_a_copy_has_its_own_triggers_and_sequences(server: Server, source: Callable[..., Any]) -> None:
    server.sql("CREATE DATABASE q; CREATE TABLE q.t (a int); CREATE SEQUENCE q.numbers")
    server.sql("CREATE TABLE q.u (a int DEFAULT nextval(q.numbers), b int)")
    server.sql("CREATE TRIGGER q.tg BEFORE INSERT ON q.t FOR EACH ROW SET NEW.a = 2")
    here = source()
    chunks, _ = dumped(here, "q")
    server.sql("DROP TRIGGER q.tg")
    here.restore("copy", chunks)
    rows = server.sql("SELECT TRIGGER_SCHEMA, EVENT_OBJECT_SCHEMA FROM information_schema.TRIGGERS")
    assert ["copy", "copy"] in rows and not any("q" in row for row in rows)
    server.sql("INSERT INTO copy.u (b) VALUES (1); INSERT INTO copy.t VALUES (1)")
    assert server.sql("SELECT NEXTVAL(q.numbers)") == [["1"]], "the original's sequence was not asked"
    assert server.sql("SELECT a FROM copy.t") == [["2"]]


@pytest.mark.parametrize("trial", [True, False])
def test_the_events_of_a_trial_rest(
    server: Server, source: Callable[..., Any], tmp_path: Path, trial: bool
) -> None:
    server.sql("CREATE DATABASE timed; CREATE TABLE timed.t (i int)")
    text = "DO INSERT INTO t VALUES (1) /* ON COMPLETION PRESERVE ENABLE */"
    server.sql(f"CREATE EVENT `e ``ON` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE {text}", "timed")
    server.sql("CREATE EVENT f ON SCHEDULE EVERY 2 DAY DISABLE DO SET @a = 1", "timed")
    here = source()
    chunks, _ = dumped(here, "timed")
    name = here.scratch_name("timed", "drill_1", tmp_path) if trial else "timed_copy"
    here.restore(name, chunks)
    rows = server.sql(
        "SELECT STATUS, ON_COMPLETION, EVENT_NAME FROM information_schema.EVENTS"  # noqa: S608
        f" WHERE EVENT_SCHEMA = '{name}' ORDER BY 3"
    )
    assert rows == [
        ["DISABLED" if trial else "ENABLED", "PRESERVE", "e `ON"],
        ["DISABLED", "NOT PRESERVE", "f"],
    ]


def test_values_that_only_some_modes_take_come_back_as_they_were(
    server: Server, source: Callable[..., Any]
) -> None:
    server.sql("CREATE DATABASE odd; CREATE TABLE odd.d (i int, d date, t datetime, CHECK (i > 5))")
    server.sql(
        "SET sql_mode = 'ALLOW_INVALID_DATES'; SET check_constraint_checks = 0;"
        " INSERT INTO odd.d VALUES (1, '2023-02-30', '2023-04-31 10:00:00'), (6, '0000-00-00', '2023-00-00')"
    )
    here = source()
    here.restore("copy", dumped(here, "odd")[0])
    assert whole(server, "copy") == whole(server, "odd")
    assert server.sql("SELECT d, t FROM copy.d WHERE i = 1") == [["2023-02-30", "2023-04-31 10:00:00"]]


def test_tables_whose_rows_are_elsewhere_and_names_of_two_lines_are_compared_rightly(
    server: Server, source: Callable[..., Any]
) -> None:
    server.sql("CREATE DATABASE merged; CREATE TABLE merged.a (i int) ENGINE=MyISAM")
    server.sql("INSERT INTO merged.a VALUES (1), (2); CREATE TABLE merged.`new\nline` (i int)")
    server.sql(
        "CREATE TABLE merged.m (i int) ENGINE=MERGE UNION=(merged.a);"
        " INSERT INTO merged.`new\nline` VALUES (7)"
    )
    here = source()
    chunks, counted = dumped(here, "merged")
    assert counted.tables == {"a": 2, "m": 0, "new\nline": 1}
    here.restore("copy", chunks)
    assert counted.differences(here.fingerprint("copy")) == []


def test_a_view_on_what_is_left_out_is_told_before(server: Server, source: Callable[..., Any]) -> None:
    server.sql(
        "CREATE DATABASE part; CREATE TABLE part.big (i int); CREATE VIEW part.v AS SELECT i FROM part.big"
    )
    server.sql("CREATE VIEW part.w AS SELECT 1; CREATE TABLE part.bigger (i int)")
    with pytest.raises(strongroom.SourceError, match="the view 'v', which uses 'big'"):
        source(databases=["part"], exclude_tables=["big", "bigger"]).check()
    here = source(databases=["part"], exclude_tables=["big", "v"])
    assert here.check().failing == {}
    here.restore("copy", dumped(here, "part")[0])
    assert here.target_state("copy") is TargetState.FILLED


def test_a_definer_that_is_gone_is_named_with_what_to_do(server: Server, source: Callable[..., Any]) -> None:
    server.sql("CREATE USER ghost@localhost; CREATE DATABASE haunted; CREATE TABLE haunted.t (i int)")
    server.sql("GRANT SELECT ON haunted.* TO ghost@localhost")
    server.sql("CREATE DEFINER=ghost@localhost VIEW haunted.v AS SELECT i FROM haunted.t")
    server.sql("CREATE VIEW haunted.w AS SELECT i FROM haunted.v")
    here = source()
    chunks, _ = dumped(here, "haunted")
    server.sql("DROP USER ghost@localhost")
    with pytest.raises(strongroom.SourceError, match="not known") as caught:
        here.restore("copy", chunks)
    assert "Create that user" in caught.value.remedy and "ghost" in caught.value.message
    assert "copy" not in server.databases()
