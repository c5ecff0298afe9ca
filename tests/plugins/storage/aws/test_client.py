"""Whose keys, which region, which server: the client that is made, and what it takes from this machine.

What Amazon's own servers would be asked is read from the requests; a role is taken on for real at the STS
that SeaweedFS has.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore.auth
import botocore.exceptions
import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials

import strongroom
from plugins.storage.aws import client
from plugins.storage.aws.parts import Section
from plugins.storage.aws.settings import Settings
from plugins.storage.s3 import S3
from strongroom.testing.readers import context
from tests.parts.s3 import ROLE as TEST_ROLE
from tests.parts.s3 import S3Server

KEYS = {"access_key_id": "AKIAOWN", "secret_access_key": "own-secret"}
ROLE = "arn:aws:iam::123456789012:role/backup"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose environment and AWS configuration lead somewhere else."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        "[default]\nregion = ap-south-1\n\n[profile backup]\nregion = eu-north-1\n"
        "s3 =\n  addressing_style = virtual\n",
        encoding="utf-8",
    )
    (folder / "credentials").write_text(
        "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = d\n\n"
        "[backup]\naws_access_key_id = AKIABACKUP\naws_secret_access_key = b\naws_session_token = t\n",
        encoding="utf-8",
    )
    return tmp_path


class Wire:
    """Takes requests, and answers each with the next of what it was given."""

    def __init__(self, *bodies: bytes) -> None:
        self.sent: list[Any] = []
        self._bodies = list(bodies)

    def send(self, request: Any, **_: object) -> AWSResponse:
        self.sent.append(request)

        class Raw(BytesIO):
            def stream(self, amt: int = 1, **_: object) -> Iterator[bytes]:
                while chunk := self.read():
                    yield chunk

        body = self._bodies.pop(0) if self._bodies else b""
        return AWSResponse(request.url, 200, {}, Raw(body))


def made(**values: Any) -> tuple[Any, Wire]:
    settings, wire = Settings.model_validate({"bucket": "my-backups", **values}), Wire()
    return client.make_client(settings, client.make_session(settings), wire.send), wire


def request_of(**values: Any) -> Any:
    its, wire = made(**values)
    its.head_object(Bucket="my-backups", Key="a")
    return wire.sent[0]


def signed_by(request: Any) -> str:
    text = request.headers["Authorization"].decode()
    return str(text.partition("Credential=")[2].partition(",")[0])


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"region": "eu-central-1"}, "https://my-backups.s3.eu-central-1.amazonaws.com/a"),
        (
            {"region": "eu-central-1", "path_style": "path"},
            "https://s3.eu-central-1.amazonaws.com/my-backups/a",
        ),
        ({"endpoint": "https://s3.example.com:9000"}, "https://s3.example.com:9000/my-backups/a"),
        ({"endpoint": "https://example.com/s3"}, "https://example.com/s3/my-backups/a"),
        (
            {"endpoint": "https://s3.example.com", "path_style": "virtual"},
            "https://my-backups.s3.example.com/a",
        ),
    ],
)
def test_the_bucket_stands_where_it_should(values: dict[str, Any], url: str) -> None:
    assert request_of(**KEYS, **values).url == url


def test_keys_of_its_own_take_nothing_from_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example.com")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "e")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    request = request_of(**KEYS)
    assert signed_by(request).split("/")[0] == "AKIAOWN"
    assert signed_by(request).split("/")[2] == "us-east-1"
    assert "elsewhere" not in request.url
    assert "X-Amz-Security-Token" not in request.headers


def test_a_session_token_goes_with_the_keys() -> None:
    assert request_of(**KEYS, session_token="tok").headers["X-Amz-Security-Token"] == b"tok"


def test_a_profile_brings_its_keys_and_its_region() -> None:
    request = request_of(profile="backup")
    assert signed_by(request).startswith("AKIABACKUP/")
    assert request.url == "https://my-backups.s3.eu-north-1.amazonaws.com/a"
    assert request.headers["X-Amz-Security-Token"] == b"t"
    assert "eu-central-1" in request_of(profile="backup", region="eu-central-1").url


def test_without_either_it_is_what_this_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert signed_by(request_of()).startswith("AKIADEFAULT/")
    assert "ap-south-1" in request_of().url
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "e")
    assert signed_by(request_of()).startswith("AKIAENV/")


def test_a_machine_without_any_keys_says_so_soon(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / ".aws" / "credentials").unlink()
    # An address that takes connections to nowhere, as a network without Amazon's does.
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://192.0.2.1/")
    begun = time.monotonic()
    with pytest.raises(botocore.exceptions.NoCredentialsError):
        request_of()
    assert time.monotonic() - begun < 5


def test_a_profile_that_is_not_there_is_an_error() -> None:
    with pytest.raises(botocore.exceptions.ProfileNotFound):
        request_of(profile="nobody")


# --------------------------------------------------------------------------------------------- roles


def role_answer(key: str) -> bytes:
    return (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>rt</SessionToken>"
        "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ).encode()


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ({"region": "eu-central-1"}, "https://sts.eu-central-1.amazonaws.com/"),
        ({"endpoint": "https://s3.example.com"}, "https://s3.example.com/"),
        (
            {
                "endpoint": "https://bucket.vpce-1.s3.eu-central-1.vpce.amazonaws.com",
                "region": "eu-central-1",
            },
            "https://sts.eu-central-1.amazonaws.com/",
        ),
    ],
    ids=["amazon", "another server", "amazon's private endpoint"],
)
def test_a_role_is_taken_on_with_the_keys(values: dict[str, Any], asked: str) -> None:
    settings = Settings.model_validate(
        {"bucket": "my-backups", **KEYS, "role_arn": ROLE, "external_id": "theirs", **values}
    )
    wire = Wire(role_answer("ASIAROLE"))
    its = client.make_client(settings, client.make_session(settings), wire.send)
    its.head_object(Bucket="my-backups", Key="a")
    its.head_object(Bucket="my-backups", Key="b")

    role, first, second = wire.sent
    assert role.url == asked
    assert signed_by(role).startswith("AKIAOWN/")
    body = parse_qs(role.body.decode() if isinstance(role.body, bytes) else role.body)
    assert body["RoleArn"] == [ROLE]
    assert body["ExternalId"] == ["theirs"]
    assert body["RoleSessionName"] == ["strongroom"]
    for request in (first, second):
        assert signed_by(request).startswith("ASIAROLE/")
        assert request.headers["X-Amz-Security-Token"] == b"rt"


def test_a_role_is_taken_on_with_a_profile() -> None:
    settings = Settings(bucket="my-backups", profile="backup", role_arn=ROLE)
    wire = Wire(role_answer("ASIAROLE"))
    client.make_client(settings, client.make_session(settings), wire.send).head_object(
        Bucket="my-backups", Key="a"
    )
    assert signed_by(wire.sent[0]).startswith("AKIABACKUP/")
    assert "ExternalId" not in wire.sent[0].body


@pytest.fixture(scope="module")
def with_roles() -> Iterator[S3Server]:
    server = S3Server(roles=True)
    try:
        server.start()
        server.make_bucket("with-roles")
        yield server
    finally:
        server.close()


def test_a_real_role_lets_a_backup_in(with_roles: S3Server, tmp_path: Path) -> None:
    values = with_roles.values("with-roles", role_arn=TEST_ROLE)
    with closing(S3(S3.Config.model_validate(values), context(tmp_path))) as storage:
        storage.check()
        storage.put("a.dump", strongroom.BytesReader(bytes(9 << 20)), begun=lambda leftover: None)
        assert storage.stat("a.dump").size == 9 << 20


def test_keys_with_their_session_token_let_a_backup_in(with_roles: S3Server, tmp_path: Path) -> None:
    import boto3

    with closing(
        boto3.session.Session().client(
            "sts",
            endpoint_url=with_roles.endpoint,
            region_name="us-east-1",
            aws_access_key_id=with_roles.access_key,
            aws_secret_access_key=with_roles.secret_key,
        )
    ) as sts:
        found = sts.assume_role(RoleArn=TEST_ROLE, RoleSessionName="tests")["Credentials"]
    values = with_roles.values(
        "with-roles",
        access_key_id=found["AccessKeyId"],
        secret_access_key=found["SecretAccessKey"],
        session_token=found["SessionToken"],
    )
    with closing(S3(S3.Config.model_validate(values), context(tmp_path))) as storage:
        storage.check()
    wrong = {**values, "session_token": found["SessionToken"][:-4] + "AAAA"}
    with (
        closing(S3(S3.Config.model_validate(wrong), context(tmp_path))) as storage,
        pytest.raises(strongroom.StorageError) as raised,
    ):
        storage.check()
    assert found["SessionToken"][:40] not in f"{raised.value} {raised.value.remedy}"


def test_a_role_that_is_refused_is_named(with_roles: S3Server, tmp_path: Path) -> None:
    values = with_roles.values("with-roles", role_arn="arn:aws:iam::role/nobody")
    with (
        closing(S3(S3.Config.model_validate(values), context(tmp_path))) as storage,
        pytest.raises(strongroom.StorageError, match="role/nobody cannot be taken on") as raised,
    ):
        storage.check()
    assert "trust policy" in raised.value.remedy


# ------------------------------------------------------------------------------------------- signing


def test_a_section_is_not_hashed_again_for_its_signature(tmp_path: Path) -> None:
    data = b"the part" * 1000
    (tmp_path / "spool").write_bytes(data)
    with (tmp_path / "spool").open("rb", buffering=0) as file:
        section = Section(file, memoryview(bytearray(4096)), 0, len(data), lambda position: None)
        section.hash()
        its, wire = made(**KEYS, endpoint="http://127.0.0.1:1")
        section.read = lambda size=-1: pytest.fail("it was read")  # type: ignore[method-assign]
        with pytest.raises(KeyError):  # the answer is empty
            its.upload_part(
                Bucket="my-backups",
                Key="a",
                UploadId="u",
                PartNumber=1,
                Body=section,
                ContentLength=len(data),
            )["ETag"]
    assert wire.sent[0].headers["X-Amz-Content-SHA256"] == hashlib.sha256(data).hexdigest().encode()


def test_the_signature_is_the_one_that_botocore_makes(tmp_path: Path) -> None:
    """By both signers for one request at one moment: only who hashes differs."""
    data = b"the part" * 1000
    (tmp_path / "spool").write_bytes(data)
    with (tmp_path / "spool").open("rb", buffering=0) as file:
        section = Section(file, memoryview(bytearray(4096)), 0, len(data), lambda position: None)
        section.hash()
        found = []
        for signer, body in ((client.SectionAuth, section), (botocore.auth.S3SigV4Auth, data)):
            request = AWSRequest("PUT", "http://127.0.0.1:1/b/a?partNumber=1&uploadId=u", data=body)
            request.context["timestamp"] = "20261124T030000Z"
            auth = signer(Credentials("AKIA", "s"), "s3", "us-east-1")
            request.headers["X-Amz-Content-SHA256"] = auth.payload(request)
            request.headers["X-Amz-Date"] = request.context["timestamp"]
            found.append(
                auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
            )
    assert found[0] == found[1]


def test_the_debugging_lines_of_botocore_are_never_written() -> None:
    """They hold what is signed, a session's token among it."""
    assert not logging.getLogger("botocore.auth").isEnabledFor(logging.DEBUG)


# ---------------------------------------------------------------------------------------- certificates


def test_certificates_are_checked_by_the_chosen_file_or_the_public_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify(**values: Any) -> str | bool:
        settings = Settings.model_validate({"bucket": "my-backups", **KEYS, **values})
        return client.verify(settings, client.make_session(settings))

    ca, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    ca.touch()
    other.touch()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    assert verify() is True
    assert verify(ca=ca) == str(ca)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(other))
    assert verify() == str(other)
    assert verify(ca=ca) == str(ca)
    with pytest.raises(strongroom.StorageError, match="is not there"):
        verify(ca=tmp_path / "gone.pem")


def test_nothing_is_tried_again_behind_our_back() -> None:
    its, _ = made(**KEYS)
    assert its.meta.config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert its.meta.config.request_checksum_calculation == "when_required"
    assert its.meta.config.response_checksum_validation == "when_required"
    assert (its.meta.config.connect_timeout, its.meta.config.read_timeout) == (10, 60)
