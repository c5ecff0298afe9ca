"""The SFTP storage's own ways: its folder, its settings, and what it says when something is wrong."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.contract.config import describe, field_errors, secret_fields
from plugins.storage.sftp import SftpServer
from strongroom.testing.readers import context
from tests.parts.sshd import PASSWORD, SshServer, running
from tests.plugins.storage.sftp_server.conftest import Opener, got, put

CONFIG = {"host": "backup.example.com", "user": "backup", "path": "backups"}
KEY = "ssh-ed25519 SHA256:" + "A" * 43


def failing(work: Callable[[], object], *words: str, transient: bool = False) -> strongroom.StorageError:
    with pytest.raises(strongroom.StorageError) as caught:
        work()
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert caught.value.transient is transient
    assert caught.value.remedy
    return caught.value


# -------------------------------------------------------------------------------------------- its settings


def test_the_settings_are_those_of_the_contract() -> None:
    fields = [spec.name for spec in describe(SftpServer.Config)]
    assert sorted(fields) == [
        *("agent", "host", "host_key", "known_hosts", "passphrase", "password", "path", "port"),
        *("private_key", "read_back", "user"),
    ]
    assert secret_fields(SftpServer.Config) == {"password", "passphrase"}
    assert all(
        spec.title and (spec.description or spec.name == "port") for spec in describe(SftpServer.Config)
    )


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"host": ""}, "host"),
        ({"host": "user@host"}, "host"),
        ({"host": "two words"}, "host"),
        ({"host": "sftp://host/path"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"user": ""}, "user"),
        ({"path": ""}, "path"),
        ({"path": "  "}, "path"),
        ({"path": "a\nb"}, "path"),
        ({"host_key": "SHA256:" + "A" * 43}, "host_key"),
        ({"host_key": "ssh-ed25519 SHA256:short"}, "host_key"),
        ({"read_back": "never"}, "read_back"),
    ],
)
def test_wrong_settings_are_told_at_their_field(changed: dict[str, Any], wrong: str) -> None:
    assert set(field_errors(SftpServer.Config, {**CONFIG, **changed})) == {wrong}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"host": "2001:db8::1"},
        {"host_key": KEY},
        {"host_key": f" {KEY}= "},
        {"host_key": "ecdsa-sha2-nistp256 SHA256:" + "a+/9" * 10 + "AAA"},
        {"path": "/"},
        {"path": "."},
        {"path": "~/backups"},
        {"private_key": "", "known_hosts": ""},
    ],
)
def test_right_settings_are_taken(changed: dict[str, Any]) -> None:
    assert field_errors(SftpServer.Config, {**CONFIG, **changed}) == {}


def test_a_key_in_the_home_folder_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    config = SftpServer.Config(**CONFIG, private_key="~/.ssh/id_ed25519", known_hosts="known")
    assert config.private_key == Path("/home/somebody/.ssh/id_ed25519")
    assert config.known_hosts is not None and config.known_hosts.is_absolute()


# ---------------------------------------------------------------------------------------------- its folder


def test_files_and_folders_are_their_users_alone(storage: SftpServer, folder: Path) -> None:
    put(storage, "a/b/c.dump", b"x")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {"a": 0o700, "b": 0o700, "c.dump": 0o600}


def test_a_missing_folder_is_made_by_the_first_backup_and_stays(opened: Opener, folder: Path) -> None:
    storage = opened(path=f"{folder}/new/deep")
    failing(lambda: list(storage.list()), "is not there")
    put(storage, "a.dump", b"x")
    storage.delete("a.dump")
    assert (folder / "new" / "deep").is_dir()
    assert list(storage.list()) == []


def test_a_failed_upload_leaves_no_folder_of_its_own(storage: SftpServer, folder: Path) -> None:
    class Failing(strongroom.BytesReader):
        def read(self, size: int = 0, /) -> bytes:
            raise strongroom.StrongroomError("the dump failed")

    (folder / "kept").mkdir()
    with pytest.raises(strongroom.StrongroomError, match="the dump failed"):
        storage.put("kept/a/b/c.dump", Failing(b""), begun=lambda leftover: None)
    assert [path.name for path in folder.rglob("*")] == ["kept"]


def test_a_check_leaves_not_even_the_folder_that_it_made(opened: Opener, folder: Path) -> None:
    report = opened(path=f"{folder}/new/deep").check()
    assert any("not there yet" in note for note in report.notes)
    assert list(folder.iterdir()) == []


def test_a_check_tells_where_it_writes_the_room_and_the_proof(
    storage: SftpServer,
    folder: Path,
    server: SshServer,
) -> None:
    report = storage.check()
    assert str(folder) in report.detail and f"{server.user}@127.0.0.1:{server.port}" in report.detail
    there = os.statvfs(folder)
    assert report.free is not None
    assert abs(report.free - there.f_bavail * there.f_frsize) < 1 << 30
    assert any("SHA-256 computed by the server" in note for note in report.notes)
    assert not any("rename replaces" in note for note in report.notes)
    assert list(folder.iterdir()) == []


def test_a_check_says_that_backups_will_be_read_back(opened: Opener) -> None:
    report = opened(read_back="always").check()
    assert any("read back from the server" in note for note in report.notes)


@pytest.mark.parametrize("prefix", ["", "~/", "./"])
def test_a_relative_folder_begins_at_the_login_folder(
    sshd_with_password: SshServer,
    tmp_path: Path,
    prefix: str,
) -> None:
    home = sshd_with_password.folder / "home"
    values = sshd_with_password.values(path=f"{prefix}backups", private_key=None, password=PASSWORD)
    with closing(SftpServer(SftpServer.Config(**values), context(tmp_path))) as storage:
        put(storage, "a.dump", b"x")
        assert (home / "backups" / "a.dump").read_bytes() == b"x"
        assert storage.check().detail.startswith(str(home))
        storage.delete("a.dump")


@pytest.mark.parametrize("path", [".", "~", "~/"])
def test_the_login_folder_itself_can_be_the_folder(
    sshd_with_password: SshServer,
    tmp_path: Path,
    path: str,
) -> None:
    values = sshd_with_password.values(path=path, private_key=None, password=PASSWORD)
    with closing(SftpServer(SftpServer.Config(**values), context(tmp_path))) as storage:
        put(storage, "own/a.dump", b"x")
        assert (sshd_with_password.folder / "home" / "own" / "a.dump").exists()
        storage.delete("own/a.dump")


def test_a_file_in_the_place_of_the_folder_is_said_to_be_one(opened: Opener, folder: Path) -> None:
    (folder / "file").write_bytes(b"x")
    for path in (f"{folder}/file", f"{folder}/file/below"):
        with pytest.raises(strongroom.StorageError):
            opened(path=path).check()
        with pytest.raises(strongroom.StorageError):
            put(opened(path=path), "a.dump", b"x")
        with pytest.raises(strongroom.StorageError):
            list(opened(path=path).list())
    assert (folder / "file").read_bytes() == b"x"


def test_a_file_where_a_folder_has_to_be_is_named(storage: SftpServer, folder: Path) -> None:
    put(storage, "job", b"x")
    failing(lambda: put(storage, "job/a.dump", b"y"), "job", "is a file")
    with pytest.raises(strongroom.StorageMissing):
        storage.stat("job/a.dump")
    storage.delete("job/a.dump")
    assert (folder / "job").read_bytes() == b"x"


def test_the_root_may_be_a_link_and_nothing_below_it(opened: Opener, folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "root").symlink_to(folder / "real")
    outside = folder / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"kept")
    storage = opened(path=f"{folder}/root")
    put(storage, "a.dump", b"x")
    (folder / "real" / "link").symlink_to(outside)
    (folder / "real" / "file").symlink_to(outside / "victim")
    (folder / "real" / "dangling").symlink_to(outside / "new")

    for name in ("link/victim", "file", "link", "dangling", "link/new"):
        for work in (
            lambda name=name: put(storage, name, b"bad", overwrite=True),
            lambda name=name: got(storage, name),
            lambda name=name: storage.stat(name),
            lambda name=name: storage.delete(name),
            lambda name=name: storage.verify(name, 4, "0" * 64),
        ):
            with pytest.raises(strongroom.NameEscapes):
                work()
    with pytest.raises(strongroom.NameEscapes):
        list(storage.list("link/"))
    assert [its.name for its in storage.list()] == ["a.dump"]
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"victim": b"kept"}


def test_temporary_and_foreign_names_are_nobodys_backups(storage: SftpServer, folder: Path) -> None:
    put(storage, "job/a.dump", b"x")
    temporary = ".b.dump.0123456789abcdef.partial"
    (folder / "job" / temporary).write_bytes(b"under way")
    (folder / "lost+found").mkdir()
    (folder / "lost+found" / "x").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(folder) + b"/not-unicode-\xff")).write_bytes(b"x")

    assert [its.name for its in storage.list()] == ["job/a.dump"]
    for name in (f"job/{temporary}", "lost+found/x", "not-unicode-\udcff"):
        with pytest.raises(strongroom.NameEscapes):
            got(storage, name)
        with pytest.raises(strongroom.NameEscapes):
            put(storage, name, b"x")
    with pytest.raises(strongroom.NameEscapes):
        storage.discard(strongroom.Leftover("job/a.dump"))
    storage.discard(strongroom.Leftover(f"job/{temporary}"))
    assert [path.name for path in (folder / "job").iterdir()] == ["a.dump"]


# --------------------------------------------------------------------------------------------- its listing


def test_a_listing_is_whole_however_many_files_there_are(storage: SftpServer, folder: Path) -> None:
    expected = []
    for number in range(450):
        path = folder / f"job {number % 40}" / f"{number:04}.dump"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * number)
        expected.append((f"job {number % 40}/{number:04}.dump", number))
    many = folder / "many"
    many.mkdir()
    for number in range(1100):
        (many / f"{number:05}").touch()
        expected.append((f"many/{number:05}", 0))

    assert [(its.name, its.size) for its in storage.list()] == sorted(expected)


def test_an_unreadable_folder_is_an_error_and_no_empty_listing(
    sshd_with_password: SshServer,
    tmp_path: Path,
) -> None:
    folder = sshd_with_password.new_folder()
    values = sshd_with_password.values(path=str(folder))
    with closing(SftpServer(SftpServer.Config(**values), context(tmp_path))) as storage:
        put(storage, "open/a.dump", b"x")
        (folder / "closed").mkdir(mode=0o700)  # root's
        failing(lambda: list(storage.list()), "does not permit")
        assert [its.name for its in storage.list("open/")] == ["open/a.dump"]
        failing(lambda: put(storage, "closed/a.dump", b"x"), "does not permit")
        failing(lambda: storage.stat("closed/a.dump"), "does not permit")
        failing(lambda: storage.delete("closed/a.dump"), "does not permit")


def test_a_folder_that_may_not_be_written_is_told_by_the_check(
    sshd_with_password: SshServer,
    tmp_path: Path,
) -> None:
    folder = sshd_with_password.new_folder()
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    values = sshd_with_password.values(path=str(folder))
    with closing(SftpServer(SftpServer.Config(**values), context(tmp_path))) as storage:
        failing(storage.check, "does not permit", str(folder))
        values = sshd_with_password.values(path=f"{folder}/below")
    with closing(SftpServer(SftpServer.Config(**values), context(tmp_path))) as storage:
        failing(storage.check, "does not permit")
    assert list(folder.iterdir()) == []


def test_a_root_that_vanishes_is_told_and_not_taken_for_a_missing_file(
    storage: SftpServer,
    folder: Path,
) -> None:
    put(storage, "a.dump", b"x")
    folder.rename(folder.with_name(f"{folder.name}-gone"))
    for work in (
        lambda: list(storage.list()),
        lambda: storage.stat("a.dump"),
        lambda: got(storage, "a.dump"),
        lambda: storage.delete("a.dump"),
        lambda: storage.verify("a.dump", 1, "0" * 64),
    ):
        error = failing(work, "not there")
        assert not isinstance(error, strongroom.StorageMissing)


# ------------------------------------------------------------------------------------------- its connection


def test_what_keeps_it_from_connecting_is_a_storage_error(opened: Opener) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    failing(opened(port=port).check, "cannot be reached", transient=True)
    failing(opened(user="nobody-of-that-name").check, "was not let in")


def test_an_unknown_server_is_a_question(opened: Opener, server: SshServer, tmp_path: Path) -> None:
    with pytest.raises(strongroom.NeedsTrust) as caught:
        opened(known_hosts=str(tmp_path / "none")).check()
    assert caught.value.field == "host_key"
    trusted = opened(known_hosts=str(tmp_path / "none"), host_key=caught.value.value)
    assert trusted.check().detail


@pytest.mark.parametrize(
    ("subsystem", "words"),
    [
        ("", "the server has no sftp"),
        ("/bin/false", "ended the SFTP channel"),
        ("/bin/echo Welcome to this server", "answers no SFTP"),
    ],
)
def test_a_server_that_offers_no_sftp_is_said_to_offer_none(
    tmp_path: Path, subsystem: str, words: str
) -> None:
    with running(subsystem=subsystem) as server:
        config = SftpServer.Config(**server.values())
        with closing(SftpServer(config, context(tmp_path))) as storage:
            failing(storage.check, words, transient="ended" in words)


def test_a_lost_connection_is_made_anew_for_the_next_call(
    opened: Opener,
    server: SshServer,
) -> None:
    storage = opened()
    put(storage, "a.dump", b"x")
    server.drop_connections()
    try:
        storage.stat("a.dump")
    except strongroom.StorageError as error:
        assert error.transient and "lost" in error.message
    assert storage.stat("a.dump").size == 1


def test_a_closed_storage_stays_closed(storage: SftpServer) -> None:
    put(storage, "a.dump", b"x")
    storage.close()
    with pytest.raises(strongroom.StorageError, match="closed"):
        storage.stat("a.dump")


def test_many_calls_use_one_connection(storage: SftpServer, server: SshServer) -> None:
    before = server.log().count("Accepted publickey")
    for number in range(5):
        put(storage, f"{number}.dump", b"x")
    assert len(list(storage.list())) == 5
    assert server.log().count("Accepted publickey") == before + 1
