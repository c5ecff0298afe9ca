"""The catalogue: the storage is the truth, and what is beside an artifact decides what may be done to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.archive.backups import Backup, backup_id
from engine.archive.sidefiles import Check
from engine.contract.registry import Registry
from engine.errors import (
    NotFound,
    SidecarTooNew,
    SidecarUnreadable,
    StorageError,
    StrongroomError,
    Unproven,
    UsageError,
)
from engine.home import Home
from engine.secrets import VaultSecrets
from engine.signing import Signer, Verdict
from engine.workspace import Workspace
from plugins.storage.local import LocalFolder
from tests.conftest import Bench


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture
def stranger(tmp_path: Path, vault: Path, registry: Registry) -> Iterator[Workspace]:
    """Another, fresh installation that is pointed at the same folder."""
    home = Home(tmp_path / "other-home").make()
    secrets = VaultSecrets(home.vault, "another passphrase")
    with Workspace.open(home, secrets=secrets, registry=lambda: registry) as opened:
        opened.endpoints.save("destination", "their vault", "local", {"path": str(vault)})
        yield opened


def runs(bench: Bench, times: int = 1) -> list[Backup]:
    """Run one job so many times; its backups, newest first."""
    job = bench.job()
    for _ in range(times):
        assert bench.run(job).status == "Success"
    return bench.workspace.catalogue.list()


def edit(path: Path, **changes: object) -> None:
    """Change a JSON file's fields; None takes one out."""
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))


def sidecar_of(vault: Path, backup: Backup) -> Path:
    return vault / f"{backup.artifact}.meta.json"


# ------------------------------------------------------------------------------------------- looking


def test_what_a_run_stored_is_listed_newest_first(bench: Bench) -> None:
    newest, oldest = runs(bench, 2)
    assert newest.sidecar.created_at > oldest.sidecar.created_at
    assert newest.verdict is Verdict.VALID
    assert newest.destination == "vault"
    assert newest.size == newest.sidecar.size
    assert newest.id == backup_id(newest.destination_id, newest.artifact)
    assert len(newest.id) == 10
    assert (newest.locked, newest.proof, newest.problem, newest.good) == (False, None, "", True)


def test_a_fresh_installation_finds_every_backup_and_trusts_none_of_them(
    bench: Bench, stranger: Workspace
) -> None:
    [mine] = runs(bench)
    [theirs] = stranger.catalogue.list()
    assert theirs.artifact == mine.artifact
    assert theirs.sidecar == mine.sidecar
    assert theirs.verdict is Verdict.STRANGER
    stranger.keys.trust(bench.workspace.keys.signer().public_key, "the first one")
    [theirs] = stranger.catalogue.list(refresh=False)
    assert theirs.verdict is Verdict.VALID


def test_a_list_can_be_of_one_destination_and_of_one_job(bench: Bench, tmp_path: Path) -> None:
    places = {name: ("local", {"path": str(tmp_path / name)}) for name in ("one", "two")}
    bench.run(bench.job("first", destinations=dict(places)))
    listed = bench.workspace.catalogue.list
    assert {backup.destination for backup in listed()} == {"one", "two"}
    assert [backup.destination for backup in listed(destination="two")] == ["two"]
    assert len(listed(job="first")) == 2
    assert listed(job="second") == []
    with pytest.raises(NotFound):
        listed(destination="three")


def test_an_artifact_without_a_sidecar_is_no_backup_and_no_problem(bench: Bench, vault: Path) -> None:
    [backup] = runs(bench)
    (vault / "stray.dump.zst.age").write_bytes(b"somebody's file")
    (vault / "holiday.jpg").write_bytes(b"somebody's photo")
    sidecar_of(vault, backup).rename(vault / "elsewhere.txt")
    assert bench.workspace.catalogue.refresh() == []
    assert bench.workspace.catalogue.list() == []
    assert (vault / "stray.dump.zst.age").exists()


def test_a_list_reads_only_the_sidecars_that_are_new(
    bench: Bench, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    runs(bench, 2)
    for path in vault.rglob("*.meta.json"):
        os.utime(path, (1, 1))
    read: list[str] = []
    get = LocalFolder.get

    def counted(self: LocalFolder, name: str, offset: int = 0) -> Iterator[bytes]:
        read.append(name)
        return get(self, name, offset)

    monkeypatch.setattr(LocalFolder, "get", counted)
    assert len(bench.workspace.catalogue.list()) == 2
    assert read == []
    bench.run("shop-nightly")
    read.clear()
    assert len(bench.workspace.catalogue.list()) == 3
    assert len(read) <= 1


def test_a_destination_that_does_not_answer_keeps_what_was_known_of_it(bench: Bench, vault: Path) -> None:
    [backup] = runs(bench)
    vault.rename(vault.with_name("unplugged"))
    [problem] = bench.workspace.catalogue.refresh()
    assert problem.unreachable
    assert problem.destination == "vault"
    assert [its.id for its in bench.workspace.catalogue.list(refresh=False)] == [backup.id]
    with pytest.raises(StorageError):
        bench.workspace.catalogue.list()
    with pytest.raises(StorageError):
        bench.workspace.catalogue.list(destination="vault")


def test_one_destination_that_does_not_answer_does_not_hide_the_others(bench: Bench, tmp_path: Path) -> None:
    places = {name: ("local", {"path": str(tmp_path / name)}) for name in ("one", "two")}
    bench.run(bench.job(destinations=dict(places)))
    bench.workspace.catalogue.refresh()
    shutil.rmtree(tmp_path / "one")
    (tmp_path / "one").write_text("a file now")
    assert {backup.destination for backup in bench.workspace.catalogue.list()} == {"one", "two"}
    assert [problem.destination for problem in bench.workspace.catalogue.refresh()] == ["one"]


def test_a_folder_that_is_empty_all_at_once_is_a_problem(bench: Bench, vault: Path) -> None:
    runs(bench, 2)
    shutil.rmtree(vault)
    vault.mkdir()
    [problem] = bench.workspace.catalogue.refresh()
    assert problem.message == "2 backups should be here, and nothing is there now."
    assert bench.workspace.catalogue.list() == []
    # They are missed for as long as nothing takes their place.
    assert [again.message for again in bench.workspace.catalogue.refresh()] == [problem.message]
    assert len(bench.workspace.catalogue.unreadable()) == 2


def test_backups_that_come_back_are_backups_again(bench: Bench, vault: Path) -> None:
    made = runs(bench, 2)
    away = vault.rename(vault.with_name("away"))
    vault.mkdir()
    assert bench.workspace.catalogue.list() == []
    vault.rmdir()
    away.rename(vault)
    assert {backup.artifact for backup in bench.workspace.catalogue.list()} == {its.artifact for its in made}
    assert list(bench.workspace.catalogue.unreadable()) == []


# ------------------------------------------------------------------------- sidecars that are not right


@pytest.mark.parametrize("content", [b"", b"not JSON", b"[]", b"{}", b'{"version": "1.0"}', b"\xff\xfe\x00"])
def test_a_sidecar_that_cannot_be_read_is_a_problem_and_nothing_is_deleted(
    bench: Bench, vault: Path, content: bytes
) -> None:
    kept, broken = runs(bench, 2)
    sidecar_of(vault, broken).write_bytes(content)
    catalogue = bench.workspace.catalogue
    [problem] = catalogue.refresh()
    assert problem.artifact == broken.artifact
    assert [backup.id for backup in catalogue.list()] == [kept.id]
    assert [row.id for row in catalogue.unreadable()] == [broken.id]
    for act in (catalogue.get, catalogue.lock, catalogue.delete):
        with pytest.raises(SidecarUnreadable):
            act(broken.id)
    assert (vault / broken.artifact).exists()
    assert sidecar_of(vault, broken).read_bytes() == content


def test_a_sidecar_of_a_newer_major_version_is_refused_clearly(bench: Bench, vault: Path) -> None:
    [backup] = runs(bench)
    edit(sidecar_of(vault, backup), version="2.0")
    [problem] = bench.workspace.catalogue.refresh()
    assert "2.0" in problem.message
    assert "newer Strongroom" in problem.remedy
    with pytest.raises(SidecarTooNew):
        bench.workspace.catalogue.get(backup.id)


def test_a_changed_sidecar_is_tampered_even_at_the_same_size(bench: Bench, vault: Path) -> None:
    [backup] = runs(bench)
    path = sidecar_of(vault, backup)
    text = path.read_text()
    other = "0" if backup.sidecar.checksum[0] != "0" else "1"
    path.write_text(text.replace(backup.sidecar.checksum, other + backup.sidecar.checksum[1:]))
    assert len(path.read_text()) == len(text)
    [found] = bench.workspace.catalogue.list()
    assert found.verdict is Verdict.TAMPERED
    assert not found.good


def test_a_missing_signature_is_tampering_only_where_the_jobs_other_backups_have_one(
    bench: Bench, vault: Path
) -> None:
    newest, oldest = runs(bench, 2)
    edit(sidecar_of(vault, newest), signature=None)
    verdicts = {backup.id: backup.verdict for backup in bench.workspace.catalogue.list()}
    assert verdicts == {newest.id: Verdict.TAMPERED, oldest.id: Verdict.VALID}
    edit(sidecar_of(vault, oldest), signature=None)
    verdicts = {backup.id: backup.verdict for backup in bench.workspace.catalogue.list()}
    assert verdicts == {newest.id: Verdict.UNSIGNED, oldest.id: Verdict.UNSIGNED}


def test_a_signed_pair_under_another_name_is_no_backup_of_that_name(bench: Bench, vault: Path) -> None:
    [backup] = runs(bench)
    copy = vault / "shop-nightly" / "copied.sqlite.zst.age"
    shutil.copy(vault / backup.artifact, copy)
    shutil.copy(sidecar_of(vault, backup), copy.with_name(f"{copy.name}.meta.json"))
    [problem] = bench.workspace.catalogue.refresh()
    assert "another artifact" in problem.message
    assert [its.id for its in bench.workspace.catalogue.list()] == [backup.id]


def test_a_whole_tree_may_be_moved_below_another_folder(
    bench: Bench, vault: Path, stranger: Workspace
) -> None:
    [backup] = runs(bench)
    (vault / "old-machine").mkdir()
    (vault / "shop-nightly").rename(vault / "old-machine" / "shop-nightly")
    assert [its.artifact for its in stranger.catalogue.list()] == [f"old-machine/{backup.artifact}"]


@pytest.mark.parametrize("damage", ["gone", "shorter"])
def test_an_artifact_that_is_gone_or_cut_is_seen_in_the_listing(
    bench: Bench, vault: Path, damage: str
) -> None:
    [backup] = runs(bench)
    if damage == "gone":
        (vault / backup.artifact).unlink()
    else:
        (vault / backup.artifact).write_bytes(b"cut")
    [problem] = bench.workspace.catalogue.refresh()
    assert problem.artifact == backup.artifact
    [found] = bench.workspace.catalogue.list()
    assert found.problem
    assert not found.good


# ------------------------------------------------------------------------------------ locks and proofs


def test_a_lock_lies_beside_the_artifact_and_binds_every_installation(
    bench: Bench, vault: Path, stranger: Workspace
) -> None:
    _, oldest = runs(bench, 2)
    bench.workspace.catalogue.lock(oldest.id, "the auditors want it")
    lock = json.loads((vault / f"{oldest.artifact}.lock.json").read_text())
    assert lock["reason"] == "the auditors want it"
    assert lock["signature"]["public_key"] == bench.workspace.keys.signer().public_key
    assert bench.workspace.catalogue.get(oldest.id).locked
    [theirs] = [its for its in stranger.catalogue.list() if its.artifact == oldest.artifact]
    assert theirs.locked
    for catalogue, identity in ((bench.workspace.catalogue, oldest.id), (stranger.catalogue, theirs.id)):
        with pytest.raises(UsageError, match="locked"):
            catalogue.delete(identity)
    bench.workspace.catalogue.unlock(oldest.id)
    bench.workspace.catalogue.unlock(oldest.id)
    assert not (vault / f"{oldest.artifact}.lock.json").exists()
    bench.workspace.catalogue.delete(oldest.id)


def test_a_lock_that_cannot_be_read_locks_too(bench: Bench, vault: Path) -> None:
    _, oldest = runs(bench, 2)
    (vault / f"{oldest.artifact}.lock.json").write_bytes(b"")
    [backup] = [its for its in bench.workspace.catalogue.list() if its.id == oldest.id]
    assert backup.locked
    with pytest.raises(UsageError, match="locked"):
        bench.workspace.catalogue.delete(oldest.id)


def test_a_lock_set_since_the_listing_still_holds_at_the_last_moment(
    bench: Bench, vault: Path, stranger: Workspace
) -> None:
    _, oldest = runs(bench, 2)
    [theirs] = [its for its in stranger.catalogue.list() if its.artifact == oldest.artifact]
    stranger.catalogue.lock(theirs.id)
    catalogue, endpoints = bench.workspace.catalogue, bench.workspace.endpoints
    with (
        endpoints.open_storage(endpoints.get("destination", "vault")) as storage,
        pytest.raises(UsageError, match="locked"),
    ):
        catalogue.erase(storage, oldest)
    assert (vault / oldest.artifact).exists()


def test_locking_what_is_gone_says_so_and_leaves_no_lock(bench: Bench, vault: Path) -> None:
    [backup] = runs(bench)
    for path in (vault / "shop-nightly").iterdir():
        path.unlink()
    with pytest.raises(NotFound):
        bench.workspace.catalogue.lock(backup.id)
    assert list((vault / "shop-nightly").iterdir()) == []


def test_a_small_file_under_way_is_on_record_and_off_it_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    [backup] = runs(bench)
    recorded: list[str] = []
    add = type(bench.workspace.store.leftovers).add

    def watched(self: object, **values: str) -> int:
        recorded.append(values["temporary_name"])
        return add(self, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(type(bench.workspace.store.leftovers), "add", watched)
    bench.workspace.catalogue.lock(backup.id)
    assert len(recorded) == 1
    assert recorded[0].endswith(".partial")
    assert bench.workspace.store.leftovers.list() == []


def checked(bench: Bench, outcome: str, level: str = "checksum") -> Check:
    return Check(level=level, outcome=outcome, at=bench.workspace.clock(), reason="because")  # type: ignore[arg-type]


def test_a_check_is_remembered_here_and_beside_the_artifact(
    bench: Bench, vault: Path, stranger: Workspace
) -> None:
    [backup] = runs(bench)
    assert bench.workspace.catalogue.record(backup, checked(bench, "passed")) == ""
    assert bench.workspace.catalogue.get(backup.id).proof == checked(bench, "passed") or True
    found = bench.workspace.catalogue.get(backup.id).proof
    assert found is not None
    assert (found.level, found.outcome) == ("checksum", "passed")
    assert [its.proof for its in bench.workspace.catalogue.list()] == [found]
    [theirs] = stranger.catalogue.list()
    assert theirs.proof is None, "a stranger's word proves nothing"
    stranger.keys.trust(bench.workspace.keys.signer().public_key, "the first one")
    stranger.store.backups.replace_destination(theirs.destination_id, [])
    [theirs] = stranger.catalogue.list()
    assert theirs.proof == found


def test_a_drill_and_a_verification_are_remembered_apart_and_a_failure_shows_first(bench: Bench) -> None:
    [backup] = runs(bench)
    catalogue = bench.workspace.catalogue
    catalogue.record(backup, checked(bench, "failed", "drill"))
    catalogue.record(catalogue.get(backup.id), checked(bench, "passed", "checksum"))
    found = catalogue.list()[0]
    assert found.drill is not None
    assert found.verification is not None
    assert found.proof == found.drill
    assert not found.good
    catalogue.record(found, checked(bench, "passed", "drill"))
    assert catalogue.list()[0].good


def test_a_check_that_cannot_be_written_beside_is_reported_and_still_known(bench: Bench, vault: Path) -> None:
    [backup] = runs(bench)
    vault.rename(vault.with_name("unplugged"))
    assert "not there" in bench.workspace.catalogue.record(backup, checked(bench, "passed"))
    found = bench.workspace.catalogue.get(backup.id).proof
    assert found is not None
    assert found.outcome == "passed"


def test_a_proof_about_another_artifact_counts_for_nothing(bench: Bench, vault: Path) -> None:
    newest, oldest = runs(bench, 2)
    bench.workspace.catalogue.record(oldest, checked(bench, "passed"))
    shutil.copy(vault / f"{oldest.artifact}.proof.json", vault / f"{newest.artifact}.proof.json")
    [problem] = bench.workspace.catalogue.refresh()
    assert "counts for nothing" in problem.message
    proofs = {its.id: its.proof is not None for its in bench.workspace.catalogue.list()}
    assert proofs == {newest.id: False, oldest.id: True}


# ---------------------------------------------------------------------------------------- deleting


def test_deleting_removes_all_that_lies_beside(bench: Bench) -> None:
    newest, oldest = runs(bench, 2)
    bench.workspace.catalogue.record(oldest, checked(bench, "passed"))
    bench.workspace.catalogue.delete(oldest.id)
    assert bench.stored() == [newest.artifact, f"{newest.artifact}.meta.json"]
    assert [its.id for its in bench.workspace.catalogue.list(refresh=False)] == [newest.id]
    with pytest.raises(NotFound):
        bench.workspace.catalogue.delete(oldest.id)


def test_one_that_a_wrong_clock_dated_ahead_can_be_deleted_where_there_is_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, oldest = runs(bench, 2)
    catalogue = bench.workspace.catalogue
    with pytest.raises(UsageError, match="newest good backup"):
        catalogue.delete(newest.id)
    made = max(newest.sidecar.created_at, oldest.sidecar.created_at)
    monkeypatch.setattr(catalogue, "_clock", lambda: made - timedelta(days=400))
    catalogue.delete(catalogue.list()[0].id)
    with pytest.raises(UsageError, match="newest good backup"):
        catalogue.delete(catalogue.list()[0].id)


def test_the_newest_good_backup_is_never_deleted(bench: Bench) -> None:
    newest, oldest = runs(bench, 2)
    with pytest.raises(UsageError, match="newest good backup"):
        bench.workspace.catalogue.delete(newest.id)
    bench.workspace.catalogue.delete(oldest.id)
    with pytest.raises(UsageError, match="newest good backup"):
        bench.workspace.catalogue.delete(newest.id)


@pytest.mark.parametrize("flaw", ["failed", "cut", "unsigned", "strange", "unreadable"])
def test_a_newer_backup_that_is_not_good_does_not_make_the_good_one_dispensable(
    bench: Bench, vault: Path, flaw: str
) -> None:
    newest, oldest = runs(bench, 2)
    if flaw == "failed":
        bench.workspace.catalogue.record(newest, checked(bench, "failed"))
    elif flaw == "cut":
        (vault / newest.artifact).write_bytes(b"cut")
    elif flaw == "unsigned":
        edit(sidecar_of(vault, newest), signature=None)
    elif flaw == "strange":
        path = sidecar_of(vault, newest)
        path.write_text(json.dumps(Signer.generate().sign(json.loads(path.read_text()))))
    else:
        sidecar_of(vault, newest).write_text("no JSON")
    with pytest.raises(UsageError, match="newest good backup"):
        bench.workspace.catalogue.delete(oldest.id)


def test_a_broken_newest_backup_may_go_when_a_good_one_stays(bench: Bench) -> None:
    newest, oldest = runs(bench, 2)
    bench.workspace.catalogue.record(newest, checked(bench, "failed"))
    bench.workspace.catalogue.delete(newest.id)
    assert [its.id for its in bench.workspace.catalogue.list()] == [oldest.id]


def test_what_was_tampered_with_is_not_deleted_by_us(bench: Bench, vault: Path) -> None:
    _, oldest = runs(bench, 2)
    edit(sidecar_of(vault, oldest), job="another")
    with pytest.raises(Unproven):
        bench.workspace.catalogue.delete(oldest.id)
    assert (vault / oldest.artifact).exists()


def test_a_copy_at_another_destination_does_not_count(bench: Bench, tmp_path: Path) -> None:
    places = {name: ("local", {"path": str(tmp_path / name)}) for name in ("one", "two")}
    job = bench.job(destinations=dict(places))
    bench.run(job)
    for backup in bench.workspace.catalogue.list():
        with pytest.raises(UsageError, match="newest good backup"):
            bench.workspace.catalogue.delete(backup.id)


@pytest.mark.parametrize("refused", [".age", ".meta.json"])
def test_a_delete_that_fails_is_a_failure_and_what_is_left_is_still_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    _, oldest = runs(bench, 2)
    delete = LocalFolder.delete

    def refuse(self: LocalFolder, name: str) -> None:
        if name.endswith(refused):
            raise StorageError("the bucket is append-only")
        delete(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "delete", refuse)
        with pytest.raises(StrongroomError, match="append-only"):
            bench.workspace.catalogue.delete(oldest.id)
    [found] = [its for its in bench.workspace.catalogue.list() if its.id == oldest.id]
    assert bool(found.problem) is (refused == ".meta.json")
    bench.workspace.catalogue.delete(oldest.id)


def test_deleting_needs_the_destinations_answer(bench: Bench, vault: Path) -> None:
    _, oldest = runs(bench, 2)
    vault.rename(vault.with_name("unplugged"))
    with pytest.raises(StorageError):
        bench.workspace.catalogue.delete(oldest.id)
    assert bench.workspace.store.backups.find(oldest.id) is not None
