"""The destination's folder on the server, and the paths below it: no link in them is followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import strongroom
from plugins.storage import names
from plugins.storage.sftp_server.protocol import Attributes, Code, Refused
from plugins.storage.sftp_server.remote import Remote


def root_of(remote: Remote, path: str) -> str:
    """The destination's folder as an absolute path; a relative one begins at the login folder."""
    path = path.rstrip("/") or "/"
    if path.startswith("/"):
        return path
    login = remote.real_path(".").rstrip("/")
    inside = path.removeprefix("~").lstrip("/") if path == "~" or path.startswith("~/") else path
    return f"{login}/{inside}" if inside not in ("", ".") else login or "/"


class Folders:
    """The paths below one folder of the server."""

    def __init__(self, remote: Remote, root: str) -> None:
        self._remote = remote
        self.root = root

    def path(self, parts: Sequence[str]) -> str:
        return "/".join([self.root.rstrip("/"), *parts]) if parts else self.root

    # -- the folder itself ----------------------------------------------------------------------------

    def has_root(self) -> bool:
        """Whether the folder is there; it may itself be a link. Raises `StorageError` for a file."""
        try:
            found = self._remote.stat(self.root)
        except Refused as refused:
            if refused.code == Code.NO_SUCH_FILE:
                return False
            raise
        if not found.is_folder:
            raise strongroom.StorageError(f"{self.root} on the server is not a folder.")
        return True

    def need_root(self) -> None:
        """Raise `StorageError` unless the folder is there."""
        if not self.has_root():
            raise strongroom.PlaceMissing(
                f"The folder {self.root} is not there on the server.",
                remedy="Make it, or correct the path. A relative path begins at the login folder.",
            )

    def make_root(self) -> list[str]:
        """Make the folder if it is missing; return what was made, the outermost first."""
        if self.has_root():
            return []
        made: list[str] = []
        steps = [part for part in self.root.split("/") if part]
        paths = ["/" + "/".join(steps[: depth + 1]) for depth in range(len(steps))]
        try:
            for path in paths:
                try:
                    self._remote.stat(path)
                except Refused as refused:
                    if refused.code != Code.NO_SUCH_FILE:
                        raise
                    self._make(path, made)
        except BaseException:
            self.remove_empty(made)
            raise
        return made

    # -- below it -------------------------------------------------------------------------------------

    def see(self, parts: Sequence[str]) -> list[Attributes | None]:
        """What lies at each step of a path below the folder, None from the first missing one on.

        Raises `NameEscapes` for a step that is a link. All steps are asked for at once.
        """
        paths = [self.path(parts[: depth + 1]) for depth in range(len(parts))]
        seen: list[Attributes | None] = []
        for path, found in zip(paths, self._remote.look(paths), strict=True):
            if isinstance(found, Refused):
                above = seen[-1] if seen else None
                # Below a file there is nothing, which servers say in different ways.
                if found.code == Code.NO_SUCH_FILE or (above is not None and not above.is_folder):
                    break
                raise found
            if found.is_link:
                raise strongroom.NameEscapes(
                    f"{path} is a link, which Strongroom does not follow.",
                    remedy="Replace the link by a real folder or file, or make its target the destination.",
                )
            seen.append(found)
        return [*seen, *[None] * (len(parts) - len(seen))]

    def file(self, parts: Sequence[str], name: str) -> Attributes:
        """One file. Raises `StorageMissing`, and `StorageError` for what is no file."""
        found = self.see(parts)[-1]
        if found is None:
            self.need_root()
            raise strongroom.StorageMissing(
                f"There is no {name} in {self.root}.",
                remedy="See who removed it; take another copy or backup.",
            )
        if not found.is_file:
            raise strongroom.StorageError(f"{name} in {self.root} is not a file.")
        return found

    def make(self, parts: Sequence[str], seen: Sequence[Attributes | None], made: list[str]) -> None:
        """Make the folders of a path that `seen` lacks; `made` collects them."""
        for depth, found in enumerate(seen):
            if found is None:
                self._make(self.path(parts[: depth + 1]), made)
            elif not found.is_folder:
                raise strongroom.StorageError(
                    f"{self.path(parts[: depth + 1])} on the server is a file, where a folder has to be.",
                    remedy="Move that file away.",
                )

    def _make(self, path: str, made: list[str]) -> None:
        try:
            self._remote.make_folder(path)
        except Refused as refused:
            # Another upload may have made it meanwhile; servers have no code of its own for that.
            found = self._remote.look_at(path)
            if found is None or not found.is_folder:
                raise refused from None
            return
        made.append(path)

    def remove_empty(self, made: Sequence[str]) -> None:
        """Remove these folders, the last one first, as long as they are empty."""
        self._remote.remove_folders(reversed(made))

    def above(self, parts: Sequence[str]) -> list[str]:
        """The folders between the destination's own and a file, the outermost first."""
        return [self.path(parts[:depth]) for depth in range(1, len(parts))]

    # -- all of it ------------------------------------------------------------------------------------

    def walk(self, prefix: str) -> Iterator[tuple[str, Attributes]]:
        """The files whose name begins with `prefix`, in no order. Raises `Refused`.

        A folder that vanishes meanwhile is passed over, as happens when its last file is deleted.
        """
        top, _, _ = prefix.rpartition("/")
        parts = names.parts(top) if top else []
        if parts:
            found = self.see(parts)[-1]
            if found is None or not found.is_folder:
                self.need_root()
                return
        waiting = ["".join(f"{part}/" for part in parts)]
        while waiting:
            results = self._remote.folders([self.path(folder.split("/")[:-1]) for folder in waiting])
            below: list[str] = []
            for folder, entries in zip(waiting, results, strict=True):
                if isinstance(entries, Refused):
                    if entries.code == Code.NO_SUCH_FILE and folder:
                        continue
                    raise entries
                for name, found in self._complete(folder, entries):
                    its = folder + name
                    if not _begins(its, found, prefix) or names.is_foreign(its) or names.is_temporary(its):
                        continue
                    if found.is_folder:
                        below.append(f"{its}/")
                    elif found.is_file:
                        yield its, found
            waiting = below

    def _complete(
        self, folder: str, entries: Sequence[tuple[str, Attributes]]
    ) -> Iterator[tuple[str, Attributes]]:
        """Ask for what a listing left out; what has gone meanwhile is left out in turn."""
        bare = [name for name, found in entries if found.mode is None or found.size is None]
        asked = dict(
            zip(
                bare, self._remote.look([self.path((folder + name).split("/")) for name in bare]), strict=True
            )
        )
        for name, found in entries:
            complete = asked.get(name, found)
            if isinstance(complete, Refused):
                if complete.code != Code.NO_SUCH_FILE:
                    raise complete
                continue
            yield name, complete


def _begins(name: str, found: Attributes, prefix: str) -> bool:
    """Whether a name, or one in that folder, may begin with `prefix`."""
    return name.startswith(prefix) or (found.is_folder and prefix.startswith(f"{name}/"))
