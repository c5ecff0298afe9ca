"""Patterns as a shell reads them, as regular expressions over bytes that find and Python read alike.

find's own `-path` will not do: its `*`, `?` and `[...]` match a slash. The expressions are for its `-regex`
(posix-extended) in the C locale, where every byte is a character, so that no name is beyond them; a
character of UTF-8 is spelt out in its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

Spans = list[tuple[int, int]]
"""Ranges of characters, both ends included."""

_SPECIAL = frozenset(".[]*+?{}()|^$\\")
_NOTHING = b"[^\x01-\xff]"
_LAST = 0x10FFFF
_SLASH = ord("/")
_IN_BRACKETS = frozenset(b"\\]^-[")
"""What means something within brackets, or does so to one of the two."""
_CLASSES: dict[str, Spans] = {
    "alpha": [(65, 90), (97, 122)],
    "alnum": [(48, 57), (65, 90), (97, 122)],
    "blank": [(9, 9), (32, 32)],
    "cntrl": [(1, 31), (127, 127)],
    "digit": [(48, 57)],
    "graph": [(33, 126)],
    "lower": [(97, 122)],
    "print": [(32, 126)],
    "punct": [(33, 47), (58, 64), (91, 96), (123, 126)],
    "space": [(9, 13), (32, 32)],
    "upper": [(65, 90)],
    "xdigit": [(48, 57), (65, 70), (97, 102)],
}


def literal(text: str) -> bytes:
    """An expression for that very text."""
    return b"".join(b"\\" * (char in _SPECIAL) + _bytes(char) for char in text)


def expression(pattern: str, *, loose: bool = False) -> bytes:
    """An expression for the paths that a pattern means.

    `*`, `?` and `[...]` stay within a folder, `**` crosses folders, and as a whole part of a path it stands
    for any number of them, none as well. `loose` is for paths that are no UTF-8: there a single byte passes
    for a character.
    """
    found = b""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            end = len(pattern) - len(pattern[at:].lstrip("*"))
            if end == at + 1:
                found += b"[^/]*"
            elif pattern[end : end + 1] == "/" and (at == 0 or pattern[at - 1] == "/"):
                found += b"(.*/)?"
                end += 1
            else:
                found += b".*"
            at = end
            continue
        if char == "?":
            found += _any_of([(1, _LAST)], loose=loose)
        elif char == "[" and (bracket := _bracket(pattern, at)) is not None:
            spans, negated, at = bracket
            found += _any_of(_others(spans) if negated else spans, loose=loose and negated)
            continue
        else:
            at += char == "\\" and at + 1 < len(pattern)
            found += literal(pattern[at])
        at += 1
    return found


def text() -> bytes:
    """An expression for whatever is UTF-8."""
    return b"(/|" + _any_of([(1, _LAST)], loose=False) + b")*"


def _bracket(pattern: str, start: int) -> tuple[Spans, bool, int] | None:
    """What a bracket holds, whether it is negated, and where it ends; None if it is just a character."""
    at = start + 1
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    first = at
    spans: Spans = []
    while at < len(pattern) and pattern[at] != "/":
        if pattern[at] == "]" and at > first:
            return spans, negated, at + 1
        name, ended, _ = pattern[at + 2 :].partition(":]")
        if pattern.startswith("[:", at) and ended and name.isalpha():
            spans += _CLASSES.get(name, [])
            at += len(name) + 4
            continue
        low, at = _member(pattern, at)
        high = low
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("", "]", "/"):
            high, at = _member(pattern, at + 1)
        spans.append((low, high))
    return None


def _member(pattern: str, at: int) -> tuple[int, int]:
    at += pattern[at] == "\\" and at + 1 < len(pattern)
    return ord(pattern[at]), at + 1


def _others(spans: Spans) -> Spans:
    """All characters but these."""
    found: Spans = []
    at = 1
    for low, high in sorted(spans):
        if at < low:
            found.append((at, low - 1))
        at = max(at, high + 1)
    return [*found, (at, _LAST)] if at <= _LAST else found


def _any_of(spans: Spans, *, loose: bool) -> bytes:
    """An expression for one character of these, but no slash."""
    choices: list[bytes] = []
    inside = b""
    for low, high in _others([*_others(spans), (_SLASH, _SLASH)]):
        at = low
        for code in (*sorted(_IN_BRACKETS), 0x80):
            if not at <= code <= high:
                continue
            if at < code:
                inside += _range(at, code - 1)
            at = code
            if code in _IN_BRACKETS:
                choices.append(literal(chr(code)))
                at += 1
        if at <= high and high < 0x80:
            inside += _range(at, high)
        elif at <= high:
            choices += _sequences(at, high)
    if inside:
        choices.insert(0, b"[" + inside + b"]")
    if loose:
        choices.append(b"[\x80-\xff]")
    return b"(" + b"|".join(choices or [_NOTHING]) + b")"


def _range(low: int, high: int) -> bytes:
    return bytes([low]) if low == high else bytes([low]) + b"-" + bytes([high])


def _sequences(low: int, high: int) -> Iterator[bytes]:
    """Expressions for the bytes of the characters from `low` to `high`, none of them ASCII."""
    for last in (0x7FF, 0xFFFF):
        if low <= last < high:
            yield from _sequences(low, last)
            yield from _sequences(last + 1, high)
            return
    # Split until each byte but the first that differs runs through all that it can be.
    for bits in (6, 12, 18):
        mask = (1 << bits) - 1
        if low | mask != high | mask:
            if low & mask:
                yield from _sequences(low, low | mask)
                yield from _sequences((low | mask) + 1, high)
                return
            if high & mask != mask:
                yield from _sequences(low, (high & ~mask) - 1)
                yield from _sequences(high & ~mask, high)
                return
    pairs = zip(_bytes(chr(low)), _bytes(chr(high)), strict=True)
    yield b"".join(b"[" + _range(one, other) + b"]" for one, other in pairs)


def _bytes(char: str) -> bytes:
    if "\udc80" <= char <= "\udcff":  # a byte that is no text
        return bytes([ord(char) - 0xDC00])
    return char.encode("utf-8", "surrogatepass")
