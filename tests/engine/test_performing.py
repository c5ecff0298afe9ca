"""Restores, verifications and drills as executions: what is asked for, what is found, and who hears."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.archive.backups import Backup
from engine.events import Status
from engine.records import Execution, JobNotifier
from engine.recovery.requests import RestoreRequest
from engine.workspace import Workspace
from plugins.notifiers.apprise import Apprise
from strongroom import Message
from tests.conftest import WAIT, Bench, rows_of


@pytest.fixture
def backups(bench: Bench) -> list[Backup]:
    """Two backups of one job, the newest first."""
    job = bench.job()
    bench.run(job)
    bench.run(job)
    return bench.workspace.catalogue.list()


@pytest.fixture
def sent(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What a notifier was given to send, with nobody at the other end."""
    messages: list[Message] = []
    monkeypatch.setattr(Apprise, "send", lambda self, message: messages.append(message))
    workspace.endpoints.save("notifier", "ops", "apprise", {"url": "json://127.0.0.1"})
    return messages


def verified(workspace: Workspace, ids: list[str] | None = None) -> tuple[Execution, dict[str, str]]:
    execution = workspace.wait(workspace.verify(ids), WAIT)
    return execution, {its["backup"]: its["outcome"] for its in execution.labels.get("outcomes", [])}


def sidecar_of(bench: Bench, backup: Backup) -> Path:
    return bench.folder / "vault" / f"{backup.artifact}.meta.json"


def test_all_that_is_whole_passes(workspace: Workspace, backups: list[Backup]) -> None:
    execution, outcomes = verified(workspace)
    assert execution.status is Status.SUCCESS
    assert outcomes == {backup.id: "passed" for backup in backups}


def test_a_backup_that_is_gone_is_missed_once_by_a_look_at_everything(
    bench: Bench, backups: list[Backup]
) -> None:
    newest, oldest = backups
    sidecar_of(bench, oldest).unlink()
    (bench.folder / "vault" / oldest.artifact).unlink()
    execution, outcomes = verified(bench.workspace)
    assert execution.status is Status.FAILED
    assert outcomes == {newest.id: "passed", oldest.id: "failed"}
    assert any(f"{oldest.artifact} is not at vault any more" in line for line in bench.log_of(execution))
    assert verified(bench.workspace)[1] == {newest.id: "passed"}


def test_where_all_are_gone_no_look_succeeds(bench: Bench, backups: list[Backup]) -> None:
    for path in (bench.folder / "vault").rglob("*"):
        if path.is_file():
            path.unlink()
    for _ in range(2):
        execution, outcomes = verified(bench.workspace)
        assert execution.status is Status.FAILED
        assert outcomes == {backup.id: "failed" for backup in backups}


def test_what_another_installation_deletes_is_its_own_affair(bench: Bench, backups: list[Backup]) -> None:
    newest, oldest = backups
    row = bench.workspace.store.backups.get(oldest.id)
    bench.workspace.store.backups.upsert(replace(row, job_id="another's"))
    sidecar_of(bench, oldest).unlink()
    (bench.folder / "vault" / oldest.artifact).unlink()
    execution, outcomes = verified(bench.workspace)
    assert (execution.status, outcomes) == (Status.SUCCESS, {newest.id: "passed"})


def test_what_was_deleted_from_here_is_not_missed(bench: Bench, backups: list[Backup]) -> None:
    newest, oldest = backups
    bench.workspace.catalogue.delete(oldest.id)
    execution, outcomes = verified(bench.workspace)
    assert (execution.status, outcomes) == (Status.SUCCESS, {newest.id: "passed"})


@pytest.mark.parametrize("named", [True, False])
def test_a_sidecar_that_cannot_be_read_is_not_passed_over(
    bench: Bench, backups: list[Backup], named: bool
) -> None:
    newest, oldest = backups
    sidecar_of(bench, oldest).write_text("no JSON")
    bench.workspace.catalogue.refresh()
    execution, outcomes = verified(bench.workspace, [newest.id, oldest.id] if named else None)
    assert execution.status is Status.FAILED
    assert outcomes == {newest.id: "passed", oldest.id: "failed"}


def test_a_destination_that_does_not_answer_is_no_success(bench: Bench, backups: list[Backup]) -> None:
    (bench.folder / "vault").rename(bench.folder / "unplugged")
    execution, outcomes = verified(bench.workspace)
    assert execution.status is Status.PARTIAL
    assert "vault did not answer" in (execution.error or "")
    assert set(outcomes.values()) == {"could-not-verify"}


def test_a_drill_of_all_is_of_the_newest_alone(workspace: Workspace, backups: list[Backup]) -> None:
    execution = workspace.wait(workspace.drill(None), WAIT)
    assert execution.status is Status.SUCCESS
    assert [its["backup"] for its in execution.labels["outcomes"]] == [backups[0].id]


def test_people_hear_of_what_the_scheduled_verification_found(
    bench: Bench, backups: list[Backup], sent: list[Message]
) -> None:
    workspace = bench.workspace
    labels = {"backups": None, "level": "checksum"}
    workspace.wait(workspace.queue.enqueue_other("verify", trigger="system", labels=labels), WAIT)
    assert sent == []
    sidecar_of(bench, backups[1]).write_text("no JSON")
    workspace.wait(workspace.queue.enqueue_other("verify", trigger="system", labels=labels), WAIT)
    assert backups[1].artifact in sent[-1].body
    (bench.folder / "vault").rename(bench.folder / "unplugged")
    sent.clear()
    workspace.wait(workspace.queue.enqueue_other("verify", trigger="system", labels=labels), WAIT)
    assert any("Nothing could be verified at vault" in message.body for message in sent)


def test_the_jobs_own_people_hear_of_its_backups(
    bench: Bench, sent: list[Message], workspace: Workspace
) -> None:
    other = workspace.endpoints.save("notifier", "mine", "apprise", {"url": "json://127.0.0.1"})
    job = bench.job(notifiers=(JobNotifier(other.id, other.name, (Status.FAILED,)),))
    bench.run(job)
    [backup] = workspace.catalogue.list()
    (bench.folder / "vault" / backup.artifact).write_bytes(bytes(backup.size))
    labels = {"backups": None, "level": "checksum"}
    workspace.wait(workspace.queue.enqueue_other("verify", trigger="system", labels=labels), WAIT)
    assert [its.notifier_name for its in workspace.store.notifications.list()] == ["mine"]


def test_a_restore_says_where_the_data_is(bench: Bench, backups: list[Backup]) -> None:
    workspace = bench.workspace
    request = RestoreRequest(backups[0].id, "shop-nightly source", as_name="copy")
    execution = workspace.wait(workspace.restore(request), WAIT)
    assert execution.status is Status.SUCCESS
    assert execution.labels["database"] == "copy"
    assert execution.labels["target"] == "shop-nightly source"
    assert execution.labels["kept"] is None
    assert rows_of(bench.folder / "copy.sqlite") == rows_of(bench.folder / "shop.sqlite")


def test_a_restore_that_was_refused_is_failed_with_the_way_out(bench: Bench, backups: list[Backup]) -> None:
    workspace = bench.workspace
    execution = workspace.wait(workspace.restore(RestoreRequest(backups[0].id, "shop-nightly source")), WAIT)
    assert execution.status is Status.FAILED
    assert execution.error_kind == "TargetNotEmpty"
    assert "not touched" in (execution.error or "")
    assert "--overwrite" in (execution.remedy or "")
