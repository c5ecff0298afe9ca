"""A configuration file that is wrong is refused with its file, its line and its field, and never a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.declarative.document import OptionsSection, parse, read
from engine.errors import ConfigError
from engine.records import JobOptions

GOOD = """\
[settings]
max_concurrent_jobs = 2

[[key]]
name = "default"

[[source]]
name = "shop"
adapter = "sqlite"
config = { path = "shop.db" }

[[destination]]
name = "nas"
adapter = "local"
config = { path = "backups" }

[[notifier]]
name = "ops"
adapter = "apprise"

[[policy]]
name = "usual"
retention = { mode = "simple", keep = 7 }

[[job]]
name = "nightly"
source = "shop"
schedule = "0 3 * * *"
destinations = ["nas", { name = "offsite", policy = "usual", priority = 5 }]
notifiers = ["ops", { name = "pager", on = ["failed"] }]
options = { retries = 2 }
"""


def wrong(text: str, file: str = "jobs.toml") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text, file)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_whole_file_is_read() -> None:
    sections = parse(GOOD, "jobs.toml").sections
    job = sections.job[0]
    assert sections.settings.max_concurrent_jobs == 2
    assert [its.name for its in job.destinations] == ["nas", "offsite"]
    assert [(its.name, its.on) for its in job.notifiers] == [("ops", None), ("pager", ["failed"])]
    assert job.options.record() == JobOptions(retries=2)
    assert (job.compression, job.encryption, job.enabled) == ("zstd", "default", True)


def test_the_options_of_the_file_are_those_of_the_engine() -> None:
    assert OptionsSection().record() == JobOptions()


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message", "remedy"),
    [
        (
            'adapter = "sqlite"',
            'adaptor = "sqlite"',
            9,
            "source[shop].adaptor",
            "no such key",
            "Did you mean adapter?",
        ),
        ('name = "shop"', 'title = "shop"', 8, "source[1].title", "no such key", "The keys are:"),
        ('source = "shop"\n', "", 25, "job[nightly].source", "this key is missing", "Add source."),
        ("retries = 2", "retries = -2", 31, "job[nightly].options.retries", "greater than or equal to 0", ""),
        ("retries = 2", 'retries = "2"', 31, "job[nightly].options.retries", "valid integer", ""),
        (
            "retries = 2",
            "retrys = 2",
            31,
            "job[nightly].options.retrys",
            "no such key",
            "Did you mean retries?",
        ),
        ('on = ["failed"]', 'on = ["fails"]', 30, "job[nightly].notifiers[pager].on[1]", "'failed'", ""),
        (
            'policy = "usual"',
            'polcy = "usual"',
            29,
            "job[nightly].destinations[offsite].polcy",
            "no such key",
            "",
        ),
        ('["nas", {', "[3, {", 29, "job[nightly].destinations[1]", "must be a table", ""),
        ("max_concurrent_jobs = 2", "max_concurrent_jobs = 0", 2, "settings.max_concurrent_jobs", "", ""),
        ("[[policy]]", "[[polices]]", 21, "polices", "no such key", "Did you mean policy?"),
        ('{ path = "shop.db" }', '"shop.db"', 10, "source[shop].config", "must be a table", ""),
        ('name = "nas"', 'name = " nas"', 13, "destination[ nas].name", "no spaces at its ends", ""),
        ("[[key]]", "[[key]]\nname = 'default'\n[[key]]", 7, "key[default].name", "begins at line 4", ""),
        ('"nas", {', '"nas", "nas", {', 29, "job[nightly].destinations[2]", "named twice", ""),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    old: str, new: str, line: int, field: str, message: str, remedy: str
) -> None:
    assert GOOD.count(old) == 1, "the example holds this text once"
    error = wrong(GOOD.replace(old, new))
    assert (error.file, error.line) == ("jobs.toml", line)
    assert error.field in (field, field.replace("destinations[2]", "destinations[nas]"))
    assert message in error.message
    assert remedy in error.remedy
    assert str(error).startswith(f"jobs.toml:{line}: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = \n", 1),
        ("[[job]]\nname = 'a\n", 2),
        ("a = 1\na = 2\n", 2),
        ("[[job]]\nname = [1,\n", 2),
        ("x", 1),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(text: str, line: int) -> None:
    error = wrong(text)
    assert "not valid TOML" in error.message
    assert error.line in (line, line + 1), "tomllib may only notice at the next line"


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: This file cannot be read"):
        read(tmp_path / "missing.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# fine\nname = 'Größe'".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.toml:2: this is not text in UTF-8"):
        read(latin)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert read(path).sections.job[0].name == "nightly"


def secret_of(tmp_path: Path, value: object, environ: dict[str, str] | None = None) -> str | None:
    document = parse(GOOD, str(tmp_path / "jobs.toml"))
    return document.secret(value, ("source", 0, "config", "path"), environ or {})


def test_a_secret_is_text_or_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "one.secret").write_bytes(b" two words \r\n")
    (tmp_path / "lines.secret").write_bytes(b"first\n\n")
    assert secret_of(tmp_path, "plain") == "plain"
    assert secret_of(tmp_path, {"env": "NAME"}, {"NAME": "from env\n"}) == "from env\n"
    assert secret_of(tmp_path, {"file": "one.secret"}) == " two words "
    assert secret_of(tmp_path, {"file": str(tmp_path / "lines.secret")}) == "first\n"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"env": "NOT_SET"}, "NOT_SET is not set"),
        ({"env": "EMPTY"}, "EMPTY is empty"),
        ({"file": "gone.secret"}, "gone.secret cannot be read: No such file"),
        ({"file": "empty.secret"}, "is empty"),
        ({"file": "binary.secret"}, "not text in UTF-8"),
        ({"vault": "x"}, "cannot come from 'vault'"),
        ({"env": "A", "file": "B"}, "a secret is text"),
        ({"env": 3}, "a secret is text"),
        (["hunter2-list"], "a secret is text"),
        (20241124, "a secret is text"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_by_its_place_and_not_by_its_value(
    tmp_path: Path, value: object, message: str
) -> None:
    (tmp_path / "empty.secret").write_bytes(b"\n")
    (tmp_path / "binary.secret").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=message) as caught:
        secret_of(tmp_path, value, {"EMPTY": ""})
    assert caught.value.line == 10
    assert caught.value.field == "source[shop].config.path"
    assert "hunter2" not in str(caught.value)
    assert "20241124" not in str(caught.value)
