"""The UI thread never waits: not for a keyring, not for the disk, not for the database, not for a network."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QTimer

import desktop
import resources
from desktop.forms import EndpointDialog, JobDialog
from desktop.views.job import JobView
from desktop.views.restore import RestoreDialog
from engine.events import Status
from engine.home import Home
from engine.secrets import SecretStore, VaultSecrets
from engine.store.sessions import Sessions
from tests.conftest import make_shop
from tests.desktop.driver import Driver

WAITS = {
    "open",
    "socket.connect",
    "socket.getaddrinfo",
    "sqlite3.connect",
    "subprocess.Popen",
    "os.listdir",
    "os.scandir",
    "time.sleep",
    "import",
}
"""What Python tells of (sys.addaudithook) that may wait for a disk, a network or another program."""


class Watch:
    """Notes what the desktop's own code does on the UI thread that may wait."""

    def __init__(self) -> None:
        self.on = False
        self.found: list[str] = []
        self._ui = threading.get_ident()
        self._ours = str(Path(desktop.__file__).parent)
        self._fine = (str(Path(resources.__file__).parent), str(Path(sys.prefix)), str(Path(sys.base_prefix)))
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event not in WAITS or threading.get_ident() != self._ui:
            return
        self.on = False
        try:
            where = self._place()
            target = str(arguments[0]) if arguments else ""
            if where and not target.startswith(self._fine):
                self.found.append(f"{event} {target} at {where}")
        finally:
            self.on = True

    def watching(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The method of the store, which is noted when it is called on the UI thread."""

        def watched(*arguments: Any, **named: Any) -> Any:
            if self.on and threading.get_ident() == self._ui:
                self.found.append(f"the store's {name} on the UI thread")
            return method(*arguments, **named)

        return watched

    def _place(self) -> str:
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_filename.startswith(self._ours):
                return f"{frame.f_code.co_filename}:{frame.f_lineno}"
            frame = frame.f_back  # type: ignore[assignment]
        return ""


_watch = Watch()  # an audit hook cannot be taken away, so there is one


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watches while the test runs; the store too, whose pooled connections tell Python nothing."""
    _watch.found.clear()
    for name in ("read", "write"):
        monkeypatch.setattr(Sessions, name, _watch.watching(getattr(Sessions, name), name))
    _watch.on = True
    yield _watch
    _watch.on = False


class SlowVault(VaultSecrets):
    """A vault that blocks as a keyring does behind its unlock prompt."""

    def __init__(self, path: Path, passphrase: str) -> None:
        super().__init__(path, passphrase)
        self.asked = threading.Event()
        self.unlocked = threading.Event()
        self.unlocked.set()

    def lock(self) -> None:
        """Block from now on."""
        self.asked.clear()
        self.unlocked.clear()

    def _wait(self) -> None:
        assert threading.current_thread() is not threading.main_thread(), "the UI thread asked for a secret"
        self.asked.set()
        assert self.unlocked.wait(60)

    def get(self, key: str) -> str:
        self._wait()
        return super().get(key)

    def set(self, key: str, secret: str) -> None:
        self._wait()
        super().set(key, secret)


class TestSlowKeyring:
    """With a keyring that blocks behind its unlock prompt."""

    @pytest.fixture
    def secrets(self, home: Home) -> SecretStore:
        return SlowVault(home.vault, "a passphrase of the tests")

    def spins(self, driver: Driver) -> None:
        """Show that the event loop goes on."""
        ticks: list[float] = []
        timer = QTimer()
        timer.timeout.connect(lambda: ticks.append(time.monotonic()))
        timer.start(10)
        driver.until(lambda: len(ticks) > 30)
        timer.stop()

    def test_a_key_is_made_while_the_window_goes_on(self, driver: Driver, secrets: SecretStore) -> None:
        assert isinstance(secrets, SlowVault)
        driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
        driver.make_destination("vault", driver.folder / "vault")
        driver.go("jobs")
        driver.press("New job")
        dialog = driver.dialog(JobDialog)
        driver.write(dialog.name, "nightly")
        secrets.lock()
        driver.press("Save", dialog)
        driver.until(secrets.asked.is_set)
        self.spins(driver)
        assert dialog.isVisible() and not dialog.accept_button.isEnabled()
        secrets.unlocked.set()
        driver.until(lambda: [key.name for key in driver.session.snapshot.keys] == ["default"])
        assert driver.session.snapshot.jobs[0].encryption == "default"

    def test_a_password_is_saved_while_the_window_goes_on(self, driver: Driver, secrets: SecretStore) -> None:
        assert isinstance(secrets, SlowVault)
        driver.go("destinations")
        driver.press("New destination")
        dialog = driver.dialog(EndpointDialog)
        driver.choose(dialog.adapter, "Faulty folder")
        driver.write(dialog.name, "vault")
        assert dialog.fields is not None
        driver.write(dialog.fields.field("path"), str(driver.folder / "vault"))
        driver.write(dialog.fields.field("token"), "open sesame")
        secrets.lock()
        driver.press("Save", dialog)
        driver.until(secrets.asked.is_set)
        self.spins(driver)
        assert dialog.isVisible() and not dialog.accept_button.isEnabled()
        secrets.unlocked.set()
        driver.until(lambda: len(driver.session.snapshot.destinations) == 1)
        stored = driver.session.snapshot.destinations[0]
        assert stored.secret_names == ("token",)
        assert "open sesame" not in str(stored.config)

    def test_a_form_that_is_left_while_it_saves_says_how_that_ended(
        self, driver: Driver, secrets: SecretStore
    ) -> None:
        assert isinstance(secrets, SlowVault)
        driver.go("destinations")
        driver.press("New destination")
        dialog = driver.dialog(EndpointDialog)
        driver.choose(dialog.adapter, "Faulty folder")
        driver.write(dialog.name, "vault")
        assert dialog.fields is not None
        driver.write(dialog.fields.field("path"), str(driver.folder / "vault"))
        driver.write(dialog.fields.field("token"), "open sesame")
        secrets.lock()
        driver.press("Save", dialog)
        driver.until(secrets.asked.is_set)
        assert dialog.accept_button.text() == "Saving…"
        driver.press("Close", dialog)
        assert driver.window.toast.text() == "vault is still being saved."
        secrets.unlocked.set()
        driver.until(lambda: driver.window.toast.text().startswith("vault is saved: saving had begun"))
        driver.until(lambda: [its.name for its in driver.session.snapshot.destinations] == ["vault"])


def test_the_watch_sees_what_waits(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert watch.found == [], "what is not done by the desktop's code does not count"
    sessions = Sessions.__new__(Sessions)
    with pytest.raises(AttributeError):
        sessions.read().__enter__()
    assert watch.found.pop() == "the store's read on the UI thread"
    code = compile("import pathlib; pathlib.Path(p).read_text()", f"{watch._ours}/made_up.py", "exec")
    exec(code, {"p": str(tmp_path / "file")})  # noqa: S102 - made up here
    assert any("made_up.py" in its for its in watch.found)


def test_the_main_job_by_hand_makes_the_ui_thread_wait_for_nothing(driver: Driver, watch: Watch) -> None:
    driver.make_source("shop", make_shop(driver.folder / "shop.sqlite"))
    driver.make_destination("vault", driver.folder / "vault")
    driver.make_job("nightly")
    page = driver.run_job("nightly")
    assert isinstance(page, JobView)
    driver.until(lambda: page.panel.state is Status.SUCCESS)
    view = driver.backups()
    driver.until(lambda: len(view.model.rows) == 1)
    driver.press("Verify")
    driver.execution()
    view = driver.backups()
    driver.press("Restore…")
    dialog = driver.dialog(RestoreDialog)
    driver.write(dialog.as_name, "again")
    driver.press("Restore", dialog)
    driver.execution()
    for name in ("sources", "destinations", "notifiers", "history", "settings"):
        driver.go(name)
    driver.until(lambda: driver.session.background.busy == 0)
    assert watch.found == []
