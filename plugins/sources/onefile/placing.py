"""Put a restored file in place: whole or not at all, the old one kept, no journal of another file.

What an engine keeps beside its file (a log, a journal) is replayed into the file of that name at its next
opening, whoever wrote it. So these move with their database, and nothing of theirs is left for the next one.
`suffixes` are what their names add to the file's.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from strongroom import SourceError, TargetNotEmpty

Suffixes = tuple[str, ...]


def sides(path: Path, suffixes: Suffixes) -> list[Path]:
    """The files of the engine's own that lie beside `path`."""
    found = (path.with_name(path.name + suffix) for suffix in suffixes)
    return [side for side in found if side.exists()]


def temporary_name(path: Path) -> Path:
    """A new name in the folder of `path`, for what is to become it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")


def take_over_rights(path: Path, model: Path | None) -> None:
    """Give `path` the mode and, where we may, the owner of `model`: its application must open it again."""
    if model is None or not model.exists():
        return
    stat = model.stat()
    path.chmod(stat.st_mode & 0o7777)
    if hasattr(os, "chown"):
        with suppress(PermissionError):
            os.chown(path, stat.st_uid, stat.st_gid)


def publish(temporary: Path, path: Path, suffixes: Suffixes, *, over_empty: bool) -> None:
    """Give `temporary` its name. Raises `TargetNotEmpty` when somebody took the name meanwhile."""
    for side in sides(path, suffixes):
        if over_empty:
            side.unlink(missing_ok=True)
        else:  # left by a database that is gone: kept, for it may hold what was lost
            side.rename(side.with_name(f"{side.name}.stray-{secrets.token_hex(3)}"))
    if over_empty:
        temporary.replace(path)
    else:
        try:
            os.link(temporary, path)
        except FileExistsError as error:
            raise TargetNotEmpty(
                f"{path} came into being while the restore ran.", remedy="Choose another name."
            ) from error
        except OSError:  # a file system without hard links
            temporary.rename(path)
        else:
            temporary.unlink()
    drop_empty_sides(temporary, suffixes)
    sync_folder(path.parent)


def drop_empty_sides(path: Path, suffixes: Suffixes) -> None:
    """Remove what reading a database has left beside a file that has another name now; a log that holds
    anything stays, with the rest."""
    left = sides(path, suffixes)
    if not any(side.stat().st_size for side in left if not side.name.endswith("-shm")):
        for side in left:
            side.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Make a file's bytes last."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def syncing(path: Path) -> Iterator[None]:
    """Make a file's bytes last while the block reads them. Raises `OSError` at its end."""
    with ThreadPoolExecutor(1, thread_name_prefix="sync") as pool:
        synced = pool.submit(sync_file, path)
        yield
        synced.result()


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last; Windows has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path, suffixes: Suffixes) -> None:
    """Remove a database. Its sides go first: alone, they would be taken for news."""
    for file in (*sides(path, suffixes), path):
        file.unlink(missing_ok=True)


def need_free(kept: Path) -> None:
    """Raises `SourceError` when there is a file already where the old one is to be kept."""
    if kept.exists():
        raise SourceError(f"{kept} is there already.", remedy="Move it away, and restore again.")


def change_places(beside: Path, path: Path, kept: Path, suffixes: Suffixes) -> None:
    """Give `path` the name `kept` with all its sides, and `beside` the name `path`.

    Raises `SourceError`; then everything has the name that it had.
    """
    done: list[tuple[Path, Path]] = []

    def rename(old: Path, new: Path) -> None:
        old.rename(new)
        done.append((old, new))

    moving = sides(path, suffixes)
    try:
        rename(path, kept)  # first: without its log, a database under its own name would be an older one
        for side in moving:
            rename(side, kept.with_name(kept.name + side.name.removeprefix(path.name)))
        rename(beside, path)
    except OSError as error:
        for old, new in reversed(done):
            new.rename(old)
        raise SourceError(
            f"{path} could not be replaced: {error.strerror}. It is as it was.",
            remedy="Give the user that runs Strongroom the right to write to the folder.",
        ) from error
    drop_empty_sides(beside, suffixes)
    sync_folder(path.parent)
