"""Files that the command line writes for people: private, whole or not at all, and never over another."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from engine.errors import UsageError


def write_text(path: Path, text: str, *, replace: bool = False) -> None:
    """Write `text` in UTF-8 to a file of mode 0600. Raises `UsageError`, and leaves nothing half-made."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", remedy="Give the path of a file.")
    if path.exists() and not replace:
        raise UsageError(f"{path} is there already.", remedy="Choose another name, or add --force.")
    # A new file is claimed by its own name, which never replaces what came meanwhile; a replaced one is
    # written beside, so that the old stays whole until the new is.
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial") if replace else path
    try:
        handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            written.replace(path)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
