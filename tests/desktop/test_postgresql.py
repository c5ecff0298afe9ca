"""End to end by clicks on a real PostgreSQL: a wrong password, a backup, a drill, a restore, all equal."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSpinBox

from desktop.forms import EndpointDialog
from desktop.views.restore import RestoreDialog
from engine.events import Status
from tests.desktop.driver import Driver
from tests.parts.postgres import PASSWORD, USER, Server, postgres  # noqa: F401 - a fixture

ROWS = 200_000
SCHEMA = """
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, born date);
INSERT INTO customers (name, born) SELECT 'Zoë ' || n, date '1950-01-01' + n FROM generate_series(1, 5000) n;
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, total numeric, note text);
INSERT INTO orders (customer, total, note)
  SELECT 1 + n % 5000, n * 1.25, CASE WHEN n % 7 = 0 THEN NULL ELSE md5(n::text) END
  FROM generate_series(1, 200000) n;
"""


def test_postgresql_is_backed_up_and_restored_by_clicks(driver: Driver, postgres: Server) -> None:  # noqa: F811
    postgres.create_database("clicked", SCHEMA)
    try:
        _by_clicks(driver, postgres)
    finally:
        for name in ("clicked", "clicked_again"):
            postgres.drop_database(name)


def _by_clicks(driver: Driver, server: Server) -> None:
    driver.go("sources")
    driver.press("New source")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData("postgresql")))
    driver.write(dialog.name, "shop")
    form = dialog.fields
    assert form is not None
    driver.write(form.field("host"), "127.0.0.1")
    port = form.field("port").control
    assert isinstance(port, QSpinBox)
    port.setFocus()
    port.selectAll()
    driver.qtbot.keyClicks(port, str(server.port))
    driver.write(form.field("user"), USER)
    driver.write(form.field("databases"), "clicked")
    driver.write(form.field("password"), "a wrong password")
    driver.press("Test connection", dialog)
    driver.until(dialog.tester.problem.isVisible)
    assert "password" in dialog.tester.problem.message.value.lower()
    driver.write(form.field("password"), PASSWORD)
    driver.press("Test connection", dialog)
    driver.until(dialog.tester.found.isVisible)
    assert "a backup will work" in dialog.tester.found_text.text()
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.sources) == 1)
    assert PASSWORD not in str(driver.session.snapshot.sources[0])
    driver.make_destination("vault", driver.folder / "vault")
    driver.make_job("nightly")
    page = driver.run_job("nightly")
    driver.until(lambda: page.panel.state.ended)
    assert page.panel.state is Status.SUCCESS, page.panel.log.text()
    assert PASSWORD not in page.panel.log.text()
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Drill")
    assert driver.execution().panel.state is Status.SUCCESS
    driver.backups()
    driver.press("Restore…")
    restore = driver.dialog(RestoreDialog)
    driver.write(restore.as_name, "clicked_again")
    driver.qtbot.keyClick(restore, Qt.Key.Key_Return)
    done = driver.execution()
    assert done.panel.state is Status.SUCCESS, done.panel.log.text()
    before = server.rows("clicked")
    assert len(before["public.orders"]) == ROWS
    assert server.rows("clicked_again") == before
