"""Read what `pg_dumpall --globals-only` wrote: statements about roles and tablespaces, and nothing else.

The dump is input, not a friend. It is taken apart by SQL's own rules for quotes; a statement of any other
kind, a command of psql's, or a letter that pg_dumpall writes nowhere outside of quotes refuses the whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from strongroom import DumpIncomplete, Fingerprint, SourceError

HEAD = b"-- PostgreSQL database cluster dump"
END = b"-- PostgreSQL database cluster dump complete"

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|(?m:^\\(?:un)?restrict\ \w+$))
      | (?P<string>E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')
      | "(?P<quoted>(?:[^"]|"")+)"
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<end>;)
      | (?P<other>[0-9(),=.+-])""",
    re.VERBOSE | re.DOTALL,
)
_MOST = 1 << 53


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and the role or tablespace that it is about."""

    text: str
    name: str


@dataclass(slots=True)
class Globals:
    """The roles, memberships and tablespaces of a server, with the statements that make each."""

    roles: dict[str, Statement] = field(default_factory=dict)
    about_roles: list[Statement] = field(default_factory=list)
    memberships: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    tablespaces: dict[str, Statement] = field(default_factory=dict)
    about_tablespaces: list[Statement] = field(default_factory=list)
    grants: list[str] = field(default_factory=list)

    def fingerprint(self) -> Fingerprint:
        """What is in it."""
        return counted(self.roles, self.memberships, self.tablespaces)


def counted(
    roles: Collection[str], memberships: Collection[tuple[str, str]], tablespaces: Collection[str]
) -> Fingerprint:
    """Measures of these, and a sum over their names, which does not depend on the order."""
    names = [f"role\0{name}" for name in roles]
    names += [f"member\0{role}\0{member}" for role, member in memberships]
    names += [f"tablespace\0{name}" for name in tablespaces]
    digests = (hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest() for name in names)
    total = sum(int.from_bytes(digest[:8], "big") for digest in digests) % _MOST
    counts = {"roles": len(roles), "memberships": len(memberships), "tablespaces": len(tablespaces)}
    return Fingerprint({**counts, "sum of names": total}, consistent=True, of="measures")


def parse(data: bytes) -> Globals:
    """Take a dump apart. Raises `DumpIncomplete` for one that is cut or none, else `SourceError`."""
    if HEAD not in data[:200]:
        raise DumpIncomplete(
            "What came are not the roles and tablespaces of a PostgreSQL server.",
            remedy="Restore another backup, or give the database another name (--as NAME).",
        )
    if END not in data[-400:]:
        raise DumpIncomplete(
            "The roles and tablespaces lack their end mark: they are not whole.",
            remedy="Restore another backup.",
        )
    found = Globals()
    for tokens, text in taken_apart(data.decode("utf-8", "surrogateescape")):
        _file(found, tokens, text)
    return found


Token = tuple[str, str]
"""A kind (string, quoted, word, other) and the text; of what was quoted, the name itself."""


def taken_apart(text: str) -> Iterator[tuple[list[Token], str]]:
    """Each statement's tokens and its text with the end mark. Raises `SourceError` for any other text."""
    tokens: list[Token] = []
    pieces: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _refused(f"{text[at : at + 1]!r} outside of quotes")
        kind = match.lastgroup or ""
        if kind == "end":
            yield tokens, "".join(pieces) + ";"
            tokens, pieces = [], []
        elif kind == "skip":
            if pieces:
                pieces.append(" ")
        else:
            value = match[kind].replace('""', '"') if kind == "quoted" else match[kind]
            tokens.append((kind, value))
            pieces.append(match[0])
        at = match.end()
    if tokens:
        raise _refused("a statement without an end")


def _file(found: Globals, tokens: list[Token], text: str) -> None:
    words = [value if kind == "word" else "" for kind, value in tokens]
    names = [value if kind in ("word", "quoted") else "" for kind, value in tokens]
    match words:
        case ["SET", *_]:
            pass  # of pg_dumpall's session, which is not ours
        case ["CREATE", "ROLE", _] if names[2]:
            found.roles[names[2]] = Statement(text, names[2])
        case ["ALTER", "ROLE", _, "WITH" | "SET" | "RESET", *_] if names[2]:
            found.about_roles.append(Statement(text, names[2]))
        case ["COMMENT", "ON", "ROLE", _, "IS", *_] if names[3]:
            found.about_roles.append(Statement(text, names[3]))
        case ["SECURITY", "LABEL", "FOR", _, "ON", "ROLE", _, "IS", *_] if names[6]:
            found.about_roles.append(Statement(text, names[6]))
        case ["GRANT", _, "TO", _, *_] if names[1] and names[3]:
            found.memberships.setdefault((names[1], names[3]), []).append(text)
        case ["CREATE", "TABLESPACE", _, "OWNER", _, "LOCATION", ""] if names[2]:
            found.tablespaces[names[2]] = Statement(text, names[2])
        case ["ALTER", "TABLESPACE", _, "SET", *_] if names[2]:
            found.about_tablespaces.append(Statement(text, names[2]))
        case ["COMMENT", "ON", "TABLESPACE", _, "IS", *_] if names[3]:
            found.about_tablespaces.append(Statement(text, names[3]))
        case ["SECURITY", "LABEL", "FOR", _, "ON", "TABLESPACE", _, "IS", *_] if names[6]:
            found.about_tablespaces.append(Statement(text, names[6]))
        case ["GRANT" | "REVOKE", *_, "ON", "TABLESPACE", _, "TO" | "FROM", _] | [
            "GRANT" | "REVOKE",
            *_,
            "ON",
            "TABLESPACE",
            _,
            "TO" | "FROM",
            _,
            "WITH",
            "GRANT",
            "OPTION",
        ]:
            found.about_tablespaces.append(Statement(text, names[words.index("TABLESPACE") + 1]))
        case ["GRANT", *_] if "PARAMETER" in words:
            found.grants.append(text)
        case _:
            raise _refused(f"a statement that begins with {' '.join(words[:2])!r}")


def _refused(what: str) -> SourceError:
    return SourceError(
        f"The roles and tablespaces hold {what}, which pg_dumpall does not write.",
        remedy="Look at where this backup comes from; what is trusted can be restored by psql.",
    )
