"""Hosts in the window: made, tested for real over SSH, chosen for a source, kept while one uses them."""

from __future__ import annotations

from desktop.forms import EndpointDialog
from desktop.forms.trust import TrustDialog
from desktop.views.confirm import ConfirmDialog
from desktop.views.hosts import HostsView
from tests.desktop.driver import Driver
from tests.parts.sshd import SshServer, sshd  # noqa: F401 - a fixture


def new(driver: Driver, page: str, kind: str, adapter: str) -> EndpointDialog:
    driver.go(page)
    driver.press(f"New {kind}")
    dialog = driver.dialog(EndpointDialog)
    driver.choose(dialog.adapter, dialog.adapter.itemText(dialog.adapter.findData(adapter)))
    return dialog


def test_a_host_is_made_trusted_and_carries_a_source(driver: Driver, sshd: SshServer) -> None:  # noqa: F811
    dialog = new(driver, "hosts", "host", "ssh")
    assert not dialog.host_field.isVisible(), "there is nothing to choose from yet"
    driver.write(dialog.name, "db-server")
    assert dialog.fields is not None
    for name, value in sshd.values().items():
        if name not in ("path", "known_hosts"):
            dialog.fields.set_value(name, value)
    dialog.fields.set_value("known_hosts", str(driver.folder / "nobody-is-known"))
    driver.press("Test connection", dialog)
    question = driver.dialog(TrustDialog)
    driver.press("Trust this key", question)
    driver.until(lambda: dialog.tester.found.isVisible())
    driver.press("Save", dialog)
    driver.until(lambda: [its.name for its in driver.session.snapshot.hosts] == ["db-server"])
    host = driver.session.snapshot.hosts[0]

    data = driver.folder / "data"
    data.mkdir()
    (data / "a file").write_text("x")
    source = new(driver, "sources", "source", "files")
    assert source.host_field.isVisible()
    driver.write(source.name, "documents")
    assert source.fields is not None
    source.fields.set_value("path", str(data))
    driver.choose(source.host, "db-server")
    driver.press("Test connection", source)
    driver.until(lambda: source.tester.found.isVisible())
    driver.press("Save", source)
    driver.until(lambda: len(driver.session.snapshot.sources) == 1)
    assert driver.session.snapshot.sources[0].host == host.id

    driver.go("hosts")
    view = driver.window.view
    assert isinstance(view, HostsView)
    driver.until(lambda: view.facts.value("Used by") == "documents")
    driver.press("Delete", view)
    driver.press("Delete db-server", driver.dialog(ConfirmDialog))
    driver.until(lambda: view.problem.isVisible())
    assert "used by documents" in view.problem.message.value
    assert len(driver.session.snapshot.hosts) == 1


def container(driver: Driver, name: str, way: str = "") -> None:
    dialog = new(driver, "hosts", "host", "docker")
    driver.write(dialog.name, name)
    assert dialog.fields is not None
    driver.write(dialog.fields.field("container"), name)
    if way:
        driver.choose(dialog.host, way)
    driver.press("Save", dialog)
    driver.until(lambda: name in [its.name for its in driver.session.snapshot.hosts])


def test_a_host_is_not_offered_as_the_way_to_itself(driver: Driver) -> None:
    container(driver, "first")
    container(driver, "second", "first")
    view = driver.window.view
    assert isinstance(view, HostsView)
    view.choose(next(its.id for its in driver.session.snapshot.hosts if its.name == "first"))
    driver.press("Edit", view)
    dialog = driver.dialog(EndpointDialog)
    assert [dialog.host.itemText(at) for at in range(dialog.host.count())] == ["This machine", "second"]
    driver.choose(dialog.host, "second")
    driver.press("Save", dialog)
    driver.until(lambda: dialog.problem.isVisible())
    assert "by way of itself" in dialog.problem.message.value
