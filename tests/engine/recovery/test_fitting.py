"""Whether a backup and a source go together: another family is refused, a related one warned about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import ToolMissing, UsageError
from engine.events import Status
from engine.recovery.fitting import fit
from engine.recovery.requests import RestoreRequest
from engine.workspace import Workspace
from plugins.sources.sqlite import Sqlite
from strongroom.testing import Surroundings
from tests.conftest import Bench
from tests.parts.mariadb import Server, mariadb, quoted  # noqa: F401 - a fixture


class Cousin(Sqlite):
    engine = "cousin"
    accepts = ("sqlite",)

    def preflight(self, database: str, facts: object) -> tuple[str, ...]:
        if database == "too old":
            raise ToolMissing("The tool here is too old.", remedy="Update it.")
        return (f"{database} will be slow.",)


@pytest.fixture
def cousin(tmp_path: Path) -> Cousin:
    return Cousin(Cousin.Config(path=str(tmp_path / "x.sqlite")), Surroundings(tmp_path).context)


def test_a_related_family_is_warned_about_and_the_adapter_has_its_say(bench: Bench, cousin: Cousin) -> None:
    bench.run(bench.job())
    sidecar = bench.workspace.catalogue.list()[0].sidecar
    first, second = fit(cousin, "there", sidecar, "shop")
    assert "a backup of sqlite, restored into cousin" in first
    assert second == "shop will be slow."
    assert fit(cousin, "there", replace(sidecar, engine="cousin"), "shop") == ["shop will be slow."]
    with pytest.raises(UsageError, match="a backup of mongodb, and there is a source of cousin"):
        fit(cousin, "there", replace(sidecar, engine="mongodb"), "shop")
    with pytest.raises(ToolMissing):
        fit(cousin, "there", sidecar, "too old")


@pytest.fixture
def shop(mariadb: Server) -> Iterator[Server]:  # noqa: F811
    mariadb.sql(
        "CREATE DATABASE related; CREATE TABLE related.its (n int); INSERT INTO related.its VALUES (1),(2)"
    )
    yield mariadb
    for name in ("related", "related_copy"):
        mariadb.sql(f"DROP DATABASE IF EXISTS {quoted(name)}")


def test_a_backup_of_mysql_goes_into_mariadb_with_a_warning(
    workspace: Workspace, bench: Bench, shop: Server
) -> None:
    job = bench.job(source="mysql", source_values=shop.values(databases=["related"]))
    assert bench.run(job).status is Status.SUCCESS
    target = workspace.endpoints.save("source", "other", "mariadb", shop.values())
    backup = workspace.catalogue.list()[0]
    request = RestoreRequest(backup.id, target.id, as_name="related_copy")
    execution = workspace.wait(workspace.restore(request), 60)
    assert execution.status is Status.SUCCESS, execution.error
    assert shop.sql("SELECT sum(n) FROM related_copy.its") == [["3"]]
    assert any("a backup of mysql, restored into mariadb" in line for line in bench.log_of(execution))


def test_an_adapters_refusal_comes_before_anything_is_fetched(
    workspace: Workspace, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(bench.job())
    backup = workspace.catalogue.list()[0]

    def refuse(self: Sqlite, database: str, facts: object) -> tuple[str, ...]:
        raise ToolMissing("The tool here is too old.", remedy="Update it.")

    monkeypatch.setattr(Sqlite, "preflight", refuse)
    execution = workspace.wait(
        workspace.restore(RestoreRequest(backup.id, "shop-nightly source", as_name="copy")), 60
    )
    assert "too old. The target was not touched." in str(execution.error)
    assert not any("is whole, and signed" in line for line in bench.log_of(execution))
    drilled = workspace.wait(workspace.drill([backup.id]), 60)
    assert drilled.status is Status.PARTIAL, "it says nothing of the backup"
    assert "cannot be drilled there. The tool here is too old" in str(drilled.labels["outcomes"])
