"""URLs as consoles show them, and the options file that the tools get."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from engine.contract.config import build
from plugins.sources.maria.connection import Connection, fits, literal, values_of_url
from plugins.sources.mariadb import MariaDB
from strongroom import ConfigError


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (
            "mysql://backup:p%40ss%2Fw%23rd@db.example.org:3307/shop",
            {
                "host": "db.example.org",
                "port": 3307,
                "user": "backup",
                "password": "p@ss/w#rd",
                "databases": ["shop"],
            },
        ),
        ("mariadb://localhost", {"host": "localhost"}),
        ("mysql+pymysql://u@h/d?charset=utf8mb4", {"host": "h", "user": "u", "databases": ["d"]}),
        (
            "mysql://u@h/?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem",
            {"host": "h", "user": "u", "ssl_mode": "verify-full", "ssl_ca": "/ca.pem"},
        ),
        ("mysql://u@h?sslmode=require", {"host": "h", "user": "u", "ssl_mode": "require"}),
        ("mysql://u@[::1]:3306/d", {"host": "::1", "port": 3306, "user": "u", "databases": ["d"]}),
    ],
)
def test_a_url_is_taken_apart(url: str, wanted: dict[str, object]) -> None:
    assert values_of_url(url) == wanted
    config = build(MariaDB.Config, {"url": url})
    assert config.url is None


@pytest.mark.parametrize(
    "url", ["postgresql://secret@h/d", "mysql://u:secret@h:no/d", "mysql://u:secret@h/d?magic=1"]
)
def test_what_is_not_understood_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(MariaDB.Config, {"url": url})
    assert "secret" not in f"{caught.value!r} {caught.value.remedy}"


def test_a_field_that_is_given_wins_over_the_url() -> None:
    config = build(MariaDB.Config, {"url": "mysql://u:old@h:1/d", "port": 2, "password": "new"})
    assert (config.host, config.port, config.password.get_secret_value()) == ("h", 2, "new")


def test_a_host_that_is_a_path_is_a_socket() -> None:
    text = Connection("/run/mysqld/mysqld.sock", 3306, "root").options(mariadb_tools=True)
    assert 'socket="/run/mysqld/mysqld.sock"' in text and 'protocol="socket"' in text and "port" not in text


@pytest.mark.parametrize(
    ("mode", "mariadbs", "mysqls"),
    [
        ("disable", ["skip-ssl"], "DISABLED"),
        ("prefer", ["loose-disable-ssl-verify-server-cert"], "PREFERRED"),
        ("require", ["ssl", "loose-disable-ssl-verify-server-cert"], "REQUIRED"),
        ("verify-ca", ["ssl", "ssl-verify-server-cert"], "VERIFY_CA"),
        ("verify-full", ["ssl", "ssl-verify-server-cert"], "VERIFY_IDENTITY"),
    ],
)
def test_the_tls_mode_in_the_words_of_each_kind_of_tool(mode: str, mariadbs: list[str], mysqls: str) -> None:
    connection = Connection("h", 1, "u", ssl_mode=mode)
    assert connection.options(mariadb_tools=True).splitlines()[-len(mariadbs) :] == mariadbs
    assert connection.options(mariadb_tools=False).splitlines()[-1] == f"ssl-mode={mysqls}"


def test_a_password_is_in_the_options_file_and_in_no_repr() -> None:
    connection = Connection("h", 1, "u", SecretStr('a"b\\c'))
    assert r'password="a\"b\\c"' in connection.options(mariadb_tools=True)
    assert 'a"b' not in repr(connection)
    assert connection.without_secret('said a"b\\c') == "said ********"


def test_names_and_literals() -> None:
    assert fits("ü" * 64) and not fits("ü" * 65) and not fits("") and not fits("x ")
    assert literal("") == "''" and literal("é") == "CONVERT(0xc3a9 USING utf8mb4)"
