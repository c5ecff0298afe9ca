"""`python -m tests.desktop.shots OUTDIR`: what is hard to meet, in pictures.

Destinations that are slow, that come and go, and that are gone for good; a run in another process; a server
that nobody knows. The engine and the window are the real ones, the destinations behave on purpose.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from desktop.shots import SETTLE_MS, Settle, Shot, dialog, make_big, photograph
from engine.records import Job, JobDestination
from tests.conftest import make_shop
from tests.desktop.posing import PosedFolder, posed, posing_registry

if TYPE_CHECKING:
    from desktop.app import Application
    from desktop.views.job import JobView
    from engine.workspace import Workspace

MB = 1_000_000
RESET = "The connection was reset by backup.example.net"
GONE = "backup.example.net refused the login of strongroom with the key ~/.ssh/id_ed25519"
LOGIN = (
    "Look whether its public half still stands in ~/.ssh/authorized_keys there, then test the destination."
)


def fill(workspace: Workspace, folder: Path) -> None:
    """Jobs whose destinations behave on purpose."""
    make_shop(folder / "shop.sqlite")
    make_big(folder / "media.sqlite")
    workspace.keys.new("default")
    save = workspace.endpoints.save
    media = save("source", "media", "sqlite", {"path": str(folder / "media.sqlite")})
    names = ["accounts", "crm", "orders", "shop", "stock"]
    many = save("source", "company", "faulty-source", {"path": str(folder / "shop.sqlite"), "names": names})
    places = {
        "studio-nas": posed(folder / "nas", pace=120 * MB),
        "hetzner-s3": posed(folder / "s3", pace=44 * MB),
        "backup-server": posed(folder / "sftp", pace=90 * MB, fails_after=38 * MB, times=2, message=RESET),
        "old-server": posed(folder / "old", fails_after=0, transient=False, message=GONE, remedy=LOGIN),
        "small-disk": posed(folder / "usb", fails_after=70_000, transient=False, message="The disk is full"),
    }
    made = {name: save("destination", name, "posed-folder", values) for name, values in places.items()}
    guarded = {"path": str(folder / "guarded"), "host": "backup.example.net"}
    made["unknown-server"] = save("destination", "unknown-server", "guarded-folder", guarded)
    daily = {"mode": "smart", "daily": 7, "weekly": 4, "monthly": 12, "yearly": 2}

    def job(name: str, source: object, *wanted: str, **values: object) -> Job:
        return workspace.jobs.save(
            Job(
                "",
                name,
                source.id,  # type: ignore[attr-defined]
                source.name,  # type: ignore[attr-defined]
                tuple(JobDestination(made[its].id, its, at, daily) for at, its in enumerate(wanted)),
                **values,  # type: ignore[arg-type]
            )
        )

    nightly = job("media-nightly", media, "studio-nas", "hetzner-s3", "backup-server", schedule="0 3 * * *")
    job("media-partly", media, "studio-nas", "hetzner-s3", "old-server", schedule="30 3 * * *")
    for its in (
        nightly,  # what its dump takes is known from then on
        job("company-hourly", many, "studio-nas", "small-disk", "old-server", schedule="0 * * * *"),
        job("company-good", many, "studio-nas", "hetzner-s3"),
        job("company-new", many, "studio-nas", "unknown-server"),
    ):
        workspace.wait(workspace.run_job(its.id))


@contextmanager
def elsewhere() -> Iterator[Workspace]:
    """The same installation, opened once more as another process would: the window hears nothing of it."""
    from engine.home import Home
    from engine.secrets import VaultSecrets
    from engine.workspace import Workspace

    home = Home(Path(tempfile.gettempdir(), "demo", "home"))
    vault = VaultSecrets(home.vault, "only for pictures")
    opened = Workspace.open(home, secrets=vault, registry=posing_registry)
    try:
        yield opened
    finally:
        opened.close(cancel=True)


def scenes(application: Application, settle: Settle) -> Iterator[Shot]:
    """The pictures, each yielded when it is to be taken."""
    from desktop.forms import EndpointDialog, JobDialog
    from desktop.forms.trust import TrustDialog
    from desktop.views.destinations import DestinationsView

    window, session = application.window, application.session
    jobs = {its.name: its for its in session.snapshot.jobs}
    destinations = {its.name: its for its in session.snapshot.destinations}

    def page(name: str) -> JobView:
        window.show_job(jobs[name].id)
        settle(SETTLE_MS)
        return cast("JobView", window.views["job"])

    def run(name: str) -> None:
        view = page(name)
        PosedFolder.failures.clear()
        view.run()
        settle(200)

    def until(text: str, destination: str) -> None:
        for _ in range(600):
            settle(20)
            shown = cast("JobView", window.views["job"]).panel.destinations
            if destination in shown.names and text in shown.row(destination).state.text():
                return

    def ended() -> None:
        while session.live.active():
            settle(100)
        settle(SETTLE_MS)

    run("media-nightly")
    until("Uploading", "hetzner-s3")
    settle(500)
    yield "running-following", None
    until("Trying again", "backup-server")
    settle(600)
    yield "running-retrying", None
    until("Uploading", "backup-server")
    settle(200)
    yield "running-second-attempt", None
    ended()
    yield "ended-well", None
    run("media-partly")
    until("Failed", "old-server")
    settle(400)
    yield "running-failed", None
    ended()
    yield "ended-partly", None
    for name in ("company-good", "company-hourly", "company-new"):
        page(name)
        yield f"ended-{name}", None
    with elsewhere() as other:
        page("media-nightly")
        other.run_job(jobs["media-nightly"].id)
        until("another process", "backup-server")
        settle(2500)
        yield "running-elsewhere", None
    view = window.views["destinations"]
    assert isinstance(view, DestinationsView)
    for name in ("unknown-server", "old-server", "studio-nas"):
        window.show_page("destinations")
        view.choose(destinations[name].id)
        yield f"destination-{name}", None
    view.choose(destinations["unknown-server"].id)
    view.test()
    settle(SETTLE_MS)
    for question in window.findChildren(TrustDialog):
        yield "trust", question
        question.reject()
    yield "destination-not-trusted", None
    for adapter in ("s3", "sftp"):
        form = EndpointDialog(window, session, "destination")
        at = form.adapter.findData(adapter)
        if at < 0:
            continue
        form.adapter.setCurrentIndex(at)
        yield from dialog(f"form-{adapter}", form)
    form = EndpointDialog(window, session, "destination", destinations["unknown-server"])
    form.show()
    form.test()
    settle(SETTLE_MS)
    for question in form.findChildren(TrustDialog):
        question.reject()
    yield "form-not-trusted", form
    form.close()
    editor = JobDialog(window, session, jobs["media-nightly"])
    editor._unfold(True)
    editor.show()
    editor.reveal(editor.field("fingerprint"))
    yield "form-job-unfolded", editor
    editor.close()


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), fill, scenes, posing_registry)
