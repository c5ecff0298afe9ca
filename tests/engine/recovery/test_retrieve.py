"""Fetching: nothing is decoded before the signature and the artifact's checksum have matched."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.archive.backups import Backup
from engine.cancellation import CancelToken
from engine.errors import (
    Cancelled,
    ChecksumMismatch,
    KeyMissing,
    SidecarUnreadable,
    SpoolError,
    StorageError,
    StorageMissing,
    StrongroomError,
    Unproven,
    UsageError,
)
from engine.recovery import retrieve
from engine.recovery.retrieve import Retriever
from engine.signing import Verdict
from engine.workspace import Workspace
from plugins.storage.local import LocalFolder
from tests.conftest import Bench, rows_of

FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def backup(bench: Bench) -> Backup:
    bench.run(bench.job())
    return bench.workspace.catalogue.list()[0]


@pytest.fixture
def artifact(tmp_path: Path, backup: Backup) -> Path:
    return tmp_path / "vault" / backup.artifact


@pytest.fixture
def sidecar(artifact: Path) -> Path:
    return artifact.with_name(f"{artifact.name}.meta.json")


def retriever(workspace: Workspace) -> Retriever:
    return Retriever(workspace.home, workspace.catalogue, workspace.endpoints, workspace.keys)


def save(workspace: Workspace, backup: Backup, target: Path, **options: bool) -> Verdict:
    options.setdefault("decrypt", False)
    return retriever(workspace).save(backup, target, cancel=CancelToken(), **options)  # type: ignore[arg-type]


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*args: object, **kwargs: object) -> Iterator[bytes]:
        raise AssertionError("something was decoded that was not proven")

    monkeypatch.setattr(retrieve, "decode", decode)


# ----------------------------------------------------------------------------------------- to a file


def test_the_artifact_is_fetched_byte_for_byte(
    workspace: Workspace, backup: Backup, artifact: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "copy.age"
    target.parent.mkdir()
    assert save(workspace, backup, target) is Verdict.VALID
    assert target.read_bytes() == artifact.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["copy.age"]
    assert list(workspace.home.spool.iterdir()) == []


def test_the_plain_dump_is_the_database(workspace: Workspace, backup: Backup, tmp_path: Path) -> None:
    target = tmp_path / "plain.sqlite"
    save(workspace, backup, target, decrypt=True)
    assert rows_of(target) == rows_of(tmp_path / "shop.sqlite")


def test_a_file_that_exists_is_replaced_only_when_told(
    workspace: Workspace, backup: Backup, tmp_path: Path
) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    with pytest.raises(UsageError):
        save(workspace, backup, target)
    assert target.read_text() == "mine"
    save(workspace, backup, target, overwrite=True)
    assert target.stat().st_size == backup.size


def test_a_place_that_cannot_be_written_is_named(
    workspace: Workspace, backup: Backup, tmp_path: Path
) -> None:
    with pytest.raises(StrongroomError, match="cannot be written"):
        save(workspace, backup, tmp_path / "nowhere" / "copy.age")
    assert list(workspace.home.spool.iterdir()) == []


# ---------------------------------------------------------------------------------- damaged artifacts


@pytest.mark.usefixtures("no_decoding")
@FEW
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found_before_anything_is_decoded(
    workspace: Workspace, backup: Backup, artifact: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = artifact.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    artifact.write_bytes(flipped)
    try:
        for decrypt in (True, False):
            with pytest.raises(ChecksumMismatch):
                save(workspace, backup, tmp_path / "out", decrypt=decrypt)
    finally:
        artifact.write_bytes(whole)
    assert not (tmp_path / "out").exists()
    assert list(workspace.home.spool.iterdir()) == []


@pytest.mark.usefixtures("no_decoding")
@FEW
@given(data=st.data())
def test_a_cut_anywhere_is_found_before_anything_is_decoded(
    workspace: Workspace, backup: Backup, artifact: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = artifact.read_bytes()
    artifact.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        with pytest.raises(ChecksumMismatch):
            save(workspace, backup, tmp_path / "out", decrypt=True)
    finally:
        artifact.write_bytes(whole)
    assert not (tmp_path / "out").exists()


def test_an_artifact_that_has_grown_is_not_read_to_its_end(
    workspace: Workspace, backup: Backup, artifact: Path, tmp_path: Path
) -> None:
    with artifact.open("ab") as file:
        file.write(bytes(1 << 20))
    with pytest.raises(ChecksumMismatch, match="more than"):
        save(workspace, backup, tmp_path / "out")


def test_an_artifact_that_is_gone_is_said_to_be_gone(
    workspace: Workspace, backup: Backup, artifact: Path, tmp_path: Path
) -> None:
    artifact.unlink()
    with pytest.raises(StorageMissing):
        save(workspace, backup, tmp_path / "out")


def test_a_dump_that_decodes_to_another_size_than_recorded_is_no_dump(
    workspace: Workspace, backup: Backup, sidecar: Path, tmp_path: Path
) -> None:
    document = json.loads(sidecar.read_text())
    signed = workspace.keys.signer().sign({**document, "dump_size": document["dump_size"] + 1})
    sidecar.write_text(json.dumps(signed))
    with pytest.raises(ChecksumMismatch, match="The dump in"):
        save(workspace, backup, tmp_path / "out", decrypt=True)
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------ who wrote it


def change(sidecar: Path, **changes: object) -> None:
    document = {**json.loads(sidecar.read_text()), **changes}
    sidecar.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))


@pytest.mark.usefixtures("no_decoding")
def test_a_changed_sidecar_is_refused_whatever_the_flags(
    workspace: Workspace, backup: Backup, sidecar: Path, artifact: Path, tmp_path: Path
) -> None:
    change(sidecar, database="another")
    change(sidecar, databases=["another"])
    for unproven in (False, True):
        with pytest.raises(Unproven, match="not to be trusted"):
            save(workspace, backup, tmp_path / "out", decrypt=True, unproven=unproven)
    # The file as it is decodes nothing: in need, standard tools and a person's own judgement remain.
    assert save(workspace, backup, tmp_path / "out") is Verdict.TAMPERED
    assert (tmp_path / "out").read_bytes() == artifact.read_bytes()


def test_an_unsigned_backup_is_decoded_only_when_told(
    workspace: Workspace, backup: Backup, sidecar: Path, tmp_path: Path
) -> None:
    change(sidecar, signature=None)
    workspace.catalogue.refresh()
    with pytest.raises(Unproven, match="not proven") as raised:
        save(workspace, backup, tmp_path / "out", decrypt=True)
    assert "--unproven" in raised.value.remedy
    assert save(workspace, backup, tmp_path / "out", decrypt=True, unproven=True) is Verdict.UNSIGNED


def test_a_strangers_backup_is_decoded_only_when_told_or_trusted(
    workspace: Workspace, backup: Backup, sidecar: Path, tmp_path: Path
) -> None:
    from engine.signing import Signer

    other = Signer.generate()
    document = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps(other.sign(document)))
    with pytest.raises(Unproven):
        save(workspace, backup, tmp_path / "out", decrypt=True)
    workspace.keys.trust(other.public_key, "the other machine")
    assert save(workspace, backup, tmp_path / "out", decrypt=True) is Verdict.VALID


def test_the_sidecar_is_read_anew_not_from_the_cache(
    workspace: Workspace, backup: Backup, sidecar: Path, tmp_path: Path
) -> None:
    sidecar.write_text("no JSON any more")
    with pytest.raises(SidecarUnreadable):
        save(workspace, backup, tmp_path / "out")


# --------------------------------------------------------------------------------------------- keys


@pytest.fixture
def without_key(workspace: Workspace, backup: Backup) -> Workspace:
    """The installation after its keyring has lost the key's secret half."""
    [key] = workspace.keys.list()
    workspace.secrets.delete(f"key/{key.recipient}")
    return workspace


def test_without_the_key_the_artifact_is_fetched_and_not_decoded(
    without_key: Workspace, backup: Backup, tmp_path: Path
) -> None:
    with pytest.raises(KeyMissing) as raised:
        save(without_key, backup, tmp_path / "out", decrypt=True)
    assert "keys import" in raised.value.remedy
    assert not (tmp_path / "out").exists()
    assert save(without_key, backup, tmp_path / "out") is Verdict.VALID


def test_another_machine_that_imports_the_key_file_decodes_it(
    workspace: Workspace, backup: Backup, tmp_path: Path
) -> None:
    from engine.home import Home
    from engine.secrets import VaultSecrets

    text = workspace.keys.export("default")
    home = Home(tmp_path / "second").make()
    with Workspace.open(home, secrets=VaultSecrets(home.vault, "another passphrase")) as second:
        second.endpoints.save("destination", "there", "local", {"path": str(tmp_path / "vault")})
        second.keys.import_(text)
        [found] = second.catalogue.list()
        assert found.verdict is Verdict.VALID
        save(second, found, tmp_path / "plain.sqlite", decrypt=True)
    assert rows_of(tmp_path / "plain.sqlite") == rows_of(tmp_path / "shop.sqlite")


# ----------------------------------------------------------------------------- on the way, and the spool


def test_a_fetch_goes_on_where_a_passing_error_stopped_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database, database:
        database.execute("CREATE TABLE noise (data BLOB)")
        database.execute("INSERT INTO noise VALUES (randomblob(3000000))")
    bench.run(bench.job(compression="none"))
    [backup] = bench.workspace.catalogue.list()
    get, offsets = LocalFolder.get, []

    def stumbling(self: LocalFolder, name: str, offset: int = 0) -> Iterator[bytes]:
        chunks = get(self, name, offset)
        if name != backup.artifact:
            yield from chunks
            return
        offsets.append(offset)
        yield next(chunks)
        if len(offsets) < 3:
            chunks.close()  # type: ignore[attr-defined]
            raise StorageError("the connection was reset", transient=True)
        yield from chunks

    monkeypatch.setattr(LocalFolder, "get", stumbling)
    monkeypatch.setattr(CancelToken, "wait", lambda self, seconds: False)
    save(bench.workspace, backup, tmp_path / "plain.sqlite", decrypt=True)
    assert offsets == [0, 1 << 20, 2 << 20]
    assert rows_of(tmp_path / "plain.sqlite") == rows_of(tmp_path / "shop.sqlite")


def test_an_error_that_stays_is_raised_after_some_tries(
    workspace: Workspace, backup: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, tries = LocalFolder.get, []

    def down(self: LocalFolder, name: str, offset: int = 0) -> Iterator[bytes]:
        if name == backup.artifact:
            tries.append(name)
            raise StorageError("the connection was reset", transient=True)
        return get(self, name, offset)

    monkeypatch.setattr(LocalFolder, "get", down)
    monkeypatch.setattr(CancelToken, "wait", lambda self, seconds: False)
    with pytest.raises(StorageError, match="reset"):
        save(workspace, backup, tmp_path / "out")
    assert len(tries) == retrieve.ATTEMPTS


def test_a_cancel_ends_the_fetch_and_leaves_nothing(
    workspace: Workspace, backup: Backup, tmp_path: Path
) -> None:
    cancel = CancelToken()

    def stop(done: int, total: int) -> None:
        cancel.cancel("enough")

    with pytest.raises(Cancelled):
        retriever(workspace).save(backup, tmp_path / "out", decrypt=True, cancel=cancel, on_bytes=stop)
    assert not (tmp_path / "out").exists()
    assert list(workspace.home.spool.iterdir()) == []


def test_a_spool_disk_without_room_is_said_beforehand(
    workspace: Workspace, backup: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieve, "free_bytes", lambda folder: backup.size - 1)
    with pytest.raises(SpoolError, match="free"):
        save(workspace, backup, tmp_path / "out")


def test_what_a_killed_fetch_left_is_found_by_its_execution(workspace: Workspace, backup: Backup) -> None:
    with retriever(workspace).fetched(backup, cancel=CancelToken(), owner="abcdef"):
        [path] = workspace.home.spool.iterdir()
        assert path.name.split(".", 1)[0] == "abcdef"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_standard_tools_read_what_was_fetched(
    workspace: Workspace, backup: Backup, artifact: Path, tmp_path: Path
) -> None:
    import pyrage

    target = tmp_path / "copy.zst.age"
    save(workspace, backup, target)
    [identity] = workspace.keys.identities()
    plain = pyrage.decrypt(target.read_bytes(), [pyrage.x25519.Identity.from_str(identity)])
    (tmp_path / "copy.zst").write_bytes(plain)
    try:
        decoded = subprocess.run(["zstd", "-dc", tmp_path / "copy.zst"], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("missing: the zstd command")
    (tmp_path / "copy.sqlite").write_bytes(decoded.stdout)
    assert rows_of(tmp_path / "copy.sqlite") == rows_of(tmp_path / "shop.sqlite")
