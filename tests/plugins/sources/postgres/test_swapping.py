"""The names of a swap, within PostgreSQL's 63 bytes."""

from __future__ import annotations

import pytest

from plugins.sources.postgres.swapping import beside_name, kept_name


@pytest.mark.parametrize("database", ["shop", "shop_", "ü" * 31, "x" * 63, "a_b_c"])
def test_the_kept_name_carries_the_label_of_the_one_beside(database: str) -> None:
    beside = beside_name(database, "r7k2")
    kept = kept_name(database, beside)
    assert beside.endswith("_r7k2")
    assert kept.endswith("_before_r7k2")
    assert len({database, beside, kept}) == 3
    assert max(len(name.encode()) for name in (beside, kept)) <= 63


def test_a_name_without_a_label_is_still_unique() -> None:
    assert kept_name("shop", "shop") != kept_name("shop", "shop")
