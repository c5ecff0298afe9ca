"""Restores by clicks that are more than one database under another name: a whole set, and choices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QCheckBox

from desktop.forms import EndpointDialog
from desktop.views.restore import RestoreDialog
from engine.events import Status
from tests.desktop.driver import Driver
from tests.parts.postgres import PASSWORD, USER, Server, postgres  # noqa: F401 - a fixture

NAMES = ("set_one", "set_two")


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:  # noqa: F811
    for name in NAMES:
        table = f"CREATE TABLE its AS SELECT n, '{name}' AS whose FROM generate_series(1, 50) n"  # noqa: S608
        postgres.create_database(name, table)
    yield postgres
    for name in NAMES:
        postgres.drop_database(name)


def backed_up(driver: Driver, server: Server) -> RestoreDialog:
    driver.go("sources")
    driver.press("New source")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData("postgresql")))
    driver.write(dialog.name, "shop")
    assert dialog.fields is not None
    for field, value in {
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "databases": list(NAMES),
    }.items():
        dialog.fields.set_value(field, value)
    driver.write(dialog.fields.field("password"), PASSWORD)
    driver.press("Save", dialog)
    driver.until(lambda: len(driver.session.snapshot.sources) == 1)
    driver.make_destination("vault", driver.folder / "vault")
    driver.make_job("nightly")
    driver.run_job("nightly")
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 2)
    driver.press("Restore…")
    return driver.dialog(RestoreDialog)


def test_a_whole_set_is_restored(driver: Driver, server: Server) -> None:
    dialog = backed_up(driver, server)
    before = {name: server.rows(name) for name in NAMES}
    for name in NAMES:
        server.drop_database(name)
    assert dialog._fields["what"].isVisible()
    driver.choose(dialog.what, "All 2 databases of that run")
    assert not dialog.as_name.isVisible(), "a set has no one name"
    driver.press("Restore", dialog)
    page = driver.execution()
    assert page.panel.state is Status.SUCCESS, page.panel.log.text()
    assert {name: server.rows(name) for name in NAMES} == before


def test_a_choice_goes_before_the_sources_own_setting_for_this_restore(
    driver: Driver, server: Server
) -> None:
    dialog = backed_up(driver, server)
    assert dialog.choices.isVisible()
    assert dialog.choices.chosen() == {}
    driver.press("More choices", dialog)
    field = dialog.choices.fields["restore_owner"]
    driver.until(field.isVisible)
    box = field.control
    assert isinstance(box, QCheckBox)
    box.setChecked(not box.isChecked())
    assert dialog.choices.chosen() == {"restore_owner": False}
    driver.write(dialog.as_name, "set_chosen")
    driver.press("Restore", dialog)
    page = driver.execution()
    try:
        assert page.panel.state is Status.SUCCESS, page.panel.log.text()
        newest = driver.session.snapshot.executions[0]
        assert newest.labels["choices"] == {"restore_owner": False}
        assert len(server.rows("set_chosen")["public.its"]) == 50
    finally:
        server.drop_database("set_chosen")
    assert "restore_owner" not in driver.session.snapshot.sources[0].config
