"""What let us in when an upload began lets us in no more: a key was rotated, a session has expired."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from engine.events import Status
from tests.faults.three import Three, error_of, three_destinations
from tests.parts.commands import Installation
from tests.parts.queues import eventually
from tests.parts.s3 import S3Server
from tests.parts.sshd import running

pytestmark = pytest.mark.faults

OLD, NEW = "the/old+secret=of-tests", "the/new+secret=of-tests"
KEY = "STRONGROOMTENANT"
Rotate = Callable[[str], None]


@pytest.fixture
def rotate(s3: S3Server) -> Iterator[Rotate]:
    """Gives the server's user KEY a secret, which counts when the call returns."""
    kept = s3.users.read_text(encoding="utf-8")

    def lets_in(secret: str) -> bool:
        with closing(s3.client(access_key=KEY, secret_key=secret)) as client:
            try:
                client.list_buckets()
            except client.exceptions.ClientError:
                return False
        return True

    def give(secret: str) -> None:
        document = json.loads(kept)
        user: dict[str, Any] = {
            "name": "tenant",
            "credentials": [{"accessKey": KEY, "secretKey": secret}],
            "actions": ["Read", "Write", "List", "Tagging"],
        }
        document["identities"].append(user)
        s3.users.write_text(json.dumps(document), encoding="utf-8")
        s3.read_users()
        eventually(lambda: lets_in(secret), "the server has read its users anew")

    give(OLD)
    yield give
    # The server that has read of a user keeps it: it harms nobody.
    s3.users.write_text(kept, encoding="utf-8")


@pytest.mark.parametrize("when", ["between two attempts", "within one"])
def test_an_s3_key_that_is_rotated_half_way(
    three: Three, rotate: Rotate, when: str, quick_retries: None
) -> None:
    three.change("cloud", access_key_id=KEY, secret_access_key=OLD)
    three.configure(upload_attempts=3)
    size = three.measure("cloud")
    before = three.before()
    fault = three.cloud.stall(size // 2)

    def meanwhile() -> None:
        fault.wait()
        rotate(NEW)
        if when == "between two attempts":
            three.cloud.cut()
        three.cloud.heal()

    execution = three.run(meanwhile)
    assert three.costs_only(execution, "cloud") is Status.FAILED
    error = error_of(execution, "cloud")
    assert "SignatureDoesNotMatch" in error or "secret" in error.lower() or "refuse" in error.lower(), error
    assert three.places["cloud"].unfinished(), "nobody was let in to abort it"
    log = str(three.installation.json("show", str(execution.seq)))
    assert OLD not in log and NEW not in log

    three.change("cloud", secret_access_key=NEW)
    three.configure()
    three.sound(before)


def test_an_s3_session_that_expires_half_way(three: Three, quick_retries: None) -> None:
    """The server's answer is the proxy's: SeaweedFS gives no sessions that expire while a test waits."""
    three.configure(upload_attempts=3)
    three.succeeds()
    before = three.before()
    rule = three.cloud.answer(
        403, "ExpiredToken", match="^(PUT|DELETE) .*(partNumber=2|uploadId)", times=1000
    )
    execution = three.run()
    assert rule.happened
    assert three.costs_only(execution, "cloud") is Status.FAILED
    assert "expired" in error_of(execution, "cloud").lower()
    log = [line["message"] for line in three.installation.json("show", str(execution.seq))["log"]]
    assert not [line for line in log if "trying again" in line], "another attempt cannot mend that"
    three.sound(before)


def test_an_ssh_key_that_is_taken_away_between_two_attempts(three: Three, quick_retries: None) -> None:
    three.configure(upload_attempts=3)
    size = three.measure("server")
    before = three.before()
    authorized = three.sshd.folder / "authorized_keys"
    kept = authorized.read_text()
    fault = three.server.stall(size // 2)

    def meanwhile() -> None:
        fault.wait()
        authorized.write_text("")
        three.server.cut()
        three.server.heal()

    try:
        execution = three.run(meanwhile)
        assert three.costs_only(execution, "server") is Status.FAILED
        error = error_of(execution, "server")
        assert "key" in error.lower() or "refuse" in error.lower(), error
        assert len(three.places["server"].files()) > 2, "nobody was let in to remove it"
    finally:
        authorized.write_text(kept)
    three.sound(before)


def test_an_ssh_server_that_comes_back_with_another_host_key(
    installation: Installation, s3: S3Server, bucket: str, quick_retries: None
) -> None:
    """It may be another machine: loud, and never trusted by itself."""
    with (
        running(keys=["ed25519"]) as server,
        three_destinations(installation, s3, bucket, server) as three,
    ):
        three.configure(upload_attempts=3)
        size = three.measure("server")
        before = three.before()
        fault = three.server.stall(size // 2)
        right = server.host_keys["ed25519"]
        kept = right.file.read_bytes(), right.file.with_suffix(".pub").read_bytes()

        def meanwhile() -> None:
            fault.wait()
            server.stop()
            server.change_host_key()
            server.start()
            three.server.cut()
            three.server.heal()

        execution = three.run(meanwhile)
        assert three.costs_only(execution, "server") is Status.FAILED
        error = error_of(execution, "server")
        assert "key" in error and "SHA256:" in error, error

        server.stop()
        right.file.write_bytes(kept[0])
        right.file.with_suffix(".pub").write_bytes(kept[1])
        server.start()
        three.sound(before)
