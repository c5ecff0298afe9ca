"""Odd names of jobs and databases: their backups stay below the destination, apart, listed and restorable."""

from __future__ import annotations

import shutil
import unicodedata

import pytest

from tests.conftest import make_shop, rows_of
from tests.faults.servers import toml
from tests.parts.commands import Installation, files

pytestmark = pytest.mark.faults

NAMES = [
    "a/b",
    "a",
    "../../escape",
    "..",
    ".",
    ".hidden",
    "-rf",
    "C:\\Windows\\system32",
    "CON",
    "Immich %Y-%m-%d yyyy-MM-dd {date} {job}",
    "Grüße, 東京 🗄️ عربى",
    unicodedata.normalize("NFD", "Grüße, 東京 🗄️ عربى") + "!",
    'it\'s "quoted" $HOME `id` ; rm -rf *',
    "ends with a dot.",
    "x" * 200,
    "ü" * 200,
]


def test_odd_job_names(installation: Installation) -> None:
    make_shop(installation.folder / "shop.sqlite")
    jobs = "".join(
        f'[[job]]\nname = {toml(name)}\nsource = "shop"\ndestinations = ["disk"]\nencryption = "none"\n'
        for name in NAMES
    )
    installation.apply(
        '[[source]]\nname = "shop"\nadapter = "sqlite"\nconfig = { path = "shop.sqlite" }\n'
        f'[[destination]]\nname = "disk"\nadapter = "local"\nconfig = {{ path = "disk" }}\n{jobs}'
    )
    before = {path.name for path in installation.folder.iterdir()} | {"disk"}
    ids = []
    with installation.workspace() as workspace:
        for name in NAMES:
            ran = workspace.wait(workspace.run_job(workspace.jobs.get(name).id), 60)
            assert str(ran.status) == "Success", (name, ran.error)
            ids.append(ran.artifacts[0].name)
    assert {path.name for path in installation.folder.iterdir()} == before, "nothing escapes its destination"
    assert len(set(ids)) == len(NAMES)
    assert len({name.casefold() for name in ids}) == len(NAMES), "apart on any file system"
    assert len(files(installation.folder / "disk")) == 2 * len(NAMES)

    listed = {its["job"]: its for its in installation.json("backups")}
    assert listed.keys() == set(NAMES)
    outcomes = installation.json("verify", "--all")
    assert [its["outcome"] for its in outcomes] == ["passed"] * len(NAMES)
    for number, name in enumerate(["../../escape", "Grüße, 東京 🗄️ عربى", "x" * 200]):
        again = installation.json("restore", listed[name]["id"], "--to", "shop", "--as", f"again-{number}")
        assert again["status"] == "Success"
        restored = installation.folder / f"again-{number}.sqlite"
        assert rows_of(restored) == rows_of(installation.folder / "shop.sqlite")
    # One name on a real command line is enough to show that no shell and no parser gets in its way.
    assert installation.run("run", "--json", "--", "-rf").document["job"] == "-rf"


@pytest.mark.parametrize("stem", ["two words", "per%cent", "ünï-cödé", "quote'd", "#hash?query=1"])
def test_odd_file_names(installation: Installation, stem: str) -> None:
    path = installation.folder / f"{stem}.db"
    shutil.copy(make_shop(installation.folder / "plain"), path)
    installation.apply(
        f'[[source]]\nname = "odd"\nadapter = "sqlite"\nconfig = {{ path = {toml(str(path))} }}\n'
        '[[destination]]\nname = "disk"\nadapter = "local"\nconfig = { path = "disk" }\n'
        '[[job]]\nname = "odd"\nsource = "odd"\ndestinations = ["disk"]\nencryption = "none"\n'
    )
    (backup,) = installation.json("run", "odd")["backups"]
    assert backup["database"] == stem
    assert (
        installation.json("restore", backup["id"], "--to", "odd", "--as", f"{stem} 2")["status"] == "Success"
    )
    assert rows_of(installation.folder / f"{stem} 2.db") == rows_of(path)
