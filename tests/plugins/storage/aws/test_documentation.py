"""docs/storage-s3.md shows the fields that the adapter really has, with their words, bounds and defaults."""

from __future__ import annotations

from pathlib import Path

from plugins.storage.s3 import S3
from tests.plugins.sources.test_documentation import table

PAGE = Path(__file__).parents[4] / "docs" / "storage-s3.md"


def test_the_page_has_the_table_of_the_fields() -> None:
    wanted = table(S3)  # type: ignore[arg-type]
    assert wanted in PAGE.read_text(encoding="utf-8"), f"docs/storage-s3.md should have this table:\n{wanted}"


def test_the_page_has_the_figures_of_the_parts() -> None:
    from plugins.storage.aws.parts import FIRST, MOST, part_size

    text = PAGE.read_text(encoding="utf-8")
    assert f"{FIRST >> 20} MiB" in text
    assert f"{sum(part_size(number) for number in range(1, MOST + 1)) / 2**40:.1f} TiB" in text
