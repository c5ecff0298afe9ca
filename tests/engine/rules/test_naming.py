"""Artifact names: what a template gives, what it never gives, and that no two runs or databases collide."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.archive.sidefiles import artifact_of
from engine.errors import ConfigError, NameEscapes
from engine.rules.naming import (
    DEFAULT_TEMPLATE,
    LONGEST_NAME,
    LONGEST_SEGMENT,
    artifact_name,
    artifact_names,
    check_name,
    check_template,
    safe_value,
)

MOMENT = datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC)
RUN: dict[str, Any] = {
    "job": "shop-nightly",
    "source": "shop",
    "moment": MOMENT,
    "zone": "UTC",
    "extension": "dump",
    "suffixes": (".zst", ".age"),
    "token": "k3f9abcdefgh",
}


def name(template: str | None = None, database: str = "shop", **changes: Any) -> str:
    return artifact_name(template, database=database, **{**RUN, **changes})


def names(databases: list[str], template: str | None = None, **changes: Any) -> dict[str, str]:
    return artifact_names(
        template, databases=databases, **{**RUN, **changes, "extension": lambda _: RUN["extension"]}
    )


def test_the_default_names_job_database_time_and_run() -> None:
    assert name() == "shop-nightly/shop_2026-11-24_03-00-07_k3f9ab.dump.zst.age"


def test_the_time_is_that_of_the_jobs_zone() -> None:
    assert name(zone="Europe/Berlin").startswith("shop-nightly/shop_2026-11-24_04-00-07")
    assert name(zone="America/New_York").startswith("shop-nightly/shop_2026-11-23_22-00-07")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{job}/{date:%Y}/{date:%m}/{database}", "shop-nightly/2026/11/shop_k3f9ab.dump.zst.age"),
        ("{token}-{database}", "k3f9ab-shop.dump.zst.age"),
        ("{source}/{set}/{database}", "shop/k3f9abcdefgh/shop_k3f9ab.dump.zst.age"),
        ("backups/{date:%Y-%m-%d at %Hh}", "backups/2026-11-24 at 03h_k3f9ab.dump.zst.age"),
        ("plain", "plain_k3f9ab.dump.zst.age"),
        ("{date:%H:%M}", "03_00_k3f9ab.dump.zst.age"),
        ("100%/{database}", "100%/shop_k3f9ab.dump.zst.age"),
        ("cafe\u0301", "caf\u00e9_k3f9ab.dump.zst.age"),
    ],
)
def test_a_template_says_what_a_name_looks_like(template: str, expected: str) -> None:
    check_template(template)
    assert name(template) == expected


def test_letters_of_a_name_are_never_taken_for_tokens_or_dates() -> None:
    # "Immich" lost its mm to the month, elsewhere.
    assert name(job="Immich yyyy %Y {date}", database="dd-MM-HHmmss").startswith(
        "Immich yyyy %Y {date}/dd-MM-HHmmss_2026-11-24"
    )
    assert name("mm dd {job} yyyy", job="Immich") == "mm dd Immich yyyy_k3f9ab.dump.zst.age"


def test_a_run_of_several_databases_names_each_even_if_the_template_does_not() -> None:
    assert names(["shop", "café"], "{job}/{date:%Y}") == {
        "shop": "shop-nightly/2026_shop_k3f9ab.dump.zst.age",
        "café": "shop-nightly/2026_café_k3f9ab.dump.zst.age",
    }
    assert names(["shop"], "{job}/{date:%Y}") == {"shop": "shop-nightly/2026_k3f9ab.dump.zst.age"}


def test_databases_that_look_alike_once_made_safe_are_numbered() -> None:
    found = names(["a/b", "a_b", "A_B", "a_b_2"], "{database}")
    assert found == {
        "a/b": "a_b_k3f9ab.dump.zst.age",
        "a_b": "a_b_2_k3f9ab.dump.zst.age",
        "A_B": "A_B_3_k3f9ab.dump.zst.age",
        "a_b_2": "a_b_2_2_k3f9ab.dump.zst.age",
    }
    long = ["x" * 300 + end for end in "abc"]
    assert len(set(names(long).values())) == 3


def test_two_runs_of_one_second_differ_by_their_token() -> None:
    assert name(token="aaaaaabbbbbb") != name(token="cccccc dddddd")
    assert name("{job}", token="aaaaaabbbbbb") != name("{job}", token="ccccccdddddd")


NASTY = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", ".", "..", "...", "/", "//", "../../etc/passwd", "..\\..\\x", "C:\\x", "C:", "con", "NUL.txt"]
    ),
    st.sampled_from(
        ["COM1", "~root", "-rf", ".hidden", "trailing.", "trailing ", "a\0b", "a\nb", "\u202egnp.exe"]
    ),
    st.sampled_from(
        ["\ud800", "x" * 5000, "é" * 400, "😀" * 300, "cafe\u0301", "a/../b", "x.meta", "x.lock.json"]
    ),
    st.sampled_from(["\u2028", "a:b", 'q"u?o*t<e>|', " ", "\t", "{job}", "%Y"]),
)
PIECES = st.sampled_from(["{job}", "{source}", "{database}", "{date:%Y-%m}", "{date:%A %p}", "{token}"]) | (
    st.sampled_from(["{set}", "{date}", "/", "-", "_", "x", "backup ", "é"])
)


def is_portable(found: str) -> None:
    """What every storage can hold: relative, normalised, of bounded length, nothing that Windows bends."""
    assert check_name(found) == found
    assert len(found.encode()) <= LONGEST_NAME - 64
    for segment in found.split("/"):
        assert len(segment.encode()) <= LONGEST_SEGMENT
        assert not re.search(r'[\x00-\x1f\x7f\\:*?"<>|]', segment)
        assert segment == segment.strip(" .")
        assert segment[0] not in ".-~"
        assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", segment)
    assert artifact_of(found) is None


@settings(max_examples=400)
@given(job=NASTY, source=NASTY, databases=st.lists(NASTY, min_size=1, max_size=4, unique=True))
def test_whatever_things_are_called_names_are_portable_and_differ(
    job: str, source: str, databases: list[str]
) -> None:
    for template in (DEFAULT_TEMPLATE, "{source}{job}/{database}", "{job}", "{database}/{date}/{token}"):
        found = names(databases, template, job=job, source=source)
        assert list(found) == databases
        assert len({each.casefold() for each in found.values()}) == len(databases)
        for each in found.values():
            is_portable(each)
            assert "k3f9ab" in each


@settings(max_examples=400)
@given(
    pieces=st.lists(PIECES, max_size=8),
    job=NASTY,
    databases=st.lists(NASTY, min_size=1, max_size=3, unique=True),
)
def test_a_template_that_passes_the_check_gives_portable_names(
    pieces: list[str], job: str, databases: list[str]
) -> None:
    template = "".join(pieces)
    try:
        check_template(template)
    except ConfigError as error:
        assert error.field == "naming" and error.remedy
        return
    found = names(databases, template, job=job)
    assert len({each.casefold() for each in found.values()}) == len(databases)
    for each in found.values():
        is_portable(each)


@settings(max_examples=300)
@given(template=st.text(max_size=20) | st.text("{}jobdate:%Y/.\\ ", max_size=20))
def test_no_template_raises_anything_else(template: str) -> None:
    try:
        check_template(template)
    except ConfigError:
        return
    is_portable(name(template))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("{jb}", "no token {jb}"),
        ("{}", "no token {}"),
        ("{job", "character 1 has no partner"),
        ("a}b", "character 2 has no partner"),
        ("{{job}}", "cannot hold braces"),
        ("{job:%Y}", "takes no format"),
        ("{date:%x}", "%x, which does not mean the same everywhere"),
        ("{date:%-d}", "%-"),
        ("{date:%}", "which does not mean"),
        ("{date:}", "format is empty"),
        ("{date:%Y/%m}", "slash"),
        ("/{job}", "part ''"),
        ("{job}/", "part ''"),
        ("a//b", "part ''"),
        ("../{job}", "part '..'"),
        ("{job}/./x", "part '.'"),
        ("a\\b", "cannot hold the character '\\\\'"),
        ("a:b", "cannot hold the character ':'"),
        ("a\nb", "cannot hold"),
        (".{job}", "part '.x'"),
        ("-{job}", "part '-x'"),
        ("{job}.", "part 'x.'"),
        ("{job} /x", "part 'x '"),
    ],
)
def test_a_wrong_template_is_told_with_the_reason(template: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_template(template)
    assert said in caught.value.message
    assert caught.value.field == "naming"
    assert caught.value.remedy


def test_a_template_longer_than_any_name_is_refused_when_used() -> None:
    with pytest.raises(ConfigError, match="more than 180 bytes"):
        name("x" * 200)
    with pytest.raises(ConfigError, match="naming"):
        name("/".join(["x" * 100] * 12))


def test_values_are_made_safe_and_stay_readable() -> None:
    assert safe_value("Café Ünïcode 数据库 😀") == "Café Ünïcode 数据库 😀"
    assert safe_value("a/b\\c:d") == "a_b_c_d"
    assert safe_value("../..") == "_"
    assert safe_value("v1.2.3") == "v1.2.3"
    assert safe_value("a..b") == "a.b"
    assert safe_value("") == safe_value("...") == "_"
    assert safe_value("x" * 300) == "x" * 100
    assert safe_value("é" * 100, 11) == "é" * 5


def test_an_artifact_never_looks_like_a_file_beside_one() -> None:
    assert name(extension="meta.json", suffixes=()).endswith(".meta.json.artifact")


def test_a_dump_without_an_extension_has_none() -> None:
    assert name(extension="", suffixes=()) == "shop-nightly/shop_2026-11-24_03-00-07_k3f9ab"


FOREIGN = ["\\x", "a\\..\\b", "C:/x", "c:x", "a\0b", "a\nb", "a\x7f", "x" * 1025, "é" * 513, "\udc80"]


@pytest.mark.parametrize(
    "bad",
    [*FOREIGN, "", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "a/./b", "a//b", "a/"],
)
def test_a_name_that_could_leave_the_root_is_refused(bad: str) -> None:
    with pytest.raises(NameEscapes):
        check_name(bad)


@pytest.mark.parametrize(
    "good", ["a", "a/b.c", "..a", "a..", "a/...b", "日本/データ.age", "x" * 1024, "-", "~x", "a b"]
)
def test_an_ordinary_name_comes_back_as_it_is(good: str) -> None:
    assert check_name(good) == good
