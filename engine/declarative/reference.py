"""The tables of docs/configuration.md and docs/sources.md, made from the adapters themselves.

    python -m engine.declarative.reference docs/configuration.md docs/sources.md

writes them anew between their marks; a test fails while they differ.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from engine.contract.config import AdapterConfig, FieldSpec, describe
from engine.contract.registry import KIND_NAMES, KindName, Registry

_MARK = re.compile(
    r"(?P<begin><!-- fields: (?P<kind>\w+) (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
_SOURCES = re.compile(r"(?P<begin><!-- sources -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
_KINDS = {
    "text": "text",
    "secret": "secret",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "file": "path of a file",
    "folder": "path of a folder",
    "list": "list",
    "multiline": "text",
}


def fields_table(config: type[AdapterConfig]) -> str:
    """A Markdown table of a configuration's fields."""
    lines = ["| key | what | value | default |", "|---|---|---|---|"]
    for spec in describe(config):
        what = spec.title if not spec.description else f"{spec.title}. {spec.description}"
        lines.append(f"| `{spec.name}` | {_cell(what)} | {_cell(_value(spec))} | {_default(spec)} |")
    return "\n".join(lines) + "\n"


def _value(spec: FieldSpec) -> str:
    if spec.kind == "choice":
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    bounds = ""
    if spec.minimum is not None and spec.maximum is not None:
        bounds = f", {spec.minimum:g} to {spec.maximum:g}"
    elif spec.minimum is not None:
        bounds = f", at least {spec.minimum:g}"
    elif spec.maximum is not None:
        bounds = f", at most {spec.maximum:g}"
    return _KINDS.get(spec.kind, spec.kind) + bounds


def _default(spec: FieldSpec) -> str:
    if spec.required:
        return "**required**"
    if spec.default is None or spec.default in ("", [], ()):
        return ""
    value = str(getattr(spec.default, "value", spec.default))
    return f"`{value.lower() if isinstance(spec.default, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def written_anew(page: str, registry: Registry) -> str:
    """The page with every table between its marks made anew."""

    def table(match: re.Match[str]) -> str:
        kinds: dict[str, KindName] = {kind: kind for kind in KIND_NAMES}
        adapter = registry.adapter(kinds[match["kind"]], match["name"])
        return match["begin"] + fields_table(adapter.Config) + match["end"]

    replace: Callable[[re.Match[str]], str] = table
    page = _SOURCES.sub(lambda match: match["begin"] + sources_table(registry) + match["end"], page)
    return _MARK.sub(replace, page)


def sources_table(registry: Registry) -> str:
    """A Markdown table of what each source can do, one row each."""
    lines = [
        "| source | adapter | a backup's file | several databases | TLS | replaces | takes backups of "
        "| choices of a restore |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in registry.all("source"):
        source = registry.source(found.adapter.name)
        names = [spec.name for spec in describe(source.Config)]
        several = {"databases", "paths"} & set(names)
        over = "by renaming" if source.can_replace else "in place" if source.restores_over else "anew"
        choices = ", ".join(f"`{name}`" for name in names if name.startswith("restore_"))
        cells = [
            source.title,
            f"`{source.name}`",
            f"`.{source.extension}`",
            "yes" if several else "",
            "yes" if "tls" in names or "ssl_mode" in names else "",
            over,
            ", ".join((source.engine, *source.accepts)),
            choices,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def documented(page: str) -> set[tuple[str, str]]:
    """The kinds and names of the adapters that have a table on the page."""
    return {(match["kind"], match["name"]) for match in _MARK.finditer(page)}


if __name__ == "__main__":
    for its_path in map(Path, sys.argv[1:]):
        its_page = its_path.read_text(encoding="utf-8")
        its_path.write_text(written_anew(its_page, Registry.load()), encoding="utf-8")
