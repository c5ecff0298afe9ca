"""`python -m desktop.shots OUTDIR`: every view, light and dark, small and large, from a demo profile.

For review alone. It makes a profile of its own in a temporary folder, fills it through the real engine,
drives the real window through its pages, and saves pictures.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QDialog, QWidget

    from desktop.app import Application
    from engine.contract.registry import Registry
    from engine.workspace import Workspace

SIZES = {"large": (1280, 800), "small": (900, 600)}
MODES = ("light", "dark")
BIG = 256 << 20
"""Bytes of the database whose run is shown under way: enough for a picture half way."""
SETTLE_MS = 700
"""Long enough for the threads to answer; a picture is not a test."""


def fill(workspace: Workspace, folder: Path) -> None:
    """A sample database, two destinations, jobs that succeed, half succeed and fail, and a restore."""
    from engine import sample
    from engine.errors import StrongroomError
    from engine.records import Job, JobDestination, JobNotifier
    from engine.recovery.requests import RestoreRequest

    sample.make(folder / "shop.sqlite")
    make_big(folder / "media.sqlite")
    for name in ("backups", "nas"):
        (folder / name).mkdir()
    workspace.keys.new("default")
    save = workspace.endpoints.save
    shop = save("source", "shop", "sqlite", {"path": str(folder / "shop.sqlite")})
    server = save("host", "db-server", "ssh", {"host": "db.example.com", "user": "backup"})
    save("host", "shop-db", "docker", {"container": "shop-db-1"}, host=server.id)
    ledger = save("source", "ledger", "sqlite", {"path": str(folder / "ledger.sqlite")})
    media = save("source", "media", "sqlite", {"path": str(folder / "media.sqlite")})
    here = save("destination", "this-computer", "local", {"path": str(folder / "backups")})
    nas = save("destination", "studio-nas", "local", {"path": str(folder / "nas")})
    gone = save("destination", "usb-disk", "local", {"path": str(folder / "shop.sqlite" / "usb")})
    smart = {"mode": "smart", "daily": 7, "weekly": 4, "monthly": 12, "yearly": 2}
    to = [
        JobDestination(here.id, here.name, 0, {"mode": "simple", "keep": 14}),
        JobDestination(nas.id, nas.name, 1, smart),
    ]
    notifiers: tuple[JobNotifier, ...] = ()
    try:
        ops = save("notifier", "ops", "apprise", {"url": "json://localhost:9/hook"})
        notifiers = (JobNotifier(ops.id, ops.name),)
    except StrongroomError:
        pass
    nightly = workspace.jobs.save(
        Job("", "shop-nightly", shop.id, shop.name, tuple(to), schedule="0 3 * * *", timezone="Europe/Berlin")
    )
    hourly = workspace.jobs.save(
        Job("", "shop-hourly", shop.id, shop.name, (to[0],), schedule="0 * * * *", compression="gzip")
    )
    usb = JobDestination(gone.id, gone.name, 1)
    half = workspace.jobs.save(Job("", "shop-usb", shop.id, shop.name, (to[0], usb), encryption="none"))
    big = workspace.jobs.save(
        Job(
            "",
            "media-weekly",
            media.id,
            media.name,
            tuple(JobDestination(its.id, its.name, at, smart) for at, its in enumerate((here, nas))),
            notifiers,
            schedule="30 2 * * 6",
        )
    )
    fails = workspace.jobs.save(
        Job("", "ledger-weekly", ledger.id, ledger.name, (to[1],), notifiers, schedule="0 5 * * 0")
    )
    workspace.jobs.save(Job("", "shop-archive", shop.id, shop.name, (to[1],), enabled=False))
    for job in (big, nightly, hourly, half, fails, hourly, nightly):
        workspace.wait(workspace.run_job(job.id))
    backups = workspace.catalogue.list()
    workspace.wait(workspace.verify([its.id for its in backups[:3]], "decode"))
    workspace.wait(workspace.restore(RestoreRequest(backups[0].id, shop.id, as_name="shop_copy")))
    workspace.wait(workspace.run_job(nightly.id))


def make_big(path: Path) -> None:
    """A database of bytes that do not compress."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE media (id INTEGER PRIMARY KEY, data BLOB)")
        database.executemany(
            "INSERT INTO media (data) VALUES (?)", ((os.urandom(1 << 20),) for _ in range(BIG >> 20))
        )


@contextmanager
def plain_folder() -> Iterator[Path]:
    """A temporary folder whose name, which the pictures show, has nothing random in it."""
    folder = Path(tempfile.gettempdir(), "demo")
    folder.mkdir(mode=0o700)  # fails where there is one: it may be somebody's
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Settle = Callable[[int], None]
Shot = tuple[str, "QWidget | None"]
"""The picture's name, and the widget to take; None takes the window."""


def scenes(application: Application, settle: Settle) -> Iterator[Shot]:
    """The pictures, each yielded when it is to be taken."""
    from desktop.forms import EndpointDialog, JobDialog
    from desktop.views.backups import BackupsView
    from desktop.views.restore import RestoreDialog

    window, session = application.window, application.session
    for name in ("jobs", "sources", "destinations", "notifiers", "hosts", "backups", "history", "settings"):
        window.show_page(name)
        yield name, None
    for job in session.snapshot.jobs:
        if job.name in ("shop-nightly", "ledger-weekly", "shop-usb"):
            window.show_job(job.id)
            yield f"job-{job.name}", None
    executions = {its.kind: its.id for its in session.snapshot.executions}
    for kind, its in executions.items():
        if kind != "run":
            window.show_execution(its)
            yield f"execution-{kind}", None
    yield from dialog("form-source", EndpointDialog(window, session, "source"))
    first = session.snapshot.destinations[0]
    yield from dialog("form-destination", EndpointDialog(window, session, "destination", first))
    yield from dialog("form-job", JobDialog(window, session, session.snapshot.jobs[0]))
    backups = window.views["backups"]
    if isinstance(backups, BackupsView) and backups.model.rows:
        yield from dialog("form-restore", RestoreDialog(window, session, backups.model.rows[0]))
    media = next(job for job in session.snapshot.jobs if job.name == "media-weekly")
    window.show_job(media.id)
    settle(SETTLE_MS)
    window.views["job"].run()
    for _ in range(600):
        settle(20)
        active = session.live.active()
        if active and (active[0].percent or 0) > 45:
            break
    yield "running", None
    while session.live.active():
        settle(100)


def dialog(name: str, its: QDialog) -> Iterator[Shot]:
    """The picture of a dialog, which is open for that long."""
    its.show()
    yield name, its
    its.close()


def photograph(
    out: Path,
    fill: Callable[[Workspace, Path], None],
    scenes: Callable[[Application, Settle], Iterator[Shot]],
    registry: Callable[[], Registry] | None = None,
) -> None:
    """Make a profile, fill it, open the window on it, and save each scene in each theme and size."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import QEventLoop, QTimer
    from PySide6.QtWidgets import QApplication

    from desktop.app import Application
    from desktop.theme import theme
    from engine.contract.registry import Registry
    from engine.home import Home
    from engine.secrets.vault import VaultSecrets
    from engine.workspace import Workspace

    out.mkdir(parents=True, exist_ok=True)
    app = QApplication([])

    def settle(milliseconds: int) -> None:
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    with plain_folder() as folder:
        home = Home(folder / "home").make()
        vault = VaultSecrets(home.vault, "only for pictures")
        adapters = registry or Registry.load
        with Workspace.open(home, secrets=vault, registry=adapters) as workspace:
            fill(workspace, folder)
        application = Application(
            app,
            lambda executor: Workspace.open(home, executor=executor, secrets=vault, registry=adapters),
            scheduled=False,
            with_tray=False,
        )
        application.start()
        settle(2000)
        application.window.show_page("backups")
        settle(1500)
        for mode in MODES:
            theme().choose(mode)  # type: ignore[arg-type]
            for size, (width, height) in SIZES.items():
                application.window.resize(width, height)
                for name, widget in scenes(application, settle):
                    if not name.startswith("running"):
                        settle(SETTLE_MS)
                    taken = widget or application.window
                    taken.grab().save(str(out / f"{name}-{mode}-{size}.png"))
        application.closing.done.connect(lambda: print(f"The pictures are in {out}."))
        application.closing.end(cancel=True)
        app.exec()


def main(argv: list[str]) -> int:
    """Take all pictures into the folder that is named; return the exit code."""
    if len(argv) != 1:
        print("Which folder? python -m desktop.shots OUTDIR", file=sys.stderr)
        return 2
    photograph(Path(argv[0]), fill, scenes)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
