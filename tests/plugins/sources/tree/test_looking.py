"""What `check` finds before a run does, and what a run says of patterns that choose nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.contract.config import build
from engine.events import Status
from plugins.sources.files import Files
from plugins.sources.tree import looking
from strongroom.testing.laboratory import Surroundings, dumped
from tests.conftest import Bench
from tests.plugins.sources.tree.test_choosing import container  # noqa: F401 - a fixture
from tests.plugins.sources.tree.test_files import fill, listed, source, tree  # noqa: F401 - fixtures

Opener = Callable[..., Files]


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    (tmp_path / "around").mkdir()
    return Surroundings(tmp_path / "around")


def warnings(around: Surroundings) -> list[str]:
    return [message for message, level in around.log if level is strongroom.LogLevel.WARNING]


# ------------------------------------------------------------------------- what chooses nothing


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"include": ["docs/**", "*.pdf"]}, None),
        ({"include": ["docs", "docs/a"]}, None),
        ({"include": ["docs/a", "Docs/*"]}, "Docs/*"),
        ({"include": ["docs/", "empty/"]}, "empty/"),
        ({"include": ["docs/a", "*.pdf"], "exclude": ["*.pdf"]}, "*.pdf"),
        ({"include": ["empty"]}, "empty"),
    ],
)
def test_a_pattern_that_chooses_no_file_is_told(
    source: Opener,  # noqa: F811
    tree: Path,  # noqa: F811
    around: Surroundings,
    values: dict[str, Any],
    named: str | None,
) -> None:
    fill(tree, "docs/a", "docs/b.pdf", "c")
    (tree / "empty").mkdir()
    here = source(**values)
    notes = here.check().notes
    dumped(here, tree.name)
    words = f"No file below {tree} is chosen by include = {named}."
    assert [note.startswith(words) for note in notes] == ([True] if named else [])
    assert warnings(around) == ([words] if named else [])


def test_nothing_at_all_is_no_backup(source: Opener, tree: Path) -> None:  # noqa: F811
    fill(tree, "docs/a")
    (tree / "empty").mkdir()
    here = source(include=["Docs/**", "*.pdf"])
    for attempt in (here.check, lambda: dumped(here, tree.name)):
        with pytest.raises(
            strongroom.SourceError, match=r"Nothing below .*: include names Docs/\*\*, \*.pdf"
        ):
            attempt()
    left_out = source(include=["docs"], exclude=["docs"])
    with pytest.raises(strongroom.SourceError, match="Nothing below") as caught:
        left_out.check()
    assert "exclude" in str(caught.value.remedy)


def test_by_the_engine_it_is_a_warning_of_the_run(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    fill(folder, "docs/a", "top")
    job = bench.job(source="files", source_values={"path": str(folder), "include": ["docs", "tpo"]})
    done = bench.run(job)
    assert done.status is Status.SUCCESS, done.error
    logged = bench.workspace.store.logs.list(done.id)
    told = [line.entry for line in logged if "is chosen by include = tpo" in line.entry.message]
    assert [entry.level for entry in told] == [strongroom.LogLevel.WARNING]


def test_a_pattern_with_odd_letters_reaches_the_log(bench: Bench, tmp_path: Path) -> None:
    """What find is told holds bytes that are no text; the line that people read does not."""
    folder = tmp_path / "data"
    fill(folder, "docs/ä", os.fsdecode(b"docs/\xe9"), "top")
    job = bench.job(source="files", source_values={"path": str(folder), "include": ["docs/?", "top"]})
    done = bench.run(job)
    assert done.status is Status.SUCCESS, done.error


# -------------------------------------------------------------------------- what cannot be read


def deep_file(tree: Path, size: int) -> str:  # noqa: F811
    """A file whose path below the folder has so many bytes, made step by step: no call takes it whole."""
    left, parts = size, []
    while left > 200:
        parts.append("d" * 100)
        left -= 101
    at = os.open(tree, os.O_RDONLY)
    for part in parts:
        os.mkdir(part, dir_fd=at)
        below = os.open(part, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    name = "f" * left
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    path = "/".join([*parts, name])
    assert len(path) == size
    return path


def test_a_path_as_long_as_the_system_takes_comes_back(source: Opener, tree: Path) -> None:  # noqa: F811
    deep_file(tree, looking.LONGEST)
    here = source()
    here.check()
    chunks, counted = dumped(here, tree.name)
    here.restore("copy", chunks)
    assert counted.tables["files"] == 1
    assert counted.differences(here.fingerprint("copy")) == []


@pytest.mark.parametrize("away", [False, True])
def test_a_longer_one_is_found_by_check_and_told_briefly(
    tree: Path,  # noqa: F811
    around: Surroundings,
    away: bool,
    request: pytest.FixtureRequest,
) -> None:
    fill(tree, "good")
    path = deep_file(tree, looking.LONGEST + 1)
    context = around.context_on(request.getfixturevalue("container")) if away else around.context
    here = Files(build(Files.Config, {"path": str(tree)}), context)
    for attempt in (here.check, lambda: dumped(here, tree.name)):
        with pytest.raises(strongroom.SourceError, match="longer than the system takes") as caught:
            attempt()
        message = caught.value.message
        assert len(message) < 800
        assert path[:50] in message and f"...{path[-20:]}" in message
        assert "exclude" in str(caught.value.remedy)
    beyond = Files(build(Files.Config, {"path": str(tree), "exclude": ["d*"]}), context)
    beyond.check()
    beyond.restore("copy", dumped(beyond, tree.name)[0])
    assert listed(tree.with_name("copy")) == {"good"}


def test_what_this_user_may_not_read_is_named_and_counted(
    source: Opener,  # noqa: F811
    tree: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(tree, "open", *(f"closed/{number}" for number in range(7)), "shut/in")
    for path in (*(tree / "closed").iterdir(), tree / "shut"):
        path.chmod(0)
    here = source()
    real = here.context.host.run

    def as_any_user(argv: list[str], **more: Any) -> strongroom.Process:
        without = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
        return real([*without, *argv], **more)

    monkeypatch.setattr(here.context.host, "run", as_any_user)
    with pytest.raises(strongroom.SourceError, match=r"Not all of .*: closed/.*, and 3 more") as caught:
        here.check()
    (tree / "shut").chmod(0o700)
    assert len(caught.value.message) < 1000
