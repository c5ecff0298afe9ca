"""The choices of a restore: owners, rights, workers, and replacing what is inside a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build
from engine.hosts.local import LocalHost
from plugins.sources.postgresql import PostgreSQL
from strongroom import Context, TargetState
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server, newest_alone, server_folder

Open = Callable[..., PostgreSQL]

SHOP = """
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('glad', 'sad');
CREATE TABLE app.people (id int PRIMARY KEY, mood app.mood DEFAULT 'glad');
CREATE TABLE app.orders (id serial PRIMARY KEY, person int REFERENCES app.people, note text);
INSERT INTO app.people SELECT g FROM generate_series(1, 100) g;
INSERT INTO app.orders (person, note) SELECT 1 + g % 100, repeat('ü', g) FROM generate_series(1, 500) g;
CREATE INDEX ON app.orders (person);
CREATE VIEW app.seen AS SELECT * FROM app.orders;
SELECT lo_from_bytea(4711, '\\x00ff10');
"""


def test_the_old_word_for_both_choices_still_counts() -> None:
    config = build(PostgreSQL.Config, {"restore_ownership": False})
    assert (config.restore_owner, config.restore_privileges) == (False, False)
    config = build(PostgreSQL.Config, {"restore_ownership": False, "restore_owner": True})
    assert (config.restore_owner, config.restore_privileges) == (True, False)


@newest_alone
@pytest.mark.parametrize(("owner", "rights"), [(True, False), (False, True)])
def test_owners_and_rights_are_two_choices(server: Server, open_on: Open, owner: bool, rights: bool) -> None:
    server.sql("postgres", "CREATE ROLE keeper; CREATE ROLE visitor")
    server.create_database("shop", "CREATE TABLE t (a int); ALTER TABLE t OWNER TO keeper")
    server.sql("shop", "GRANT SELECT ON t TO visitor")
    chunks, _ = dumped(open_on(server), "shop")
    open_on(server, restore_owner=owner, restore_privileges=rights).restore("copy", chunks)
    found = server.sql("copy", "SELECT tableowner FROM pg_tables WHERE tablename = 't'")
    assert found == ("keeper" if owner else "postgres")
    granted = server.sql("copy", "SELECT has_table_privilege('visitor', 't', 'SELECT')")
    assert granted == ("t" if rights else "f")


class Recording(LocalHost):
    """A host that remembers what it was asked to run."""

    def __init__(self, cancel: strongroom.CancelToken) -> None:
        super().__init__(cancel)
        self.lines: list[list[str]] = []

    def run(self, argv, **rest):  # type: ignore[no-untyped-def]
        self.lines.append(list(argv))
        return super().run(argv, **rest)


def test_workers_share_a_restore_of_the_custom_format(server: Server, around: Surroundings) -> None:
    server.create_database("shop", SHOP)
    host = Recording(around.cancel)
    context = Context(host, around.cancel, around.context.scratch, around.context.log)
    source = PostgreSQL(build(PostgreSQL.Config, server.values(restore_jobs=3)), context)
    chunks, counted = dumped(source, "shop")
    source.restore("copy", chunks)
    line = next(line for line in host.lines if line[0].endswith("pg_restore") and len(line) > 2)
    assert "--jobs=3" in line
    assert not Path(line[-1]).exists()  # the copy of the archive is gone
    assert server.rows("copy") == server.rows("shop")
    assert server.sql("copy", "SELECT lo_get(4711)") == server.sql("shop", "SELECT lo_get(4711)")
    assert counted.differences(source.fingerprint("copy")) == []
    # Where a database is there already, one transaction keeps it as it was, which workers cannot share.
    server.create_database("hollow")
    source.restore("hollow", chunks)
    assert "--single-transaction" in host.lines[-1] or any(
        "--single-transaction" in one for one in host.lines
    )
    assert server.rows("hollow") == server.rows("shop")


@newest_alone
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_cut_dump_with_workers_leaves_nothing(server: Server, open_on: Open, jobs: int) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, restore_jobs=jobs)
    whole = b"".join(dumped(source, "shop")[0])
    with pytest.raises(strongroom.SourceError):
        source.restore("copy", [whole[: len(whole) * 9 // 10]])
    assert "copy" not in server.databases()


# ------------------------------------------------------------------------------ inside a database


@pytest.mark.parametrize("format", ["custom", "directory"])
def test_a_filled_database_is_replaced_inside(
    server: Server, open_on: Open, around: Surroundings, format: str
) -> None:
    """As a user that may make no databases, who owns the one there is."""
    server.sql("postgres", "CREATE ROLE tenant LOGIN PASSWORD 'pw' NOCREATEDB")
    server.create_database("shop", options="OWNER tenant TEMPLATE template0")
    tenant = {"user": "tenant", "password": "pw", "databases": ["shop"]}
    server.sql("shop", "SET ROLE tenant; " + SHOP)
    source = open_on(server, **tenant, restore_clean=True, format=format)
    assert source.restores_over
    chunks, counted = dumped(source, "shop")
    before = server.rows("shop")
    server.sql("shop", "DELETE FROM app.orders; ALTER TABLE app.people ADD extra int; SELECT lo_unlink(4711)")
    server.sql("shop", "CREATE TABLE public.later AS SELECT 1 AS a")
    source.restore("shop", chunks)
    after = server.rows("shop")
    assert after.pop("public.later") == ["(1)"]
    assert after == before
    assert server.sql("shop", "SELECT count(*), sum(octet_length(lo_get(4711))) FROM app.seen") == "500|1500"
    assert counted.differences(source.fingerprint("shop")) == []
    assert any("left in shop as they were: public.later" in text for text, _ in around.log)


def test_a_failure_inside_a_database_leaves_it_as_it_was(server: Server, open_on: Open) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server, restore_clean=True)
    chunks, _ = dumped(source, "shop")
    server.sql(
        "shop", "DELETE FROM app.orders WHERE id > 3; CREATE VIEW public.mine AS SELECT * FROM app.seen"
    )
    before = server.rows("shop")
    # A view of ours stands on what would be dropped.
    with pytest.raises(strongroom.SourceError, match="depend"):
        source.restore("shop", chunks)
    assert server.rows("shop") == before
    server.sql("shop", "DROP VIEW public.mine")
    whole = b"".join(chunks)
    for part in (0.5, 0.97):
        with pytest.raises(strongroom.SourceError):
            source.restore("shop", [whole[: int(len(whole) * part)]])
        assert server.rows("shop") == before

    def failing() -> Iterator[bytes]:
        yield whole[:-1]
        raise strongroom.ChecksumMismatch("flipped")

    with pytest.raises(strongroom.ChecksumMismatch):
        source.restore("shop", failing())
    assert server.rows("shop") == before


@newest_alone
def test_without_the_choice_a_filled_database_is_refused(server: Server, open_on: Open) -> None:
    server.create_database("shop", SHOP)
    source = open_on(server)
    assert not source.restores_over
    with pytest.raises(strongroom.TargetNotEmpty):
        source.restore("shop", dumped(source, "shop")[0])
    assert source.target_state("shop") is TargetState.FILLED


@newest_alone
def test_chosen_tables_that_fail_leave_an_empty_target_empty(server: Server, open_on: Open) -> None:
    server.create_database("shop", SHOP)
    # Without app.mood, which pg_dump does not take along with a table, app.people cannot be made.
    chunks, _ = dumped(open_on(server, tables=["app.people"]), "shop")
    server.create_database("hollow")
    source = open_on(server)
    for target in ("hollow", "copy"):
        with pytest.raises(strongroom.SourceError, match="mood"):
            source.restore(target, chunks)
    assert source.target_state("hollow") is TargetState.EMPTY
    assert "copy" not in server.databases()


# --------------------------------------------------------------------------------- across versions


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("format", ["custom", "directory"])
def test_dumps_go_up_and_down(old: Server, new: Server, open_on: Open, format: str, jobs: int) -> None:
    old.create_database("shop", SHOP)
    up, counted = dumped(open_on(old, format=format), "shop")
    target = open_on(new, restore_jobs=jobs)
    target.restore("shop", up)
    assert new.rows("shop") == old.rows("shop")
    assert counted.differences(target.fingerprint("shop")) == []
    down, counted = dumped(open_on(new, format=format), "shop")
    target = open_on(old, restore_jobs=jobs)
    target.restore("back", down)
    assert old.rows("back") == old.rows("shop")
    assert counted.differences(target.fingerprint("back")) == []
    over = open_on(old, restore_clean=True)
    old.sql("back", "DELETE FROM app.orders")
    over.restore("back", down)
    assert old.rows("back") == old.rows("shop")
    tools = open_on(old, tools=str(server_folder(15)))
    with pytest.raises(strongroom.ToolMissing, match="pg_restore 17 or newer"):
        tools.restore("never", down)
