"""The copies of a run that has ended: every database at every destination, with its proof or its reason."""

from __future__ import annotations

from desktop.models.copies import CopiesRow, columns_of, copies_of
from desktop.models.records import RecordsModel
from desktop.theme import Size
from desktop.widgets import Card, RecordTable, ValueLabel
from engine.records import Execution

ROWS_AT_ONCE = 6


class CopiesCard(Card):
    """Hidden for a run of one database, whose destinations' own rows say it all."""

    def __init__(self) -> None:
        super().__init__("Copies")
        self.table: RecordTable[CopiesRow] | None = None
        self.said = ValueLabel("", "caption")
        self.said.setAccessibleName("Copies of the chosen database")
        self._shown: tuple[str, ...] = ()
        self.add(self.said)
        self.hide()

    def show_execution(self, execution: Execution | None) -> None:
        """Show the copies of an execution; None, or one that has not ended, shows nothing."""
        ended = execution is not None and execution.kind == "run" and execution.status.ended
        rows = copies_of(execution) if execution is not None and ended else []
        if execution is None or len(rows) < 2:
            self.hide()
            return
        table = self._table(execution)
        table.records.show_rows(rows)
        shown = min(len(rows), ROWS_AT_ONCE)
        table.setFixedHeight(Size.TABLE_HEADER + shown * Size.ROW + 2)
        failed = next((row.database for row in rows if row.failed), "")
        if not failed or not table.select(failed):
            table.clearSelection()
            self._tell(None)
        self.show()

    def _table(self, execution: Execution) -> RecordTable[CopiesRow]:
        """The table with a column for each destination; another set of them makes another table."""
        names = tuple(its.name for its in execution.destinations)
        if self.table is None or names != self._shown:
            if self.table is not None:
                self.body.removeWidget(self.table)
                self.table.hide()
                self.table.deleteLater()
            model = RecordsModel(columns_of(execution), lambda row: row.database, self)
            self.table, self._shown = RecordTable(model, "Copies"), names
            self.table.chosen.connect(self._tell)
            self.body.insertWidget(self.body.indexOf(self.said), self.table)
        return self.table

    def _tell(self, row: CopiesRow | None) -> None:
        self.said.show_value(row.said if row is not None else "")
        self.said.setVisible(row is not None)
