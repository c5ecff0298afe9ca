"""What the tools say, and what people are told. The texts are those of PostgreSQL 15 and 18."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

import strongroom
from plugins.sources.postgres.connection import Connection
from plugins.sources.postgres.failures import DatabaseClosed, failure, last_words
from plugins.sources.postgresql import PostgreSQL
from tests.parts.postgres import Server, newest_alone

CONNECTION = Connection("db", 5432, "me", SecretStr("hush-hush"))
PREFIX = 'psql: error: connection to server at "db" (10.0.0.1), port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            PREFIX + 'FATAL:  password authentication failed for user "me"',
            "ConnectionFailed",
            "refused the password",
        ),
        (PREFIX + "fe_sendauth: no password supplied", "ConnectionFailed", "asks for a password"),
        (
            'psql: error: could not translate host name "db" to address: Name or service not known',
            "ConnectionFailed",
            "no host named 'db'",
        ),
        (
            PREFIX + "Connection refused\n\tIs the server running",
            "ConnectionFailed",
            "No server answers at db:5432",
        ),
        (PREFIX + "timeout expired", "ConnectionFailed", "cannot be reached"),
        (PREFIX + 'FATAL:  no pg_hba.conf entry for host "10.0.0.2"', "ConnectionFailed", "lets 'me' not in"),
        (PREFIX + "FATAL:  sorry, too many clients already", "ConnectionFailed", "no more connections"),
        (PREFIX + "FATAL:  the database system is starting up", "ConnectionFailed", "not ready"),
        (PREFIX + 'FATAL:  database "shop" does not exist', "DatabaseMissing", "no database 'shop'"),
        (PREFIX + 'FATAL:  role "me" does not exist', "ConnectionFailed", "no role 'me'"),
        (
            PREFIX
            + 'FATAL:  permission denied for database "shop"\nDETAIL:  User does not have CONNECT privilege.',
            "DatabaseClosed",
            "may not connect",
        ),
        (
            'pg_dump: error: Dumping the contents of table "t" failed: PQgetCopyData() failed.\n'
            "pg_dump: detail: Error message from server: server closed the connection unexpectedly",
            "ConnectionFailed",
            "went away",
        ),
        (
            "pg_dump: error: query failed: SSL SYSCALL error: EOF detected",
            "ConnectionFailed",
            "went away",
        ),
        (
            "pg_dump: error: aborting because of server version mismatch\n"
            "pg_dump: detail: server version: 18.6; pg_dump version: 15.18",
            "ToolMissing",
            "older than the server",
        ),
        (
            "pg_restore: error: unsupported version (1.16) in file header",
            "ToolMissing",
            "older than the server",
        ),
        (
            "pg_dump: error: query failed: ERROR:  permission denied for table t",
            "SourceError",
            "may not do this",
        ),
        (
            'pg_restore: error: could not execute query: ERROR:  role "x" does not exist',
            "SourceError",
            "name a role",
        ),
    ],
)
def test_each_failure_says_what_and_what_to_do(said: str, kind: str, words: str) -> None:
    error = failure("pg_dump", 1, said, CONNECTION, "shop")
    assert error.kind == kind
    assert words in error.message
    assert error.remedy


@pytest.mark.parametrize(
    ("said", "words", "remedy"),
    [
        ("FATAL:  connection requires a valid client certificate", "another client certificate", "ssl_cert"),
        ('FATAL:  certificate authentication failed for user "me"', "another client certificate", "ssl_cert"),
        ("SSL error: tlsv1 alert unknown ca", "another client certificate", "ssl_key"),
        ('could not read certificate file "c": no start line', "TLS with db:5432 failed", "ssl_cert"),
        ("SSL error: certificate verify failed", "TLS with db:5432 failed", "ssl_ca"),
        ('root certificate file "system" does not exist', "older than 16", "ca-certificates.crt"),
        ("something else about it", "The connection to db:5432 failed", "ssl_cert"),
    ],
)
def test_what_is_wrong_with_certificates_names_their_fields(said: str, words: str, remedy: str) -> None:
    error = failure("psql", 2, PREFIX + said, CONNECTION, "shop")
    assert error.kind == "ConnectionFailed"
    assert words in error.message
    assert remedy in error.remedy


@newest_alone
def test_a_ca_that_would_not_be_asked_is_refused(server: Server, open_on: Callable[..., PostgreSQL]) -> None:
    with pytest.raises(strongroom.ConfigError, match="would not be proven") as caught:
        open_on(server, ssl_ca="system", ssl_mode="require").check()
    assert "verify-full" in caught.value.remedy


def test_what_is_not_understood_is_passed_on_with_the_exit_status() -> None:
    error = failure("pg_restore", 1, "pg_restore: error: the moon is full", CONNECTION, "shop")
    assert isinstance(error, strongroom.ToolFailed)
    assert "exit status 1" in error.message
    assert "the moon is full" in error.message
    assert error.exit_status == 1


def test_a_signal_is_named() -> None:
    error = failure("pg_dump", -9, "", CONNECTION, "shop")
    assert "signal 9" in error.message
    assert "memory" in error.remedy


def test_a_connection_that_fails_in_another_language_is_a_failed_connection() -> None:
    said = "psql: Fehler: FATAL:  Passwort-Authentifizierung für Benutzer »me« fehlgeschlagen"
    assert failure("psql", 2, said, CONNECTION, "shop").kind == "ConnectionFailed"


def test_a_secret_that_a_tool_repeats_is_blotted_out() -> None:
    error = failure("psql", 1, "psql: error: invalid option hush-hush", CONNECTION, "shop")
    assert "hush-hush" not in f"{error!r} {error.remedy}"


def test_long_words_are_cut() -> None:
    assert len(last_words("error: " + "x" * 10_000)) < 500
    assert last_words("some notice\npg_dump: error: no\nCONTEXT: line 3") == "pg_dump: error: no"


def test_a_closed_database_is_a_failed_connection() -> None:
    assert issubclass(DatabaseClosed, strongroom.ConnectionFailed)
