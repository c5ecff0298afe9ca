"""A storage whose server shows a key, as one over SSH does: unknown, confirmed, or another one suddenly."""

from __future__ import annotations

from collections.abc import Iterable

import strongroom
from engine.contract.registry import Origin, Registry
from plugins.storage.local import LocalFolder
from tests.parts.faulty import GATES, faulty_registry

KEY = "ssh-ed25519 SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
OTHER_KEY = "ssh-ed25519 SHA256:rL4aRcBDZkJlT1kJ9m3JUTGpfrKs5nn7Wnq1xhWmEOk"


class GuardedFolder(LocalFolder):
    """The real local folder behind the check of a host key; only the server that shows it is made up."""

    name = "guarded-folder"
    title = "Guarded folder"

    class Config(LocalFolder.Config):
        host: str = strongroom.field(title="Host", placeholder="backup.example.net")
        port: int = strongroom.field(22, title="Port", ge=1, le=65535)
        host_key: str = strongroom.field("", title="Host key", advanced=True)
        gate: str = strongroom.field("", title="Gate", advanced=True)

    config: Config
    shows = KEY

    def check(self) -> strongroom.StorageReport:
        self._look()
        return super().check()

    def put(self, *args: object, **values: object) -> strongroom.Published:
        self._look()
        return super().put(*args, **values)  # type: ignore[arg-type]

    def list(self, prefix: str = "") -> Iterable[strongroom.StoredFile]:
        if "list" in GATES:
            GATES["list"].hold(self.context.cancel)
        return super().list(prefix)

    def _look(self) -> None:
        server = f"{self.config.host}:{self.config.port}"
        if self.config.gate in GATES:
            GATES[self.config.gate].hold(self.context.cancel)
        if not self.config.host_key:
            raise strongroom.NeedsTrust(
                f"Nobody has confirmed yet that {server} is the server that is meant. It shows the host key "
                f"{self.shows}.",
                field="host_key",
                value=self.shows,
                remedy="Compare this fingerprint with the one that whoever runs the server names (there: "
                "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub). Confirm it only if both are the same.",
            )
        if self.config.host_key != self.shows:
            raise strongroom.StorageError(
                f"REFUSED: {server} shows the host key {self.shows}, but {self.config.host_key} is known for "
                "it. Somebody may be listening between here and there, or the server was set up anew.",
                remedy="Send nothing there before you have asked who runs the server.",
            )


class _Plugin:
    @strongroom.hookimpl
    def strongroom_storages(self) -> list[type[strongroom.Storage]]:
        return [GuardedFolder]


def guarded_registry() -> Registry:
    """The built-in adapters, those that fail on demand, and this one."""
    registry = faulty_registry()
    registry.add(_Plugin(), Origin("guarded", "strongroom-tests", "0"))
    return registry
