"""Backups: what lies at the destinations, what was proven of it, and the way back into a database.

The list comes from the local cache at once, then from the destinations themselves, both in threads. Which
destination is looked at is said once that takes long, and can be stopped: what was known before stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QStackedLayout, QVBoxLayout, QWidget

from desktop import words
from desktop.models.backups import COLUMNS, proof_state, signature_said
from desktop.models.records import RecordsModel
from desktop.navigation import Navigator
from desktop.snapshot import Snapshot
from desktop.theme import Size
from desktop.views.base import View
from desktop.views.confirm import confirm
from desktop.views.looking import Looking
from desktop.views.restore import RestoreDialog
from desktop.widgets import (
    Card,
    EmptyState,
    ErrorPanel,
    KeyValueGrid,
    Notice,
    RecordTable,
    StateChip,
    ValueLabel,
    button,
    column,
    label,
    listing,
    row,
    scrolled,
)
from desktop.worker import Problem
from engine.clock import utc_now

if TYPE_CHECKING:
    from engine.archive.catalogue import Backup
    from engine.workspace import Workspace


class BackupsView(View):
    """The explorer."""

    name, title = "backups", "Backups"

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self._backups: tuple[Backup, ...] = ()
        self._shown: Backup | None = None
        self._stale = True
        self.model: RecordsModel[Backup] = RecordsModel(COLUMNS, lambda its: its.id, self)
        self.table: RecordTable[Backup] = RecordTable(self.model, "Backups")
        self.add_search("Search backups").textChanged.connect(self._searched)
        self.destination = QComboBox()
        self.destination.setAccessibleName("Which destination")
        self.destination.addItem("All destinations", "")
        self.destination.currentIndexChanged.connect(lambda _: self._show())
        self.add_tool(self.destination)
        self.refresh_button = button("", self.refresh, icon="refresh", name="Look at the destinations again")
        self.refresh_button.setToolTip("Look at the destinations again (F5)")
        self.verify_all_button = button("Verify all", self.verify_all)
        self.add_tool(self.refresh_button)
        self.add_tool(self.verify_all_button)
        self.notice = Notice()
        self.problem = ErrorPanel(self.refresh)
        for its in (self.notice, self.problem):
            its.setProperty("spaced", "true")
        self.empty = EmptyState(
            "backups", "No backup yet", "When a job has run, its backups are listed here, from every place."
        )
        left = listing(self.notice, self.problem, self.table)
        both = QWidget()
        line = QHBoxLayout(both)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(0)
        line.addWidget(left, 1)
        self.side = side = self._side()
        line.addWidget(side)
        page = QWidget()
        page.setObjectName("listing")
        self.stack = QStackedLayout(page)
        self.stack.addWidget(both)
        self.stack.addWidget(self.empty)
        self.looking = Looking(self.session)  # also above "No backup yet", which is not known before
        self.body.addWidget(self.looking)
        self.body.addWidget(page, 1)
        self.table.chosen.connect(self._show_chosen)
        self.table.opened.connect(lambda its: self.restore())
        self.session.live.finished.connect(self._something_ended)

    def _side(self) -> QFrame:
        side = QFrame()
        side.setObjectName("side")
        side.setFixedWidth(Size.SIDE_PANEL)
        self.name_label = label("", "detail", wrap=True)
        self.about_label = label("", muted=True, wrap=True)
        self.restore_button = button("Restore…", self.restore, kind="primary")
        self.verify_button = button("Verify", self.verify, tip="Read it all and decode it (Ctrl+R)")
        self.drill_button = button("Drill", self.drill, tip="Restore it into a scratch database and compare")
        self.lock_button = button(
            "Lock", self.lock, kind="link", tip="Keep it from retention and from being deleted"
        )
        self.delete_button = button("Delete", self.delete, kind="danger-link")
        self._verbs = (
            self.restore_button,
            self.verify_button,
            self.drill_button,
            self.lock_button,
            self.delete_button,
        )
        self.proof_chip = StateChip()
        self.proof_text = ValueLabel("", "caption")  # a checksum in it may break anywhere
        self.proof_text.setProperty("muted", "true")
        self.proof_facts = KeyValueGrid()
        proof = Card("Proof")
        line = row()
        line.addWidget(self.proof_chip, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.proof_text, 1)
        proof.add(line)
        proof.add(self.proof_facts)
        self.facts = KeyValueGrid()
        facts = Card("This backup")
        facts.add(self.facts)
        self.command = ValueLabel("", "mono")
        self.command.setObjectName("command")
        without = Card(
            "Without Strongroom",
            tools=(button("Copy", self._copy_command, kind="link", name="Copy the commands"),),
        )
        without.add(self.command)
        inside = QVBoxLayout()
        inside.setSpacing(Size.CARD_GAP)
        head = QVBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.name_label)
        head.addWidget(self.about_label)
        inside.addLayout(head)
        inside.addLayout(
            column(
                row(self.restore_button, self.verify_button, self.drill_button, 1),
                row(self.lock_button, self.delete_button, 1, gap=0),
            )
        )
        for card in (proof, facts, without):
            inside.addWidget(card)
        inside.addStretch(1)
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside, Size.MARGIN_SMALL + Size.GRID))
        return side

    # -------------------------------------------------------------------------------------- reading

    def entered(self) -> None:
        self.table.setFocus()
        if self._stale:
            self._read_cache()
            self.refresh()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        names = [its.name for its in snapshot.destinations]
        if [self.destination.itemText(at) for at in range(1, self.destination.count())] != names:
            chosen = self.destination.currentData()
            self.destination.blockSignals(True)
            self.destination.clear()
            self.destination.addItem("All destinations", "")
            for its in snapshot.destinations:
                self.destination.addItem(its.name, its.id)
            self.destination.setCurrentIndex(max(0, self.destination.findData(chosen)))
            self.destination.blockSignals(False)
            self._stale = True
            if self.isVisible():
                self.refresh()

    def refresh(self) -> None:
        """Look at the destinations themselves. What cannot be reached is named; the rest is shown."""
        self.refresh_button.setEnabled(False)
        self._stale = False
        token, looking = self.looking.begin(), self.looking

        def work(workspace: Workspace) -> tuple[list[str], list[Backup]]:
            problems = []
            for place in workspace.endpoints.all("destination"):
                looking.at(place.name)
                problems += workspace.catalogue.refresh(place.id, cancel=token)
                token.raise_if_cancelled()  # an adapter that is stopped may call that a failure
            return [str(its) for its in problems], workspace.catalogue.list(refresh=False)

        self.session.ask(self, work, self._refreshed, self._not_refreshed, key="refresh")

    def _has_looked(self) -> None:
        self.looking.end()
        self.refresh_button.setEnabled(True)

    def _read_cache(self) -> None:
        self.session.ask(
            self, lambda workspace: workspace.catalogue.list(refresh=False), self._listed, key="list"
        )

    def _refreshed(self, answer: tuple[list[str], list[Backup]]) -> None:
        problems, backups = answer
        self._has_looked()
        self.problem.show_problem(None)
        more = f" And {len(problems) - 2} more." if len(problems) > 2 else ""
        self.notice.say(" ".join(problems[:2]) + more if problems else "")
        self._listed(backups)

    def _not_refreshed(self, problem: Problem) -> None:
        self._has_looked()
        if problem.kind == "Cancelled":
            self.notice.say(
                f"Stopped at {self.looking.place}: what was known of it before is listed. F5 looks again."
            )
            self._read_cache()
        else:
            self.problem.show_problem(problem)

    def _listed(self, backups: Sequence[Backup]) -> None:
        self._backups = tuple(sorted(backups, key=lambda its: its.sidecar.created_at, reverse=True))
        self._show()

    def _something_ended(self, execution_id: str, event: object) -> None:
        self._stale = True
        if self.isVisible():
            self._read_cache()

    # -------------------------------------------------------------------------------------- showing

    def _show(self) -> None:
        chosen = self.destination.currentData()
        self.model.show_rows([its for its in self._backups if chosen in ("", its.destination_id)])
        self.stack.setCurrentIndex(0 if self._backups or not self.notice.isHidden() else 1)
        self.table.select_first()
        self._show_chosen(self.table.selected())
        self.verify_all_button.setEnabled(bool(self._backups))

    def _searched(self, text: str) -> None:
        self.table.search(text)
        self.table.select_first()

    def choose(self, backup_id: str) -> bool:
        """Select a backup."""
        return self.table.select(backup_id)

    def _show_chosen(self, chosen: Backup | None) -> None:
        self._shown = chosen
        for its in self._verbs:
            its.setEnabled(chosen is not None)
        if self.side is not None:
            self.side.setVisible(chosen is not None)
        if chosen is None:
            return
        sidecar, now = chosen.sidecar, utc_now()
        self.name_label.setText(f"{sidecar.database}, {words.when(sidecar.created_at, now)}")
        self.name_label.setToolTip(words.exact(sidecar.created_at))
        self.about_label.setText(
            " · ".join((f"{sidecar.engine} {sidecar.engine_version}".strip(), words.size(chosen.size)))
        )
        state, said = proof_state(chosen, now)
        self.proof_chip.show_state(state)
        self.proof_text.show_value(said)
        keys = sidecar.encryption
        self.proof_facts.show_facts(
            [
                ("Signature", signature_said(chosen)),
                ("SHA-256", sidecar.checksum),
                ("Key", ", ".join(keys.keys or keys.recipients) if keys else "not encrypted"),
            ]
        )
        self.facts.show_facts(
            [
                ("Job", sidecar.job),
                ("Source", sidecar.source),
                ("Destination", chosen.destination),
                ("File", chosen.artifact),
                ("Set", ", ".join(sidecar.databases)),
                ("Format", f"{sidecar.format}, {words.compression(sidecar.compression)}"),
                ("Dump", words.size(sidecar.dump_size)),
                ("Locked", "yes: it is never deleted" if chosen.locked else "no"),
            ]
        )
        self.lock_button.setText("Unlock" if chosen.locked else "Lock")
        self.delete_button.setEnabled(not chosen.locked)
        self.command.show_value(sidecar.restore_hint)

    # --------------------------------------------------------------------------------------- doing

    def run(self) -> None:
        self.verify()

    def restore(self) -> None:
        """Open the restore dialog for the chosen backup."""
        if self._shown is not None:
            dialog = RestoreDialog(self.window(), self.session, self._shown)
            dialog.started.connect(self.navigator.open_execution)
            dialog.open()

    def verify(self) -> None:
        """Verify the chosen backup down to its last byte, decoded."""
        if self._shown is not None:
            its = self._shown.id
            self.session.ask(
                self, lambda workspace: workspace.verify([its], "decode"), self.navigator.open_execution
            )

    def drill(self) -> None:
        """Restore the chosen backup into a scratch database, compare, and drop it."""
        if self._shown is not None:
            its = self._shown.id
            self.session.ask(self, lambda workspace: workspace.drill([its]), self.navigator.open_execution)

    def verify_all(self) -> None:
        """Compare the checksum of every backup everywhere."""
        self.session.ask(
            self, lambda workspace: workspace.verify(None, "checksum"), self.navigator.open_execution
        )

    def lock(self) -> None:
        """Lock the chosen backup, or unlock it."""
        chosen = self._shown
        if chosen is None:
            return
        its, locked = chosen.id, chosen.locked
        self.lock_button.setEnabled(False)

        def work(workspace: Workspace) -> list[Backup]:
            (workspace.catalogue.unlock if locked else workspace.catalogue.lock)(its)
            return workspace.catalogue.list(refresh=False)

        self.session.ask(self, work, self._listed, self._not_done, key="list")

    def delete(self) -> None:
        """Delete the chosen backup, after asking; the engine refuses the newest good one."""
        chosen = self._shown
        if chosen is None:
            return
        confirm(
            self,
            f"Delete this backup of {chosen.sidecar.database}?",
            f"{chosen.artifact} and what is known of it are deleted at {chosen.destination}. "
            "This cannot be taken back.",
            "Delete this backup",
            lambda: self._delete(chosen.id),
        )

    def _delete(self, backup_id: str) -> None:
        def work(workspace: Workspace) -> list[Backup]:
            workspace.catalogue.delete(backup_id)
            return workspace.catalogue.list(refresh=False)

        self.session.ask(self, work, self._listed, self._not_done, key="list")

    def _not_done(self, problem: Problem) -> None:
        self.lock_button.setEnabled(True)
        self.problem.show_problem(problem)

    def _copy_command(self) -> None:
        QGuiApplication.clipboard().setText(self.command.value)
        self.navigator.say("The commands are on the clipboard.")
