"""Read the beginning of an archive: its version, how its database was created, and what is in it.

The archive is input, not a friend: what is taken from it is matched against a short list of words, and
quoted anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from plugins.sources.postgres.connection import literal
from plugins.sources.postgres.contents import Contents, Pulled, contents_of
from plugins.sources.postgres.dumping import MAGIC
from strongroom import DumpIncomplete

_ENOUGH = 256 << 10  # the entries for the encoding and the database come first, or nearly so
_CREATE = re.compile(
    rb"CREATE DATABASE [^;]{0,400}? WITH TEMPLATE = template0"
    rb"((?: [A-Z_]+ = (?:'(?:[^']|'')*'|\w+|\"(?:[^\"]|\"\")*\"))*)"
)
_OPTION = re.compile(rb" ([A-Z_]+) = (?:'((?:[^']|'')*)'|(\w+)|\"((?:[^\"]|\"\")*)\")")
_ENCODING = re.compile(rb"SET client_encoding = '(\w+)'")
_TAKEN = (
    *("ENCODING", "LOCALE_PROVIDER", "LOCALE", "LC_COLLATE", "LC_CTYPE"),
    *("ICU_LOCALE", "ICU_RULES", "BUILTIN_LOCALE"),
)
_PROVIDERS = {"libc", "icu", "builtin"}

# The lowest major version of pg_restore that reads an archive of that format version.
_READERS: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = (
    ((1, 16), (17, 0)),
    ((1, 15), (16, 0)),
    ((1, 14), (12, 0)),
    ((1, 13), (9, 3)),
)


def readable_from(pg_dump: tuple[int, int]) -> tuple[int, int]:
    """The lowest major version of pg_restore that reads what a pg_dump of that major version wrote."""
    return next((major for _, major in _READERS if pg_dump >= major), (9, 2))


@dataclass(frozen=True, slots=True)
class Archive:
    """What the beginning of an archive says; `options` are CREATE DATABASE's, by name.

    `contents` is None where they cannot be told: pg_restore will say what is wrong with it.
    """

    format_version: tuple[int, int]
    options: dict[str, str] = field(default_factory=dict)
    contents: Contents | None = None

    @property
    def readable_from(self) -> tuple[int, int]:
        """The lowest major version of pg_restore that reads it; newer formats are tried with the newest."""
        for version, major in _READERS:
            if self.format_version >= version:
                return major
        return (9, 2)

    @property
    def tablespace(self) -> str:
        """Where the database was; nothing for the default one."""
        return self.options.get("TABLESPACE", "")

    @property
    def locale(self) -> str:
        """The recorded locale in words, its provider first; nothing where it was not recorded."""
        names = [name for name in _TAKEN if name in self.options and name != "ENCODING"]
        return " ".join(f"{name} = {self.options[name]}" for name in names)

    def provider_is_lost(self, major: tuple[int, int]) -> bool:
        """Whether a server knows no providers of locales, and the recorded one is not the system's."""
        return major < (15, 0) and self.options.get("LOCALE_PROVIDER", "libc") != "libc"

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
    pulled = Pulled(chunks)
    pulled.have(_ENOUGH)
    start = pulled.head[:_ENOUGH]
    if not start.startswith(MAGIC) or len(start) < 8:
        raise DumpIncomplete(
            "What came is not a custom-format dump of PostgreSQL.",
            remedy="Restore another backup, or one that a PostgreSQL source made.",
        )
    archive = Archive((start[5], start[6]), _options(start), contents_of(pulled))
    return archive, pulled.whole()


def _options(start: bytes) -> dict[str, str]:
    options: dict[str, str] = {}
    if match := _CREATE.search(start):
        for name, text, word, quoted in _OPTION.findall(match[1]):
            value = text.replace(b"''", b"'") or word or quoted.replace(b'""', b'"')
            options[name.decode()] = value.decode("utf-8", "replace")
    if options.get("LOCALE_PROVIDER", "libc") not in _PROVIDERS:
        del options["LOCALE_PROVIDER"]
    if "ENCODING" not in options and (match := _ENCODING.search(start)):
        options["ENCODING"] = match[1].decode()
    return options
