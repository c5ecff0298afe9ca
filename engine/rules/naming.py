"""Artifact names from templates: `{job}/{database}_{date:%Y-%m-%d_%H-%M-%S}`. Pure.

Tokens stand in braces only, so no letter of a job's name is ever taken for one. Whatever a name holds is
made safe for every file system and object store; names of two runs differ by a token of the execution's
ID, and names of one run by their databases.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.archive.sidefiles import artifact_of
from engine.errors import ConfigError, NameEscapes
from engine.rules.schedule import resolve_zone

DEFAULT_TEMPLATE = "{job}/{database}_{date:%Y-%m-%d_%H-%M-%S}"
DEFAULT_DATE = "%Y-%m-%d_%H-%M-%S"
TOKENS = {
    "job": "the job's name",
    "source": "the source's name",
    "database": "the database's name",
    "date": "when the run began, in the job's time zone; {date:%Y-%m} chooses how it looks",
    "set": "the ID of the backup set",
    "token": "six characters that no other run has; added at the end when left out",
}
TOKEN_LENGTH = 6

LONGEST_NAME = 1024
"""In bytes of UTF-8: S3's limit for a key."""
LONGEST_SEGMENT = 180
"""In bytes of UTF-8: file systems allow 255, and `.proof.json` and a temporary suffix come on top."""
_ROOM = 64
"""What is left of the longest name for such suffixes, in bytes."""

# What Windows, or a shell on a bad day, makes of these is nothing that a backup's name should depend on.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\<>:"|?*\u2028\u2029\u202a-\u202e\u2066-\u2069]+')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
# strftime's directives that Python documents, but for those whose look is the locale's (%c, %x, %X).
_DIRECTIVES = frozenset("aAbBdfGHIjmMpSuUVwWyYzZ")
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


@dataclass(frozen=True, slots=True)
class _Part:
    """Literal text, or a token with the format of its date."""

    text: str
    token: str = ""


def check_template(template: str) -> None:
    """Raise `ConfigError` with what is wrong; a template that passes gives a name for any job."""
    _parse(template)


def artifact_names(
    template: str | None,
    *,
    job: str,
    source: str,
    databases: Sequence[str],
    moment: datetime,
    zone: str | ZoneInfo | None,
    extension: Callable[[str], str],
    suffixes: Sequence[str],
    token: str,
) -> dict[str, str]:
    """The name of each database's artifact in one run. All differ, also where letter case does not count.

    `moment` is the run's start, shown in `zone` (IANA; None: the machine's); `token` is the execution's
    ID, of which six characters go into the name unless the template has them: other runs, other
    processes and other installations never make the same name. `{database}` is added when a run of
    several databases lacks it. `extension(database)` is that of its dump. Raises `ConfigError`.
    """
    parts = list(_parse(template or DEFAULT_TEMPLATE))
    tokens = {part.token for part in parts}
    if "database" not in tokens and len(databases) > 1:
        parts += [_Part("_"), _Part("", "database")]
    if "token" not in tokens:
        parts += [_Part("_"), _Part("", "token")]
    local = moment.astimezone(zone if isinstance(zone, ZoneInfo) else resolve_zone(zone))
    names: dict[str, str] = {}
    taken: set[str] = set()
    for database in databases:
        tail = "".join((f".{extension(database)}" if extension(database) else "", *suffixes))
        values = {"job": job, "source": source, "set": token, "token": token[:TOKEN_LENGTH]}
        number = 1
        while True:
            ordinal = "" if number == 1 else f"_{number}"
            name = _assemble(parts, {**values, "database": database}, local, ordinal, tail)
            # Windows, macOS and SMB fold case; some of them compose letters too.
            folded = unicodedata.normalize("NFC", name).casefold()
            if folded not in taken:
                break
            number += 1
        taken.add(folded)
        names[database] = check_name(name)
    return names


def artifact_name(
    template: str | None,
    *,
    job: str,
    database: str,
    moment: datetime,
    zone: str | ZoneInfo | None,
    extension: str,
    suffixes: Sequence[str],
    token: str,
    source: str = "",
) -> str:
    """The name of one database's artifact, as `artifact_names` makes it; for previews."""
    names = artifact_names(
        template,
        job=job,
        source=source,
        databases=[database],
        moment=moment,
        zone=zone,
        extension=lambda _: extension,
        suffixes=suffixes,
        token=token,
    )
    return names[database]


def check_name(name: str) -> str:
    """`name` itself when it is relative, normalised and stays below a root; else `NameEscapes`."""
    if not name:
        raise NameEscapes("An empty name is no file's.")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise NameEscapes(f"The name {name!a} is not Unicode text.") from None
    if length > LONGEST_NAME:
        raise NameEscapes(f"A name of {length} bytes is too long; {LONGEST_NAME} is the most.")
    if re.search(r"[\x00-\x1f\x7f]", name):
        raise NameEscapes(f"The name {name!a} holds control characters.")
    if "\\" in name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise NameEscapes(f"The name {name!a} is not relative with forward slashes.")
    if any(segment in ("", ".", "..") for segment in name.split("/")):
        raise NameEscapes(f"The name {name!a} is not normalised: an empty, . or .. segment is in it.")
    return name


def safe_value(value: str, longest: int = 100) -> str:
    """A value made fit to stand within a segment of a name: never empty, `longest` bytes at most.

    Letters of all scripts stay, composed (NFC); what a file system, a shell or a screen may take for
    something else becomes an underscore.
    """
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", value))
    text = re.sub(r"\.{2,}", ".", text)
    text = re.sub(r"\s+", " ", text)
    text = text.encode()[:longest].decode(errors="ignore")
    text = text.lstrip(" .-~").rstrip(" .")
    return text or "_"


def _assemble(
    parts: Sequence[_Part], values: dict[str, str], moment: datetime, ordinal: str, tail: str
) -> str:
    """One name, with values as long as fit: a long one is cut rather than refused."""
    for longest in (100, 60, 40, 24, 12):
        text = "".join(_value(part, values, moment, ordinal, longest) for part in parts)
        *folders, last = text.split("/")
        segments = [_safe_segment(segment) for segment in (*folders, last + tail)]
        name = "/".join(segments)
        # A third party's extension must not make an artifact look like a file beside one.
        name = f"{name}.artifact" if artifact_of(name) is not None else name
        if all(len(segment.encode()) <= LONGEST_SEGMENT for segment in segments) and (
            len(name.encode()) <= LONGEST_NAME - _ROOM
        ):
            return name
    raise _wrong(
        f"The naming template gives names of more than {LONGEST_SEGMENT} bytes between two slashes, or "
        f"of more than {LONGEST_NAME - _ROOM} in all.",
        "Take some of its text or tokens out.",
    )


def _value(part: _Part, values: dict[str, str], moment: datetime, ordinal: str, longest: int) -> str:
    if not part.token:
        return part.text
    if part.token == "date":  # noqa: S105 - the name of a token in a template
        return safe_value(moment.strftime(part.text), longest)
    value = safe_value(values[part.token], longest)
    return value + ordinal if part.token == "database" else value  # noqa: S105 - likewise


def _safe_segment(segment: str) -> str:
    return f"_{segment}" if _RESERVED.fullmatch(segment) else segment


def _parse(template: str) -> tuple[_Part, ...]:
    """The parts of a template. Raises `ConfigError` for what could never be a name."""
    if not template.strip():
        raise _wrong("A naming template must not be empty.")
    parts: list[_Part] = []
    outline = ""  # the template with a letter for each token, to judge its literal text by
    for match in _PART.finditer(template):
        text = match[0]
        if text in ("{{", "}}"):
            raise _wrong("A name cannot hold braces.")
        if match[1] is not None:
            parts.append(_token(match[1]))
            outline += "x"
        elif text in ("{", "}"):
            raise _wrong(f"A brace at character {match.start() + 1} has no partner.")
        else:
            parts.append(_Part(unicodedata.normalize("NFC", text)))
            outline += text
    for character in outline:
        if character != "/" and _UNSAFE.match(character):
            raise _wrong(f"A name cannot hold the character {character!a}.")
    for segment in outline.split("/"):
        if segment in ("", ".", "..") or segment != segment.strip(" .") or segment[0] in "-~":
            raise _wrong(
                f"The part {segment!r} of the naming template is no file's or folder's name.",
                "Names are relative; no part between slashes is empty, begins with a dot, a dash, a "
                "tilde or a space, or ends with a dot or a space.",
            )
    return tuple(parts)


def _token(inside: str) -> _Part:
    name, colon, pattern = inside.partition(":")
    if name not in TOKENS:
        known = ", ".join(f"{{{token}}}" for token in TOKENS)
        raise _wrong(f"There is no token {{{name}}}.", f"The tokens are {known}.")
    if name != "date":
        if colon:
            raise _wrong(f"The token {{{name}}} takes no format; only {{date}} does.")
        return _Part("", name)
    pattern = pattern if colon else DEFAULT_DATE
    if "/" in pattern:
        raise _wrong("A slash cannot stand in a date's format.", "Write {date:%Y}/{date:%m} instead.")
    rest = pattern
    while "%" in rest:
        directive = rest.partition("%")[2][:1]
        if directive != "%" and directive not in _DIRECTIVES:
            raise _wrong(
                f"The date's format holds %{directive}, which does not mean the same everywhere.",
                f"These do: {' '.join(f'%{letter}' for letter in sorted(_DIRECTIVES, key=str.casefold))}.",
            )
        rest = rest.partition("%")[2][1:]
    if not pattern.strip():
        raise _wrong("The date's format is empty.")
    return _Part(pattern, "date")


def _wrong(message: str, remedy: str = "") -> ConfigError:
    return ConfigError(message, field="naming", remedy=remedy or "An example: {job}/{database}_{date}")
