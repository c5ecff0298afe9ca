"""By clicks: a PostgreSQL to a folder, an S3 server and an SSH server at once, and restored from each."""

from __future__ import annotations

from typing import Any, cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QSpinBox

from desktop.forms import EndpointDialog, JobDialog
from desktop.forms.trust import TrustDialog
from desktop.views.restore import RestoreDialog
from desktop.widgets import RecordTable
from engine.events import Status
from tests.desktop.driver import Driver
from tests.parts.postgres import PASSWORD, USER, Server, postgres  # noqa: F401 - a fixture
from tests.parts.s3 import S3Server, bucket, s3  # noqa: F401 - fixtures
from tests.parts.sshd import SshServer, sshd  # noqa: F401 - a fixture

SCHEMA = """
CREATE TABLE orders (id serial PRIMARY KEY, total numeric, note text);
INSERT INTO orders (total, note)
  SELECT n * 1.25, CASE WHEN n % 7 = 0 THEN NULL ELSE md5(n::text) END FROM generate_series(1, 50000) n;
"""
PLACES = ("vault", "bucket", "server")


def fill(driver: Driver, dialog: EndpointDialog, values: dict[str, Any]) -> None:
    """Type values into the fields of a form, folding out those below the fold."""
    form = dialog.fields
    assert form is not None
    for name, value in values.items():
        field = form.field(name)
        if isinstance(field.control, QSpinBox):
            field.control.setFocus()
            field.control.selectAll()
            driver.qtbot.keyClicks(field.control, str(value))
        elif isinstance(field.control, QLineEdit) and field.control.isVisible():
            driver.write(field, str(value))
        else:
            form.set_value(name, value)


def open_form(driver: Driver, page: str, name: str, adapter: str) -> EndpointDialog:
    driver.go(page)
    driver.press(f"New {page[:-1]}")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData(adapter)))
    driver.write(dialog.name, name)
    return dialog


def save(driver: Driver, dialog: EndpointDialog, page: str, name: str) -> None:
    driver.until(lambda: dialog.tester.found.isVisible() or dialog.tester.problem.isVisible())
    assert dialog.tester.found.isVisible(), dialog.tester.problem.message.value
    driver.press("Save", dialog)
    driver.until(lambda: any(its.name == name for its in driver.session.snapshot.endpoints(page[:-1])))


@pytest.mark.xdist_group("desktop-three")
def test_three_destinations_by_clicks(
    driver: Driver,
    postgres: Server,  # noqa: F811
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
    sshd: SshServer,  # noqa: F811
) -> None:
    postgres.create_database("three", SCHEMA)
    try:
        _set_up(driver, postgres, s3, bucket, sshd)
        _run_and_restore(driver, postgres)
    finally:
        for name in ("three", *(f"from_{place}" for place in PLACES)):
            postgres.drop_database(name)


def _set_up(
    driver: Driver,
    server: Server,
    s3: S3Server,  # noqa: F811
    bucket: str,  # noqa: F811
    sshd: SshServer,  # noqa: F811
) -> None:
    dialog = open_form(driver, "sources", "shop", "postgresql")
    values = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "databases": ["three"],
        "password": PASSWORD,
    }
    fill(driver, dialog, values)
    driver.press("Test connection", dialog)
    save(driver, dialog, "sources", "shop")

    driver.make_destination("vault", driver.folder / "vault")

    dialog = open_form(driver, "destinations", "bucket", "s3")
    fill(driver, dialog, s3.values(bucket))
    driver.press("Test connection", dialog)
    save(driver, dialog, "destinations", "bucket")

    # Nobody has confirmed this server's key yet: its file of known hosts is an empty one.
    unknown = driver.folder / "known_hosts"
    unknown.write_text("")
    dialog = open_form(driver, "destinations", "server", "sftp")
    fill(driver, dialog, sshd.values(path=str(sshd.new_folder()), known_hosts=str(unknown)))
    driver.press("Test connection", dialog)
    question = driver.dialog(TrustDialog)
    assert question.fingerprint.value in {key.value.split()[1] for key in sshd.host_keys.values()}
    driver.press("Trust this key", question)
    save(driver, dialog, "destinations", "server")

    driver.go("jobs")
    driver.press("New job")
    job = driver.dialog(JobDialog)
    driver.write(job.name, "nightly")
    for destination in driver.session.snapshot.destinations:
        job.destinations.add(destination.id)
    driver.press("Save", job)
    driver.until(lambda: any(its.name == "nightly" for its in driver.session.snapshot.jobs))


def _run_and_restore(driver: Driver, server: Server) -> None:
    page = driver.run_job("nightly")
    driver.until(lambda: page.panel.state.ended)
    assert page.panel.state is Status.SUCCESS, page.panel.log.text()
    before = server.rows("three")
    assert len(before["public.orders"]) == 50_000
    for place in PLACES:
        _restore(driver, place)
        assert server.rows(f"from_{place}") == before


def _restore(driver: Driver, place: str) -> None:
    view = driver.backups()
    driver.until(lambda: {its.destination for its in view.model.rows} == set(PLACES))
    chosen = next(its for its in view.model.rows if its.destination == place)
    driver.click_row(cast("RecordTable[object]", view.table), chosen.id)
    driver.press("Restore…")
    restore = driver.dialog(RestoreDialog)
    driver.write(restore.as_name, f"from_{place}")
    driver.qtbot.keyClick(restore, Qt.Key.Key_Return)
    done = driver.execution()
    assert done.panel.state is Status.SUCCESS, done.panel.log.text()
