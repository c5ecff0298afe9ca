"""What is read from the beginning of an archive, and what a dishonest one can do: nothing."""

from __future__ import annotations

import pytest

import strongroom
from plugins.sources.postgres.archive import Archive, peek


def archive(text: bytes, version: tuple[int, int] = (1, 14)) -> Archive:
    return peek([b"PGDMP" + bytes([*version, 0]), text])[0]


def test_all_chunks_come_after_the_peek() -> None:
    chunks = [b"PG", b"DMP\x01\x0e\x00", b"rest", b"x" * (1 << 20), b"end"]
    found, whole = peek(iter(chunks))
    assert found.format_version == (1, 14)
    assert b"".join(whole) == b"".join(chunks)


@pytest.mark.parametrize("chunks", [[], [b""], [b"PGDM"], [b"-- PostgreSQL database dump"]])
def test_what_is_no_archive_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(strongroom.DumpIncomplete, match="not a custom-format dump") as caught:
        peek(chunks)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("version", "major"), [((1, 14), (12, 0)), ((1, 15), (16, 0)), ((1, 16), (17, 0)), ((1, 17), (17, 0))]
)
def test_the_format_says_which_tools_read_it(version: tuple[int, int], major: tuple[int, int]) -> None:
    assert archive(b"", version).readable_from == major


def test_a_database_is_made_as_it_was_else_as_the_server_can() -> None:
    found = archive(
        b"CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc"
        b" LOCALE = 'de_DE.UTF-8';"
    )
    assert found.ways_to_create((15, 0)) == [
        "TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'de_DE.UTF-8'",
        "TEMPLATE = template0 ENCODING = 'UTF8'",
        "TEMPLATE = template0 ENCODING = 'UTF8' LC_COLLATE = 'C' LC_CTYPE = 'C'",
    ]
    assert "LOCALE_PROVIDER" not in found.ways_to_create((14, 0))[0]


def test_rules_of_icu_and_a_tablespace_are_read_whole() -> None:
    found = archive(
        b"CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = icu"
        b" LOCALE = 'C' ICU_LOCALE = 'de' ICU_RULES = '&v < ''x''' TABLESPACE = \"fa \"\"st\";"
    )
    assert "ICU_LOCALE = 'de' ICU_RULES = '&v < ''x'''" in found.ways_to_create((16, 0))[0]
    assert found.tablespace == 'fa "st'
    assert "TABLESPACE" not in found.ways_to_create((16, 0))[0]
    assert found.locale.startswith("LOCALE_PROVIDER = icu LOCALE = C")
    assert found.provider_is_lost((14, 0))
    assert not found.provider_is_lost((15, 0))


def test_the_encoding_is_found_without_a_database_entry() -> None:
    assert archive(b"SET client_encoding = 'LATIN1';\n").options == {"ENCODING": "LATIN1"}
    assert archive(b"nothing").ways_to_create((15, 0))[0] == "TEMPLATE = template0 ENCODING = 'UTF8'"


@pytest.mark.parametrize(
    "evil",
    [
        b"CREATE DATABASE x WITH TEMPLATE = template0 ENCODING = 'UTF8' OWNER = 'boss';",
        b"CREATE DATABASE x WITH TEMPLATE = template0 LOCALE_PROVIDER = evil; DROP DATABASE shop;",
        b"CREATE DATABASE x WITH TEMPLATE = template0 ENCODING = 'UTF8\\'; DROP DATABASE shop; --';",
    ],
)
def test_a_dump_cannot_say_more_than_that(evil: bytes) -> None:
    for way in archive(evil).ways_to_create((18, 0)):
        assert "OWNER" not in way
        assert "evil" not in way
        assert "DROP" not in way
