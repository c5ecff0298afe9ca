"""What the pages say is so: links lead somewhere, and the commands that they show exist."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {".venv", ".git", "node_modules", "build", "dist", "shots"}

LINK = re.compile(
    r"!?\[[^\]]*\]\(\s*<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)|<(?:img|a)\s[^>]*(?:src|href)=\"([^\"]+)\""
)
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def pages() -> list[Path]:
    found = ROOT.rglob("*.md")
    return sorted(path for path in found if not SKIPPED & set(path.relative_to(ROOT).parts[:-1]))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = [
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in HEADING.findall(FENCE.sub("", text))
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def dead_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere; links to other hosts are not followed."""
    text = page.read_text(encoding="utf-8")
    dead = []
    for match in LINK.finditer(FENCE.sub("", text)):
        link = match[1] or match[2]
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        leads = target.exists()
        if leads and anchor and target.suffix == ".md":
            leads = anchor in anchors(target.read_text(encoding="utf-8"))
        if not leads:
            dead.append(link)
    return dead


def commands_shown(program: str, text: str) -> set[str]:
    """The first words after a program's name wherever a page shows it as code."""
    code = [match[0] for match in FENCE.finditer(text)] + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    found: set[str] = set()
    for piece in code:
        for words in re.findall(rf"(?:^|[\s(|]){re.escape(program)} ([a-z][a-z|\\-]*)", piece):
            found.update(words.replace("\\", "").split("|"))
    return found


def dev_commands() -> set[str]:
    loader = SourceFileLoader("dev_command", str(ROOT / "dev"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return set(module.COMMANDS)


def strongroom_commands() -> set[str]:
    command = Path(sys.executable).with_name("strongroom")
    done = subprocess.run([str(command), "--help"], capture_output=True, text=True, check=True, timeout=60)
    listed = done.stdout.partition("Commands:")[2]
    return set(re.findall(r"^ +([a-z][a-z-]*) {2,}", listed, re.MULTILINE))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_dev_command_that_a_page_shows_exists(page: Path) -> None:
    assert commands_shown("./dev", page.read_text(encoding="utf-8")) - dev_commands() == set()


def test_every_strongroom_command_that_the_readme_shows_exists() -> None:
    shown = commands_shown("strongroom", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(shown) > 10
    assert shown - strongroom_commands() == set()


def test_the_readme_begins_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = FENCE.search(readme)
    assert first is not None
    lines = [line.partition("#")[0].strip() for line in first[0].splitlines()[1:-1]]
    assert lines == ["./dev demo", "./dev test"]
    assert "##" not in readme[: first.start()].replace("# Strongroom", "")


def test_decisions_are_numbered_in_a_row() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]


def test_a_dead_link_is_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# One `two` three\n", encoding="utf-8")
    page.write_text(
        "[a](gone.md) [b](other.md) [c](other.md#one-two-three) [d](other.md#nowhere) [e](https://x.invalid)\n"
        '![f](images/none.png) <img src="none.svg"> [g](#missing)\n```\n[h](in-code.md)\n```\n',
        encoding="utf-8",
    )
    assert dead_links(page) == ["gone.md", "other.md#nowhere", "images/none.png", "none.svg", "#missing"]


def test_commands_are_found_in_code_and_only_there() -> None:
    text = "Say ./dev dance, or `./dev test` and `x lock|unlock`:\n"
    text += "```sh\n$ ./dev demo --headless\n./dev lint\n```\n"
    assert commands_shown("./dev", text) == {"test", "demo", "lint"}
    assert commands_shown("x", text) == {"lock", "unlock"}
