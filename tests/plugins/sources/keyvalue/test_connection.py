"""A pasted URL, and what the client tools are told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from engine.contract.config import build
from plugins.sources.keyvalue.connection import Connection, values_of_url
from plugins.sources.keyvalue.server import ServerConfig
from strongroom import ConfigError


@pytest.mark.parametrize(
    ("url", "values"),
    [
        ("redis://h", {"host": "h"}),
        ("redis://:p%20w%24@h:7000/3", {"host": "h", "port": 7000, "password": "p w$"}),
        ("rediss://u:p@h/0", {"host": "h", "user": "u", "password": "p", "ssl_mode": "verify-ca"}),
        ("rediss://h?ssl_cert_reqs=none", {"host": "h", "ssl_mode": "require"}),
        ("valkeys://h?ssl_ca_certs=/ca", {"host": "h", "ssl_mode": "verify-ca", "ssl_ca": "/ca"}),
        ("unix:///run/r%C3%A9.sock?db=2", {"host": "/run/ré.sock"}),
        ("unix://u:p@/run/s", {"host": "/run/s", "user": "u", "password": "p"}),
    ],
)
def test_a_url_is_taken_apart(url: str, values: dict[str, Any]) -> None:
    assert values_of_url(url) == values


@pytest.mark.parametrize(
    "url",
    [
        "http://u:topsecret@h",
        "redis://u:topsecret@h:port",
        "redis://u:topsecret@h/name",
        "redis+sentinel://u:topsecret@h/mymaster",
        "redis://u:topsecret@h?odd=1",
    ],
)
def test_a_wrong_url_is_said_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(ServerConfig, {}, {"url": url})
    assert "topsecret" not in f"{caught.value!r} {caught.value} {caught.value.remedy}"


def test_what_is_given_beside_a_url_wins() -> None:
    config = build(ServerConfig, {"port": 7}, {"url": "redis://u:p@h:6"})
    assert (config.host, config.port, config.user) == ("h", 7, "u")


def test_the_password_goes_by_the_environment_alone() -> None:
    connection = Connection("h", 1, "u", SecretStr("topsecret"), "verify-ca", "/ca", "/cert", "/key")
    argv = connection.arguments()
    assert argv[:6] == ["-h", "h", "-p", "1", "--user", "u"]
    assert argv[6:] == ["--tls", "--sni", "h", "--cacert", "/ca", "--cert", "/cert", "--key", "/key"]
    assert connection.environment() == {"REDISCLI_AUTH": "topsecret"}
    assert "topsecret" not in repr(connection)
    assert "--insecure" in Connection("10.0.0.1", ssl_mode="require").arguments()
    assert Connection("/run/s").arguments() == ["-s", "/run/s"]
