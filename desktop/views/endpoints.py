"""Hosts, sources, destinations and notifiers look alike: a list, and beside it what the chosen one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedLayout, QVBoxLayout, QWidget

from desktop import words
from desktop.forms import EndpointDialog
from desktop.forms.tester import Check, Tester
from desktop.forms.trust import TrustDialog, server_in
from desktop.models.records import Column, RecordsModel
from desktop.navigation import Navigator
from desktop.snapshot import Snapshot
from desktop.theme import Size
from desktop.views.base import View
from desktop.views.confirm import confirm
from desktop.widgets import (
    Card,
    EmptyState,
    ErrorPanel,
    KeyValueGrid,
    RecordTable,
    ValueLabel,
    button,
    label,
    listing,
    row,
    scrolled,
)
from desktop.worker import Problem
from engine.configuration.hosts import LOCAL
from engine.contract.config import describe
from engine.contract.registry import KindName
from engine.errors import NotFound, PluginError, UsageError
from engine.records import Endpoint, Job

if TYPE_CHECKING:
    from engine.workspace import Workspace


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint as a row; `type` is its adapter's title, `place` what it is in one line."""

    endpoint: Endpoint
    type: str
    place: str
    users: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """What uses one of its kind: jobs, and hosts are used by sources."""
        return "source" if self.endpoint.kind == "host" else "job"


COLUMNS: tuple[Column[EndpointRow], ...] = (
    Column("Name", lambda row: row.endpoint.name, 150, 2),
    Column("Type", lambda row: row.type, 120, 1, muted=True),
    Column("Where", lambda row: row.place, 160, 3, muted=True, tip=lambda row: row.place, drop=2),
    Column(
        "Used by",
        lambda row: words.count(len(row.users), row.user) if row.users else "–",
        90,
        0,
        tip=lambda row: ", ".join(row.users),
        sort=lambda row: len(row.users),
        muted=True,
        drop=1,
    ),
)
PLACE_FIELDS = ("host", "container", "pod", "bucket", "endpoint", "path", "url", "database", "databases")


class EndpointsView(View):
    """The list of one kind, with a panel beside it."""

    kind: ClassVar[KindName]
    icon: ClassVar[str]
    empty_title: ClassVar[str]
    empty_text: ClassVar[str]
    new_text: ClassVar[str]

    def __init__(self, navigator: Navigator) -> None:
        super().__init__(navigator)
        self._shown: EndpointRow | None = None
        self._tested: Endpoint | None = None
        self.model = RecordsModel(COLUMNS, lambda row: row.endpoint.id, self)
        self.table = RecordTable(self.model, self.title)
        self.add_search(f"Search {self.title.lower()}").textChanged.connect(self.table.search)
        self.new_button = button(self.new_text, self.new, kind="primary", icon="plus", tip="Ctrl+N")
        self.add_tool(self.new_button)
        self.empty = EmptyState(
            self.icon, self.empty_title, self.empty_text, button(f"Make the first {self.kind}", self.new)
        )
        page = QWidget()
        page.setObjectName("listing")
        self.stack = QStackedLayout(page)
        both = QWidget()
        line = QHBoxLayout(both)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(0)
        line.addWidget(listing(self.table), 1)
        self.side = side = self._side()
        line.addWidget(side)
        self.stack.addWidget(both)
        self.stack.addWidget(self.empty)
        self.body.addWidget(page, 1)
        self.table.chosen.connect(self._show_chosen)
        self.table.opened.connect(lambda its: self.edit())

    def _side(self) -> QFrame:
        side = QFrame()
        side.setObjectName("side")
        side.setFixedWidth(Size.SIDE_PANEL)
        self.more = QVBoxLayout()
        self.name_label = ValueLabel("", "detail")  # a long name may break anywhere
        self.type_label = label("", muted=True, wrap=True)
        self.tester = Tester(self.session, self, self._check)
        self.tester.button.setToolTip("Test the connection now (Ctrl+R)")
        self.tester.trust_needed.connect(self._ask_trust)
        self.edit_button = button("Edit", self.edit)
        self.delete_button = button("Delete", self.delete, kind="danger")
        self.facts = KeyValueGrid()
        facts = Card("Settings")
        facts.add(self.facts)
        self.problem = ErrorPanel()
        inside = QVBoxLayout()
        inside.setSpacing(Size.CARD_GAP)
        head = QVBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.name_label)
        head.addWidget(self.type_label)
        inside.addLayout(head)
        inside.addLayout(row(self.tester.button, self.edit_button, self.delete_button, 1))
        inside.addLayout(self.tester.line)
        inside.addWidget(self.problem)
        inside.addWidget(self.tester.problem)
        inside.addWidget(self.tester.found)
        inside.addLayout(self.more)
        inside.addWidget(facts)
        inside.addStretch(1)
        layout = QVBoxLayout(side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside, Size.MARGIN_SMALL + Size.GRID))
        return side

    # -------------------------------------------------------------------------------------- showing

    def show_snapshot(self, snapshot: Snapshot) -> None:
        rows = [self._row(its, snapshot) for its in snapshot.endpoints(self.kind)]
        self.model.show_rows(rows)
        self.stack.setCurrentIndex(0 if rows else 1)
        if rows:
            self.table.select_first()
        self._show_chosen(self.table.selected())

    def entered(self) -> None:
        self.table.setFocus()

    def choose(self, endpoint_id: str) -> None:
        """Select an endpoint."""
        self.table.select(endpoint_id)

    def users(self, endpoint: Endpoint, snapshot: Snapshot) -> tuple[str, ...]:
        """The names of those that use it: jobs, where a kind does not say otherwise."""
        return tuple(job.name for job in snapshot.jobs if endpoint.id in _uses(job))

    def _row(self, endpoint: Endpoint, snapshot: Snapshot) -> EndpointRow:
        try:
            title = self.session.registry.adapter(self.kind, endpoint.adapter).title
        except PluginError:
            title = f"{endpoint.adapter} (not installed)"
        return EndpointRow(endpoint, title, _place(endpoint), self.users(endpoint, snapshot))

    def _show_chosen(self, chosen: EndpointRow | None) -> None:
        before = self._shown
        self._shown = chosen
        for its in (self.tester.button, self.edit_button, self.delete_button):
            its.setEnabled(chosen is not None)
        if chosen is None:
            return
        self.name_label.show_value(chosen.endpoint.name)
        self.type_label.setText(chosen.type)
        facts = [*self._settings(chosen.endpoint), ("Used by", ", ".join(chosen.users) or "–")]
        if chosen.endpoint.host != LOCAL:
            facts.insert(0, ("Runs on", self.session.snapshot.host_name(chosen.endpoint.host)))
        self.facts.show_facts(facts)
        self.show_more(chosen.endpoint)
        if before is None or before.endpoint.id != chosen.endpoint.id:
            self.problem.show_problem(None)
        if self._tested != chosen.endpoint:
            self._tested = None
            self.tester.forget()

    def show_more(self, endpoint: Endpoint) -> None:
        """Show what this kind alone has to say; its place is the layout `more`."""

    def _settings(self, endpoint: Endpoint) -> list[tuple[str, str]]:
        try:
            config = self.session.registry.adapter(self.kind, endpoint.adapter).Config
        except PluginError:
            return [(name, str(value)) for name, value in endpoint.config.items()]
        facts = []
        for spec in describe(config):
            if spec.kind == "secret":
                if spec.name in endpoint.secret_names:
                    facts.append((spec.title, "•••••• (stored as a secret)"))
            elif spec.name in endpoint.config:
                facts.append((spec.title, _value(endpoint.config[spec.name])))
        return facts

    # --------------------------------------------------------------------------------------- doing

    def run(self) -> None:
        self.test()

    def new(self) -> None:
        """Open an empty form."""
        self._open(None)

    def edit(self) -> None:
        """Open the form of the chosen one."""
        if self._shown is not None:
            self._open(self._shown.endpoint)

    def _open(self, endpoint: Endpoint | None) -> None:
        dialog = EndpointDialog(self.window(), self.session, self.kind, endpoint)
        dialog.saved.connect(self._saved)
        dialog.open()

    def _saved(self, endpoint: Endpoint) -> None:
        self.problem.show_problem(None)
        self.navigator.say(f"{endpoint.name} is saved.")

    def test(self) -> None:
        """Test the chosen one for real, or stop the test that is under way."""
        if self._shown is not None:
            self.tester.press()

    def _check(self) -> Check | None:
        if self._shown is None:
            return None
        self._tested = endpoint = self._shown.endpoint
        self.problem.show_problem(None)
        return lambda workspace, token: workspace.endpoints.check(endpoint, cancel=token)

    def _ask_trust(self, problem: Problem) -> None:
        endpoint = self._tested
        if endpoint is not None:
            server = server_in(endpoint.config)
            TrustDialog(self.window(), problem, server, lambda: self._trust(endpoint, problem)).open()

    def _trust(self, endpoint: Endpoint, problem: Problem) -> None:
        """Keep what was confirmed, and test again: only a server with this very key passes."""
        self.session.ask(
            self,
            lambda workspace: keep_trust(workspace, endpoint, problem),
            self._trusted,
            lambda found: self._not_trusted(endpoint, found),
        )

    def _not_trusted(self, endpoint: Endpoint, problem: Problem) -> None:
        if self._shown is not None and self._shown.endpoint.id == endpoint.id:
            self.problem.show_problem(problem)
        else:  # it is not looked at any more, or is gone
            self.session.problem.emit(problem)

    def _trusted(self, endpoint: Endpoint) -> None:
        self._tested = endpoint
        self.session.refresh()
        self.tester.start(lambda workspace, token: workspace.endpoints.check(endpoint, cancel=token))

    def delete(self) -> None:
        """Delete the chosen one, after asking. The engine refuses while a job uses it."""
        if self._shown is None:
            return
        endpoint, kind = self._shown.endpoint, self.kind
        stays = " The backups at it stay where they are." if kind == "destination" else ""
        confirm(
            self,
            f"Delete the {kind} {words.short(endpoint.name, 40)}?",
            f"Its settings and its secrets are removed from this machine.{stays}",
            f"Delete {words.short(endpoint.name)}",
            lambda: self.session.ask(
                self,
                lambda workspace: workspace.endpoints.delete(kind, endpoint.id),
                self._deleted,
                self.problem.show_problem,
            ),
        )

    def _deleted(self, endpoint: Endpoint) -> None:
        self.navigator.say(f"{endpoint.name} is deleted.")
        self.session.refresh()


def keep_trust(workspace: Workspace, asked: Endpoint, problem: Problem) -> Endpoint:
    """Keep the key that was confirmed, with an endpoint as it is now: it may have changed meanwhile."""
    try:
        now = workspace.endpoints.get(asked.kind, asked.id)
    except NotFound as error:
        raise NotFound(
            f"The {asked.kind} {asked.name} is not there any more, so the key was not kept."
        ) from error
    if now.adapter != asked.adapter or server_in(now.config) != server_in(asked.config):
        raise UsageError(
            f"{now.name} names another server by now, so the key was not kept.",
            remedy="Test it again, and confirm the key of that server.",
        )
    values = {**now.config, problem.field: problem.value}
    return workspace.endpoints.save(now.kind, now.name, now.adapter, values, id=now.id, host=now.host)


def _uses(job: Job) -> set[str]:
    return {
        job.source_id,
        *(its.destination_id for its in job.destinations),
        *(its.notifier_id for its in job.notifiers),
    }


def _place(endpoint: Endpoint) -> str:
    found = [_value(endpoint.config[name]) for name in PLACE_FIELDS if endpoint.config.get(name)]
    return " · ".join(found)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)
