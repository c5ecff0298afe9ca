"""The walk over a TOML text finds the line of every key, whichever way the key was written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.declarative.lines import key_lines, line_of

VALID = '''\
top = 1
when = 1979-05-27 07:32:00
text = """
[[not.a.table]]
key = 1 \\""" still inside
"""
raw = \'\'\'
[neither]
\'\'\'

[[job]]
name = "a"
destinations = [ { name = "x" },
  { name = "y", retention = { mode = "smart", daily = 7 } } ]

[job.options]
retries = 2

[[job]]
name = "b"

[[job.destinations]]
name = "z"
[job.destinations.retention]
keep = 3

[table."quoted.key".'other']
a.b."c d" = true
empty = []
nothing = {}
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("when",), 2),
        (("text",), 3),
        (("raw",), 7),
        (("job",), 11),
        (("job", 0), 11),
        (("job", 0, "name"), 12),
        (("job", 0, "destinations"), 13),
        (("job", 0, "destinations", 0, "name"), 13),
        (("job", 0, "destinations", 1), 14),
        (("job", 0, "destinations", 1, "retention", "daily"), 14),
        (("job", 0, "options", "retries"), 17),
        (("job", 1), 19),
        (("job", 1, "name"), 20),
        (("job", 1, "destinations", 0), 22),
        (("job", 1, "destinations", 0, "name"), 23),
        (("job", 1, "destinations", 0, "retention", "keep"), 25),
        (("table", "quoted.key", "other", "a", "b", "c d"), 28),
        (("table", "quoted.key", "other", "nothing"), 30),
    ],
)
def test_the_line_of_a_key(path: tuple[str | int, ...], line: int) -> None:
    assert key_lines(VALID)[path] == line


def test_a_key_that_is_missing_stands_where_its_table_begins() -> None:
    lines = key_lines(VALID)
    assert line_of(lines, ("job", 1, "source")) == 19
    assert line_of(lines, ("job", 0, "destinations", 1, "nam")) == 14
    assert line_of(lines, ("nowhere", "at", "all")) is None


def test_windows_line_ends_count_once() -> None:
    assert key_lines("a = 1\r\n# x\r\nb = [\r\n 1,\r\n 2 ]\r\n") == {
        ("a",): 1,
        ("b",): 3,
        ("b", 0): 4,
        ("b", 1): 5,
    }


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, below in value.items():
            found |= paths_of(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            found |= paths_of(below, (*path, index))
    return found


def test_every_key_that_tomllib_finds_has_a_line() -> None:
    found = paths_of(tomllib.loads(VALID))
    lines = key_lines(VALID)
    # A table that only a longer header names ([a.b] names a) has no line of its own.
    assert found - lines.keys() == {("table",), ("table", "quoted.key")}


values = st.recursive(
    st.text()
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=5), st.booleans())
def test_no_valid_text_loses_the_walk(document: dict[str, Any], multiline: bool) -> None:
    import tomli_w

    text = tomli_w.dumps(document, multiline_strings=multiline)
    parsed = tomllib.loads(text)
    missing = paths_of(parsed) - key_lines(text).keys()
    # What is left out are tables that only headers of tables below name.
    assert all(any(other[: len(path)] == path for other in key_lines(text)) for path in missing)
