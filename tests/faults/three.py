"""A job to three destinations at once: a folder, a bucket and an SSH server, the last two behind proxies.

What befalls one of them must cost the others nothing, so every campaign against one looks at all three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.events import Status
from engine.records import Execution
from engine.workspace import Workspace
from tests.faults.conftest import JOB, make_bulk
from tests.faults.places import Bucket, Folder, Older, Place, older
from tests.faults.servers import toml
from tests.faults.soundness import assert_honest, assert_sound
from tests.parts.commands import PATIENCE, Installation
from tests.parts.proxy import Proxy
from tests.parts.s3 import S3Server
from tests.parts.sshd import SshServer

NAMES = ("disk", "cloud", "server")
MEGABYTES = 12
"""Enough for several parts of a multipart upload (5 MiB at least), and for a megabyte on its way anywhere."""


@dataclass
class Three:
    """The installation, its servers and what stands before them."""

    installation: Installation
    s3: S3Server
    bucket: str
    sshd: SshServer
    folder: Path
    """What the SSH server holds, as it is seen from here."""
    cloud: Proxy
    server: Proxy
    values: dict[str, dict[str, Any]]
    """Each destination's configuration."""
    places: dict[str, Place]
    _open: ExitStack = field(default_factory=ExitStack)
    _workspace: Workspace | None = None

    @property
    def workspace(self) -> Workspace:
        """The installation, open in this process until `sound`, which starts anew."""
        if self._workspace is None:
            self._workspace = self._open.enter_context(self.installation.workspace())
        return self._workspace

    def close(self) -> None:
        """Let this process have nothing of it open."""
        self._workspace = None
        self._open.close()

    def proxy(self, name: str) -> Proxy:
        return {"cloud": self.cloud, "server": self.server}[name]

    def configure(
        self, text: str = "", *, source: str = "", destinations: str = "", **options: object
    ) -> None:
        """Apply the key, the destinations and the job; `options` are the job's.

        `source` is the text of another `[[source]]` than the SQLite file, `destinations` the job's.
        """
        source = (
            source or '[[source]]\nname = "shop"\nadapter = "sqlite"\nconfig = { path = "shop.sqlite" }\n'
        )
        adapters = {"disk": "local", "cloud": "s3", "server": "sftp"}
        ends = "".join(
            f'[[destination]]\nname = "{name}"\nadapter = "{adapters[name]}"\nconfig = {toml(its)}\n'
            for name, its in self.values.items()
        )
        self.installation.apply(
            f'{text}[[key]]\nname = "default"\n{source}{ends}[[job]]\nname = "{JOB}"\nsource = "shop"\n'
            f"destinations = {destinations or toml(list(self.values))}\n"
            f"options = {toml({'upload_attempts': 1, **options})}\n"
        )

    def change(self, name: str, **values: object) -> None:
        """Change one destination's configuration; takes hold with the next `configure`."""
        self.values[name] |= values

    def before(self) -> Older:
        """What lies everywhere now."""
        return older(*self.places.values())

    def run(self, meanwhile: Callable[[], None] | None = None) -> Execution:
        """Run the job in this process, and let `meanwhile` happen beside it; return how it ended."""
        execution_id = self.workspace.run_job(JOB)
        if meanwhile is not None:
            meanwhile()
        return self.workspace.wait(execution_id, PATIENCE)

    def succeeds(self) -> Execution:
        """Run the job, which has to succeed everywhere."""
        execution = self.run()
        assert execution.status is Status.SUCCESS, execution.error
        assert_honest(execution, self.places)
        return execution

    def measure(self, name: str) -> int:
        """The bytes that a run sends to a destination."""
        before = self.proxy(name).up
        self.succeeds()
        return self.proxy(name).up - before

    def costs_only(self, execution: Execution, name: str) -> Status:
        """The run is honest, and all but that destination have everything; return how that one ended."""
        assert_honest(execution, self.places)
        ended = statuses(execution)
        told = {its.name: its.error for its in execution.destinations}
        assert {other: ended[other] for other in ended if other != name} == {
            other: Status.SUCCESS for other in self.values if other != name
        }, told
        return ended[name]

    def thin(self, keep: int = 3) -> None:
        """Delete all but the newest backups of each place, so that a long campaign does not slow down."""
        for name in self.values:
            for backup in self.workspace.catalogue.list(name)[keep:]:
                self.workspace.catalogue.delete(backup.id)

    def heal(self) -> None:
        self.cloud.heal()
        self.server.heal()

    def sound(self, before: Older, *, verified: bool = True, again: Status = Status.SUCCESS) -> None:
        """All is mended, so the next start and the next run put everything right."""
        self.heal()
        self.close()
        assert_sound(self.installation, JOB, before, places=self.places, verified=verified, again=again)


def statuses(execution: Execution) -> Mapping[str, Status]:
    return {its.name: its.status for its in execution.destinations}


def error_of(execution: Execution, name: str) -> str:
    """What is said of a destination that failed."""
    (error,) = [its.error for its in execution.destinations if its.name == name]
    assert error, f"{name} did not fail"
    return error


@contextmanager
def three_destinations(
    installation: Installation,
    s3: S3Server,
    bucket: str,
    sshd: SshServer,
    *,
    megabytes: int = MEGABYTES,
    source: str = "",
    folder: Path | None = None,
    seen_at: Callable[[Path], Path] = lambda path: path,
) -> Iterator[Three]:
    """The job, configured: of so many megabytes in an SQLite file, or of the `[[source]]` that `source` is.

    `folder` is the SSH server's, `seen_at` where it is seen from here.
    """
    if not source:
        make_bulk(installation.folder / "shop.sqlite", megabytes)
    with ExitStack() as stack:
        cloud = stack.enter_context(Proxy(s3.port, http=True))
        server = stack.enter_context(Proxy(sshd.port))
        known_hosts = installation.folder / "known_hosts"
        known_hosts.write_text(
            "".join(f"[127.0.0.1]:{server.port} {key.public}\n" for key in sshd.host_keys.values())
        )
        folder = folder or sshd.new_folder()
        values = {
            "disk": {"path": "disk"},
            "cloud": s3.values(bucket, endpoint=f"http://127.0.0.1:{cloud.port}"),
            "server": sshd.values(port=server.port, known_hosts=str(known_hosts), path=str(folder)),
        }
        places: dict[str, Place] = {
            "disk": Folder(installation.folder / "disk"),
            "cloud": Bucket(s3.endpoint, s3.access_key, s3.secret_key, bucket),
            "server": Folder(seen_at(folder)),
        }
        three = Three(installation, s3, bucket, sshd, folder, cloud, server, values, places)
        three.configure(source=source)
        stack.callback(three.close)
        stack.callback(three.heal)  # so that nobody waits for what is stalled
        yield three
