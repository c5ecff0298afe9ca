"""Any command as a source: what it prints is the backup, and another command takes it back.

What is known of such a source is what its commands say. So nothing is guessed: without a `state` command
every target counts as filled, and without a `fingerprint` command nothing is compared.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pydantic
from pydantic import SecretStr

import strongroom
from plugins.sources.shell import answers, streaming
from plugins.sources.shell.running import Choice, Runner, parsed_environment
from strongroom import BackupFacts, Context, Dump, Fingerprint, SourceReport, TargetState

_DROP = 3600.0  # seconds


class Command(strongroom.Source):
    """A person's own commands, run by a shell on the source's host."""

    name = "command"
    title = "Command"
    extension = "dump"
    engine = "command"
    restores_over = True

    class Config(strongroom.AdapterConfig):
        database: str = strongroom.field(
            title="Name of the backups",
            description="The commands find it in $STRONGROOM_DATABASE.",
            placeholder="directory",
            min_length=1,
        )
        dump: str = strongroom.field(
            title="Dump command",
            description="A shell's line. What it prints is the backup.",
            placeholder="slapcat -n 1",
            min_length=1,
        )
        restore: str = strongroom.field(
            "",
            title="Restore command",
            description="A shell's line that reads the backup from its standard input. Left empty, a backup"
            " can only be fetched as a file.",
            placeholder="slapadd -n 1",
        )
        end_mark: str = strongroom.field(
            "",
            title="End mark",
            description="A text that the last 4 KiB of every whole backup hold.",
            placeholder="-- Dump completed",
            advanced=True,
        )
        extension: str = strongroom.field(
            "dump",
            title="File name extension",
            description="Of the backup as the command prints it.",
            placeholder="ldif",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$",
        )
        environment: SecretStr | None = strongroom.field(
            None,
            title="Environment",
            description="Lines of NAME=VALUE for the commands, kept as a secret.",
            placeholder="LDAP_PASSWORD=...",
        )
        check: str = strongroom.field(
            "",
            title="Check command",
            description="Exit status 0 means that a dump would work. A version that it prints first is kept.",
            advanced=True,
        )
        fingerprint: str = strongroom.field(
            "",
            title="Counting command",
            description="Prints lines like `customers 300` for the live database, to compare a restore with.",
            advanced=True,
        )
        state: str = strongroom.field(
            "",
            title="State command",
            description="Prints missing, empty or filled. Left empty, every target counts as filled.",
            advanced=True,
        )
        drop: str = strongroom.field(
            "",
            title="Drop command",
            description="Removes what a restore under another name made; fine with what is not there.",
            advanced=True,
        )
        elsewhere: bool = strongroom.field(
            False,
            title="Restores under other names",
            description="The commands obey $STRONGROOM_DATABASE, so that drills and --as work.",
            advanced=True,
        )
        shell: Choice = strongroom.field(
            "auto",
            title="Shell",
            description="bash sees that the first part of a pipe failed, sh does not. auto: bash where it is"
            " installed.",
            advanced=True,
        )

        @pydantic.field_validator("environment")
        @classmethod
        def _is_environment(cls, value: SecretStr | None) -> SecretStr | None:
            if value is not None:
                parsed_environment(value.get_secret_value())
            return value

        @pydantic.model_validator(mode="after")
        def _can_be_elsewhere(self) -> Any:
            if self.elsewhere and not (self.restore and self.drop):
                raise ValueError("elsewhere needs the commands restore and drop")
            return self

    config: Config

    def __init__(self, config: Config, context: Context) -> None:
        super().__init__(config, context)
        secret = config.environment.get_secret_value() if config.environment is not None else ""
        self._runner = Runner(context, config.shell, parsed_environment(secret))
        self._ours: set[str] = set()

    # ---------------------------------------------------------------------------------- looking

    def check(self) -> SourceReport:
        """Have every line read by the shell, look for the tools, and run the check command."""
        config, runner = self.config, self._runner
        notes, version = [], ""
        for what in ("dump", "restore", "check", "fingerprint", "state", "drop"):
            if line := getattr(config, what):
                answers.need_whole(runner, what, line)
        looked = answers.need_tool(runner, "dump", config.dump)
        if config.check:
            version = answers.checked(runner, config.check, config.database)
        else:
            notes.append(
                "without a check command, all that was seen is that the shell reads the commands"
                + (" and that the dump's tool is there" if looked else "")
            )
        if not config.restore:
            notes.append("without a restore command, backups can only be fetched as files")
        if runner.hides_failures and any("|" in line for line in (config.dump, config.restore)):
            notes.append("sh runs the commands, which sees only the failure of a pipe's last part")
        return SourceReport("command", version, (config.database,), notes=tuple(notes))

    def databases(self) -> list[str]:
        return [self.config.database]

    def fingerprint(self, database: str) -> Fingerprint:
        """Raises `CouldNotVerify` where there is no counting command."""
        self._need_known(database)
        if not self.config.fingerprint:
            raise strongroom.CouldNotVerify(
                "This source has no counting command.", remedy="Give the source a fingerprint command."
            )
        counted = answers.counts(self._runner, self.config.fingerprint, database)
        return Fingerprint(counted, consistent=True, of="measures")

    def target_state(self, database: str) -> TargetState:
        """What the state command says; without one only a name that was just made up is missing."""
        self._need_known(database)
        if self.config.state:
            return answers.state(self._runner, self.config.state, database)
        return TargetState.MISSING if database in self._ours else TargetState.FILLED

    # ---------------------------------------------------------------------------------- dumping

    def dump(self, database: str, *, fingerprint: bool = True) -> Dump:
        """Begin a dump. It is counted before and after: where both agree, the dump holds that too."""
        self._need_known(database)
        config = self.config
        # Its own name is what the dump command knows, wherever the state command looks for a target.
        if database != config.database and self.target_state(database) is TargetState.MISSING:
            raise strongroom.DatabaseMissing(
                f"There is no {database!r}.",
                remedy="See where it went, or correct the source.",
            )
        count = None
        if fingerprint and config.fingerprint:
            count = partial(answers.counts, self._runner, config.fingerprint, database)
        return streaming.begin_dump(
            self.context, self._runner, config.dump, database, end_mark=config.end_mark, count=count
        )

    # -------------------------------------------------------------------------------- restoring

    def preflight(self, database: str, facts: BackupFacts) -> tuple[str, ...]:
        """Raises where there is no restore command, or the shell cannot read it."""
        if not self.config.restore:
            raise answers.cannot_restore()
        answers.need_whole(self._runner, "restore", self.config.restore)
        answers.need_tool(self._runner, "restore", self.config.restore)
        warnings = []
        if not self.config.state:
            warnings.append("What the restore command finds there is not known: there is no state command.")
        if facts.format != self.config.extension:
            warnings.append(
                f"The backup is a .{facts.format}, and the source's are .{self.config.extension}."
            )
        return tuple(warnings)

    def restore(self, database: str, chunks: Iterable[bytes]) -> None:
        """Feed the restore command; what is there already is its own to replace.

        A name that was missing is dropped again on any error.
        """
        self._need_known(database)
        if not self.config.restore:
            raise answers.cannot_restore()
        config = self.config
        new = database != config.database and self.target_state(database) is TargetState.MISSING
        try:
            streaming.give(
                self.context, self._runner, config.restore, database, chunks, end_mark=config.end_mark
            )
        except BaseException:
            # A cancelled host starts nothing any more: then whoever asked for the restore drops it.
            if new:
                with suppress(strongroom.SourceError, strongroom.Cancelled):
                    self.drop(database)
            raise

    def drop(self, database: str) -> None:
        """Run the drop command. Raises `SourceError` where there is none."""
        self._need_known(database)
        if not self.config.drop:
            raise strongroom.SourceError(
                f"This source has no drop command, so that {database!r} stays as it is.",
                remedy="Remove by hand what the restore command made.",
            )
        self._runner.ask("drop", self.config.drop, database, _DROP)

    # ------------------------------------------------------------------------------------ names

    def beside_name(self, database: str, label: str) -> str:
        name = super().beside_name(database, label)
        self._ours.add(name)
        return name

    def scratch_name(self, database: str, label: str, folder: Path) -> str:
        """Raises `CouldNotVerify` where the commands know one place alone."""
        if not self.config.elsewhere:
            raise strongroom.CouldNotVerify(
                "This source's commands restore to one place alone, where a drill would do harm.",
                remedy="Let them obey $STRONGROOM_DATABASE, and say so (elsewhere = true).",
            )
        return self.beside_name(database, label)

    def restored_name(self, recorded: str) -> str:
        """A source of one database restores into that, whatever the backup's was called."""
        return self.config.database

    def extension_for(self, database: str) -> str:
        return self.config.extension

    def restore_command(self, database: str) -> str:
        if not self.config.restore:
            return super().restore_command(database)
        shell = "bash -o pipefail" if self.config.shell != "sh" else "sh"
        return f"STRONGROOM_DATABASE={shlex.quote(database)} {shell} -c {shlex.quote(self.config.restore)}"

    # ---------------------------------------------------------------------------------- helpers

    def _need_known(self, database: str) -> None:
        if not database or "\0" in database:
            raise strongroom.ConfigError(f"{database!r} is no name.", remedy="Give a name.")
        if database != self.config.database and not self.config.elsewhere:
            raise strongroom.DatabaseMissing(
                f"This source's commands know {self.config.database!r} alone, not {database!r}.",
                remedy="Let them obey $STRONGROOM_DATABASE, and say so (elsewhere = true).",
            )


@strongroom.hookimpl
def strongroom_sources() -> list[type[strongroom.Source]]:
    """This plugin's adapter."""
    return [Command]
