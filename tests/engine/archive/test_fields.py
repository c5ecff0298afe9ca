"""Reading the fields of what others may have written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.archive.fields import Fields
from engine.errors import SidecarUnreadable

ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers() | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=3)
)
READERS = ("text", "texts", "count", "number", "counts", "flag", "moment", "inner")


@given(value=ANYTHING, reader=st.sampled_from(READERS))
def test_a_reader_gives_its_kind_or_names_the_field(value: Any, reader: str) -> None:
    fields = Fields({"it": value}, "The file")
    try:
        found = getattr(fields, reader)("it")
    except SidecarUnreadable as error:
        assert error.message == "The file cannot be read: its field it is not what it should be."
        return
    kinds = {"text": str, "texts": tuple, "count": int, "number": float, "counts": dict, "flag": bool}
    if reader in kinds:
        assert type(found) is kinds[reader]
    assert not fields.has("it") if value is None else fields.has("it")


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"inner"}))
def test_a_field_that_is_not_there_is_missing(reader: str) -> None:
    with pytest.raises(SidecarUnreadable, match="its field it is missing"):
        getattr(Fields({}, "The file"), reader)("it")


def test_an_object_within_is_named_in_its_errors() -> None:
    inner = Fields({"outer": {"it": 5}}, "The file").inner("outer")
    assert inner is not None
    with pytest.raises(SidecarUnreadable, match="The file's outer cannot be read: its field it"):
        inner.text("it")
    assert Fields({"outer": None}, "The file").inner("outer") is None
    assert Fields({}, "The file").inner("outer") is None


def test_times_come_back_in_utc() -> None:
    fields = Fields({"it": "2026-11-24T04:00:00+01:00"}, "The file")
    assert fields.moment("it") == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert fields.moment("it").tzinfo is UTC


def test_an_empty_text_is_one_only_where_that_is_allowed() -> None:
    fields = Fields({"it": ""}, "The file")
    assert fields.text("it", empty=True) == ""
    with pytest.raises(SidecarUnreadable):
        fields.text("it")


def test_neither_nan_nor_below_zero_is_a_number() -> None:
    for value in (float("nan"), -0.5, -1, True):
        with pytest.raises(SidecarUnreadable):
            Fields({"it": value}, "The file").number("it")
    assert Fields({"it": 3}, "The file").number("it") == 3.0
