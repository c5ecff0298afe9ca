"""Memberships of roles as PostgreSQL 16 and newer grant them, for servers that are older.

Since 16 each membership says by itself whether its rights are inherited (INHERIT) and whether the role may
be taken (SET). Before, the first was the member's attribute, and the second always so.
"""

from __future__ import annotations

from plugins.sources.postgres.connection import identifier, shown
from plugins.sources.postgres.statements import Globals, Statement, Token, taken_apart
from plugins.sources.postgres.tools import Version
from strongroom import SourceError

_SINCE = 16


def for_server(found: Globals, version: Version) -> None:
    """Write the memberships so that a server of that version takes them.

    Raises a `SourceError` for one that it cannot have as it was: nobody shall get more rights, or fewer.
    """
    if version.first >= _SINCE:
        return
    inherits = _inherits(found.about_roles)
    for (role, member), texts in found.memberships.items():
        found.memberships[role, member] = [
            _older(text, role, member, version, inherits=inherits.get(member, True)) for text in texts
        ]


def _inherits(about: list[Statement]) -> dict[str, bool]:
    known = {}
    for each in about:
        words = {value for tokens, _ in taken_apart(each.text) for kind, value in tokens if kind == "word"}
        if "WITH" in words and words & {"INHERIT", "NOINHERIT"}:
            known[each.name] = "NOINHERIT" not in words
    return known


def _older(text: str, role: str, member: str, version: Version, *, inherits: bool) -> str:
    (tokens, _), *_ = taken_apart(text)
    words = [value if kind == "word" else "" for kind, value in tokens]
    options = _options(words)
    if options is None:
        return text  # as pg_dumpall before 16 wrote it
    if options.get("SET", True) is False or options.get("INHERIT", inherits) is not inherits:
        lacking = (
            "SET FALSE" if options.get("SET", True) is False else f"INHERIT {options['INHERIT']}".upper()
        )
        raise SourceError(
            f"The membership of {shown(member)} in {shown(role)} is granted WITH {lacking}, which PostgreSQL"
            f" {version.first} cannot have: it came with {_SINCE}.",
            remedy=f"Restore the roles into PostgreSQL {_SINCE} or newer, or make them by hand here.",
        )
    admin = " WITH ADMIN OPTION" if options.get("ADMIN") else ""
    return f"GRANT {identifier(role)} TO {identifier(member)}{admin}{_grantor(tokens, words)};"


def _options(words: list[str]) -> dict[str, bool] | None:
    """The options after WITH by name; None where none of them is of the newer kind."""
    if len(words) < 5 or words[4] != "WITH":
        return None
    end = words.index("GRANTED") if "GRANTED" in words[5:] else len(words)
    given = [word for word in words[5:end] if word]
    options = dict(zip(given[::2], (word != "FALSE" for word in given[1::2]), strict=False))
    return options if options.keys() & {"INHERIT", "SET"} else None


def _grantor(tokens: list[Token], words: list[str]) -> str:
    if len(words) > 3 and words[-3:-1] == ["GRANTED", "BY"]:
        return f" GRANTED BY {identifier(tokens[-1][1])}"
    return ""
