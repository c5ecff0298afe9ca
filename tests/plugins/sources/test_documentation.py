"""docs/sources.md shows the fields that the adapters really have, with their words, bounds and defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.config import FieldSpec, describe
from plugins.sources.command import Command
from plugins.sources.duckdb import DuckDB
from plugins.sources.files import Files
from plugins.sources.firebird import Firebird
from plugins.sources.mariadb import MariaDB
from plugins.sources.mongodb import MongoDB
from plugins.sources.postgresql import PostgreSQL
from plugins.sources.postgresql_physical import PostgreSQLPhysical
from plugins.sources.redis import Redis
from plugins.sources.sqlite import Sqlite
from plugins.sources.tree.choosing import PRESETS
from plugins.sources.valkey import Valkey
from strongroom import Source

PAGE = Path(__file__).parents[3] / "docs" / "sources.md"


def row(spec: FieldSpec) -> str:
    kind = spec.kind if not spec.choices else ", ".join(f"`{choice}`" for choice in spec.choices)
    if spec.minimum is not None or spec.maximum is not None:
        kind += f", {spec.minimum:g} to {spec.maximum:g}"
    if spec.required:
        default = "**required**"
    elif spec.default in (None, "", []):
        default = ""
    else:
        default = f"`{str(spec.default).lower() if isinstance(spec.default, bool) else spec.default}`"
    words = f"{spec.title}. {spec.description}" if spec.description else f"{spec.title}."
    return f"| `{spec.name}` | {kind} | {words} | {default} |"


def table(source: type[Source]) -> str:
    head = "| key | kind | what | default |\n|---|---|---|---|"
    return "\n".join([head, *map(row, describe(source.Config))])


@pytest.mark.parametrize(
    "source",
    [
        Command,
        DuckDB,
        Firebird,
        Sqlite,
        Files,
        MariaDB,
        MongoDB,
        PostgreSQL,
        PostgreSQLPhysical,
        Redis,
        Valkey,
    ],
)
def test_the_page_has_the_table_of_the_fields(source: type[Source]) -> None:
    wanted = table(source)
    assert wanted in PAGE.read_text(encoding="utf-8"), f"docs/sources.md should have this table:\n{wanted}"


@pytest.mark.parametrize("preset", PRESETS)
def test_the_page_says_what_each_preset_leaves_out(preset: str) -> None:
    patterns = ", ".join(f"`{pattern}`" for pattern in PRESETS[preset])
    assert f"| `{preset}` | {patterns} |" in PAGE.read_text(encoding="utf-8")
