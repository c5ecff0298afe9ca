"""Telling people: by the job's choice of statuses, each attempt kept, and nothing changed by a failure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import strongroom
from engine import notify
from engine.events import Event, NotificationSent, Status
from engine.notify import message_of, notify_of, notify_of_broken, notify_of_retention
from engine.recorder import Recorder
from engine.records import Execution, Job, JobNotifier
from engine.recovery.integrity import Verification
from engine.store.ids import new_id
from engine.workspace import Workspace
from plugins.notifiers.apprise import Apprise
from tests.conftest import Bench

ALL = (Status.SUCCESS, Status.PARTIAL, Status.FAILED, Status.CANCELLED)


class Server(ThreadingHTTPServer):
    """Takes what Apprise posts for a json:// URL."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[dict[str, Any]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"json://user:hunter2secret@127.0.0.1:{self.server_port}/hook"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.got]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ops(workspace: Workspace, server: Server) -> str:
    """A notifier that posts to the server; its ID."""
    return workspace.endpoints.save("notifier", "ops", "apprise", {"url": server.url}).id


class Telling:
    """A recorder with its events and its log, as a run has it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.events: list[Event] = []
        self.execution = workspace.store.executions.add(new_id(), job_name="shop-nightly")
        self.recorder = Recorder(self.execution.id, workspace.store, self.events.append)

    @property
    def log(self) -> list[str]:
        return [line.entry.message for line in self.workspace.store.logs.list(self.execution.id)]

    def ended(self, status: Status, **values: object) -> Execution:
        from dataclasses import replace

        return replace(self.execution, status=status, **values)  # type: ignore[arg-type]


@pytest.fixture
def telling(workspace: Workspace) -> Telling:
    return Telling(workspace)


def job_with(bench: Bench, *notifiers: JobNotifier) -> Job:
    return bench.job(notifiers=notifiers)


# ------------------------------------------------------------------------------------- after a run


def test_a_run_tells_those_who_want_to_hear_of_its_status(bench: Bench, ops: str, server: Server) -> None:
    job = job_with(bench, JobNotifier(ops, "ops", ALL))
    execution = bench.run(job)
    assert server.titles == ["shop-nightly: backed up and verified"]
    text = server.got[0]["message"]
    assert "Stored and verified at 1 destination." in text
    assert "Database shop: Success" in text
    assert "Destination vault: Success" in text
    [attempt] = bench.workspace.store.notifications.list(execution.id)
    assert (attempt.status, attempt.error, attempt.notifier_name) == ("success", None, "ops")
    assert attempt.payload["title"] == server.titles[0]
    assert attempt.payload["body"] == text


@pytest.mark.parametrize("status", ALL)
def test_each_status_is_a_choice_of_the_job(
    bench: Bench, telling: Telling, ops: str, server: Server, status: Status
) -> None:
    others = tuple(its for its in ALL if its is not status)
    job = job_with(bench, JobNotifier(ops, "ops", others))
    workspace = bench.workspace
    notify_of(workspace.store, workspace.endpoints, telling.ended(status), job, telling.recorder)
    assert server.got == []
    job = workspace.jobs.save(
        Job(
            id=job.id,
            name=job.name,
            source_id=job.source_id,
            source_name=job.source_name,
            destinations=job.destinations,
            notifiers=(JobNotifier(ops, "ops", (status,)),),
        )
    )
    notify_of(workspace.store, workspace.endpoints, telling.ended(status), job, telling.recorder)
    assert len(server.got) == 1
    assert telling.events[-1] == NotificationSent(telling.execution.id, "ops", True)


def test_a_delivery_that_was_not_confirmed_is_no_success_and_fails_nothing(
    bench: Bench, ops: str, server: Server
) -> None:
    server.status = 500
    execution = bench.run(job_with(bench, JobNotifier(ops, "ops", ALL)))
    assert execution.status is Status.SUCCESS
    [attempt] = bench.workspace.store.notifications.list(execution.id)
    assert attempt.status == "error"
    assert "500" in (attempt.error or "")
    assert attempt.payload["title"] == "shop-nightly: backed up and verified"
    assert any("ops could not be told" in line for line in bench.log_of(execution))


def test_no_secret_is_in_what_is_kept(bench: Bench, ops: str, server: Server) -> None:
    server.status = 500
    execution = bench.run(job_with(bench, JobNotifier(ops, "ops", ALL)))
    kept = repr(bench.workspace.store.notifications.list(execution.id)) + repr(bench.log_of(execution))
    assert "hunter2secret" not in kept
    assert "hunter2secret" not in bench.workspace.home.database.read_bytes().decode("latin-1")


def test_one_that_fails_does_not_keep_the_next_from_being_told(
    bench: Bench, ops: str, server: Server
) -> None:
    broken = bench.workspace.endpoints.save("notifier", "broken", "apprise", {"url": "nosuchthing://x"})
    job = job_with(bench, JobNotifier(broken.id, "broken", ALL), JobNotifier(ops, "ops", ALL))
    execution = bench.run(job)
    assert len(server.got) == 1
    outcomes = {
        its.notifier_name: its.status for its in bench.workspace.store.notifications.list(execution.id)
    }
    assert outcomes == {"broken": "error", "ops": "success"}


@pytest.mark.parametrize("where", ["render", "send"])
def test_an_adapters_bug_is_an_attempt_that_failed(
    bench: Bench, ops: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def bug(self: Apprise, message: strongroom.Message) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Apprise, where, bug)
    execution = bench.run(job_with(bench, JobNotifier(ops, "ops", ALL)))
    assert execution.status is Status.SUCCESS
    [attempt] = bench.workspace.store.notifications.list(execution.id)
    assert attempt.status == "error"
    assert "oops" in (attempt.error or "")


def test_a_notifier_that_hangs_does_not_hold_the_run_up(
    bench: Bench, telling: Telling, ops: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = threading.Event()

    def hang(self: Apprise, message: strongroom.Message) -> None:
        with self.context.cancel.calling(cancelled.set):
            cancelled.wait(60)

    monkeypatch.setattr(Apprise, "send", hang)
    monkeypatch.setattr(notify, "LONGEST", 0.05)
    job, workspace = job_with(bench, JobNotifier(ops, "ops", ALL)), bench.workspace
    notify_of(workspace.store, workspace.endpoints, telling.ended(Status.FAILED), job, telling.recorder)
    assert cancelled.wait(60), "the adapter is told to stop"
    [attempt] = workspace.store.notifications.list(telling.execution.id)
    assert attempt.status == "error"


# ------------------------------------------------------------------------------------- the message


def test_a_failure_says_why_and_what_to_do(telling: Telling) -> None:
    message = message_of(telling.ended(Status.FAILED, error="The disk is full.", remedy="Free some space."))
    assert message.title == "shop-nightly: the backup failed"
    assert message.body == "The disk is full.\nFree some space."
    assert message.level == "error"
    assert ("Status", "Failed") in message.facts


def test_a_cancel_is_not_called_a_failure(telling: Telling) -> None:
    message = message_of(telling.ended(Status.CANCELLED, error="somebody pressed cancel"))
    assert "failed" not in message.title
    assert message.level == "warning"


def test_a_secret_that_a_tool_repeated_is_blotted_out(
    bench: Bench, telling: Telling, ops: str, server: Server
) -> None:
    telling.recorder.hide("pa55word")
    job, workspace = job_with(bench, JobNotifier(ops, "ops", ALL)), bench.workspace
    ended = telling.ended(Status.FAILED, error="login with pa55word refused")
    notify_of(workspace.store, workspace.endpoints, ended, job, telling.recorder)
    assert len(server.got) == 1
    assert "pa55word" not in json.dumps(server.got)


# ----------------------------------------------------------------- retention, and backups that are broken


def test_a_retention_that_failed_is_told_to_those_who_hear_of_failures(
    bench: Bench, telling: Telling, ops: str, server: Server
) -> None:
    workspace = bench.workspace
    deaf = workspace.endpoints.save("notifier", "deaf", "apprise", {"url": server.url}).id
    job = job_with(
        bench, JobNotifier(ops, "ops", (Status.FAILED,)), JobNotifier(deaf, "deaf", (Status.SUCCESS,))
    )
    notify_of_retention(
        workspace.store, workspace.endpoints, job, {"vault": "it cannot be listed"}, telling.recorder
    )
    assert server.titles == ["shop-nightly: old backups were not cleaned up"]
    assert server.got[0]["message"].startswith("vault: it cannot be listed")
    assert [its.notifier_name for its in workspace.store.notifications.list()] == ["ops"]


def test_a_broken_backup_is_told_to_the_people_of_its_job_and_a_strangers_to_all(
    bench: Bench, telling: Telling, ops: str, server: Server
) -> None:
    bench.run(job_with(bench, JobNotifier(ops, "ops", (Status.FAILED,))))
    workspace = bench.workspace
    workspace.endpoints.save("notifier", "others", "apprise", {"url": server.url})
    [backup] = workspace.catalogue.list()
    mine = (Verification(backup.id, "checksum", "failed", "a wrong checksum", 1.0), backup)
    fine = (Verification(backup.id, "checksum", "passed", "", 1.0), backup)
    unknown = (Verification("abcdefghij", "checksum", "could-not-verify", "no answer", 1.0), None)
    notify_of_broken(workspace.store, workspace.endpoints, [fine], telling.recorder)
    assert server.got == []
    notify_of_broken(workspace.store, workspace.endpoints, [mine, fine], telling.recorder)
    assert [its.notifier_name for its in workspace.store.notifications.list()] == ["ops"]
    assert f"{backup.artifact} at vault failed: a wrong checksum" in server.got[0]["message"]
    notify_of_broken(workspace.store, workspace.endpoints, [unknown], telling.recorder)
    assert sorted(its.notifier_name for its in workspace.store.notifications.list()) == [
        "ops",
        "ops",
        "others",
    ]
