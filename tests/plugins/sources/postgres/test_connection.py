"""A pasted URL, the tools' environment, and quoting that no name can break out of."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from engine.contract.config import build, field_errors, split_secrets
from engine.errors import ConfigError
from plugins.sources.postgres.connection import Connection, conninfo, fit, identifier, literal
from plugins.sources.postgres.pasted import values_of_url
from plugins.sources.postgresql import PostgreSQL
from tests.parts.postgres import Server, postgres  # noqa: F401 - a fixture


@pytest.mark.parametrize(
    ("url", "values"),
    [
        ("postgresql://db.example.org", {"host": "db.example.org"}),
        (
            "postgres://me:p%40ss%2Fw%3Ard@db:6543/shop?sslmode=verify-full&sslrootcert=/ca.pem",
            {
                "host": "db",
                "port": 6543,
                "user": "me",
                "password": "p@ss/w:rd",
                "databases": ["shop"],
                "ssl_mode": "verify-full",
                "ssl_ca": "/ca.pem",
            },
        ),
        ("  postgresql://[::1]:5433/w%C3%A9%20b\n", {"host": "::1", "port": 5433, "databases": ["wé b"]}),
        ("postgresql:///shop?host=/run/postgresql", {"host": "/run/postgresql", "databases": ["shop"]}),
        (
            "postgresql://h/?dbname=shop&application_name=x&connect_timeout=3",
            {"host": "h", "databases": ["shop"], "connect_timeout": "3"},
        ),
    ],
)
def test_a_url_is_taken_apart(url: str, values: dict[str, object]) -> None:
    assert values_of_url(url) == values


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://me:secret@db/shop", "begins with postgresql://"),
        ("postgresql://me:secret@a,b/shop", "several hosts"),
        ("postgresql://me:secret@db:port/shop", "not a connection URL"),
        (
            "postgresql://me:secret@db/shop?target_session_attrs=any",
            "'target_session_attrs' is not understood",
        ),
    ],
)
def test_what_a_url_may_not_say_is_refused_without_repeating_it(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(PostgreSQL.Config, {"url": url})
    assert "secret" not in str(caught.value)
    assert any(message in text for text in field_errors(PostgreSQL.Config, {"url": url}).values())


def test_what_stands_beside_a_url_wins() -> None:
    config = build(
        PostgreSQL.Config,
        {"url": "postgresql://me:old@db/shop", "password": "new", "port": 7000, "host": "", "databases": []},
    )
    public, hidden = split_secrets(config)
    assert public == {"host": "db", "port": 7000, "user": "me", "databases": ["shop"]}
    assert hidden == {"password": "new"}


def test_a_url_without_a_password_leaves_it_to_pgpass() -> None:
    config = build(PostgreSQL.Config, {"url": SecretStr("postgresql://me@db/shop")})
    assert config.password is None


def test_the_environment_holds_what_was_given_and_no_more() -> None:
    plain = Connection("db", 5432, "me").environment()
    assert "PGPASSWORD" not in plain
    assert "PGSSLROOTCERT" not in plain
    assert plain["LC_ALL"] == "C", "messages are understood by their English words"
    full = Connection("db", 5432, "me", SecretStr("pw"), "verify-full", "ca", "crt", "key").environment()
    assert {
        name: full[name] for name in ("PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY")
    } == {
        "PGPASSWORD": "pw",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "ca",
        "PGSSLCERT": "crt",
        "PGSSLKEY": "key",
    }


def test_a_connection_shows_no_password() -> None:
    connection = Connection("db", 5432, "me", SecretStr("hush-hush"))
    assert "hush-hush" not in repr(connection)
    assert connection.without_secret("FATAL: hush-hush is wrong") == "FATAL: ******** is wrong"


NASTY = [
    "plain",
    "it's",
    'say "hi"',
    "back\\slash",
    "both \\' \"",
    "line\nbreak",
    "$$; DROP TABLE x; --",
    "漢字 :x :'y'",
]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("conforming", ["on", "off"])
def test_quoting_holds_whatever_the_server_is_set_to(
    postgres: Server,  # noqa: F811
    text: str,
    conforming: str,
) -> None:
    sql = f"SET standard_conforming_strings = {conforming}; SET escape_string_warning = off;"
    assert postgres.sql("postgres", f"{sql} SELECT {literal(text)}") == text
    row = postgres.sql("postgres", f"{sql} SELECT row_to_json(r) FROM (SELECT 1 AS {identifier(text)}) AS r")  # noqa: S608
    assert json.loads(row) == {text: 1}


def test_a_connection_string_names_one_database() -> None:
    assert conninfo("it's \\ odd host=elsewhere") == "dbname='it\\'s \\\\ odd host=elsewhere'"


def test_a_name_is_cut_between_characters() -> None:
    assert fit("shop", "_r1") == "shop_r1"
    assert fit("ü" * 40, "_r1") == "ü" * 30 + "_r1"
    assert len(fit("x" * 100, "_before_r1").encode()) == 63
