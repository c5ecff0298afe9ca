"""Deleting from buckets that keep versions and lock them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import strongroom
from strongroom.testing.readers import contents
from tests.parts.proxy import Proxy
from tests.parts.s3 import S3Server
from tests.plugins.storage.aws.conftest import Opened


def ignore(leftover: strongroom.Leftover) -> None:
    """The `begun` of a test that does not listen."""


@pytest.fixture
def versioned(s3: S3Server) -> Iterator[str]:
    name = s3.make_bucket(versioned=True)
    yield name
    s3.remove_bucket(name)


@pytest.fixture
def locking(s3: S3Server) -> Iterator[str]:
    name = s3.make_bucket(locked=True)
    yield name
    s3.remove_bucket(name)


def put(storage: strongroom.Storage, name: str, data: bytes = b"x") -> None:
    storage.put(name, strongroom.BytesReader(data), begun=ignore, overwrite=True)


def lock(s3: S3Server, bucket: str, key: str, until: datetime, version: str = "") -> None:
    its = {"VersionId": version} if version else {}
    s3.api.put_object_retention(
        Bucket=bucket, Key=key, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}, **its
    )


def test_all_versions_of_a_file_go_and_no_other_ones(s3: S3Server, versioned: str, opened: Opened) -> None:
    storage = opened(bucket=versioned)
    for name in ("job/a.dump", "job/a.dump", "job/a.dump.lock.json", "job/a.dum"):
        put(storage, name)
    s3.api.delete_object(Bucket=versioned, Key="job/a.dump")  # leaves a marker
    assert len(s3.versions(versioned)) == 5
    storage.delete("job/a.dump")
    assert sorted(key for key, _ in s3.versions(versioned)) == ["job/a.dum", "job/a.dump.lock.json"]
    storage.delete("job/a.dump")


def test_an_overwritten_file_is_read_in_its_newest_version(versioned: str, opened: Opened) -> None:
    storage = opened(bucket=versioned)
    put(storage, "a", b"old")
    put(storage, "a", b"newer")
    assert contents(storage, "a") == b"newer"
    assert [(file.name, file.size) for file in storage.list()] == [("a", 5)]


def test_a_locked_file_stays_and_says_until_when(s3: S3Server, locking: str, opened: Opened) -> None:
    storage, until = opened(bucket=locking), datetime.now(UTC) + timedelta(days=3)
    put(storage, "a.dump")
    lock(s3, locking, "a.dump", until)
    with pytest.raises(strongroom.StorageError, match=f"locked until {until:%Y-%m-%d}") as raised:
        storage.delete("a.dump")
    assert not raised.value.transient
    assert contents(storage, "a.dump") == b"x"


def test_one_locked_version_keeps_all_of_them(s3: S3Server, locking: str, opened: Opened) -> None:
    """Else the next listing would show an older one in the place of what was deleted."""
    storage = opened(bucket=locking)
    put(storage, "a.dump", b"first")
    put(storage, "a.dump", b"second")
    first = next(
        version["VersionId"]
        for version in s3.api.list_object_versions(Bucket=locking)["Versions"]
        if not version["IsLatest"]
    )
    lock(s3, locking, "a.dump", datetime.now(UTC) + timedelta(days=1), first)
    with pytest.raises(strongroom.StorageError, match="locked until"):
        storage.delete("a.dump")
    assert len(s3.versions(locking)) == 2


def test_a_legal_hold_keeps_a_file(s3: S3Server, locking: str, opened: Opened) -> None:
    storage = opened(bucket=locking)
    put(storage, "a.dump")
    s3.api.put_object_legal_hold(Bucket=locking, Key="a.dump", LegalHold={"Status": "ON"})
    with pytest.raises(strongroom.StorageError, match="legal hold"):
        storage.delete("a.dump")
    s3.api.put_object_legal_hold(Bucket=locking, Key="a.dump", LegalHold={"Status": "OFF"})
    storage.delete("a.dump")
    assert s3.versions(locking) == []


def test_an_upload_into_a_locking_bucket_can_be_taken_back(
    s3: S3Server, locking: str, opened: Opened
) -> None:
    storage = opened(bucket=locking)
    assert any("versions" in note for note in storage.check().notes)
    assert s3.versions(locking) == []


def test_a_bucket_that_locks_everything_is_checked_without_a_file(
    s3: S3Server, locking: str, opened: Opened
) -> None:
    s3.api.put_object_lock_configuration(
        Bucket=locking,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
        },
    )
    report = opened(bucket=locking).check()
    assert any("for 30 days" in note for note in report.notes)
    assert s3.versions(locking) == []
    assert s3.unfinished(locking) == set()


def test_a_server_that_knows_no_versions_deletes_all_the_same(
    s3: S3Server, bucket: str, opened: Opened, proxy: Proxy
) -> None:
    proxy.answer(501, "NotImplemented", match=r"[?&]version", times=100)
    storage = opened(endpoint=f"http://127.0.0.1:{proxy.port}")
    put(storage, "a.dump")
    storage.delete("a.dump")
    assert s3.objects(bucket) == {}


def test_a_delete_that_failed_is_no_success(s3: S3Server, bucket: str, opened: Opened, proxy: Proxy) -> None:
    proxy.answer(403, "AccessDenied", match="^DELETE", times=100)
    storage = opened(endpoint=f"http://127.0.0.1:{proxy.port}")
    put(storage, "a.dump")
    with pytest.raises(strongroom.StorageError, match="does not allow"):
        storage.delete("a.dump")
    assert s3.objects(bucket) == {"a.dump": 1}
