"""The whole way of a command source: run, drilled, restored over what is there, and under another name."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.recovery.restore import RestoreRequest
from tests.conformance.test_command import LINES
from tests.conftest import WAIT, Bench, make_shop, rows_of

SOURCE = "shop-nightly source"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "live").mkdir()
    return make_shop(tmp_path / "live" / "shop.sqlite")


def values(shop: Path, **more: object) -> dict[str, object]:
    chosen = {**LINES, "database": "shop", "environment": f"FOLDER={shop.parent}"}
    # A restore of a person's own replaces what is there.
    chosen["restore"] = f'rm -f "$FOLDER/$STRONGROOM_DATABASE.sqlite" && {LINES["restore"]}'
    return {**chosen, **more}


def back_up(bench: Bench, shop: Path, **more: object) -> str:
    job = bench.job(source="command", source_values=values(shop, **more))
    done = bench.run(job)
    assert done.status == "Success", bench.log_of(done)
    [backup] = bench.workspace.catalogue.list()
    assert backup.artifact.endswith(".sql.zst.age")
    return backup.id


def restore(bench: Bench, backup: str, **options: object) -> tuple[str, list[str]]:
    workspace = bench.workspace
    asked = workspace.restore(RestoreRequest(backup, SOURCE, **options))  # type: ignore[arg-type]
    done = workspace.wait(asked, WAIT)
    return done.status, [*bench.log_of(done), done.error or ""]


def test_a_backup_is_drilled_by_its_own_commands(bench: Bench, shop: Path) -> None:
    back_up(bench, shop)
    done = bench.workspace.wait(bench.workspace.drill(None), WAIT)
    assert done.status == "Success", bench.log_of(done)
    assert [path.name for path in shop.parent.iterdir()] == ["shop.sqlite"]


def test_what_is_there_is_replaced_only_when_a_person_says_so(bench: Bench, shop: Path) -> None:
    before = rows_of(shop)
    backup = back_up(bench, shop)
    shop.unlink()
    make_shop(shop, rows=3)
    status, said = restore(bench, backup)
    assert (status, len(rows_of(shop)["customers"])) == ("Failed", 3)
    assert any("there and not empty" in line for line in said)
    assert restore(bench, backup, overwrite=True)[0] == "Success"
    assert rows_of(shop) == before
    assert restore(bench, backup, as_name="other")[0] == "Success"
    assert rows_of(shop.with_name("other.sqlite")) == before


def test_without_a_state_command_a_restore_wants_to_be_told(bench: Bench, shop: Path) -> None:
    before = rows_of(shop)
    backup = back_up(bench, shop, state="")
    shop.unlink()
    assert restore(bench, backup)[0] == "Failed"
    assert restore(bench, backup, overwrite=True)[0] == "Success"
    assert rows_of(shop) == before


def test_a_source_of_one_place_is_not_drilled_over_it(bench: Bench, shop: Path) -> None:
    before = rows_of(shop)
    back_up(bench, shop, elsewhere=False)
    done = bench.workspace.wait(bench.workspace.drill(None), WAIT)
    assert done.status != "Success"
    assert any("one place alone" in line for line in [*bench.log_of(done), done.error or ""])
    assert rows_of(shop) == before


def test_without_a_restore_command_nothing_is_fetched(bench: Bench, shop: Path) -> None:
    backup = back_up(bench, shop, restore="", elsewhere=False)
    status, said = restore(bench, backup, overwrite=True)
    assert status == "Failed"
    assert any("no restore command" in line and "target was not touched" in line for line in said)
