"""What a destination's check finds, each with its own words and what to do about it."""

from __future__ import annotations

import datetime
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import strongroom
from plugins.storage.aws import checking
from plugins.storage.aws.settings import Settings
from plugins.storage.s3 import S3
from strongroom.testing.readers import context
from tests.parts.proxy import Proxy
from tests.parts.s3 import READER_KEY, READER_SECRET, SECRET_KEY, S3Server
from tests.plugins.storage.aws.conftest import Opened, without_checksums


def refused(storage: S3) -> strongroom.StorageError:
    with pytest.raises(strongroom.StorageError) as raised:
        storage.check()
    assert raised.value.remedy
    for secret in (SECRET_KEY, READER_SECRET, "a wrong secret"):
        assert secret not in f"{raised.value.message} {raised.value.remedy} {raised.value.__cause__!r}"
    return raised.value


def test_what_is_right_is_said_to_be_so(s3: S3Server, bucket: str, opened: Opened) -> None:
    report = opened(prefix="here").check()
    assert report.detail == f"The bucket {bucket}/here at 127.0.0.1:{s3.port} can be written"
    assert report.notes == (
        "The server computes SHA-256 itself, so uploads are proven without reading them back.",
    )
    assert s3.everything(bucket) == set()


@pytest.mark.parametrize(
    ("values", "said", "remedy"),
    [
        ({"secret_access_key": "a wrong secret"}, "refused the secret access key", "again"),
        ({"access_key_id": "NOBODY"}, "does not know the access key ID", "access key ID"),
        (
            {"access_key_id": READER_KEY, "secret_access_key": READER_SECRET},
            "does not allow this",
            "storage-s3.md",
        ),
        ({"bucket": "nobody-made-this"}, "There is no bucket nobody-made-this", "Make the bucket"),
        ({"storage_class": "NONSENSE"}, "no such storage class", "storage class"),
    ],
    ids=["secret", "key", "rights", "bucket", "class"],
)
def test_what_is_wrong_is_said(
    s3: S3Server, bucket: str, opened: Opened, values: dict[str, Any], said: str, remedy: str
) -> None:
    error = refused(opened(**values))
    assert said in error.message
    assert remedy in error.remedy
    assert not error.transient
    assert s3.everything(bucket) == set()


def test_a_closed_port_may_open(opened: Opened) -> None:
    with socket.socket() as claimed:
        claimed.bind(("127.0.0.1", 0))
        error = refused(opened(endpoint=f"http://127.0.0.1:{claimed.getsockname()[1]}"))
    assert "Connection refused" in error.message
    assert error.transient


def test_a_clock_that_is_wrong_is_told_by_how_much(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    from plugins.storage.aws import messages

    class Fast(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.now(tz) + datetime.timedelta(hours=3)

    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now() + datetime.timedelta(hours=3))
    monkeypatch.setattr(messages, "datetime", Fast)
    error = refused(opened())
    assert "180 minutes" in error.message
    assert "clock" in error.remedy


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>Welcome</html>"), (404, b"not found"), (200, b"")]
)
def test_another_web_server_is_no_s3_server(
    opened: Opened, status: int, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            storage = opened(endpoint=f"http://127.0.0.1:{server.server_port}")
            assert "no S3 server" in refused(storage).message
            with pytest.raises(strongroom.StorageError):
                list(storage.list())
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_knows_no_if_none_match_is_told_of(through: Opened, proxy: Proxy) -> None:
    proxy.answer(501, "NotImplemented", match=r"^PUT /[^?]*$")
    notes = " ".join(through().check().notes)
    assert "does not know If-None-Match" in notes


def test_a_server_that_computes_nothing_is_told_of(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    without_checksums(monkeypatch, echo=True)
    assert any("computes no SHA-256" in note for note in opened().check().notes)


@pytest.mark.parametrize(
    ("endpoint", "warned"),
    [
        (None, False),
        ("https://s3.example.com", False),
        ("http://127.0.0.1:8333", False),
        ("http://localhost:8333", False),
        ("http://[::1]:8333", False),
        ("http://192.168.1.9:8333", True),
        ("http://s3.example.com", True),
    ],
)
def test_an_open_connection_is_warned_of_unless_it_stays_here(endpoint: str | None, warned: bool) -> None:
    notes = checking.plain_http_note(Settings(bucket="abc", endpoint=endpoint))
    assert bool(notes) is warned
    assert all("not encrypted" in note for note in notes)


# ------------------------------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def secure() -> Iterator[S3Server]:
    server = S3Server(tls=True)
    try:
        server.start()
        server.make_bucket("over-tls")
        yield server
    finally:
        server.close()


def opened_at(server: S3Server, folder: Path, **values: Any) -> S3:
    given = {name: its for name, its in {**server.values("over-tls"), **values}.items() if its is not None}
    return S3(S3.Config.model_validate(given), context(folder))


def test_a_server_is_known_by_its_authority(secure: S3Server, tmp_path: Path) -> None:
    with closing(opened_at(secure, tmp_path)) as storage:
        storage.check()
        data = bytes(9 << 20)
        storage.put("a.dump", strongroom.BytesReader(data), begun=lambda leftover: None)
        assert sum(len(chunk) for chunk in storage.get("a.dump")) == len(data)
        storage.delete("a.dump")


@pytest.mark.parametrize(
    ("values", "said", "remedy"),
    [
        ({"ca": None}, "could not prove who it is", "certificate authority"),
        ({"ca": "/nowhere/ca.pem"}, "is not there", "certificate authority"),
        ({"ca": __file__}, "holds no certificate", "PEM"),
    ],
    ids=["unknown", "missing", "no certificate"],
)
def test_a_server_that_proves_nothing_gets_nothing(
    secure: S3Server, tmp_path: Path, values: dict[str, Any], said: str, remedy: str
) -> None:
    with closing(opened_at(secure, tmp_path, **values)) as storage:
        error = refused(storage)
    assert said in error.message
    assert remedy in error.remedy
    assert not error.transient


def test_https_to_a_server_without_it_is_said(s3: S3Server, opened: Opened) -> None:
    error = refused(opened(endpoint=f"https://127.0.0.1:{s3.port}"))
    assert "does not speak TLS" in error.message
    assert not error.transient


def test_http_to_a_server_with_tls_is_hinted_at(secure: S3Server, tmp_path: Path) -> None:
    endpoint = secure.endpoint.replace("https:", "http:")
    with closing(opened_at(secure, tmp_path, endpoint=endpoint, ca=None)) as storage:
        assert "https" in refused(storage).remedy
