"""What of a folder is backed up: patterns as people write them, as find's own tests.

A pattern without a slash is a name at any depth; one with a slash is a path from the folder on. `*`, `?` and
`[...]` are as in a shell, `**` crosses folders, a slash at the end means folders alone. What is below a
folder that a pattern names goes with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from plugins.sources.tree import patterns
from plugins.sources.tree.wording import listed
from strongroom import SourceError

PRESETS: dict[str, tuple[str, ...]] = {
    "version control": (".git/", ".hg/", ".svn/"),
    "caches": (".cache/", "cache/", "Cache/", "Caches/", "*.cache", ".sass-cache/", "CachedData/"),
    "node": ("node_modules/", ".npm/", ".yarn/", ".pnpm-store/", ".next/", ".nuxt/"),
    "python": (
        "__pycache__/",
        "*.pyc",
        ".venv/",
        "venv/",
        ".tox/",
        ".mypy_cache/",
        ".pytest_cache/",
        ".ruff_cache/",
    ),
    "java": ("target/", ".gradle/", ".m2/"),
    "php": ("vendor/",),
    "temporary": ("*.tmp", "*.temp", "*.swp", "*~", ".~lock.*", "tmp/", "Trash/", ".Trash*/", "lost+found/"),
    "logs": ("*.log", "*.log.*", "logs/"),
    "operating system": (
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "System Volume Information/",
        "$RECYCLE.BIN/",
    ),
}
"""Named lists of what people leave out."""

PRINTED = r"%y%P\0"
"""How find prints an entry."""
_FNMATCH = re.compile(r"([*?\[\]\\])")


def excluded(given: Iterable[str], presets: Iterable[str]) -> list[str]:
    """All patterns, those of the presets included. Raises `KeyError` for a preset that there is not."""
    return list(dict.fromkeys([*(each for name in presets for each in PRESETS[name]), *given]))


def arguments(
    folder: str, include: Sequence[str], exclude: Sequence[str], *, one_file_system: bool
) -> list[str]:
    """find's command line (in the C locale), which prints the chosen paths below `folder`, each with its
    type and ended by NUL.

    What is left out is not walked through either. What is included is so with all below it.
    """
    line = ["-H", folder, "-mindepth", "1", *(["-xdev"] if one_file_system else [])]
    if include or exclude:
        line += ["-regextype", "posix-extended"]
    if exclude:
        line += ["(", *_any(test for each in exclude for test in _tests(folder, each)), ")", "-prune", "-o"]
    if include:
        line += ["(", *_any(test for each in include for test in _tests(folder, each, b"/.*")), ")"]
    return [*line, "-printf", PRINTED]


class Wanted:
    """Which of the patterns of `include` have chosen a file yet, as what find finds goes by.

    A pattern that chooses nothing is a mistake of whoever wrote it, which a green backup would hide.
    """

    def __init__(self, include: Sequence[str]) -> None:
        self.nothing = bool(include)
        """Whether there are patterns, and nothing has been chosen by any, not even a folder."""
        self._left = {each: re.compile(_whole(each), re.DOTALL) for each in include}

    @property
    def unmet(self) -> list[str]:
        """The patterns that have chosen no file."""
        return list(self._left)

    def see(self, kind: bytes, name: bytes) -> None:
        """Take note of an entry that was chosen."""
        self.nothing = False
        if self._left and kind != b"d":
            for each in [each for each, regex in self._left.items() if regex.fullmatch(name)]:
                del self._left[each]

    def refuse_nothing(self, folder: str) -> None:
        """Raise `SourceError` if nothing has been chosen at all."""
        if self.nothing:
            raise SourceError(
                f"Nothing below {folder} is chosen: include names {listed(self._left)}.", remedy=CORRECT
            )

    def words(self, folder: str) -> str:
        """What to say of the patterns that have chosen no file; empty when there are none."""
        return f"No file below {folder} is chosen by include = {listed(self._left)}." if self._left else ""


CORRECT = (
    "Correct the patterns (a path starts at the folder, and upper and lower case differ), or see whether the"
    " files went, or are left out (exclude)."
)


def longer(folder: str, most: int) -> list[str]:
    """find's test (in the C locale) for the paths below `folder` that have more than so many bytes."""
    return ["-path", _FNMATCH.sub(r"\\\1", folder.rstrip("/")) + "/" + "?" * (most + 1) + "*"]


def _any(tests: Iterable[list[str]]) -> list[str]:
    found: list[str] = []
    for test in tests:
        found += ["-o", *test] if found else test
    return found


def _tests(folder: str, pattern: str, below: bytes = b"") -> Iterator[list[str]]:
    """find's tests for one pattern, of which one has to hold; with `below`, what lies below it counts."""
    kind = ["-type", "d"] if pattern.endswith("/") else []
    anywhere, path = _parts(pattern)
    if not below and anywhere and not set(path) & set("/?[\\"):
        yield [*kind, "-name", path]  # much the same, and faster
        return
    base = patterns.literal(folder.rstrip("/")) + b"/" + (b"(.*/)?" if anywhere else b"")
    strict, loose = (patterns.expression(path, loose=each) for each in (False, True))
    for regex, when in ((strict, []), (loose, ["!", "-regex", _argument(patterns.text())])):
        if when and loose == strict:
            return
        if not below or kind:
            yield [*when, *kind, "-regex", _argument(base + regex)]
        if below:
            yield [*when, "-regex", _argument(base + regex + (below if kind else b"(" + below + b")?"))]


def _whole(pattern: str) -> bytes:
    """An expression for the files, by their paths below the folder, that a pattern of `include` chooses."""
    anywhere, path = _parts(pattern)
    below = b"/.*" if pattern.endswith("/") else b"(/.*)?"
    return (b"(.*/)?" if anywhere else b"") + patterns.expression(path, loose=True) + below


def _parts(pattern: str) -> tuple[bool, str]:
    """Whether a pattern holds at any depth, and what of it is left to match."""
    path = pattern.rstrip("/")
    path = path[1:] if path.startswith("./") else path  # from the folder on, as with a slash in front
    if path.startswith("**/"):
        return True, path.removeprefix("**/").lstrip("/")
    return "/" not in path, path.lstrip("/")


def _argument(regex: bytes) -> str:
    return regex.decode("utf-8", "surrogateescape")
