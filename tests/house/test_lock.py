"""requirements.lock: every dependency pinned, every pin with hashes, and no address of any host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
COMMENT = re.compile(r"^    #")


def read_lock(text: str) -> tuple[dict[str, list[Version]], list[str]]:
    """The pinned versions by name, and what is wrong with the file."""
    pins: dict[str, list[Version]] = {}
    problems: list[str] = []
    current, hashes = "", 0
    for line in [*text.splitlines(), ""]:
        if "://" in line or re.search(r"(^|\s)(-i|-f|--index-url|--extra-index-url|--find-links)\b", line):
            problems.append(f"names a host or an index: {line.strip()}")
        elif match := PIN.match(line):
            if current and not hashes:
                problems.append(f"has no hash: {current}")
            current, hashes = match["name"], 0
            pins.setdefault(canonicalize_name(current), []).append(Version(match["version"]))
        elif HASH.match(line):
            hashes += 1
        elif line and not COMMENT.match(line):
            problems.append(f"is not a pin with hashes: {line.strip()}")
    if current and not hashes:
        problems.append(f"has no hash: {current}")
    return pins, problems


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    texts = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        texts += extra
    wanted = [Requirement(text) for text in [*texts, *project["build-system"]["requires"]]]
    return [requirement for requirement in wanted if requirement.name != project["project"]["name"]]


def not_locked(requirements: list[Requirement], pins: dict[str, list[Version]]) -> list[str]:
    return [
        str(wanted)
        for wanted in requirements
        if not any(wanted.specifier.contains(pin) for pin in pins.get(canonicalize_name(wanted.name), []))
    ]


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_every_line_is_a_pin_with_hashes_and_none_names_a_host(lock: str) -> None:
    pins, problems = read_lock(lock)
    assert problems == []
    assert len(pins) > 50


def test_every_declared_dependency_is_pinned_to_a_version_that_it_allows(lock: str) -> None:
    pins, _ = read_lock(lock)
    assert not_locked(declared(), pins) == []


def test_no_other_lock_is_kept() -> None:
    # uv.lock and its like hold the addresses of the index that they were made from.
    others = ["uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml"]
    assert [name for name in others if (ROOT / name).exists()] == []


GOOD = f"click==8.1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{'a' * 64}\n    # via strongroom\n"


def test_a_well_formed_pin_is_read() -> None:
    assert read_lock(GOOD) == ({"click": [Version("8.1.0")]}, [])


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://index.invalid/simple",
        "-i index.invalid",
        "--find-links wheels",
        "click @ https://files.invalid/click.whl",
        "click>=8",
        "click==8.1.0",
        "click==8.1.0 \\\n    --hash=md5:abc",
        "rich==14.0 \\\n    # via strongroom",
        "-e .",
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_anything_else_is_caught(line: str, before: bool) -> None:
    _, problems = read_lock(f"{line}\n{GOOD}" if before else f"{GOOD}{line}\n")
    assert problems


def test_a_dependency_that_is_not_locked_is_caught() -> None:
    pins, _ = read_lock(GOOD)
    wanted = [Requirement("Click>=8"), Requirement("click>=9"), Requirement("rich")]
    assert not_locked(wanted, pins) == ["click>=9", "rich"]
