"""What the forms of the new storages say of real servers that are not what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.forms import EndpointDialog
from desktop.forms.trust import TrustDialog
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
