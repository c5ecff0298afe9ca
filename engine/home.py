"""Where Strongroom keeps its state on this machine: the store, the spool, the scratch, the lock files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError, StoreError


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one installation; all of mode 0700.

    `spool_folder` is for a spool on another disk; `spool_in_memory` allows it to lie on a tmpfs.
    """

    root: Path
    spool_folder: Path | None = None
    spool_in_memory: bool = False

    @classmethod
    def locate(cls, environ: Mapping[str, str] | None = None) -> Home:
        """`STRONGROOM_HOME` if set, else the platform's own folder for application data.

        `STRONGROOM_SPOOL` names another spool folder; `STRONGROOM_SPOOL_TMPFS=allow` lets it be in memory.
        Raises `ConfigError` for a path of a user (`~who`) that is not here.
        """
        environ = os.environ if environ is None else environ
        if chosen := environ.get("STRONGROOM_HOME"):
            root = _absolute("STRONGROOM_HOME", chosen)
        else:
            import platformdirs

            root = Path(platformdirs.user_data_dir("strongroom", appauthor=False))
        spool = environ.get("STRONGROOM_SPOOL")
        return cls(
            root,
            _absolute("STRONGROOM_SPOOL", spool) if spool else None,
            environ.get("STRONGROOM_SPOOL_TMPFS", "").lower() == "allow",
        )

    @property
    def database(self) -> Path:
        return self.root / "strongroom.db"

    @property
    def spool(self) -> Path:
        # A folder of our own below the chosen one: it becomes private, and is swept after a crash.
        return self.spool_folder / "strongroom-spool" if self.spool_folder else self.root / "spool"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def vault(self) -> Path:
        return self.root / "vault.json"

    def make(self) -> Home:
        """Make the folders that are missing. Raises `StoreError` when that is not allowed."""
        try:
            for folder in (self.root, self.spool, self.scratch, self.locks):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if folder.stat().st_mode & 0o077:
                    folder.chmod(0o700)
        except OSError as error:
            raise StoreError(
                f"The folder {self.root} for Strongroom's own data cannot be made: {error.strerror}.",
                remedy="Choose another one with the environment variable STRONGROOM_HOME.",
            ) from error
        return self


def _absolute(name: str, chosen: str) -> Path:
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError:  # `~who`, and there is no such user
        raise ConfigError(
            f"{name} names the home folder of a user that is not here: {chosen}.",
            remedy=f"Correct the environment variable {name}.",
        ) from None
