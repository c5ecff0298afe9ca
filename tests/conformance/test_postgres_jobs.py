"""Jobs of PostgreSQL by the real command: sets with roles, folders, rows alone, a whole cluster; drilled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.servers import toml
from tests.parts.commands import Installation
from tests.parts.postgres import PASSWORD, Server, postgres15  # noqa: F401 - a fixture

pytestmark = pytest.mark.xdist_group("postgres-jobs")

SHOP = 'CREATE SCHEMA app; CREATE TABLE app."Or ders" AS SELECT g AS a FROM generate_series(1, 500) g;'


@pytest.fixture(scope="module")
def server(postgres15: Server) -> Iterator[Server]:  # noqa: F811
    postgres15.clean()
    postgres15.create_database("shop", SHOP)
    postgres15.create_database("second", "CREATE TABLE t (a int)")
    postgres15.sql("postgres", "CREATE ROLE keeper LOGIN PASSWORD 'of the keeper'")
    yield postgres15
    postgres15.sql("postgres", "DROP ROLE IF EXISTS keeper")
    postgres15.clean()


@pytest.fixture(scope="module")
def installation(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    its = Installation(tmp_path_factory.mktemp("jobs"), environ={"SHOP_PASSWORD": PASSWORD})
    common = {**server.values(), "password": {"env": "SHOP_PASSWORD"}}
    sources: dict[str, dict[str, Any]] = {
        "all": {"globals": True},
        "workers": {"databases": ["shop"], "parallel": 2, "restore_jobs": 2},
        "rows": {"databases": ["shop"], "content": "data"},
        "inside": {"databases": ["shop"], "restore_clean": True},
    }
    parts = ['[[key]]\nname = "default"\n[[destination]]\nname = "disk"\nadapter = "local"\n']
    parts.append('config = { path = "disk" }\n')
    for name, values in sources.items():
        config = toml({**common, **values})
        parts.append(f'[[source]]\nname = "{name}"\nadapter = "postgresql"\nconfig = {config}\n')
    # The drill's folder is where the user of the started server can reach it.
    parts.append(f'[[source]]\nname = "cluster"\nadapter = "postgresql-physical"\nconfig = {toml(common)}\n')
    for name in (*sources, "cluster"):
        parts.append(f'[[job]]\nname = "{name}"\nsource = "{name}"\ndestinations = ["disk"]\n')
    its.apply("".join(parts))
    yield its
    its.close()


@pytest.fixture(scope="module")
def runs(installation: Installation) -> dict[str, dict[str, Any]]:
    names = ("all", "workers", "rows", "inside", "cluster")
    return {name: installation.json("run", name) for name in names}


def test_a_job_that_names_none_has_all_databases_and_the_roles(runs: dict[str, dict[str, Any]]) -> None:
    found = {its["database"]: its["artifact"] for its in runs["all"]["backups"]}
    assert list(found) == ["(globals)", "second", "shop"]
    assert ".sql.zst.age" in found["(globals)"]
    (folder,) = runs["workers"]["backups"]
    assert folder["artifact"].endswith(".dir.tar.zst.age")


def test_a_drill_proves_each_or_says_that_it_cannot(
    installation: Installation, runs: dict[str, dict[str, Any]]
) -> None:
    job = {its["id"]: name for name, run in runs.items() for its in run["backups"]}
    outcomes = {
        (job[its["backup"]], its["outcome"]): its["reason"]
        for its in installation.json("drill", "--all", code=5)
    }
    assert {key for key in outcomes if key[1] != "passed"} == {("rows", "could-not-verify")}
    assert "rows and no tables" in (outcomes["rows", "could-not-verify"] or "")
    assert {name for name, outcome in outcomes if outcome == "passed"} == {
        "all",
        "workers",
        "inside",
        "cluster",
    }


def test_a_database_is_replaced_inside(
    installation: Installation, runs: dict[str, dict[str, Any]], server: Server
) -> None:
    (backup,) = runs["inside"]["backups"]
    server.sql("shop", 'DELETE FROM app."Or ders" WHERE a > 5')
    before = server.databases()
    oid = server.sql("postgres", "SELECT oid FROM pg_database WHERE datname = 'shop'")
    restored = installation.json("restore", backup["id"], "--to", "inside", "--overwrite")
    assert restored["status"] == "Success"
    assert server.sql("shop", 'SELECT count(*) FROM app."Or ders"') == "500"
    assert server.databases() == before
    assert server.sql("postgres", "SELECT oid FROM pg_database WHERE datname = 'shop'") == oid


def test_a_role_that_was_lost_is_restored(
    installation: Installation, runs: dict[str, dict[str, Any]], server: Server
) -> None:
    backup = next(its for its in runs["all"]["backups"] if its["database"] == "(globals)")
    server.sql("postgres", "DROP ROLE keeper")
    assert installation.json("restore", backup["id"], "--to", "all")["status"] == "Success"
    assert server.sql("postgres", "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'keeper'") == "t"


def test_a_cluster_is_restored_into_a_folder(
    installation: Installation, runs: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (backup,) = runs["cluster"]["backups"]
    target = tmp_path / "restored"
    restored = installation.json("restore", backup["id"], "--to", "cluster", "--as", str(target))
    assert restored["status"] == "Success"
    assert (target / "PG_VERSION").read_text() == "15\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["restored"]


@pytest.mark.parametrize("target", ["shop", "elsewhere"])
def test_a_database_that_was_lost_has_its_limit_and_rights(
    installation: Installation, runs: dict[str, dict[str, Any]], server: Server, target: str
) -> None:
    about = (
        "SELECT datconnlimit, shobj_description(oid, 'pg_database'),"
        " (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(datacl) a) FROM pg_database"
    )
    server.sql("postgres", "ALTER DATABASE shop CONNECTION LIMIT 7; COMMENT ON DATABASE shop IS 'the shop'")
    server.sql("postgres", "REVOKE CONNECT ON DATABASE shop FROM PUBLIC")
    before = server.sql("postgres", f"{about} WHERE datname = 'shop'")
    (backup,) = installation.json("run", "workers")["backups"]
    (drilled,) = installation.json("drill", backup["id"])
    assert drilled["outcome"] == "passed"
    server.drop_database("shop")
    restored = installation.json("restore", backup["id"], "--to", "workers", "--as", target)
    assert restored["status"] == "Success"
    assert server.sql("postgres", f"{about} WHERE datname = '{target}'") == before
    if target != "shop":
        server.sql("postgres", f"ALTER DATABASE {target} RENAME TO shop")
