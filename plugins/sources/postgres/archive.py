"""Read the beginning of a custom-format archive: its version, and how its database was created.

The archive is input, not a friend: what is taken from it is matched against a short list of words, and
quoted anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from plugins.sources.postgres.connection import literal
from plugins.sources.postgres.dumping import MAGIC
from strongroom import DumpIncomplete

_ENOUGH = 256 << 10  # the entries for the encoding and the database come first, or nearly so
_CREATE = re.compile(
    rb"CREATE DATABASE [^;]{0,400}? WITH TEMPLATE = template0((?: [A-Z_]+ = (?:'[^']*'|\w+))*)"
)
_OPTION = re.compile(rb" ([A-Z_]+) = (?:'([^']*)'|(\w+))")
_ENCODING = re.compile(rb"SET client_encoding = '(\w+)'")
_TAKEN = ("ENCODING", "LOCALE_PROVIDER", "LOCALE", "LC_COLLATE", "LC_CTYPE", "ICU_LOCALE", "BUILTIN_LOCALE")
_PROVIDERS = {"libc", "icu", "builtin"}

# The lowest major version of pg_restore that reads an archive of that format version.
_READERS: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = (
    ((1, 16), (17, 0)),
    ((1, 15), (16, 0)),
    ((1, 14), (12, 0)),
    ((1, 13), (9, 3)),
)


@dataclass(frozen=True, slots=True)
class Archive:
    """What the beginning of an archive says; `options` are CREATE DATABASE's, by name."""

    format_version: tuple[int, int]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def readable_from(self) -> tuple[int, int]:
        """The lowest major version of pg_restore that reads it; newer formats are tried with the newest."""
        for version, major in _READERS:
            if self.format_version >= version:
                return major
        return (9, 2)

    def ways_to_create(self, major: tuple[int, int]) -> list[str]:
        """CREATE DATABASE's options for a server, best first: the recorded locale may not exist there."""
        options = {name: value for name, value in self.options.items() if name in _TAKEN}
        if major < (15, 0):
            options.pop("LOCALE_PROVIDER", None)
        encoding = {"ENCODING": options.get("ENCODING", "UTF8")}
        ways = [{**encoding, **options}, encoding, {**encoding, "LC_COLLATE": "C", "LC_CTYPE": "C"}]
        texts = (" ".join(f"{name} = {_value(name, way[name])}" for name in way) for way in ways)
        return list(dict.fromkeys(f"TEMPLATE = template0 {text}" for text in texts))


def _value(name: str, value: str) -> str:
    return value if name == "LOCALE_PROVIDER" else literal(value)


def peek(chunks: Iterable[bytes]) -> tuple[Archive, Iterator[bytes]]:
    """Read the beginning of an archive; return it with all of the chunks. Raises `DumpIncomplete`."""
    rest = iter(chunks)
    head: list[bytes] = []
    size = 0
    for chunk in rest:
        head.append(chunk)
        size += len(chunk)
        if size >= _ENOUGH:
            break
    start = b"".join(head)[:_ENOUGH]
    if not start.startswith(MAGIC) or len(start) < 8:
        raise DumpIncomplete(
            "What came is not a custom-format dump of PostgreSQL.",
            remedy="Restore another backup, or one that a PostgreSQL source made.",
        )
    return Archive((start[5], start[6]), _options(start)), chain(head, rest)


def _options(start: bytes) -> dict[str, str]:
    options: dict[str, str] = {}
    if match := _CREATE.search(start):
        for name, quoted, word in _OPTION.findall(match[1]):
            options[name.decode()] = (quoted or word).decode("utf-8", "replace")
    if options.get("LOCALE_PROVIDER", "libc") not in _PROVIDERS:
        del options["LOCALE_PROVIDER"]
    if "ENCODING" not in options and (match := _ENCODING.search(start)):
        options["ENCODING"] = match[1].decode()
    return options
