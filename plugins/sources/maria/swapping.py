"""Put a restored database into the place of another one, which is kept: neither server can rename one.

All tables change places in one RENAME TABLE, which happens whole or not at all. What cannot be renamed
(views, triggers, routines, events) is small: it is made anew after that. Only triggers, with which no table
moves, go before. All of it is written down first (see `journal`), so that a crash anywhere loses nothing:
what was begun is finished later.
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from plugins.sources.maria import catalogue
from plugins.sources.maria.catalogue import DatabaseOptions, is_name
from plugins.sources.maria.client import Client
from plugins.sources.maria.connection import fit, identifier
from plugins.sources.maria.definitions import Definitions, waiting
from plugins.sources.maria.journal import TABLE, Journal, Plan
from plugins.sources.maria.tools import Found
from strongroom import Context, DatabaseMissing, LogLevel, LogType, NotPutBack, SourceError, sentence


def kept_name(database: str, beside: str) -> str:
    """`<database>_before_<label>`, with the label that `beside` was made with."""
    same = 0
    while same < min(len(database), len(beside)) and database[same] == beside[same]:
        same += 1
    label = beside[same:].lstrip("_") or secrets.token_hex(4)
    return fit(database, f"_before_{label}")


# Routines stay until those that replace them are there: rights go with a routine that is dropped.
_AT_ONCE = ("VIEW", "EVENT", "TRIGGER")


class Swap:
    """Makes `beside` the database of that name. Raises `SourceError`s; no cancel ends it half-way."""

    def __init__(self, context: Context, client: Client, tool: Found, beside: str, database: str) -> None:
        host = context.host.aside()
        self._context = context
        self._client = Client(host, client.tool, client.connection)
        replaces = tool.is_mariadb and catalogue.server(self._client).is_mariadb
        self._definitions = Definitions(host, self._client, tool, replaces=replaces)
        self._journal = Journal(self._client, beside)
        self._beside = beside
        self._database = database

    def run(self) -> str | None:
        """Swap; return the name that the old one is kept under, None if there was none."""
        new = catalogue.options_of(self._client, self._beside)
        if new is None:
            raise DatabaseMissing(
                f"There is no database {self._beside!r} to put in place.", remedy="Restore again."
            )
        old = catalogue.options_of(self._client, self._database)
        plan = self._plan(new, old)
        try:
            self._journal.write(plan)
            self._client.ask(f"CREATE DATABASE {identifier(plan.kept or self._database)} {plan.made};")
        except SourceError:
            with suppress(SourceError):
                self._journal.remove()
            raise
        try:
            self._go_on(plan)
        except SourceError as error:
            self._back(plan, error)
            raise
        return plan.kept or None

    def resume(self) -> bool:
        """Finish what a process that died had begun; return whether it is done, False when nothing was."""
        if catalogue.options_of(self._client, self._beside) is None:
            return True  # it goes as the last step
        plan = self._journal.read()
        if plan is None:
            return False
        created = identifier(plan.kept or self._database)
        self._client.ask(f"CREATE DATABASE IF NOT EXISTS {created} {plan.made};")
        self._go_on(plan)
        return True

    # ------------------------------------------------------------------------------------- the steps

    def _plan(self, new: DatabaseOptions, old: DatabaseOptions | None) -> Plan:
        """All that will be needed, before anything is changed."""
        tables = {self._beside: self._tables(self._beside)}
        triggers = {self._beside: self._definitions.triggers(self._beside)}
        made, _ = self._definitions.take(self._beside, new, lenient=False)
        routines = self._definitions.routines(self._beside)
        if old is None:
            return Plan(self._database, "", new.words, tables, triggers, new=made, routines=routines)
        kept = kept_name(self._database, self._beside)
        if catalogue.options_of(self._client, kept) is not None:
            raise SourceError(
                f"There is a database {kept!r} already.", remedy="Rename or drop it, and restore again."
            )
        tables[self._database] = self._tables(self._database)
        triggers[self._database] = self._definitions.triggers(self._database)
        # The old one may be broken, which may be why it is being replaced.
        held, lost = self._definitions.take(self._database, old, lenient=True)
        if lost:
            self._warn(f"Not all that {self._database} is made of could be taken down to be kept.", lost)
        grants = self._definitions.grants(self._database)
        if grants is None:
            self._warn(
                f"Rights on single routines of {self._database} could not be read, and may be lost.",
                "The user of the source may not read mysql.procs_priv. Grant EXECUTE again where it was given"
                " for single procedures and functions.",
            )
        before = self._definitions.routines(self._database)
        return Plan(
            self._database, kept, old.words, tables, triggers, held, made, routines, before, grants or []
        )

    def _go_on(self, plan: Plan) -> None:
        """Do what is not done yet. Every step may be done again."""
        if not self._is_moved(plan):
            for source in plan.tables:
                self._definitions.strip(source, only=["TRIGGER"])
            self._rename(plan, back=False)
        if plan.kept:
            self._definitions.strip(plan.kept)
            if lost := self._definitions.make_what_can_be(plan.kept, plan.old):
                self._warn(f"Not all that {self._database} was made of could be kept in {plan.kept}.", lost)
            self._definitions.disable_events(plan.kept)  # it is kept as it was, and does nothing any more
        self._definitions.strip(self._database, only=_AT_ONCE)
        self._definitions.make(self._database, plan.new)
        self._definitions.strip(self._database, only=["ROUTINE"], but=plan.routines)
        if failed := self._definitions.grant(plan.grants):
            self._warn(
                f"Not all rights on single routines of {self._database} could be given again.",
                "\n".join(failed),
            )
        self._client.ask(f"DROP DATABASE {identifier(self._beside)};", timeout=600)

    def _back(self, plan: Plan, error: SourceError) -> None:
        """Undo a swap that failed; raise `NotPutBack` if that fails, too."""
        created = plan.kept or self._database
        try:
            if self._is_moved(plan):
                for target in (plan.kept, self._database):
                    if target:
                        self._definitions.strip(target, only=["TRIGGER"])
                self._rename(plan, back=True)
                self._definitions.strip(self._beside)
                self._definitions.make(self._beside, plan.new)
                if plan.kept:
                    self._definitions.strip(self._database, only=_AT_ONCE)
                    lost = self._definitions.make_what_can_be(self._database, plan.old)
                    self._definitions.strip(self._database, only=["ROUTINE"], but=plan.old_routines)
                    self._definitions.grant(plan.grants)
                    if lost:
                        raise SourceError(lost)
            else:
                self._give_triggers_back(plan)
            self._client.ask(f"DROP DATABASE {identifier(created)};", timeout=600)
            self._journal.remove()
        except SourceError as second:
            where = f" Its tables may be in {plan.kept!r}." if plan.kept else ""
            raise NotPutBack(
                f"{sentence(error)} Undoing that failed, too: {sentence(second)} {self._database!r} may lack"
                f" views, triggers, routines or events.{where} The table {TABLE} in {self._beside!r} holds"
                " what they were.",
                remedy=error.remedy,
            ) from error

    def _give_triggers_back(self, plan: Plan) -> None:
        for database, wanted in plan.triggers.items():
            if self._definitions.triggers(database) == wanted:
                continue
            parts = plan.new if database == self._beside else plan.old
            lost = self._definitions.make_what_can_be(database, parts, only=["triggers"])
            if self._definitions.triggers(database) != wanted:
                raise SourceError(lost or f"Triggers of {database!r} are missing.")

    def _is_moved(self, plan: Plan) -> bool:
        for source, target in self._ways(plan):
            if names := plan.tables[source]:
                return names[0] in self._tables(target)
        return True

    def _ways(self, plan: Plan) -> list[tuple[str, str]]:
        ways = [(self._beside, self._database)]
        return [(self._database, plan.kept), *ways] if plan.kept else ways

    # ------------------------------------------------------------------------------------ small parts

    def _tables(self, database: str) -> list[str]:
        """All that RENAME TABLE moves: tables and sequences."""
        rows = self._client.ask(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE"  # noqa: S608 - quoted
            f" {is_name('TABLE_SCHEMA', database)} AND TABLE_TYPE <> 'VIEW' ORDER BY 1;"
        )
        return [name for (name,) in rows]

    def _rename(self, plan: Plan, *, back: bool) -> None:
        ways = self._ways(plan)
        moves = []
        for source, target in reversed(ways) if back else ways:
            was, becomes = (target, source) if back else (source, target)
            moves += [
                f"{identifier(was)}.{identifier(name)} TO {identifier(becomes)}.{identifier(name)}"
                for name in plan.tables[source]
            ]
        if moves:
            self._client.ask(f"{waiting()}RENAME TABLE {', '.join(moves)};", timeout=600)

    def _warn(self, words: str, details: str) -> None:
        self._context.log(words, LogLevel.WARNING, LogType.COMMAND, details)
