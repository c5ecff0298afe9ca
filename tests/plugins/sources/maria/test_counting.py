"""Rows counted in a dump as it goes by, however it is cut into chunks, and whoever's tool wrote it."""

from __future__ import annotations

import random

import pytest

from plugins.sources.maria.counting import RowCounter

A_LINE_A_ROW = rb"""-- MariaDB dump
CREATE TABLE `plain` (
  `s` text DEFAULT 'INSERT INTO `no` VALUES'
);
INSERT INTO `plain` VALUES
(1,'it\'s; \n'),
(2,'),('),
(3,NULL);
INSERT INTO `plain` VALUES
(4,'x');
CREATE TABLE `odd ``name`` (` (
  `i` int
);
INSERT INTO `odd ``name`` (` (`i`) VALUES
(1),
(2);
CREATE TABLE `empty` (
  `i` int
);
CREATE TABLE `two
lines` (
  `i` int
);
INSERT INTO `two
lines` VALUES
(1);
DELIMITER ;;
CREATE PROCEDURE `p`()
begin
INSERT INTO `plain` VALUES
(1,'not a row');
CREATE TABLE `ghost` (i int);
end ;;
DELIMITER ;
-- Dump completed on 2026-11-24 03:00:00
"""
A_LINE_A_STATEMENT = rb"""-- MySQL dump
CREATE TABLE `plain` (
  `s` text
);
INSERT INTO `plain` VALUES (1,'it\'s ),( \\'),(2,'),('),(3,NULL);
INSERT INTO `plain` VALUES (4,'a''),(b');
CREATE TABLE `odd ``name`` (` (
  `i` int
);
INSERT INTO `odd ``name`` (` (`i`) VALUES (1),(2);
CREATE TABLE `empty` (
  `i` int
);
CREATE TABLE `two
lines` (
  `i` int
);
INSERT INTO `two
lines` VALUES (1);
-- Dump completed on 2026-11-24  3:00:00
"""
WANTED = {"plain": 4, "odd `name` (": 2, "empty": 0, "two\nlines": 1}


@pytest.mark.parametrize("dump", [A_LINE_A_ROW, A_LINE_A_STATEMENT], ids=["MariaDB's", "MySQL's"])
@pytest.mark.parametrize("most", [1, 2, 7, 50, 10_000])
def test_rows_are_counted_however_the_dump_is_cut(dump: bytes, most: int) -> None:
    order = random.Random(most)
    counter = RowCounter()
    at = 0
    while at < len(dump):
        size = order.randint(1, most)
        counter.feed(dump[at : at + size])
        at += size
    assert counter.tables == WANTED
