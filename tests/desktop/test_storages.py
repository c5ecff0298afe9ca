"""All three kinds of storage at once, by the window alone, against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from desktop.forms import EndpointDialog, JobDialog
from desktop.forms.trust import TrustDialog
from desktop.views.restore import RestoreDialog
from desktop.widgets import RecordTable
from engine.events import Status
from tests.conftest import make_shop, rows_of
from tests.desktop.driver import Driver
from tests.parts.s3 import S3Server, bucket, s3  # noqa: F401 - fixtures
from tests.parts.sshd import SshServer, running


@pytest.fixture
def server() -> Iterator[SshServer]:
    """An SSH server of this test's own, whose keys may change."""
    with running() as its:
        yield its


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """A file of known hosts that knows nobody."""
    path = tmp_path / "known_hosts"
    path.touch()
    return path


def filled(driver: Driver, name: str, adapter: str, values: dict[str, object]) -> EndpointDialog:
    """The form of a new destination with these values in it."""
    driver.go("destinations")
    driver.press("New destination")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData(adapter)))
    driver.write(dialog.name, name)
    assert dialog.fields is not None
    for field, value in values.items():
        dialog.fields.set_value(field, value)
    return dialog


def save_when_it_works(driver: Driver, dialog: EndpointDialog) -> None:
    driver.until(lambda: dialog.tester.chip.text() == "✓ Works")
    name = dialog.name.value()
    driver.press("Save", dialog)
    driver.until(lambda: any(its.name == name for its in driver.session.snapshot.destinations))


def test_a_backup_goes_to_all_three_and_comes_back_from_each(
    driver: Driver,
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
    server: SshServer,
    unknown: Path,
) -> None:
    shop = make_shop(driver.folder / "shop.sqlite", rows=2000)
    driver.make_source("shop", shop)
    driver.make_destination("nas", driver.folder / "nas")
    dialog = filled(driver, "bucket", "s3", s3.values(bucket))
    driver.press("Test connection", dialog)
    save_when_it_works(driver, dialog)
    remote = server.new_folder()
    dialog = filled(driver, "server", "sftp", server.values(path=str(remote), known_hosts=str(unknown)))
    driver.press("Test connection", dialog)
    question = driver.dialog(TrustDialog)
    shown = f"{question.facts.value('Key type')} {question.fingerprint.value}"
    assert shown in {key.value for key in server.host_keys.values()}
    driver.press("Trust this key", question)
    save_when_it_works(driver, dialog)

    driver.go("jobs")
    driver.press("New job")
    editor = driver.dialog(JobDialog)
    driver.write(editor.name, "nightly")
    for its in driver.session.snapshot.destinations:
        editor.destinations.add(its.id)
    driver.press("Save", editor)
    driver.until(lambda: len(driver.session.snapshot.jobs) == 1)
    page = driver.run_job("nightly")
    assert page.panel.state is Status.SUCCESS, page.panel.error.message.value
    rows = page.panel.destinations
    assert {rows.row(name).state.text() for name in ("nas", "bucket", "server")} == {"✓ Stored"}
    driver.until(lambda: all(rows.row(name).detail.value for name in rows.names))
    assert list(remote.rglob("*.age")) and s3.objects(bucket)

    for name in ("nas", "bucket", "server"):
        view = driver.backups()
        its = next(its for its in view.model.rows if its.destination == name)
        driver.click_row(cast("RecordTable[object]", view.table), its.id)
        driver.press("Restore…")
        restore = driver.dialog(RestoreDialog)
        copy = driver.folder / f"from-{name}.sqlite"
        driver.write(restore.as_name, str(copy))
        driver.press("Restore", restore)
        assert driver.execution().panel.state is Status.SUCCESS
        assert rows_of(copy) == rows_of(shop)


def test_a_server_whose_key_has_changed_is_refused_loudly(
    driver: Driver, server: SshServer, unknown: Path
) -> None:
    values = server.values(path=str(server.new_folder()), known_hosts=str(unknown))
    dialog = filled(driver, "server", "sftp", values)
    driver.press("Test connection", dialog)
    driver.press("Trust this key", driver.dialog(TrustDialog))
    driver.until(lambda: dialog.tester.chip.text() == "✓ Works")
    assert dialog.fields is not None
    confirmed = str(dialog.fields.values()["host_key"])
    server.stop()
    server.change_host_key(confirmed.split()[0].removeprefix("ssh-"))
    server.start()
    driver.press("Test connection", dialog)
    driver.until(lambda: dialog.tester.chip.text() == "✕ Does not work")
    assert "REFUSED" in dialog.tester.problem.message.value
    assert not dialog.findChildren(TrustDialog)
    assert dialog.fields.values()["host_key"] == confirmed


def test_a_wrong_secret_is_told_and_shown_nowhere(driver: Driver, s3: S3Server, bucket: str) -> None:  # noqa: F811
    secret = "not-the-right-secret-at-all"
    dialog = filled(driver, "bucket", "s3", s3.values(bucket, secret_access_key=secret))
    driver.press("Test connection", dialog)
    driver.until(lambda: dialog.tester.chip.text() == "✕ Does not work")
    problem = dialog.tester.problem
    assert problem.message.value and problem.remedy.value
    assert secret not in f"{problem.message.value} {problem.remedy.value} {problem.details.value}"
