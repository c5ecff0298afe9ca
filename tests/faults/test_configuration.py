"""A configuration file that is wrong: the error names file, line and field, and nothing was written."""

from __future__ import annotations

import pytest

from tests.faults.conftest import JOB, SQLITE
from tests.parts.commands import Installation

pytestmark = pytest.mark.faults

CASES = {
    "unknown key": ('source = "shop"\n', 'source = "shop"\nsorce = "x"\n', "sorce", "there is no such key"),
    "unknown table": ("[[key]]", "[[keey]]", "keey", "there is no such key"),
    "unknown field of an adapter": ('path = "disk"', 'path = "disk", pth = 1', "pth", ""),
    "missing field of an adapter": ('config = { path = "shop.sqlite" }', "config = { }", "path", ""),
    "unknown adapter": ('"sqlite"', '"sqlight"', "adapter", "sqlight"),
    "unknown source": ('source = "shop"', 'source = "shpo"', "source", "shpo"),
    "unknown destination": ('["disk"]', '["dsk"]', "destinations", "dsk"),
    "bad compression": ('source = "shop"\n', 'source = "shop"\ncompression = "zstd:99"\n', "compression", ""),
    "bad schedule": ('source = "shop"\n', 'source = "shop"\nschedule = "61 * * * *"\n', "schedule", ""),
    "bad time zone": ('source = "shop"\n', 'source = "shop"\ntimezone = "Mars/Base"\n', "timezone", "Mars"),
    "bad naming": ('source = "shop"\n', 'source = "shop"\nnaming = "{jab}"\n', "naming", "jab"),
    "wrong type": ('source = "shop"\n', 'source = "shop"\nenabled = "yes"\n', "enabled", ""),
    "bad retention": (
        '["disk"]',
        '[{ name = "disk", retention = { mode = "simple", keep = 0 } }]',
        "retention",
        "",
    ),
    "unknown key for encryption": (
        'source = "shop"\n',
        'source = "shop"\nencryption = "k9"\n',
        "encryption",
        "k9",
    ),
    "no TOML": ("[[source]]", "[[source]", None, "TOML"),
}


@pytest.mark.parametrize("case", CASES)
def test_file_line_and_field_are_named(installation: Installation, case: str) -> None:
    old, new, field, words = CASES[case]
    assert SQLITE.count(old) >= 1
    text = SQLITE.replace(old, new, 1)
    path = installation.folder / "jobs.toml"
    path.write_text(text)
    told = installation.json("apply", str(path), code=2)["error"]
    assert told["kind"] == "ConfigError"
    assert told["file"] == str(path)
    wrong = text[: text.index(new.splitlines()[-1])].count("\n") + 1
    assert told["line"] == wrong, told
    assert (field or "") in (told["field"] or "")
    assert words in told["message"] + told["remedy"]
    assert told["message"].startswith(f"{path}:{told['line']}: ")
    assert installation.json("jobs") == []
    assert installation.json("keys", "list") == [], "all is checked before anything is written"


def test_a_secret_that_is_not_in_the_environment(installation: Installation) -> None:
    path = installation.folder / "jobs.toml"
    path.write_text(
        '[[source]]\nname = "shop"\nadapter = "postgresql"\n'
        'config = { host = "db", user = "me", password = { env = "NOT_SET_ANYWHERE" } }\n'
    )
    told = installation.json("apply", str(path), code=2)["error"]
    assert (told["file"], told["line"]) == (str(path), 4)
    assert "NOT_SET_ANYWHERE" in told["message"]


def test_a_bad_file_leaves_what_was_there_as_it_was(shop: Installation) -> None:
    before = shop.json("jobs")
    path = shop.folder / "bad.toml"
    path.write_text(SQLITE.replace('path = "disk"', 'path = "elsewhere"') + 'speed = "fast"\n')
    assert shop.json("apply", str(path), code=2)["error"]["line"] == SQLITE.count("\n") + 1
    assert shop.json("jobs") == before
    assert shop.json("run", JOB)["status"] == "Success"
    assert (shop.folder / "disk").is_dir()
    assert not (shop.folder / "elsewhere").exists()
