"""What of a database is dumped: the patterns for schemas and tables, as pg_dump and we understand them.

A pattern is a name as it is written, letter case and spaces included; `*` and `?` stand for any letters, a
dot parts schema and table, and in "double quotes" everything means itself, as in pg_dump's own language.
All but the wild cards goes to pg_dump in quotes, so that no name is folded or taken for an expression.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Relation(NamedTuple):
    """A table as the catalogue knows it.

    `parent` is the table that it is a partition of, "" for none; `by_hash` says that this one spreads its
    rows over its partitions by their hash.
    """

    oid: str
    schema: str
    name: str
    kind: str
    parent: str
    by_hash: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """One name, or one for a schema and one for what is in it; as pg_dump's text and as expressions."""

    text: str
    given: str
    parts: tuple[re.Pattern[str], ...]

    def fits(self, *names: str) -> bool:
        """Whether it stands for this schema, or for this schema and relation."""
        return all(part.fullmatch(name) is not None for part, name in zip(self.parts, names, strict=True))


def parse_name(given: str) -> Pattern:
    """The pattern for a schema: a dot outside of quotes means itself. Raises `ValueError`."""
    if len(parts := _split(given, dots=False)) != 1:
        raise ValueError(f"{given!r} names no schema")
    return Pattern(_quoted(parts[0]), given, (_expression(parts[0]),))


def parse_table(given: str) -> Pattern:
    """The pattern for a table, with or without its schema. Raises `ValueError`."""
    parts = _split(given, dots=True)
    if len(parts) > 2:
        raise ValueError(
            f'{given!r} has too many dots: put a name that holds one in double quotes ("a.b".orders)'
        )
    if len(parts) == 1:
        # pg_dump would look where its search_path says; a name alone means that table wherever it is.
        parts.insert(0, [("*", True)])
    return Pattern(".".join(map(_quoted, parts)), given, tuple(map(_expression, parts)))


_Piece = tuple[str, bool]  # a text, and whether it is a wild card


def _split(given: str, *, dots: bool) -> list[list[_Piece]]:
    parts: list[list[_Piece]] = [[]]
    at = 0
    while at < len(given):
        letter = given[at]
        if letter == '"' and not parts[-1]:
            match = re.compile(r'"((?:[^"]|"")*)"').match(given, at)
            if match is None:
                raise ValueError(f"{given!r} has a quote without an end")
            parts[-1].append((match[1].replace('""', '"'), False))
            at = match.end()
            continue
        if letter == "." and dots:
            parts.append([])
        else:
            parts[-1].append((letter, letter in "*?"))
        at += 1
    if any(not part or part == [("", False)] for part in parts) or "\0" in given:
        raise ValueError(f"{given!r} is no name")
    return parts


def _quoted(part: list[_Piece]) -> str:
    texts: list[str] = []
    plain = ""
    for text, is_wild in [*part, ("", True)]:
        if not is_wild:
            plain += text
            continue
        if plain:
            texts.append('"' + plain.replace('"', '""') + '"')
            plain = ""
        texts.append(text)
    return "".join(texts)


def _expression(part: list[_Piece]) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild[t] if is_wild else re.escape(t) for t, is_wild in part), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which schemas and tables are in a dump, and of which the rows."""

    content: str = "all"
    schemas: tuple[Pattern, ...] = ()
    exclude_schemas: tuple[Pattern, ...] = ()
    tables: tuple[Pattern, ...] = ()
    exclude_tables: tuple[Pattern, ...] = ()
    exclude_table_data: tuple[Pattern, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        content: str,
        schemas: Sequence[str],
        exclude_schemas: Sequence[str],
        tables: Sequence[str],
        exclude_tables: Sequence[str],
        exclude_table_data: Sequence[str],
    ) -> Selection:
        """From the words of a configuration. Raises `ValueError`."""
        return cls(
            content,
            tuple(map(parse_name, schemas)),
            tuple(map(parse_name, exclude_schemas)),
            tuple(map(parse_table, tables)),
            tuple(map(parse_table, exclude_tables)),
            tuple(map(parse_table, exclude_table_data)),
        )

    @property
    def is_whole(self) -> bool:
        """Whether objects of no schema, such as large objects and extensions, are in the dump too."""
        return not self.schemas and not self.tables

    @property
    def names_tables(self) -> bool:
        """Whether partitions have to be looked for, which follow the tables that are named."""
        return bool(self.tables or self.exclude_tables or self.exclude_table_data)

    def has_schema(self, schema: str) -> bool:
        """Whether what is in that schema is dumped, as far as no table is named."""
        if any(pattern.fits(schema) for pattern in self.exclude_schemas):
            return False
        return not self.schemas or any(pattern.fits(schema) for pattern in self.schemas)

    def has(self, line: Iterable[tuple[str, str]]) -> bool:
        """Whether a relation is dumped; `line` is its schema and name, then of what it is a partition."""
        (schema, name), *above = line
        lines = [(schema, name), *above]
        if any(_any(self.exclude_tables, each) for each in lines):
            return False
        if self.tables:
            return any(_any(self.tables, each) for each in lines)
        return self.has_schema(schema)

    def has_rows(self, line: Iterable[tuple[str, str]]) -> bool:
        """Whether the rows of a relation that is dumped are dumped too."""
        return self.content != "schema" and not any(_any(self.exclude_table_data, each) for each in line)

    def arguments(self, relations: Mapping[str, Relation]) -> list[str]:
        """pg_dump's options. The partitions among `relations` follow their tables, whatever their names."""
        options = {"all": [], "schema": ["--schema-only"], "data": ["--data-only"]}[self.content]
        lists = (
            ("schema", self.schemas),
            ("exclude-schema", self.exclude_schemas),
            ("table", self.tables),
            ("exclude-table", self.exclude_tables),
            ("exclude-table-data", self.exclude_table_data),
        )
        options += [f"--{option}={pattern.text}" for option, patterns in lists for pattern in patterns]
        for option, patterns in lists[2:]:
            options += [f"--{option}={text}" for text in _partitions(relations, patterns)]
        if self.schemas or self.tables:
            options.append("--strict-names")
        return options

    def unmatched(self, schemas: Collection[str], relations: Collection[tuple[str, str]]) -> list[str]:
        """What is to be dumped and is not there, as it was given."""
        missing = [p.given for p in self.schemas if not any(p.fits(schema) for schema in schemas)]
        return missing + [p.given for p in self.tables if not any(p.fits(*each) for each in relations)]


def line_of(relations: Mapping[str, Relation], oid: str) -> list[tuple[str, str]]:
    """A relation's schema and name, and those of the tables that it is a partition of."""
    line = []
    while (found := relations.get(oid)) is not None:
        line.append((found.schema, found.name))
        oid = found.parent
    return line


def _any(patterns: Iterable[Pattern], names: tuple[str, str]) -> bool:
    return any(pattern.fits(*names) for pattern in patterns)


def _partitions(relations: Mapping[str, Relation], patterns: tuple[Pattern, ...]) -> list[str]:
    texts = []
    for oid, relation in relations.items() if patterns else ():
        own, *above = line_of(relations, oid)
        if above and not _any(patterns, own) and any(_any(patterns, each) for each in above):
            names = (relation.schema, relation.name)
            texts.append(".".join(_quoted([(name, False)]) for name in names))
    return texts
