"""Restores from the command line that are more or less than one backup: sets, loose files, choices."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import make_shop, rows_of
from tests.engine.cli.conftest import CONFIG, Terminal


@pytest.fixture
def two(terminal: Terminal) -> Terminal:
    """A job of two SQLite files, which has run once."""
    make_shop(terminal.folder / "blog.sqlite", rows=50)
    path = terminal.folder / "strongroom.toml"
    both = 'path = "shop.sqlite", paths = ["' + str(terminal.folder / "blog.sqlite") + '"]'
    assert 'path = "shop.sqlite"' in CONFIG
    path.write_text(CONFIG.replace('path = "shop.sqlite"', both), encoding="utf-8")
    terminal.json("apply", str(path))
    assert terminal.json("run", "shop-nightly")["status"] == "Success"
    return terminal


def file(terminal: Terminal, name: str) -> Path:
    return terminal.folder / f"{name}.sqlite"


def test_a_whole_set_comes_back(two: Terminal) -> None:
    before = {name: rows_of(file(two, name)) for name in ("shop", "blog")}
    for name in before:
        file(two, name).unlink()
    two.folder.joinpath("blog.sqlite").touch()  # the source lists what is there
    make_shop(file(two, "shop"), rows=1)
    document = two.json("restore", "shop-nightly:latest", "--to", "shop", "--whole-set", "--overwrite")
    assert document["status"] == "Success"
    assert {its["database"] for its in document["databases"]} == {"shop", "blog"}
    assert {name: rows_of(file(two, name)) for name in before} == before


def test_some_of_a_set_comes_back_under_other_names(two: Terminal) -> None:
    said = two.said(
        *("restore", "shop-nightly:latest", "--to", "shop", "--rename", "blog=blog_copy"),
        *("--rename", "shop=shop_copy"),
    )
    assert "blog_copy is restored at shop" in said
    assert rows_of(file(two, "blog_copy")) == rows_of(file(two, "blog"))
    assert rows_of(file(two, "shop_copy")) == rows_of(file(two, "shop"))
    two.said("restore", "shop-nightly:latest", "--to", "shop", "--database", "blog", "--rename", "blog=again")
    assert file(two, "again").exists()
    error = two.json("restore", "shop-nightly:latest", "--to", "shop", "--database", "gone", code=2)["error"]
    assert "'gone' is not in this set" in error["message"]
    assert "shop" in error["remedy"]


def test_one_of_a_set_that_is_refused_leaves_the_exit_code_of_a_part(two: Terminal) -> None:
    document = two.json("restore", "shop-nightly:latest", "--to", "shop", "--rename", "blog=fresh", code=3)
    assert document["status"] == "Partial"
    assert {its["database"]: its["status"] for its in document["databases"]}["fresh"] == "Success"
    assert "not empty" in document["error"]["message"]


def test_a_file_with_its_sidecar_and_one_without(shop: Terminal) -> None:
    shop.json("run", "shop-nightly")
    artifact = next((shop.folder / "backups").rglob("*.age"))
    loose = shop.folder / artifact.name
    shutil.copy(artifact, loose)
    shutil.copy(f"{artifact}.meta.json", f"{loose}.meta.json")
    document = shop.json("restore", "--file", str(loose), "--to", "shop", "--as", "one")
    assert (document["status"], document["database"]) == ("Success", "one")
    Path(f"{loose}.meta.json").unlink()
    error = shop.json("restore", "--file", str(loose), "--to", "shop", "--as", "two", code=1)["error"]
    assert "nothing proves who wrote it" in error["message"]
    shop.said("restore", "--file", str(loose), "--to", "shop", "--as", "two", "--unproven")
    assert rows_of(file(shop, "one")) == rows_of(file(shop, "two")) == rows_of(file(shop, "shop"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs BACKUP or --file"),
        (("shop-nightly:latest", "--file", "x"), "needs BACKUP or --file"),
        (("--file", "x", "--whole-set"), "A file is one database"),
        (("shop-nightly:latest", "--whole-set", "--as", "x"), "--as is for one database"),
        (("shop-nightly:latest", "--rename", "x"), "not of the form NAME=VALUE"),
        (("shop-nightly:latest", "--rename", "x="), "gives x no name"),
        (("shop-nightly:latest", "--rename", "x=y", "--rename", "x=z"), "gives x two names"),
        (("shop-nightly:latest", "--set", "restore_jobs"), "not of the form NAME=VALUE"),
    ],
)
def test_what_does_not_go_together_is_said(shop: Terminal, arguments: tuple[str, ...], message: str) -> None:
    shop.json("run", "shop-nightly")
    assert message in shop.json("restore", *arguments, "--to", "shop", code=2)["error"]["message"]


def test_a_choice_that_the_source_does_not_have_is_refused_before_anything(shop: Terminal) -> None:
    shop.json("run", "shop-nightly")
    restore = ("restore", "shop-nightly:latest", "--to", "shop", "--as", "x", "--set", "restore_jobs=4")
    error = shop.json(*restore, code=1)["error"]
    assert "'restore_jobs' is nothing that a restore into this source can choose" in error["message"]
    assert not file(shop, "x").exists()


def test_a_choice_that_is_given_several_times_is_a_list(shop: Terminal, tmp_path: Path) -> None:
    for name in ("offers/one", "offers/two", "bills/one"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    extra = f"""
[[source]]
name = "data"
adapter = "files"
config = {{ path = "{tmp_path / "data"}" }}

[[job]]
name = "data-nightly"
source = "data"
destinations = ["disk"]
"""
    shop.configure(CONFIG + extra)
    shop.json("run", "data-nightly")
    shop.said(
        *("restore", "data-nightly:latest", "--to", "data", "--as", "some"),
        *("--set", "restore_paths=offers/two", "--set", "restore_paths=bills"),
    )
    some = tmp_path / "some"
    found = sorted(str(path.relative_to(some)) for path in some.rglob("*") if path.is_file())
    assert found == ["bills/one", "offers/two"]
