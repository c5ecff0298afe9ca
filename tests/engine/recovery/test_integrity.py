"""Verification: passed, failed, or could not be verified, and never one for another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.archive.backups import Backup
from engine.cancellation import CancelToken
from engine.contract.adapters import no_log
from engine.errors import Cancelled, NotFound, StorageError
from engine.events import LogLevel, LogType
from engine.recovery.integrity import Verification, verify_backup
from engine.services import Services
from engine.workspace import Workspace
from plugins.storage.local import LocalFolder
from tests.conftest import Bench

FEW = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Level = Literal["checksum", "decode"]
LEVELS: tuple[Level, ...] = ("checksum", "decode")


@pytest.fixture
def services(workspace: Workspace) -> Services:
    return workspace._services()


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


@pytest.fixture
def verify(services: Services, backup: Backup) -> Callable[[Level], Verification]:
    return lambda level: verify_backup(services, backup.id, level, cancel=CancelToken(), log=no_log)


Verify = Callable[[Level], Verification]


@pytest.mark.parametrize("level", LEVELS)
def test_a_whole_backup_passes_and_the_proof_lies_beside_it(
    workspace: Workspace, backup: Backup, artifact: Path, verify: Verify, level: Level
) -> None:
    found = verify(level)
    assert (found.backup_id, found.level, found.outcome, found.reason) == (backup.id, level, "passed", "")
    assert found.duration > 0
    proof = json.loads(artifact.with_name(f"{artifact.name}.proof.json").read_text())
    assert proof["verification"]["level"] == level
    assert proof["verification"]["outcome"] == "passed"
    assert proof["signature"]["public_key"] == workspace.keys.signer().public_key
    remembered = workspace.catalogue.list()[0].verification
    assert remembered is not None
    assert (remembered.level, remembered.outcome) == (level, "passed")


@FEW
@given(data=st.data())
def test_a_flipped_bit_anywhere_fails(artifact: Path, verify: Verify, data: st.DataObject) -> None:
    whole = artifact.read_bytes()
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    artifact.write_bytes(flipped)
    try:
        found = verify(data.draw(st.sampled_from(LEVELS)))
    finally:
        artifact.write_bytes(whole)
    assert found.outcome == "failed"
    assert "SHA-256" in found.reason


@FEW
@given(data=st.data())
def test_a_cut_anywhere_fails(artifact: Path, verify: Verify, data: st.DataObject) -> None:
    whole = artifact.read_bytes()
    artifact.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        found = verify(data.draw(st.sampled_from(LEVELS)))
    finally:
        artifact.write_bytes(whole)
    assert found.outcome == "failed"
    assert "bytes" in found.reason


@pytest.mark.parametrize("level", LEVELS)
def test_a_missing_artifact_fails(artifact: Path, verify: Verify, level: Level) -> None:
    artifact.unlink()
    assert verify(level).outcome == "failed"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("content", [b"", b"no JSON", b'{"version": 1}'])
def test_a_sidecar_that_cannot_be_read_fails(
    workspace: Workspace, sidecar: Path, verify: Verify, level: Level, content: bytes
) -> None:
    sidecar.write_bytes(content)
    assert verify(level).outcome == "failed"
    workspace.catalogue.refresh()
    assert verify(level).outcome == "failed"


@pytest.mark.parametrize("level", LEVELS)
def test_a_sidecar_of_a_newer_version_could_not_be_verified(
    workspace: Workspace, sidecar: Path, verify: Verify, level: Level
) -> None:
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "version": "9.0"}))
    found = verify(level)
    assert found.outcome == "could-not-verify"
    assert "9.0" in found.reason


@pytest.mark.parametrize("level", LEVELS)
def test_a_sidecar_that_was_changed_fails(sidecar: Path, verify: Verify, level: Level) -> None:
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "source": "another"}))
    found = verify(level)
    assert found.outcome == "failed"
    assert "changed after it was signed" in found.reason


@pytest.mark.parametrize("level", LEVELS)
def test_who_wrote_an_unsigned_backup_could_not_be_verified(
    workspace: Workspace, sidecar: Path, verify: Verify, level: Level
) -> None:
    document = json.loads(sidecar.read_text())
    del document["signature"]
    sidecar.write_text(json.dumps(document))
    workspace.catalogue.refresh()
    found = verify(level)
    assert found.outcome == "could-not-verify"
    assert "not signed" in found.reason


def test_an_unsigned_backup_whose_bytes_are_wrong_fails_all_the_same(
    workspace: Workspace, sidecar: Path, artifact: Path, verify: Verify
) -> None:
    document = json.loads(sidecar.read_text())
    del document["signature"]
    sidecar.write_text(json.dumps(document))
    workspace.catalogue.refresh()
    artifact.write_bytes(bytes(artifact.stat().st_size))
    assert verify("checksum").outcome == "failed"


@pytest.mark.parametrize("level", LEVELS)
def test_a_destination_that_does_not_answer_says_nothing_about_the_backup(
    workspace: Workspace, backup: Backup, artifact: Path, verify: Verify, level: Level, tmp_path: Path
) -> None:
    (tmp_path / "vault").rename(tmp_path / "unplugged")
    found = verify(level)
    assert found.outcome == "could-not-verify"
    assert "not there" in found.reason
    (tmp_path / "unplugged").rename(tmp_path / "vault")
    assert not artifact.with_name(f"{artifact.name}.proof.json").exists()


def test_without_the_key_a_decode_could_not_be_verified_and_a_checksum_can(
    workspace: Workspace, verify: Verify
) -> None:
    [key] = workspace.keys.list()
    workspace.secrets.delete(f"key/{key.recipient}")
    found = verify("decode")
    assert found.outcome == "could-not-verify"
    assert "key" in found.reason
    assert verify("checksum").outcome == "passed"


def test_a_check_that_could_not_see_does_not_hide_one_that_found_it_broken(
    workspace: Workspace, backup: Backup, artifact: Path, verify: Verify, tmp_path: Path
) -> None:
    whole = artifact.read_bytes()
    artifact.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert verify("checksum").outcome == "failed"
    (tmp_path / "vault").rename(tmp_path / "unplugged")
    assert verify("checksum").outcome == "could-not-verify"
    proof = workspace.catalogue.get(backup.id).proof
    assert proof is not None
    assert proof.outcome == "failed"


def test_an_outcome_that_cannot_be_written_beside_is_said_and_stands(
    services: Services, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = LocalFolder.put

    def append_only(self: LocalFolder, name: str, *args: object, **kwargs: object) -> object:
        if name.endswith(".proof.json"):
            raise StorageError("this bucket is append-only")
        return put(self, name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalFolder, "put", append_only)
    lines: list[str] = []

    def log(message: str, level: LogLevel, type: LogType, details: str) -> None:
        lines.append(message)

    found = verify_backup(services, backup.id, "checksum", cancel=CancelToken(), log=log)
    assert found.outcome == "passed"
    assert any("append-only" in line for line in lines)


def test_a_passing_error_is_tried_again(
    backup: Backup, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, tries = LocalFolder.verify, []

    def stumbling(self: LocalFolder, name: str, size: int, sha256: str) -> str:
        tries.append(name)
        if len(tries) < 3:
            raise StorageError("the connection was reset", transient=True)
        return check(self, name, size, sha256)

    monkeypatch.setattr(LocalFolder, "verify", stumbling)
    monkeypatch.setattr(CancelToken, "wait", lambda self, seconds: False)
    assert verify("checksum").outcome == "passed"
    assert len(tries) == 3


def test_a_cancel_is_a_cancel_and_no_outcome(services: Services, backup: Backup, artifact: Path) -> None:
    cancel = CancelToken()

    def stop(done: int, total: int) -> None:
        cancel.cancel("enough")

    with pytest.raises(Cancelled):
        verify_backup(services, backup.id, "decode", cancel=cancel, log=no_log, on_bytes=stop)
    assert not artifact.with_name(f"{artifact.name}.proof.json").exists()
    assert list(services.home.spool.iterdir()) == []


def test_an_id_that_nothing_has_is_not_found(services: Services) -> None:
    with pytest.raises(NotFound):
        verify_backup(services, "nosuchid00", "checksum", cancel=CancelToken(), log=no_log)


def test_a_decode_reads_to_the_very_end(
    services: Services, backup: Backup, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.recovery import retrieve

    decode, sizes = retrieve.decode, []

    def counted(*args: object, **kwargs: object) -> Iterator[bytes]:
        for chunk in decode(*args, **kwargs):  # type: ignore[arg-type]
            sizes.append(len(chunk))
            yield chunk

    monkeypatch.setattr(retrieve, "decode", counted)
    assert verify("decode").outcome == "passed"
    assert sum(sizes) == backup.sidecar.dump_size
