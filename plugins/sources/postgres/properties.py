"""What an archive says about its database itself: the owner, settings, limit, comment and rights.

pg_restore sets them only where it creates the database, under the name that the archive has. Here they are
read from the table of contents, taken apart by SQL's own rules, and written anew under the name that is
wanted: no text of the archive runs, and nothing in it can mean another database.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from plugins.sources.postgres.connection import identifier, literal, shown
from plugins.sources.postgres.contents import Contents
from plugins.sources.postgres.entrance import Server
from plugins.sources.postgres.statements import Token, taken_apart
from strongroom import ConnectionFailed, LogLevel, LogType, SourceError

_RIGHTS = {"ALL", "CREATE", "CONNECT", "TEMPORARY", "TEMP"}
_REMEDY = "Restore again without the archive's rights (restore_privileges = false), and set them by hand."


@dataclass(frozen=True, slots=True)
class Property:
    """One statement, ahead of and behind the database's name; and what it is, in words."""

    head: str
    tail: str
    words: str
    role: str = ""
    is_right: bool = False

    def sql(self, database: str) -> str:
        """The statement for that database."""
        return f"{self.head} {identifier(database)} {self.tail};"


@dataclass(frozen=True, slots=True)
class Properties:
    """What an archive says of its database; `unknown` is what was not understood, in words."""

    owner: str = ""
    each: tuple[Property, ...] = ()
    unknown: tuple[str, ...] = ()


def properties_of(contents: Contents | None) -> Properties:
    """What the archive says. Archives of pg_dump 10 and older say less: the owner and a comment."""
    if contents is None:
        return Properties(unknown=("its table of contents could not be read",))
    owner = next((entry.owner for entry in contents.database if entry.kind == "DATABASE"), "")
    found: list[Property] = []
    unknown: list[str] = []
    for entry in contents.database:
        if entry.kind == "DATABASE":
            continue
        try:
            statements = list(taken_apart(entry.text))
        except SourceError:
            unknown.append(entry.kind.lower())
            continue
        for tokens, _ in statements:
            words = [value.upper() if kind == "word" else "" for kind, value in tokens]
            if words[:1] == ["RESET"] or words[:3] == ["SET", "SESSION", "AUTHORIZATION"]:
                continue  # who granted a right; here the owner does
            try:
                found.append(_property(tokens, words, conforming=contents.conforming))
            except _Unknown:
                unknown.append(f"{entry.kind.lower()} ({' '.join(filter(None, words[:6]))} ...)")
    return Properties(owner, tuple(found), tuple(unknown))


class _Unknown(Exception):
    """It is no statement of the kinds that pg_dump writes about a database."""


def _property(tokens: list[Token], words: list[str], *, conforming: bool) -> Property:
    match words:
        case ["ALTER", "DATABASE", _, "CONNECTION", "LIMIT", *_]:
            digits = "".join(value for _, value in tokens[5:]).lstrip("=")
            if not re.fullmatch(r"\d{1,9}", digits):
                raise _Unknown
            return Property("ALTER DATABASE", f"CONNECTION LIMIT {digits}", f"connection limit {digits}")
        case ["ALTER", "DATABASE", _, "SET", _, "TO", *_]:
            name, values = _name(tokens[4]), _values(tokens[6:], conforming)
            return Property("ALTER DATABASE", f"SET {identifier(name)} TO {values}", f"setting {name}")
        case ["ALTER", "ROLE", _, "IN", "DATABASE", _, "SET", _, "TO", *_]:
            role, name = _name(tokens[2]), _name(tokens[7])
            values = _values(tokens[9:], conforming)
            return Property(
                f"ALTER ROLE {identifier(role)} IN DATABASE",
                f"SET {identifier(name)} TO {values}",
                f"setting {name} of {role}",
                role,
            )
        case ["COMMENT", "ON", "DATABASE", _, "IS", _]:
            return Property("COMMENT ON DATABASE", f"IS {_values(tokens[5:], conforming)}", "comment")
        case ["GRANT" | "REVOKE", *_]:
            return _right(tokens, words)
    raise _Unknown


def _right(tokens: list[Token], words: list[str]) -> Property:
    verb, given = words[0], 1
    option = ""
    if words[1:4] == ["GRANT", "OPTION", "FOR"]:
        given, option = 4, "GRANT OPTION FOR "
    if "ON" not in words:
        raise _Unknown
    at = words.index("ON")
    rights = "".join(value.upper() for _, value in tokens[given:at]).split(",")
    after = words[at + 1 :]
    match after:
        case ["DATABASE", _, ("TO" | "FROM") as direction, _]:
            end = ""
        case ["DATABASE", _, "TO" as direction, _, "WITH", "GRANT", "OPTION"]:
            end = " WITH GRANT OPTION"
        case _:
            raise _Unknown
    if not rights or not set(rights) <= _RIGHTS or direction != {"GRANT": "TO", "REVOKE": "FROM"}[verb]:
        raise _Unknown
    role = "" if after[3] == "PUBLIC" else _name(tokens[at + 4])
    whom = identifier(role) if role else "PUBLIC"
    listed = ", ".join(rights)
    return Property(
        f"{verb} {option}{listed} ON DATABASE",
        f"{direction} {whom}{end}",
        f"{verb} {listed} {direction} {role or 'PUBLIC'}",
        role,
        is_right=True,
    )


def _name(token: Token) -> str:
    kind, value = token
    if kind not in ("word", "quoted"):
        raise _Unknown
    return value


def _values(tokens: list[Token], conforming: bool) -> str:
    if not tokens or any(token != ("other", ",") for token in tokens[1::2]) or len(tokens) % 2 == 0:
        raise _Unknown
    return ", ".join(literal(_string(token, conforming)) for token in tokens[::2])


def _string(token: Token, conforming: bool) -> str:
    kind, text = token
    if kind != "string":
        raise _Unknown
    escapes = text.startswith("E") or not conforming
    inner = text[text.index("'") + 1 : -1].replace("''", "'")
    if not escapes:
        return inner
    if "\\" in inner.replace("\\\\", ""):
        raise _Unknown
    return inner.replace("\\\\", "\\")


def give(server: Server, database: str, contents: Contents | None, *, owner: bool, rights: bool) -> None:
    """Give a database that was made here what the archive says of it, as far as this server can.

    What it cannot is named in a warning. But a right that is not taken away would let people in: raises a
    `SourceError` where the server refuses to set the rights as they were.
    """
    found = properties_of(contents)
    through = server.through(not_in=(database,))
    roles = {name for (name,) in server.psql.ask(through, "SELECT rolname FROM pg_catalog.pg_roles;")}
    left = [*found.unknown]
    for each in found.each:  # while the database is ours
        if not each.is_right:
            left += _tried(server, through, each, database, roles)
    if owner and found.owner:
        owned = f"OWNER TO {identifier(found.owner)}"
        what = Property("ALTER DATABASE", owned, f"owner {found.owner}", found.owner)
        if found.owner in roles and not _acts_as(server, through, found.owner):
            # It could not be renamed then, and of others a right is not taken away: but in a notice only.
            left.append(f"{what.words} (whose rights {server.connection.user} does not have)")
        else:
            left += _tried(server, through, what, database, roles)
    for each in found.each if rights else ():
        if each.is_right:
            left += _tried(server, through, each, database, roles)
    if left:
        server.context.log(
            f"Not all that the backup says of the database itself could be set: {shown('; '.join(left[:8]))}"
            + (f"; and {len(left) - 8} more." if len(left) > 8 else "."),
            LogLevel.WARNING,
            LogType.GENERAL,
            "Set it by hand (ALTER DATABASE), where it is wanted.",
        )


def _tried(server: Server, through: str, what: Property, database: str, roles: Collection[str]) -> list[str]:
    """Run a statement; in words what could not be set, if it could not."""
    if what.role and what.role not in roles:
        return [f"{what.words} (no such role)"]
    try:
        server.psql.ask(through, what.sql(database))
    except ConnectionFailed:
        raise
    except SourceError as error:
        if what.is_right:
            raise SourceError(
                f"The rights of the database could not be set ({what.words}): {error.message}", remedy=_REMEDY
            ) from error
        return [f"{what.words} ({error.message})"]
    return []


def _acts_as(server: Server, through: str, role: str) -> bool:
    sql = f"SELECT pg_catalog.pg_has_role({literal(role)}, 'USAGE');"
    return server.psql.ask(through, sql)[0][0] == "t"
