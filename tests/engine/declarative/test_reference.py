"""The tables of docs/configuration.md are those that the adapters' own fields make, for every adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from engine.contract.config import AdapterConfig, field
from engine.contract.registry import Registry
from engine.declarative.document import JobSection, OptionsSection
from engine.declarative.reference import documented, fields_table, written_anew

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_says_what_the_adapters_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    remedy = "run: python -m engine.declarative.reference docs/configuration.md"
    assert written_anew(page, Registry.load()) == page, remedy


def test_the_sources_page_says_what_each_source_can_do() -> None:
    page = (PAGE.parent / "sources.md").read_text(encoding="utf-8")
    remedy = "run: python -m engine.declarative.reference docs/sources.md"
    assert "<!-- sources -->" in page
    assert written_anew(page, Registry.load()) == page, remedy
    assert "| PostgreSQL | `postgresql` | `.dump` | yes | yes | by renaming | postgresql |" in page


def test_every_built_in_adapter_has_its_table() -> None:
    built_in = {
        (its.kind, its.adapter.name)
        for its in Registry.load().all()
        if its.origin.distribution == "strongroom"
    }
    assert documented(PAGE.read_text(encoding="utf-8")) == built_in


def test_every_key_of_a_job_and_every_option_stands_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for model in (JobSection, OptionsSection):
        assert [name for name in model.model_fields if f"| `{name}` |" not in page] == []


def test_a_table_tells_kind_bounds_default_and_choices() -> None:
    class Config(AdapterConfig):
        port: int = field(5432, title="Port", ge=1, le=65535)
        mode: Literal["off", "on"] = field("off", title="Mode", description="One | the other.")
        name: str = field(title="Name")
        tidy: bool = field(True, title="Tidy")

    assert fields_table(Config).splitlines()[2:] == [
        "| `port` | Port | whole number, 1 to 65535 | `5432` |",
        "| `mode` | Mode. One \\| the other. | `off`, `on` | `off` |",
        "| `name` | Name | text | **required** |",
        "| `tidy` | Tidy | true or false | `true` |",
    ]
