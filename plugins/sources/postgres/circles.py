"""Foreign keys that go round in a circle: whichever of their tables is filled first, its rows point nowhere.

An archive of rows alone cannot put its keys and triggers after its rows, as a whole one does. So those of a
circle are made to be looked at when the transaction ends, triggers are kept quiet, and all are put back as
they were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from plugins.sources.postgres.connection import identifier
from plugins.sources.postgres.session import Psql

# conparentid is new in 11; before that, no key of a partitioned table had any below it.
_KEYS = """
SELECT k.oid, coalesce(pg_catalog.to_jsonb(k) ->> 'conparentid', '0'), k.conrelid, k.confrelid,
       n.nspname, c.relname, k.conname, k.condeferrable, k.condeferred, r.relkind = 'p'
  FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f';
"""


# A key's own triggers are internal ones of a constraint; those that are off stay off.
_TRIGGERS = """
SELECT n.nspname, c.relname, t.tgname, t.tgenabled
  FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgenabled <> 'D' AND (NOT t.tgisinternal OR t.tgconstraint = 0)
 ORDER BY 1, 2, 3;
"""
_WAYS = {"O": "", "R": "REPLICA ", "A": "ALWAYS "}


@dataclass(frozen=True, slots=True)
class _Key:
    oid: str
    above: str
    table: str
    points_to: str
    name: str
    of: str
    deferrable: bool
    deferred: bool
    to_partitioned: bool

    @property
    def later(self) -> str:
        """SQL that has it looked at when the transaction ends."""
        return f"ALTER TABLE {self.of} ALTER CONSTRAINT {self.name} DEFERRABLE INITIALLY DEFERRED;"

    @property
    def as_it_was(self) -> str:
        how = "DEFERRABLE" if self.deferrable else "NOT DEFERRABLE"
        when = "DEFERRED" if self.deferred else "IMMEDIATE"
        return f"ALTER TABLE {self.of} ALTER CONSTRAINT {self.name} {how} INITIALLY {when};"


def around(psql: Psql, database: str) -> tuple[str, str]:
    """SQL for before and after the rows; nothing where no keys go round. Its user has to own the tables."""
    keys = _in_circles(psql, database)
    if not keys:
        return "", ""
    after = ["SET CONSTRAINTS ALL IMMEDIATE;", *(key.as_it_was for key in keys)]
    return "\n".join(key.later for key in keys), "\n".join(after)


def quiet(psql: Psql, database: str, filled: Collection[tuple[str, str]]) -> tuple[str, str]:
    """SQL that keeps the triggers of these tables (schema and name) from changing the rows that come, and SQL
    that lets them be as they were. Nothing where there are none. Its user has to own the tables."""
    off, on = [], []
    for schema, table, name, enabled in psql.ask(database, _TRIGGERS, fields=4):
        if (schema, table) in filled:
            begin = f"ALTER TABLE ONLY {identifier(schema)}.{identifier(table)}"
            off.append(f"{begin} DISABLE TRIGGER {identifier(name)};")
            on.append(f"{begin} ENABLE {_WAYS[enabled]}TRIGGER {identifier(name)};")
    return "\n".join(off), "\n".join(on)


def _in_circles(psql: Psql, database: str) -> list[_Key]:
    """The keys that are part of a circle; of a partitioned table's, the one that all of them come from."""
    keys = {}
    for oid, above, table, points_to, schema, of, name, *are in psql.ask(database, _KEYS, fields=10):
        full = f"{identifier(schema)}.{identifier(of)}"
        is_so = [each == "t" for each in are]
        keys[oid] = _Key(oid, above, table, points_to, identifier(name), full, *is_so)
    reached = _reached(keys.values())
    # A table's rows come by one statement, at whose end its keys are looked at: those to itself are fine. And
    # an archive does not put the rows of partitions before those that point to their table.
    circling = [
        key
        for key in keys.values()
        if key.to_partitioned or (key.table != key.points_to and key.table in reached[key.points_to])
    ]
    found = {}
    for key in circling:
        while key.above in keys:
            key = keys[key.above]
        found[key.oid] = key
    return sorted(found.values(), key=lambda key: (key.of, key.name))


def _reached(keys: Iterable[_Key]) -> dict[str, set[str]]:
    """From each table, the tables that one comes to by following keys."""
    direct: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        direct[key.table].add(key.points_to)
    reached: dict[str, set[str]] = defaultdict(set)
    for table in list(direct):
        waiting = [table]
        while waiting:
            for other in direct.get(waiting.pop(), ()):
                if other not in reached[table]:
                    reached[table].add(other)
                    waiting.append(other)
    return reached
