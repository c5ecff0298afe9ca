"""The fields of an S3 destination: what is taken, what is put right, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
import pytest

from engine.contract.config import describe, field_errors, secret_fields, split_secrets
from plugins.storage.aws.settings import Settings

KEYS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "very/secret+indeed="}


def settings(**values: Any) -> Settings:
    return Settings.model_validate({"bucket": "my-backups", **values})


def wrong(**values: Any) -> dict[str, str]:
    return field_errors(Settings, {"bucket": "my-backups", **values})


def test_a_bucket_alone_is_enough() -> None:
    its = settings()
    assert (its.endpoint, its.region, its.prefix, its.path_style, its.parallel_parts) == (
        None,
        None,
        "",
        "auto",
        4,
    )
    assert not its.has_keys


def test_the_secrets_are_fields_of_secrets() -> None:
    assert secret_fields(Settings) == {"secret_access_key", "session_token"}
    public, secrets = split_secrets(settings(**KEYS, session_token="tok"))
    assert public == {"bucket": "my-backups", "access_key_id": "AKIAEXAMPLE"}
    assert secrets == {"secret_access_key": "very/secret+indeed=", "session_token": "tok"}
    assert "very/secret" not in repr(settings(**KEYS))


def test_every_field_says_what_it_is_for() -> None:
    for spec in describe(Settings):
        assert spec.title and spec.description.endswith("."), spec.name
    kinds = {spec.name: spec.kind for spec in describe(Settings)}
    assert kinds["ca"] == "file"
    assert kinds["path_style"] == "choice"
    assert kinds["parallel_parts"] == "integer"


@pytest.mark.parametrize(
    "bucket", ["abc", "my-backups", "my.backups.2026", "a" * 63, "arn:aws:s3:eu-west-1:1:accesspoint/x"]
)
def test_a_bucket_of_a_proper_name_is_taken(bucket: str) -> None:
    assert settings(bucket=bucket).bucket == bucket


@pytest.mark.parametrize(
    ("bucket", "said"),
    [
        ("ab", "3 to 63"),
        ("a" * 64, "3 to 63"),
        ("My-Backups", "lower-case"),
        ("my_backups", "lower-case"),
        ("-backups", "begins and ends"),
        ("a..b", "lower-case"),
        ("192.168.1.1", "no IP address"),
        ("my-backups/shop", "the bucket alone"),
        ("", "3 to 63"),
    ],
)
def test_a_bucket_of_another_name_is_said_to_be_wrong(bucket: str, said: str) -> None:
    assert said in wrong(bucket=bucket)["bucket"]


def test_older_servers_names_are_taken_where_the_server_is_another() -> None:
    assert settings(endpoint="https://ceph.example.com", bucket="My_Backups").bucket == "My_Backups"


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        ("https://s3.example.com/", "https://s3.example.com"),
        (" http://127.0.0.1:8333 ", "http://127.0.0.1:8333"),
        ("https://example.com/s3/", "https://example.com/s3"),
        ("https://[::1]:9000", "https://[::1]:9000"),
        ("", None),
    ],
)
def test_an_endpoint_is_put_into_its_form(pasted: str, meant: str | None) -> None:
    assert settings(endpoint=pasted).endpoint == meant


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("s3.example.com", "scheme"),
        ("ftp://s3.example.com", "scheme"),
        ("https://", "scheme"),
        ("https://key:secret@s3.example.com", "keys out"),
        ("https://s3.example.com?x=1", "leave out"),
        ("https://s3.example.com:port", "no address"),
        ("https://s3 example.com", "scheme"),
    ],
)
def test_an_endpoint_that_is_none_is_said_to_be_wrong(endpoint: str, said: str) -> None:
    message = wrong(endpoint=endpoint)["endpoint"]
    assert said.casefold() in message.casefold()
    assert "secret" not in message


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"access_key_id": "AKIA"}, "secret_access_key", "go together"),
        ({"secret_access_key": "s"}, "secret_access_key", "go together"),
        ({"session_token": "t"}, "session_token", "goes with"),
        ({"profile": "p", **KEYS}, "profile", "not both"),
        ({"external_id": "x"}, "external_id", "goes with a role"),
        ({"role_arn": "backup"}, "role_arn", "ARN"),
        ({"storage_class": "glacier"}, "storage_class", "cannot be read back"),
        ({"prefix": "a//b"}, "prefix", "without empty ones"),
        ({"prefix": "../a"}, "prefix", "without empty ones"),
        ({"prefix": "p" * 513}, "prefix", "too long"),
        ({"parallel_parts": 0}, "parallel_parts", "greater"),
        ({"path_style": "both"}, "path_style", "'auto', 'path' or 'virtual'"),
    ],
)
def test_what_does_not_fit_together_is_said_beside_its_field(
    values: dict[str, Any], field: str, said: str
) -> None:
    found = wrong(**values)
    assert list(found) == [field]
    assert said in found[field]


def test_what_was_left_empty_in_a_form_counts_as_left_out() -> None:
    empty = dict.fromkeys(
        ["endpoint", "region", "prefix", "access_key_id", "secret_access_key", "session_token", "profile"], ""
    )
    more = dict.fromkeys(["role_arn", "external_id", "ca", "storage_class"], " ")
    assert settings(**empty, **more) == settings()


def test_pasted_things_are_put_right() -> None:
    its = settings(bucket="s3://my-backups/", prefix="/strongroom/shop/", storage_class="standard_ia")
    assert (its.bucket, its.prefix, its.storage_class) == ("my-backups", "strongroom/shop", "STANDARD_IA")


def test_the_authorities_file_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings(ca="~/ca.pem").ca == tmp_path / "ca.pem"
    monkeypatch.chdir(tmp_path)
    assert settings(ca="ca.pem").ca == tmp_path / "ca.pem"


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError):
        settings(acces_key_id="AKIA")


def test_the_place_is_named_for_people() -> None:
    assert settings().place == "the bucket my-backups at Amazon S3"
    there = settings(endpoint="https://s3.example.com:9000", prefix="shop")
    assert there.place == "the bucket my-backups/shop at s3.example.com:9000"
