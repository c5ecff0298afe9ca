"""The local folder beyond the suite: disks that are full, missing, lying, or full of strangers' files."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build, split_secrets
from engine.errors import ConfigError
from plugins import durable
from plugins.storage import mounts, names
from plugins.storage.local import LocalFolder
from strongroom.testing.readers import HookedReader, StreamReader, contents, context

MIB = 1 << 20


def opened(
    path: Path,
    cancel: strongroom.CancelToken | None = None,
    *,
    read_back: bool = True,
    mount: Path | None = None,
) -> LocalFolder:
    config = LocalFolder.Config(path=path, read_back=read_back, mount=mount)
    return LocalFolder(config, context(path.parent, cancel))


def put(storage: LocalFolder, name: str, data: bytes = b"data", *, overwrite: bool = False) -> None:
    storage.put(name, strongroom.BytesReader(data), begun=lambda leftover: None, overwrite=overwrite)


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


# ------------------------------------------------------------------------------------ configuration


def test_a_path_is_kept_absolute_with_the_home_folder_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    config = build(LocalFolder.Config, {"path": "~/backups"})
    assert split_secrets(config) == ({"path": "/home/somebody/backups"}, {})


@pytest.mark.parametrize("path", ["", "  ", "a\0b", 7, None])
def test_a_path_that_names_no_folder_is_refused(path: object) -> None:
    with pytest.raises(ConfigError) as raised:
        build(LocalFolder.Config, {"path": path})
    assert raised.value.field == "path"


# ------------------------------------------------------------------------------------ what is written


def test_files_and_folders_are_for_their_owner_alone(folder: Path) -> None:
    put(opened(folder), "shop/night/a.dump")
    assert stat.S_IMODE((folder / "shop/night/a.dump").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "shop").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "shop/night").stat().st_mode) == 0o700


def test_the_temporary_file_lies_hidden_in_the_same_folder(folder: Path) -> None:
    seen: list[str] = []
    told: list[strongroom.Leftover] = []

    def look(position: int) -> None:
        seen.extend(path.name for path in (folder / "shop").iterdir())

    opened(folder).put("shop/a.dump", HookedReader(MIB, look), begun=told.append)
    assert set(seen) == {Path(told[0].temporary_name).name}
    assert seen[0].startswith(".a.dump.")
    assert seen[0].endswith(".partial")
    assert told[0].temporary_name.startswith("shop/")


def test_a_name_as_long_as_the_disk_takes_still_has_a_temporary_name(folder: Path) -> None:
    name = "ü" * 120 + "n" * 15
    assert len(name.encode()) == 255
    put(opened(folder), name)
    assert below(folder) == [name]


def test_a_name_too_long_for_the_disk_says_what_to_do(folder: Path) -> None:
    with pytest.raises(strongroom.StorageError) as raised:
        put(opened(folder), "n" * 300)
    assert "naming template" in raised.value.remedy


def test_a_file_in_the_place_of_a_folder_is_named(folder: Path) -> None:
    (folder / "shop").write_text("a file")
    with pytest.raises(strongroom.StorageError, match="is a file, where a folder has to be"):
        put(opened(folder), "shop/a.dump")


def test_the_name_of_a_temporary_file_is_nobodys_name(folder: Path) -> None:
    name = "shop/" + names.temporary("a.dump")
    storage = opened(folder)
    for act in (lambda: put(storage, name), lambda: contents(storage, name), lambda: storage.delete(name)):
        with pytest.raises(strongroom.NameEscapes):
            act()


def test_read_back_finds_what_the_disk_made_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = durable.digest

    def worn_out(path: Path, alive: Callable[[], None]) -> tuple[int, str]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        return digest(path, alive)

    monkeypatch.setattr(durable, "digest", worn_out)
    with pytest.raises(strongroom.ChecksumMismatch, match="gave back other bytes"):
        opened(folder).put("shop/a.dump", StreamReader(MIB), begun=lambda leftover: None)
    assert below(folder) == []


def test_the_proof_says_whether_it_was_read_back(folder: Path) -> None:
    proofs = [
        opened(folder, read_back=on)
        .put(f"{on}.dump", strongroom.BytesReader(b"x"), begun=lambda leftover: None)
        .proof
        for on in (True, False)
    ]
    assert proofs == ["read back from the disk", "synced to the disk; read-back is switched off"]


def test_a_cancel_while_reading_back_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = strongroom.CancelToken()
    digest = durable.digest

    def cancelling(path: Path, alive: Callable[[], None]) -> tuple[int, str]:
        cancel.cancel("enough")
        return digest(path, alive)

    monkeypatch.setattr(durable, "digest", cancelling)
    with pytest.raises(strongroom.Cancelled):
        opened(folder, cancel).put("shop/a.dump", StreamReader(MIB), begun=lambda leftover: None)
    assert below(folder) == []


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_without_hard_links_replaces_nothing_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def no_links(*args: object, **kwargs: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "link", no_links)
    storage = opened(folder)
    put(storage, "shop/a.dump", b"first")
    with pytest.raises(strongroom.AlreadyExists):
        put(storage, "shop/a.dump", b"second")
    # Somebody else's file that appears while ours is being written:
    late = HookedReader(MIB, lambda position: (folder / "shop/b.dump").write_bytes(b"theirs"))
    with pytest.raises(strongroom.AlreadyExists):
        storage.put("shop/b.dump", late, begun=lambda leftover: None)
    assert below(folder) == ["shop", "shop/a.dump", "shop/b.dump"]
    assert (contents(storage, "shop/a.dump"), contents(storage, "shop/b.dump")) == (b"first", b"theirs")


def test_a_folder_that_another_process_removes_is_made_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, removed = durable.create, []

    def removing(path: Path) -> int:
        if not removed:
            removed.append(path.parent.rmdir())
        return create(path)

    monkeypatch.setattr(durable, "create", removing)
    put(opened(folder), "shop/a.dump")
    assert removed
    assert below(folder) == ["shop", "shop/a.dump"]


def test_deleting_the_last_file_of_a_folder_removes_the_folder(folder: Path) -> None:
    storage = opened(folder)
    put(storage, "2026/11/a.dump")
    put(storage, "2026/b.dump")
    storage.delete("2026/11/a.dump")
    assert below(folder) == ["2026", "2026/b.dump"]
    storage.delete("2026/b.dump")
    assert below(folder) == []
    assert folder.is_dir()


# ------------------------------------------------------------------------------- links lead nowhere


@pytest.fixture
def outside(tmp_path: Path, folder: Path) -> Path:
    outside = tmp_path / "backupsEVIL"
    outside.mkdir()
    (outside / "secret.dump").write_bytes(b"secret")
    (folder / "out").symlink_to(outside)
    (folder / "out.dump").symlink_to(outside / "secret.dump")
    return outside


@pytest.mark.parametrize("name", ["out/secret.dump", "out/new.dump", "out.dump"])
def test_a_link_is_not_followed(folder: Path, outside: Path, name: str) -> None:
    storage = opened(folder)
    acts: list[Callable[[], object]] = [
        lambda: put(storage, name),
        lambda: put(storage, name, overwrite=True),
        lambda: contents(storage, name),
        lambda: storage.stat(name),
        lambda: storage.verify(name, 6, "0" * 64),
        lambda: storage.delete(name),
    ]
    for act in acts:
        with pytest.raises(strongroom.NameEscapes):
            act()
    assert below(outside) == ["secret.dump"]
    assert (folder / "out.dump").is_symlink()


def test_a_listing_shows_nothing_behind_links(folder: Path, outside: Path) -> None:
    storage = opened(folder)
    put(storage, "a.dump")
    assert [file.name for file in storage.list()] == ["a.dump"]
    with pytest.raises(strongroom.NameEscapes):
        list(storage.list("out/"))


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    put(opened(link), "shop/a.dump")
    assert below(folder) == ["shop", "shop/a.dump"]


# ---------------------------------------------------------------------------------------- listings


def test_a_folder_that_cannot_be_read_fails_the_listing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened(folder)
    put(storage, "shop/a.dump")
    scandir = os.scandir

    def forbidden(path: Path) -> object:
        if Path(path).name == "shop":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(strongroom.StorageError, match="Permission denied"):
        storage.list()


def test_what_the_system_keeps_on_a_disk_is_no_concern(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = opened(folder)
    put(storage, "shop/a.dump")
    scandir = os.scandir
    for name in ("lost+found", ".Trash-1000", ".snapshots"):
        (folder / name).mkdir()

    def forbidden(path: Path) -> object:
        if Path(path).name == "lost+found":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    assert [file.name for file in storage.list()] == ["shop/a.dump"]
    with pytest.raises(strongroom.NameEscapes):
        put(storage, "lost+found/a.dump")


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not Unicode exist on Linux alone")
def test_a_name_that_is_not_unicode_is_a_strangers(folder: Path) -> None:
    storage = opened(folder)
    put(storage, "a.dump")
    os.close(os.open(os.fsencode(folder) + b"/b\xff.dump", os.O_CREAT | os.O_WRONLY))
    assert [file.name for file in storage.list()] == ["a.dump"]


# ------------------------------------------------------------------------- the disk is not what it was


def test_a_missing_folder_is_made_by_the_first_backup_and_no_listing_of_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("the folder above is in use")
    storage = opened(tmp_path / "new" / "backups")
    for act in (lambda: storage.list(), lambda: storage.stat("a"), lambda: storage.delete("a")):
        with pytest.raises(strongroom.StorageError, match="not there") as raised:
            act()
        assert not isinstance(raised.value, strongroom.StorageMissing)
    assert "is not there yet" in storage.check().notes[0]
    assert not (tmp_path / "new").exists()
    put(storage, "a.dump")
    assert contents(storage, "a.dump") == b"data"


def test_a_failed_first_backup_leaves_the_chosen_folder_and_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("x")

    def fail(position: int) -> None:
        raise strongroom.SourceError("the dump failed")

    with pytest.raises(strongroom.SourceError):
        opened(tmp_path / "new" / "backups").put(
            "shop/a.dump", HookedReader(MIB, fail), begun=lambda leftover: None
        )
    assert below(tmp_path) == ["new", "new/backups", "something"]


def assert_refused(path: Path, because: str) -> None:
    storage = opened(path)
    before = below(path) if path.exists() else None
    for act in (storage.check, lambda: put(storage, "a.dump"), lambda: storage.list()):
        with pytest.raises(strongroom.StorageError, match=because) as raised:
            act()
        assert "Mount the disk" in raised.value.remedy
    assert (below(path) if path.exists() else None) == before


def test_an_unmounted_disk_of_fstab_is_not_written_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = tmp_path / "my usb"
    point.mkdir()
    fstab = tmp_path / "fstab"
    fstab.write_text(
        "# UUID=1 /commented ext4 defaults 0 2\n"
        f"UUID=2 {str(point).replace(' ', chr(92) + '040')} ext4 defaults,noauto 0 2\n"
        "UUID=3 none swap sw 0 0\n"
    )
    monkeypatch.setattr(mounts, "FSTAB", fstab)
    assert_refused(point, "fstab mounts a disk")
    assert_refused(point / "backups", "fstab mounts a disk")
    put(opened(tmp_path / "elsewhere"), "a.dump")
    # A foreign fstab, as in a container: what is there is evidently used without a disk.
    (point / "in use").write_text("x")
    put(opened(point / "backups"), "a.dump")


def test_a_missing_folder_where_removable_disks_appear_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = tmp_path / "media"
    (media / "me").mkdir(parents=True)
    monkeypatch.setattr(mounts, "REMOVABLE", (media,))
    assert_refused(media / "me" / "USB" / "backups", "where removable disks appear")
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"36 25 8:1 / {media / 'me' / 'USB'} rw shared:1 - ext4 /dev/sdb1 rw\n")
    (media / "me" / "USB").mkdir()
    monkeypatch.setattr(mounts, "MOUNTINFO", mountinfo)
    put(opened(media / "me" / "USB" / "backups"), "a.dump")


def test_a_missing_folder_below_an_empty_one_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    put(opened(nas / "temporary"), "a.dump")
    (nas / "temporary/a.dump").unlink()
    (nas / "temporary").rmdir()
    monkeypatch.setattr(mounts, "TEMPORARY", Path("/nowhere"))
    assert_refused(nas / "backups", "is empty, as the mount point")
    (nas / "backups").mkdir()  # what the remedy says
    put(opened(nas / "backups"), "a.dump")


def test_a_destination_can_insist_on_its_disk(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened(folder, mount=tmp_path)
    with pytest.raises(strongroom.StorageError, match="Nothing is mounted at"):
        put(storage, "a.dump")
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"36 25 8:1 / {tmp_path} rw shared:1 - ext4 /dev/sdb1 rw\n")
    monkeypatch.setattr(mounts, "MOUNTINFO", mountinfo)
    put(storage, "a.dump")


def test_a_folder_that_vanishes_under_an_upload_fails_it_and_does_not_come_back(
    folder: Path, tmp_path: Path
) -> None:
    def unplug(position: int) -> None:
        if position == 2 * MIB:
            folder.rename(tmp_path / "unplugged")

    storage = opened(folder)
    with pytest.raises(strongroom.StorageError, match="has vanished"):
        storage.put("shop/a.dump", HookedReader(4 * MIB, unplug), begun=lambda leftover: None)
    assert not folder.exists()
    with pytest.raises(strongroom.StorageError):
        storage.list()


FULL_DISK = """
import json, sys
from pathlib import Path
import strongroom
from plugins.storage.local import LocalFolder
from strongroom.testing.readers import StreamReader, context
disk = Path(sys.argv[1])
storage = LocalFolder(LocalFolder.Config(path=disk), context(disk.parent))
storage.put("old.dump", StreamReader(1 << 20), begun=lambda leftover: None)
try:
    storage.put("shop/new.dump", StreamReader(8 << 20), begun=lambda leftover: None)
except strongroom.StrongroomError as error:
    print(json.dumps([error.kind, error.message, error.remedy, sorted(str(p) for p in disk.rglob("*"))]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a small tmpfs is Linux's")
def test_a_full_disk_is_said_to_be_full_and_keeps_what_it_had(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    root = [] if os.geteuid() == 0 else ["-Ur"]
    mount = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-m", *root, "sh", "-c", mount, "sh", str(disk), sys.executable, FULL_DISK]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    if not ended.stdout and ("unshare" in ended.stderr or "mount" in ended.stderr):
        part = f"a mount namespace of one's own for a small tmpfs ({ended.stderr.strip()})"
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing: {part}")
        pytest.skip(f"missing: {part}")
    assert ended.stdout, ended.stderr
    kind, message, remedy, files = json.loads(ended.stdout)
    assert kind == "StorageFull"
    assert "shop/new.dump" in message
    assert "bytes are free" in message
    assert "Free space" in remedy
    assert files == [str(disk / "old.dump")]


def test_a_read_only_disk_says_what_it_often_means(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(durable, "create", read_only)
    with pytest.raises(strongroom.StorageError, match="Read-only") as raised:
        put(opened(folder), "a.dump")
    assert "read-only" in raised.value.remedy
    assert not raised.value.transient


def test_a_share_that_stumbles_may_be_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: Path) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(durable, "create", stale)
    with pytest.raises(strongroom.StorageError) as raised:
        put(opened(folder), "a.dump")
    assert raised.value.transient


KILLED = """
import sys
from pathlib import Path
from plugins.storage.local import LocalFolder
from strongroom.testing.readers import HookedReader, context
folder = Path(sys.argv[1])
def hang(position):
    if position == 2 << 20:
        print("half", flush=True)
        sys.stdin.read()
def begun(leftover):
    print(leftover.temporary_name, flush=True)
storage = LocalFolder(LocalFolder.Config(path=folder), context(folder.parent))
storage.put("shop/a.dump", HookedReader(4 << 20, hang), begun=begun)
"""


def test_what_a_killed_process_left_goes_by_its_record(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        temporary = process.stdout.readline().strip()
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert below(folder) == ["shop", temporary]
    storage = opened(folder)
    assert list(storage.list()) == []
    storage.discard(strongroom.Leftover(temporary))
    assert below(folder) == []


@pytest.mark.parametrize("name", ["shop/a.dump", "../a", "", "/etc/passwd", ".a.partial"])
def test_only_a_temporary_name_is_ever_discarded(folder: Path, name: str) -> None:
    storage = opened(folder)
    put(storage, "shop/a.dump")
    with pytest.raises(strongroom.NameEscapes):
        storage.discard(strongroom.Leftover(name))
    assert below(folder) == ["shop", "shop/a.dump"]
