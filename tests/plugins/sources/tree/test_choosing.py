"""What patterns mean: as a shell reads them, on every host, for every name."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.contract.config import build
from engine.hosts.local import LocalHost
from plugins.hosts.docker import Docker
from plugins.sources.files import Files
from plugins.sources.tree import choosing, patterns
from strongroom import Host
from strongroom.testing.laboratory import Surroundings, dumped
from tests.parts.containers import Clients
from tests.plugins.sources.tree.test_files import fill, listed, tree  # noqa: F401 - a fixture


@pytest.fixture
def container(around: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host behind a shell, which the tree lies on too."""
    clients = Clients(tmp_path / "clients")
    monkeypatch.setenv("PATH", f"{clients.folder}{os.pathsep}{os.environ['PATH']}")
    config = build(Docker.Config, {"container": "shop-db-1"})
    return Docker(config, around.context_on(LocalHost(around.cancel))).open()


Copied = Callable[..., set[str]]


@pytest.fixture(params=["this machine", "a container"])
def copied(
    request: pytest.FixtureRequest,
    around: Surroundings,
    tree: Path,  # noqa: F811
) -> Iterator[Copied]:
    """What a backup with these rules holds, as its restored copy shows."""
    away = request.param == "a container"
    context = around.context_on(request.getfixturevalue("container")) if away else around.context

    def made(**values: Any) -> set[str]:
        source = Files(build(Files.Config, {"path": str(tree), **values}), context)
        source.check()
        chunks, counted = dumped(source, tree.name)
        source.restore("copy", chunks)
        assert counted.differences(source.fingerprint("copy")) == []
        copy = tree.with_name("copy")
        found = listed(copy)
        for name in found:
            if (copy / name).is_file():
                assert (copy / name).read_bytes() == (tree / name).read_bytes()
        return found

    return made


DEEP = (
    "var/x.log",
    "var/deep/y.log",
    "var/deep/er/z.log",
    "var/keep",
    "a/b/1",
    "a/b/c/2",
    "a/3",
    "x1/4",
    "x",
)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"exclude": ["var/*.log"]}, set(DEEP) - {"var/x.log"}),
        ({"exclude": ["var/d??p"]}, set(DEEP) - {"var/deep/y.log", "var/deep/er/z.log"}),
        ({"exclude": ["var?x.log", "var[!a]x.log", "*/b/*/2"]}, set(DEEP) - {"a/b/c/2"} | {"a/b/c"}),
        ({"exclude": ["**/deep/*.log"]}, set(DEEP) - {"var/deep/y.log"}),
        ({"exclude": ["var/**/*.log"]}, set(DEEP) - {"var/x.log", "var/deep/y.log", "var/deep/er/z.log"}
         | {"var/deep/er"}),
        ({"include": ["var/*.log"]}, {"var/x.log"}),
        ({"include": ["var/*"]}, {"var/x.log", "var/deep/y.log", "var/deep/er/z.log", "var/keep"}),
        ({"include": ["a"]}, {"a/b/1", "a/b/c/2", "a/3"}),
        ({"include": ["a/b/"]}, {"a/b/1", "a/b/c/2"}),
        ({"include": ["a/**"]}, {"a/b/1", "a/b/c/2", "a/3"}),
        ({"include": ["x*"]}, {"x1/4", "x", "var/x.log"}),
        ({"include": ["x*/"]}, {"x1/4"}),
        ({"include": ["/x*"]}, {"x1/4", "x"}),
        ({"include": ["**/deep/", "/x"]}, {"var/deep/y.log", "var/deep/er/z.log", "x"}),
        ({"include": ["var"], "exclude": ["deep/", "keep"]}, {"var/x.log"}),
    ],
)  # fmt: skip
def test_a_star_stays_within_a_folder_and_a_folder_brings_what_is_below_it(
    copied: Copied,
    tree: Path,  # noqa: F811
    values: dict[str, Any],
    wanted: set[str],
) -> None:
    fill(tree, *DEEP)
    assert copied(**values) == wanted


def test_the_folders_own_name_is_no_match(copied: Copied, tree: Path) -> None:  # noqa: F811
    fill(tree, f"{tree.name}/in", "out", f"deep/{tree.name}/too")
    assert copied(include=[tree.name]) == {f"{tree.name}/in", f"deep/{tree.name}/too"}


def test_names_that_are_no_text_or_hold_line_feeds_match_as_any_other(
    copied: Copied,
    tree: Path,  # noqa: F811
) -> None:
    latin, both = os.fsdecode(b"d/caf\xe9.txt"), os.fsdecode(b"d/\xc3\xbc-\xe9.txt")
    fill(tree, "d/café.txt", "d/a\nb.txt", "d/a\n/c", "d/other", "e/\n\n", latin, both)
    assert copied(include=["d/caf?.txt", "d/[ü]-?.txt", "d/a?b.txt"]) == {
        *("d/café.txt", latin, both, "d/a\nb.txt")
    }


def test_what_is_no_text_is_left_out_as_well(copied: Copied, tree: Path) -> None:  # noqa: F811
    fill(tree, "d/café.txt", "d/a\nb.txt", "d/a\n/c", os.fsdecode(b"d/caf\xe9.txt"), "d/cafés.txt")
    assert copied(exclude=["d/caf?.txt", "d/a*"]) == {"d/cafés.txt"}


NAMES = (
    *("a", "b", "ab", "é", "ü", "éa", "z", "-", "]", "^", "\\", "[", "!", ".hidden", "{a}", "a+", "(a)", "$"),
    *(
        "a b",
        "a\nb",
        "a.b",
        "axb",
        "a*b",
        "😀",
        "漢",
        "A",
        "7",
        "|",
        "a|b",
        "ž",
        "\u07ff",
        "\u0800",
        "\uffff",
    ),
)
LIKE_A_SHELLS = (
    *("*", "?", "??", "a*", "*b", "a?b", "[ab]", "[!ab]", "[^ab]", "[a-z]", "[!a-z]", "[]]", "[!]]", "[]a]"),
    *("[-a]", "[a-]", "[!-]", "[\\]]", "[\\^a]", "[é-ü]", "[!é]", "[é漢]", "[!é-😀]", "[[:digit:]]", "\\*"),
    *("a\\*[b]", "[", "[a", "a.b", "{a}", "a+", "(a)", "$", "a|b", "[[:upper:]7]", "[z-a]", "\\[*"),
    *("d/*", "*/a", "d/*/a", "**/a", "d/**/a", "d/**/e/*", "**/e/?", "*/*", "*/*/*", "d/e/**/[é]", "**/d/*"),
    *("d/[!/]a", "[a/]", "d[/]a", "?/e/*", "d*/a", "d/**/**/a", "\\d/\\?"),
)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo [a-z]* (1)+")
    fill(folder, *(f"{place}{name}" for place in ("", "d/", "d/e/", "d/e/f/") for name in NAMES))
    return folder


@pytest.mark.parametrize("pattern", LIKE_A_SHELLS)
def test_a_pattern_means_what_a_shell_makes_of_it(zoo: Path, pattern: str) -> None:
    """Bash is asked, with hidden names as any other; find and Python must both agree with it."""
    anchored = "/" + pattern if not pattern.startswith("**/") else pattern
    line = "shopt -s globstar dotglob nullglob; IFS=; printf '%s\\0' $1"
    env = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
    asked = subprocess.run(["bash", "-c", line, "bash", pattern], cwd=zoo, env=env, capture_output=True)
    meant = {name for name in asked.stdout.split(b"\0") if name and (zoo / os.fsdecode(name)).exists()}
    argv = choosing.arguments(str(zoo), [], [anchored], one_file_system=False)
    test = argv[argv.index("(") : argv.index(")") + 1]
    found = subprocess.run(
        ["find", str(zoo), "-mindepth", "1", "-regextype", "posix-extended", *test, "-printf", r"%P\0"],
        env={"LC_ALL": "C"},
        capture_output=True,
    )
    assert found.stderr == b""
    assert set(found.stdout.split(b"\0")) - {b""} == meant
    for path in zoo.rglob("*"):
        name = os.fsencode(str(path.relative_to(zoo)))
        assert bool(re.fullmatch(patterns.expression(pattern), name, re.DOTALL)) == (name in meant), name


def test_any_character_is_one(zoo: Path) -> None:
    one = re.compile(patterns.expression("?"), re.DOTALL)
    for code in [*range(1, 0x3000), *range(0x3000, 0xD800, 97), *range(0xE000, 0x110000, 97), 0x10FFFF]:
        assert bool(one.fullmatch(chr(code).encode())) == (chr(code) != "/")
    low, high = 0x3F1, 0x1F6F3
    some = re.compile(patterns.expression(f"[{chr(low)}-{chr(high)}]"), re.DOTALL)
    others = re.compile(patterns.expression(f"[!{chr(low)}-{chr(high)}]"), re.DOTALL)
    around = [*range(0x80, 0x1000), *range(0xF000, 0x11000), *range(0x1F000, 0x20000), 0x10FFFF]
    for code in around:
        assert bool(some.fullmatch(chr(code).encode())) == (low <= code <= high)
        assert bool(others.fullmatch(chr(code).encode())) == (not low <= code <= high)
