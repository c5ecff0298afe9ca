"""Where Strongroom keeps its state on this machine: the store, the spool, the scratch, the lock files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StoreError


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one installation; all of mode 0700."""

    root: Path

    @classmethod
    def locate(cls, environ: Mapping[str, str] | None = None) -> Home:
        """`STRONGROOM_HOME` if set, else the platform's own folder for application data."""
        environ = os.environ if environ is None else environ
        if chosen := environ.get("STRONGROOM_HOME"):
            return cls(Path(chosen).expanduser().absolute())
        import platformdirs

        return cls(Path(platformdirs.user_data_dir("strongroom", appauthor=False)))

    @property
    def database(self) -> Path:
        return self.root / "strongroom.db"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

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
