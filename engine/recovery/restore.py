"""Restore: a proven backup into the same or another database.

What is there stays until what replaces it has been built beside it and compared. A restore that fails
says in which state it leaves the target, and removes what it built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.archive.backups import Backup
from engine.cancellation import CancelToken
from engine.contract.adapters import Source
from engine.contract.values import TargetState
from engine.errors import (
    BUG,
    Cancelled,
    IntegrityError,
    NotPutBack,
    SourceError,
    StrongroomError,
    TargetNotEmpty,
    Unproven,
)
from engine.events import LogLevel, LogType, Stage
from engine.recovery import unfinished
from engine.recovery.comparing import Comparison, Equality, compare
from engine.recovery.fitting import fit
from engine.recovery.loose import fetched_file, look_at
from engine.recovery.requests import RestoreRequest
from engine.recovery.retrieve import PROVEN, PROVEN_OR_NOT, Fetched, Retriever, not_proven
from engine.recovery.sets import is_of_server
from engine.signing import Verdict
from engine.units import sentence, size_text

if TYPE_CHECKING:
    from engine.recorder import Recorder
    from engine.records import Endpoint
    from engine.services import Services


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore that succeeded. `kept` is the name under which the old database still is, if it is."""

    target: str
    database: str
    comparison: Comparison
    kept: str | None = None


def perform_restore(
    services: Services, request: RestoreRequest, recorder: Recorder, cancel: CancelToken, *, owner: str
) -> Restored:
    """Restore a backup; `owner` is the execution's ID. Raises; each message ends with the target's state."""
    return _Restore(services, request, recorder, cancel, owner).run()


class _Restore:
    def __init__(
        self,
        services: Services,
        request: RestoreRequest,
        recorder: Recorder,
        cancel: CancelToken,
        owner: str,
    ) -> None:
        self._services = services
        self._request = request
        self._recorder = recorder
        self._cancel = cancel
        self._owner = owner
        self._state: Callable[[], str] = lambda: "The target was not touched."

    def run(self) -> Restored:
        try:
            return self._run()
        except Cancelled as cancelled:
            raise Cancelled(f"{sentence(cancelled)} {self._state()}") from cancelled
        except StrongroomError as error:
            error.message = f"{sentence(error.message)} {self._state()}"
            raise
        except Exception as error:
            said = sentence(f"{type(error).__name__}: {error}")
            raise StrongroomError(f"{said} {self._state()}", remedy=BUG) from error

    def _run(self) -> Restored:
        services, request, recorder = self._services, self._request, self._recorder
        with ExitStack() as stack:
            with recorder.stage(Stage.INITIALIZE):
                endpoint = services.endpoints.get("source", request.to_source)
                recorder.hide(*services.endpoints.secrets(endpoint))
                source = stack.enter_context(self._open(endpoint, self._cancel))
                backup = self._backup(source)
                database = request.as_name or source.restored_name(backup.sidecar.database)
                found = source.target_state(database)
                self._may_fill(source, endpoint, database, found)
                for warning in fit(source, endpoint.name, backup.sidecar, database):
                    recorder.log(warning, LogLevel.WARNING)
                if found is TargetState.FILLED:
                    recorder.log(f"{database} at {endpoint.name} holds data, which will be replaced.")
            with recorder.stage(Stage.FETCH):
                fetched = stack.enter_context(self._fetched(backup))
            self._say_proven(fetched)
            return self._fill(source, endpoint, database, found, fetched)

    def _backup(self, source: Source) -> Backup:
        services, request = self._services, self._request
        if not request.file:
            return services.catalogue.get(request.backup_id)
        backup = look_at(Path(request.file), source, request.as_name, services.catalogue.judge)
        if backup.verdict not in self._accepted:
            if not backup.sidecar.checksum:
                raise Unproven(
                    f"{backup.artifact} has no sidecar beside it: nothing proves who wrote it, nor that it "
                    "is whole.",
                    remedy="Say --unproven if you know where the file comes from.",
                )
            raise not_proven(backup, backup.verdict)
        return backup

    def _fetched(self, backup: Backup) -> AbstractContextManager[Fetched]:
        services, recorder = self._services, self._recorder
        retriever = Retriever(services.home, services.catalogue, services.endpoints, services.keys)
        total = backup.sidecar.size + backup.sidecar.dump_size

        def on_bytes(done: int, _: int) -> None:
            recorder.progress(0, done, stage=Stage.FETCH, total=total)

        if self._request.file:
            return fetched_file(
                retriever,
                Path(self._request.file),
                backup,
                cancel=self._cancel,
                owner=self._owner,
                on_bytes=on_bytes,
            )
        return retriever.fetched(
            backup, cancel=self._cancel, owner=self._owner, accepted=self._accepted, on_bytes=on_bytes
        )

    @property
    def _accepted(self) -> Collection[Verdict]:
        return PROVEN_OR_NOT if self._request.unproven else PROVEN

    def _say_proven(self, fetched: Fetched) -> None:
        checksum = f"SHA-256 {fetched.sidecar.checksum}"
        if fetched.verdict.proves:
            words = f"{fetched.backup.artifact} is whole, and signed by an installation that is trusted here."
            self._recorder.log(words, LogLevel.SUCCESS, LogType.SECURITY, checksum)
        else:
            words = (
                f"{fetched.backup.artifact} is UNPROVEN: its sidecar {fetched.verdict.words}. It is restored "
                "because that was asked for explicitly."
            )
            self._recorder.log(words, LogLevel.WARNING, LogType.SECURITY, checksum)

    def _may_fill(self, source: Source, endpoint: Endpoint, database: str, found: TargetState) -> None:
        if found is TargetState.FILLED and source.restores_part and not source.restores_over:
            raise TargetNotEmpty(
                f"{database} at {endpoint.name} is there, and a part of a backup does not take its place.",
                remedy="Restore it under another name (--as NAME), and take from there what you need.",
            )
        if found is TargetState.FILLED and not self._request.overwrite:
            raise TargetNotEmpty(
                f"{database} at {endpoint.name} is there and not empty.",
                remedy="Restore under another name (--as NAME), or replace it (--overwrite).",
            )

    # -- filling the target ---------------------------------------------------------------------------

    def _fill(
        self, source: Source, endpoint: Endpoint, database: str, found: TargetState, fetched: Fetched
    ) -> Restored:
        over = source.restores_over and found is TargetState.FILLED
        # An empty database is filled as it is: its owner may lack the right to make another one.
        if source.can_replace and not over and found is not TargetState.EMPTY:
            return self._beside(source, endpoint, database, found, fetched)
        if found is TargetState.FILLED:
            with self._recorder.stage(Stage.VERIFY, "decoding once before the old database goes"):
                for _ in fetched.plain():
                    pass
            if not over:
                source.drop(database)
        self._state = lambda: self._state_of(endpoint, database, found, over)
        unfinished.filling(self._services, self._owner, endpoint, database)
        with self._recorder.stage(Stage.RESTORE, database):
            try:
                self._feed(source, database, fetched)
            except BaseException as error:
                # One that is not empty was filled since we looked: it is theirs, nothing of ours is in it.
                if source.untouched or isinstance(error, TargetNotEmpty):
                    self._state = lambda: "The target was not touched."
                raise
        if over:
            self._state = lambda: f"{database} holds the backup now, and not what it held before."
        unfinished.filling(self._services, self._owner, endpoint, None)
        comparison = self._compare(source, database, fetched)
        return Restored(endpoint.name, database, comparison)

    def _beside(
        self, source: Source, endpoint: Endpoint, database: str, found: TargetState, fetched: Fetched
    ) -> Restored:
        """Build under a name of our own, compare, and only then give it the name that was asked for."""
        beside = source.beside_name(database, f"restore_{self._owner[:8]}")
        if source.target_state(beside) is not TargetState.MISSING:
            raise SourceError(f"{beside} is there already, where the restore is to be built.")
        untouched = (
            f"{database} was not touched" if found is TargetState.FILLED else f"{database} was not made"
        )
        self._state = lambda: f"{untouched}. {self._drop(endpoint, beside)}"
        unfinished.remember(self._services, self._owner, endpoint, beside)
        self._recorder.log(f"Building {beside} at {endpoint.name}.", type=LogType.COMMAND)
        with self._recorder.stage(Stage.RESTORE, beside):
            self._feed(source, beside, fetched)
        comparison = self._compare(source, beside, fetched)
        self._cancel.raise_if_cancelled()
        unfinished.remember(self._services, self._owner, endpoint, beside, target=database)
        try:
            kept = self._replace(source, endpoint, beside, database, found)
        except NotPutBack:
            self._state = lambda: f"Nothing is dropped: look at {beside} as well."
            raise
        self._state = lambda: f"{database} holds the restored backup."
        if kept is None:
            return Restored(endpoint.name, database, comparison)
        if found is TargetState.MISSING:
            self._recorder.log(
                f"{database} came into being while the restore ran: that one is kept as {kept}.",
                LogLevel.WARNING,
            )
            return Restored(endpoint.name, database, comparison, kept)
        return Restored(endpoint.name, database, comparison, self._let_go(endpoint, kept, comparison))

    def _replace(
        self, source: Source, endpoint: Endpoint, beside: str, database: str, found: TargetState
    ) -> str | None:
        if found is TargetState.MISSING:
            if source.target_state(database) is not TargetState.MISSING:
                raise TargetNotEmpty(
                    f"Somebody has made {database} at {endpoint.name} while the restore ran.",
                    remedy="Restore under another name (--as NAME), or replace it (--overwrite).",
                )
            return source.replace(beside, database)
        # With a token of its own: a cancel must not end it while the name is nobody's.
        with self._open(endpoint, CancelToken()) as calm:
            return calm.replace(beside, database)

    def _let_go(self, endpoint: Endpoint, kept: str, comparison: Comparison) -> str | None:
        """Drop the old database if the new one is proven; else say where it is."""
        if comparison.result is not Equality.EQUAL:
            self._recorder.log(
                f"The old database is kept as {kept}: what was restored could not be compared.",
                LogLevel.WARNING,
                details="Drop it when you have looked at the new one.",
            )
            return kept
        try:
            self._clean(endpoint, kept)
        except StrongroomError as error:
            self._recorder.log(
                f"The old database is still there as {kept}: {error.message}", LogLevel.WARNING
            )
            return kept
        return None

    def _feed(self, source: Source, database: str, fetched: Fetched) -> None:
        sidecar, recorder = fetched.sidecar, self._recorder
        total = sidecar.size + sidecar.dump_size
        fed = 0

        def counted(plain: Iterable[bytes]) -> Generator[bytes, None, None]:
            nonlocal fed
            for chunk in plain:
                self._cancel.raise_if_cancelled()
                yield chunk
                fed += len(chunk)
                recorder.progress(fed, sidecar.size + fed, stage=Stage.RESTORE, total=total)

        with closing(fetched.plain()) as plain, closing(counted(plain)) as chunks:
            source.restore(database, chunks)
            # The tool may have stopped reading at its own end mark; the stream's own end counts as well.
            for _ in chunks:
                pass
        # A loose file does not tell how large its dump is.
        recorder.progress(fed, sidecar.size + fed, stage=Stage.RESTORE, total=sidecar.size + fed, final=True)
        recorder.log(f"{size_text(fed)} restored into {database}.", type=LogType.COMMAND)

    def _compare(self, source: Source, database: str, fetched: Fetched) -> Comparison:
        with self._recorder.stage(Stage.VERIFY, database):
            comparison = compare(fetched.sidecar, lambda: fetched.identities, source, database)
        if comparison.result is Equality.DIFFERENT:
            raise IntegrityError(
                f"{database} was restored, but: {comparison.words}",
                remedy="If anything wrote to it meanwhile, stop that and restore again. Else verify this"
                " backup, and use another one.",
            )
        level = LogLevel.SUCCESS if comparison.result is Equality.EQUAL else LogLevel.WARNING
        self._recorder.log(f"{database}: {comparison.words}", level)
        return comparison

    # -- after a failure ------------------------------------------------------------------------------

    def _open(self, endpoint: Endpoint, cancel: CancelToken) -> AbstractContextManager[Source]:
        return self._services.endpoints.open_source(
            endpoint,
            cancel=cancel,
            log=self._recorder.logger(Stage.RESTORE),
            owner=self._owner,
            choices=self._request.choices,
        )

    def _clean(self, endpoint: Endpoint, database: str) -> None:
        # With a token of its own: a cancelled run's would end the very tool that cleans up.
        with self._open(endpoint, CancelToken()) as source:
            source.drop(database)

    def _drop(self, endpoint: Endpoint, beside: str) -> str:
        try:
            self._clean(endpoint, beside)
        except Exception as error:  # said, and no more: it must not hide what went wrong before
            return f"What had been built as {beside} is still there ({error}): drop it yourself."
        return f"What had been built beside it ({beside}) was removed."

    def _state_of(self, endpoint: Endpoint, database: str, before: TargetState, over: bool) -> str:
        """Look at a target that was filled directly, and say how it is."""
        try:
            with self._open(endpoint, CancelToken()) as source:
                if over:
                    return _left(database, source.target_state(database), undone=source.undoes)
                if before is not TargetState.EMPTY:
                    source.drop(database)  # the engine made it anew in this restore
                now = source.target_state(database)
        except Exception as error:
            return f"In which state {database} is now could not be seen: {sentence(error)}"
        if before is TargetState.FILLED:
            return f"The old {database} is gone, as was asked for, and nothing is in its place."
        if is_of_server(database):  # it is added to, and has no state of its own
            return f"What of {database} had been made by then stays."
        if now is before:
            return f"{database} is {now}, as before."
        return (
            f"{database}, empty before, is not so any more: it holds what was restored so far, or what"
            " somebody else has put there. Look at it before you empty or use it."
        )


def _left(database: str, now: TargetState, *, undone: bool) -> str:
    """How a failed restore over a filled database has left it."""
    if now is not TargetState.FILLED:
        return f"{database} is {now} now: what it held is gone."
    if undone:
        return f"{database} is as it was."
    return f"{database} may hold some of the backup and some of what it held: look before you use it."
