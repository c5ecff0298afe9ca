"""A folder for real: what tar carries, what is left out, what changes meanwhile, what must not get out."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.contract.config import build
from plugins.sources.files import Files
from plugins.sources.tree import archiving
from strongroom import ConfigError, TargetState
from strongroom.testing.laboratory import Surroundings, dumped

Opener = Callable[..., Files]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "lab" / "tree"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def source(tree: Path, around: Surroundings) -> Opener:
    def opened(**values: object) -> Files:
        return Files(build(Files.Config, {"path": str(tree), **values}), around.context)

    return opened


def fill(tree: Path, *names: str) -> None:
    for name in names:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))


def listed(folder: Path) -> set[str]:
    """The files below a folder, and the folders that are empty."""
    found = set()
    for path in folder.rglob("*"):
        if not path.is_dir() or path.is_symlink() or not any(path.iterdir()):
            found.add(str(path.relative_to(folder)))
    return found


def copied(source: Files, tree: Path) -> Path:
    """The source's folder, restored beside."""
    chunks, counted = dumped(source, tree.name)
    source.restore("copy", chunks)
    assert counted.differences(source.fingerprint("copy")) == []
    return tree.with_name("copy")


# -------------------------------------------------------------------------------- what comes back


def test_a_tree_comes_back_as_it_was(source: Opener, tree: Path) -> None:
    fill(
        tree,
        "a/b/plain",
        "a/" + "long" * 50 + "/" + "x" * 200,
        "ünï 漢 😀",
        "new\nline",
        " lead",
        "-dash",
        "*?[x]",
    )
    (tree.joinpath(os.fsdecode(b"not-utf8-\xff"))).write_bytes(b"\0\1\2")
    (tree / "empty folder").mkdir(mode=0o711)
    (tree / "script").write_text("#!/bin/sh\n")
    (tree / "script").chmod(0o755)
    (tree / "secret").write_text("x")
    (tree / "secret").chmod(0o600)
    (tree / "link").symlink_to("a/b/plain")
    (tree / "dangling").symlink_to("/nowhere/at all")
    os.link(tree / "script", tree / "a" / "hard")
    os.mkfifo(tree / "pipe")
    (tree / "large").write_bytes(os.urandom(3 << 20))
    for number, path in enumerate(sorted(tree.rglob("*"))):
        os.utime(path, ns=(0, 1_500_000_000_123_456_789 + number), follow_symlinks=False)
    tree.chmod(0o750)
    copy = copied(source(), tree)
    assert listed(copy) == listed(tree)
    for path in [tree, *tree.rglob("*")]:
        other = copy / path.relative_to(tree)
        old, new = path.lstat(), other.lstat()
        assert (old.st_mode, old.st_uid, old.st_gid) == (new.st_mode, new.st_uid, new.st_gid), path
        if path != tree:
            assert old.st_mtime_ns == new.st_mtime_ns, path
        if path.is_symlink():
            assert path.readlink() == other.readlink()
        elif path.is_file():
            assert path.read_bytes() == other.read_bytes()
    assert (copy / "script").stat().st_ino == (copy / "a" / "hard").stat().st_ino


def test_extended_attributes_come_back(source: Opener, tree: Path) -> None:
    fill(tree, "file")
    try:
        os.setxattr(tree / "file", "user.colour", "grün".encode())
    except OSError:
        pytest.skip("this file system has no extended attributes")
    assert os.getxattr(copied(source(), tree) / "file", "user.colour") == "grün".encode()


def test_a_socket_is_left_out(source: Opener, tree: Path) -> None:
    fill(tree, "file")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tree / "s"))
        assert listed(copied(source(), tree)) == {"file"}


def test_the_folder_may_be_a_link(tree: Path, around: Surroundings) -> None:
    fill(tree, "a/file")
    link = tree.with_name("link")
    link.symlink_to(tree)
    here = Files(Files.Config(path=str(link)), around.context)
    here.restore("copy", dumped(here, "link")[0])
    assert listed(tree.with_name("copy")) == {"a/file"}


def test_by_hand_with_tar_alone(source: Opener, tree: Path, tmp_path: Path) -> None:
    fill(tree, "a/file", "b")
    here = source()
    (tmp_path / "by hand").mkdir()
    data = b"".join(dumped(here, tree.name)[0])
    command = here.restore_command(str(tmp_path / "by hand"))
    subprocess.run(["sh", "-c", command + " --file=-"], input=data, check=True)
    assert listed(tmp_path / "by hand") == listed(tree)


# --------------------------------------------------------------------------------- what is chosen

ALL = ("a.log", "docs/b.pdf", "docs/deep/c.pdf", "docs/d.txt", "cache/e", "src/cache/f", "src/g.py", "tmp")


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, set(ALL)),
        ({"exclude": ["*.log", "cache"]}, {"docs/b.pdf", "docs/deep/c.pdf", "docs/d.txt", "src/g.py", "tmp"}),
        ({"exclude": ["/cache", "docs/deep/"]}, set(ALL) - {"cache/e", "docs/deep/c.pdf"}),
        ({"exclude": ["./cache"]}, set(ALL) - {"cache/e"}),
        ({"exclude": ["./src/**"]}, set(ALL) - {"src/cache/f", "src/g.py"} | {"src"}),
        ({"exclude": ["**/cache/*"]}, set(ALL) - {"cache/e", "src/cache/f"} | {"cache", "src/cache"}),
        ({"exclude": ["tmp/"]}, set(ALL)),
        ({"presets": ["caches", "logs"]}, {"docs/b.pdf", "docs/deep/c.pdf", "docs/d.txt", "src/g.py", "tmp"}),
        ({"include": ["*.pdf"]}, {"docs/b.pdf", "docs/deep/c.pdf"}),
        ({"include": ["docs/**", "src/g.py"]}, {"docs/b.pdf", "docs/deep/c.pdf", "docs/d.txt", "src/g.py"}),
        ({"include": ["*.pdf"], "exclude": ["deep"]}, {"docs/b.pdf"}),
        ({"exclude": ["*"]}, set()),
    ],
)
def test_what_is_left_out(source: Opener, tree: Path, values: dict[str, Any], wanted: set[str]) -> None:
    fill(tree, *ALL)
    assert listed(copied(source(**values), tree)) == wanted


def test_a_pattern_does_not_leave_the_folder_itself_out(around: Surroundings, tree: Path) -> None:
    odd = tree / "ca[ch]e*"
    fill(odd, "x/file", "ca[ch]e*/file")
    here = Files(build(Files.Config, {"path": str(odd), "exclude": ["x", "ca*/nothing"]}), around.context)
    here.restore("copy", dumped(here, odd.name)[0])
    assert listed(tree / "copy") == {"ca[ch]e*/file"}


@pytest.mark.parametrize(
    "values", [{"path": "relative"}, {"presets": ["everything"]}, {"exclude": ["/"]}, {"include": [""]}]
)
def test_what_makes_no_sense_is_refused(source: Opener, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        source(**values)
    assert caught.value.message


# ------------------------------------------------------------------------------ what changes meanwhile


@pytest.mark.parametrize("what", ["/deep", ""])
def test_a_folder_that_goes_before_it_is_looked_into_is_told(
    source: Opener,
    tree: Path,
    around: Surroundings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """find names such a folder and ends with status 1; the folder itself is another matter."""
    fill(tree, "file")
    tools = tmp_path / "tools"
    tools.mkdir()
    complaint = f"find: '{tree}{what}': No such file or directory"
    (tools / "find").write_text(
        f'#!/bin/sh\n{shutil.which("find")} "$@"; status=$?\n'
        f'case "$*" in *--version*) exit $status;; esac\necho "{complaint}" >&2; exit 1\n'
    )
    (tools / "find").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    if not what:
        with pytest.raises(strongroom.SourceError, match="No such file"):
            dumped(source(), tree.name)
        return
    dumped(source(), tree.name)
    assert any("went while they were looked for" in line and "deep" in line for line, _ in around.log)


def test_what_changes_while_it_is_read_is_told(source: Opener, tree: Path, around: Surroundings) -> None:
    """tar has the list of names before it reads: one goes, and one grows, behind a long first file."""
    (tree / "0").write_bytes(b"x" * (64 << 20))
    fill(tree, "gone")
    names = [path.name for path in tree.iterdir()]
    with source().dump(tree.name) as dump:
        chunks = iter(dump)
        data = [next(chunks)]
        if names.index("gone") < names.index("0"):
            pytest.skip("this file system lists the small file first")
        (tree / "gone").unlink()
        with (tree / "0").open("ab") as file:
            file.write(b"more")
        data += list(chunks)
        counted = dump.fingerprint()
    told = [message for message, level in around.log if level is strongroom.LogLevel.WARNING]
    assert len(told) == 1 and "0: file changed as we read it" in told[0] and "gone" in told[0]
    here = source()
    here.restore("copy", data)
    assert counted is not None and counted.differences(here.fingerprint("copy")) == []


ENDED = "tar: Exiting with failure status due to previous errors"


@pytest.mark.parametrize(
    ("status", "said", "passes"),
    [
        (0, "", True),
        (1, "/usr/bin/tar: ./x: file changed as we read it", True),
        (
            2,
            "tar: ./x: Cannot stat: No such file or directory\n" + ENDED,
            True,
        ),
        (
            2,
            "tar: ./x: Cannot open: Permission denied\n" + ENDED,
            False,
        ),
        (
            2,
            "tar: ./x: Cannot stat: No such file or directory\ntar: ./y: Read error at byte 0: I/O error",
            False,
        ),
        (2, "", False),
        (-9, "", False),
        (127, "tar: ./x: file changed as we read it", False),
    ],
)
def test_what_tar_says_is_judged(around: Surroundings, status: int, said: str, passes: bool) -> None:
    if passes:
        archiving._judge(around.context, status, said, "/tree")
        assert bool(around.log) == bool(said)
        return
    with pytest.raises(strongroom.SourceError) as caught:
        archiving._judge(around.context, status, said, "/tree")
    assert caught.value.remedy and "/tree" in caught.value.message


def test_a_tar_that_dies_early_is_told_while_find_still_has_much_to_say(
    source: Opener, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = "/".join("w" * 250 for _ in range(7))
    fill(tree, *(f"{way}/{number:0200}" for number in range(3000)))  # more than all pipes between them take
    tools = tmp_path / "tools"
    tools.mkdir()
    line = f'[ "$1" = --version ] && exec {shutil.which("tar")} "$@"\necho "tar: out of memory" >&2; exit 2\n'
    (tools / "tar").write_text(f"#!/bin/sh\n{line}")
    (tools / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(strongroom.ToolFailed, match=r"tar failed .* out of memory"):
        dumped(source(), tree.name)


# -------------------------------------------------------------------------------- what must not pass


def archive(*members: tuple[str, bytes, dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, more in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            content = more.pop("content", b"")
            for key, value in more.items():
                setattr(info, key, value)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    "members",
    [
        [("/tmp/owned-by-tar", FILE, {"content": b"x"})],
        [("../owned-by-tar", FILE, {"content": b"x"})],
        [("a/../../owned-by-tar", FILE, {"content": b"x"})],
        [("x" * 200 + "/../../owned-by-tar", FILE, {"content": b"x"})],
        [("out", LINK, {"linkname": ".."}), ("out/owned-by-tar", FILE, {"content": b"x"})],
        [("out", LINK, {"linkname": "/tmp"}), ("out/owned-by-tar", FILE, {"content": b"x"})],
        [("hard", HARD, {"linkname": "/etc/passwd"})],
        [("hard", HARD, {"linkname": "../../precious"})],
    ],
)
def test_nothing_lands_outside_the_target(
    source: Opener, tree: Path, tmp_path: Path, members: list[tuple[str, bytes, dict[str, Any]]]
) -> None:
    (tree.parent / "precious").write_text("precious")
    before = listed(tmp_path)
    with pytest.raises(strongroom.SourceError):
        source().restore("copy", [archive(*members)])
    assert listed(tmp_path) == before
    assert not Path("/tmp/owned-by-tar").exists()


@pytest.mark.parametrize("size", [1, 100, 511, 512, 513, 100_000])
def test_an_archive_is_read_however_it_is_cut(tree: Path, source: Opener, size: int) -> None:
    fill(tree, "a/b", "y" * 250)
    here = source()
    chunks, counted = dumped(here, tree.name)
    data = b"".join(chunks)
    pieces: Iterable[bytes] = (data[at : at + size] for at in range(0, len(data), size))
    here.restore("copy", pieces if size > 1 else [data[:1], data[1:]])
    assert counted.differences(here.fingerprint("copy")) == []


def test_a_difference_of_content_alone_is_seen(source: Opener, tree: Path) -> None:
    fill(tree, "a", "b")
    here = source()
    _, counted = dumped(here, tree.name)
    before = (tree / "a").stat()
    (tree / "a").write_text("A")
    os.utime(tree / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert counted.differences(here.fingerprint(tree.name))
    (tree / "a").write_text("a")
    assert counted.differences(here.fingerprint(tree.name)) == []
    (tree / "a").chmod(0o600)
    assert counted.differences(here.fingerprint(tree.name))


def test_a_file_in_the_place_of_the_target_is_somebodys(source: Opener, tree: Path) -> None:
    tree.with_name("copy").write_text("mine")
    here = source()
    assert here.target_state("copy") is TargetState.FILLED
    assert here.target_state(str(tree / "nothing")) is TargetState.MISSING
    with pytest.raises(strongroom.SourceError, match="no folder"):
        here.restore(str(tree / "no" / "parent"), dumped(here, tree.name)[0])
    for name in ("", "..", "a/b"):
        with pytest.raises(ConfigError):
            here.target_state(name)


def test_the_root_is_never_removed(source: Opener) -> None:
    with pytest.raises(ConfigError):
        source().drop("/")


def test_a_missing_tool_is_named(source: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "find").symlink_to(str(shutil.which("find")))
    (tools / "tar").write_text("#!/bin/sh\necho bsdtar 3.6.2\n")
    (tools / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(strongroom.ToolMissing, match="GNU tar") as caught:
        source().check()
    assert caught.value.remedy
