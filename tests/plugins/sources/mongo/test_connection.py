"""A pasted URL, what the driver is told, and the rights that a restore takes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from engine.contract.config import build
from plugins.sources.mongo.connection import Connection, fit, fits, values_of_url
from plugins.sources.mongo.documents import split
from plugins.sources.mongo.dumping import file_name
from plugins.sources.mongo.looking import _missing_rights
from plugins.sources.mongodb import MongoDB
from strongroom import ConfigError, DumpIncomplete


@pytest.mark.parametrize(
    ("url", "values"),
    [
        ("mongodb://h", {"host": "h"}),
        ("mongodb://u:p%40%2F@h1:1,h2/shop?replicaSet=rs&authSource=admin", {
            "host": "h1:1,h2", "user": "u", "password": "p@/", "databases": ["shop"],
            "auth_source": "admin", "replica_set": "rs",
        }),
        ("mongodb+srv://u:p@c.example.net/?retryWrites=true&w=majority", {
            "host": "c.example.net", "srv": True, "ssl_mode": "verify-full", "user": "u", "password": "p",
        }),
        ("mongodb://h/admin?tls=true&tlsCAFile=/ca", {
            "host": "h", "auth_source": "admin", "ssl_mode": "verify-full", "ssl_ca": "/ca",
        }),
        ("mongodb://h?ssl=true&tlsAllowInvalidHostnames=true", {"host": "h", "ssl_mode": "verify-ca"}),
        ("mongodb://h?tls=true&tlsInsecure=true", {"host": "h", "ssl_mode": "require"}),
        ("mongodb://%2Frun%2Fm.sock", {"host": "/run/m.sock"}),
        ("mongodb://h?readPreference=secondary", {"host": "h", "read_from": "secondary-preferred"}),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(url: str, values: dict[str, Any]) -> None:
    assert values_of_url(url) == values


@pytest.mark.parametrize(
    "url", ["http://u:topsecret@h", "mongodb://u:topsecret@", "mongodb://u:topsecret@h?odd=1", "topsecret"]
)
def test_a_wrong_url_is_said_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(MongoDB.Config, {}, {"url": url})
    assert "topsecret" not in f"{caught.value!r} {caught.value} {caught.value.remedy}"


def test_hosts_have_ports() -> None:
    connection = Connection("a:1, b ,[::1]:5,10.0.0.1", 9)
    assert connection.hosts == [("a", 1), ("b", 9), ("::1", 5), ("10.0.0.1", 9)]
    assert not connection.is_direct
    assert Connection("a").is_direct
    assert not Connection("a", replica_set="rs").is_direct


def test_what_the_driver_is_told() -> None:
    login = {"user": "u", "password": SecretStr("topsecret")}
    connection = Connection("h", ssl_mode="verify-ca", ssl_ca="/ca", ssl_cert="/c", **login)  # type: ignore[arg-type]
    options = connection.options()
    assert (options["username"], options["password"], options["authSource"]) == ("u", "topsecret", "admin")
    assert (options["tls"], options["tlsAllowInvalidHostnames"]) == (True, True)
    assert (options["tlsCAFile"], options["tlsCertificateKeyFile"]) == ("/ca", "/c")
    assert "tlsAllowInvalidCertificates" not in options
    assert Connection("h").options()["tls"] is False
    assert Connection("h", auth_mechanism="MONGODB-X509").options()["authSource"] == "$external"
    assert "topsecret" not in repr(connection)


def test_names_keep_to_the_limits() -> None:
    assert fits("shop") and fits("ü" * 31)
    assert not any(map(fits, ("", "a.b", "a b", "a$b", "ü" * 32)))
    assert len(fit("ü" * 31, "_r1").encode()) <= 63


def test_files_are_named_as_mongodump_names_them() -> None:
    assert file_name("plain_Name-1.x~") == "plain_Name-1.x~"
    assert file_name("a/b c") == "a%2Fb%20c"
    long = file_name("x" * 300)
    assert long.startswith("x" * 208 + "%24")
    assert len(long) == 238


def test_what_is_no_row_of_documents() -> None:
    assert list(split(b"\x05\0\0\0\0" * 2)) == [b"\x05\0\0\0\0"] * 2
    for wrong in (b"\x05\0\0\0", b"\x04\0\0\0", b"\x06\0\0\0\0", b"\xff\xff\xff\xff\0"):
        with pytest.raises(DumpIncomplete):
            list(split(wrong))


def _status(resource: dict[str, Any], *actions: str) -> dict[str, Any]:
    users = [{"user": "u", "db": "admin"}]
    privileges = [{"resource": resource, "actions": list(actions)}]
    return {"authInfo": {"authenticatedUsers": users, "authenticatedUserPrivileges": privileges}}


def test_rights_that_a_restore_takes() -> None:
    everything = ("insert", "createCollection", "createIndex", "dropDatabase")
    assert _missing_rights(_status({"db": "shop", "collection": ""}, *everything), "shop") == []
    assert _missing_rights(_status({"db": "", "collection": ""}, *everything), "shop") == []
    assert _missing_rights(_status({"anyResource": True}, "anyAction"), "shop") == []
    assert _missing_rights(_status({"db": "other", "collection": ""}, *everything), "shop") == [*everything]
    assert _missing_rights(_status({"db": "shop", "collection": ""}, "insert", "find"), "shop") == [
        *everything[1:]
    ]
    assert _missing_rights({"authInfo": {"authenticatedUsers": []}}, "shop") == []
