"""What of a folder is backed up: patterns as people write them, as find's own tests.

A pattern without a slash is a name at any depth; one with a slash is a path from the folder on. `*`, `?` and
`[...]` are as in a shell, `**` crosses folders, a slash at the end means folders alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

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

_SPECIAL = re.compile(r"([*?\[\]\\])")


def excluded(patterns: Iterable[str], presets: Iterable[str]) -> list[str]:
    """All patterns, those of the presets included. Raises `KeyError` for a preset that there is not."""
    return list(dict.fromkeys([*(each for name in presets for each in PRESETS[name]), *patterns]))


def arguments(
    folder: str, include: Sequence[str], exclude: Sequence[str], *, one_file_system: bool
) -> list[str]:
    """find's command line, which prints the chosen paths below `folder`, each with its type and ended by NUL.

    What is left out is not walked through either.
    """
    line = ["-H", folder, "-mindepth", "1", *(["-xdev"] if one_file_system else [])]
    if exclude:
        line += ["(", *_any(folder, exclude), ")", "-prune", "-o"]
    if include:
        line += ["(", *_any(folder, include), ")"]
    return [*line, "-printf", r"%y%P\0"]


def _any(folder: str, patterns: Sequence[str]) -> list[str]:
    tests = [each for pattern in patterns for each in _tests(folder, pattern)]
    found = list(tests[0])
    for test in tests[1:]:
        found += ["-o", *test]
    return found


def _tests(folder: str, pattern: str) -> list[list[str]]:
    """find's tests for one pattern, of which one has to hold."""
    kind = ["-type", "d"] if pattern.endswith("/") else []
    path = pattern.rstrip("/")
    path = path[1:] if path.startswith("./") else path  # from the folder on, as with a slash in front
    anywhere = path.startswith("**/")
    path = path.removeprefix("**/").lstrip("/") if anywhere else path
    if "/" not in path:
        return [[*kind, "-name", path]]
    base = _SPECIAL.sub(r"\\\1", folder.rstrip("/"))
    path = path.lstrip("/").replace("**", "*")
    tests = [[*kind, "-path", f"{base}/{path}"]]
    if anywhere:
        tests.append([*kind, "-path", f"{base}/*/{path}"])
    return tests
