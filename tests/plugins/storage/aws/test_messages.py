"""Errors of botocore and answers of servers in our words: which may pass, and what to do."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as its_errors
import pytest
from botocore.parsers import ResponseParserError

import strongroom
from plugins.storage.aws import errors, messages
from plugins.storage.aws.settings import Settings

HERE = Settings(bucket="my-backups", endpoint="https://s3.example.com")


def answer(code: str, status: int, **more: Any) -> its_errors.ClientError:
    error = {"Code": code, "Message": "The server's  own\n words.", **more}
    return its_errors.ClientError(
        {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject"
    )


def said(error: BaseException, name: str = "shop/a.dump") -> strongroom.StorageError:
    return messages.translate(error, HERE, name)


@pytest.mark.parametrize(
    ("code", "status", "kind", "transient"),
    [
        ("NoSuchKey", 404, strongroom.StorageMissing, False),
        ("404", 404, strongroom.StorageMissing, False),
        ("NoSuchBucket", 404, strongroom.StorageError, False),
        ("PreconditionFailed", 412, strongroom.AlreadyExists, False),
        ("QuotaExceeded", 403, strongroom.StorageFull, False),
        ("XMinioStorageFull", 507, strongroom.StorageFull, False),
        ("Whatever", 507, strongroom.StorageFull, False),
        ("AccessDenied", 403, strongroom.StorageError, False),
        ("ExpiredToken", 400, strongroom.StorageError, False),
        ("SignatureDoesNotMatch", 403, strongroom.StorageError, False),
        ("EntityTooLarge", 400, strongroom.StorageError, False),
        ("InvalidObjectState", 403, strongroom.StorageError, False),
        ("SlowDown", 503, strongroom.StorageError, True),
        ("InternalError", 200, strongroom.StorageError, True),
        ("TooManyRequests", 429, strongroom.StorageError, True),
        ("502", 502, strongroom.StorageError, True),
        ("504", 504, strongroom.StorageError, True),
        ("BadDigest", 400, strongroom.StorageError, True),
        ("RequestTimeout", 400, strongroom.StorageError, True),
        ("NoSuchUpload", 404, strongroom.StorageError, True),
        ("Unheard-of", 400, strongroom.StorageError, False),
    ],
)
def test_an_answer_is_told_by_its_kind(code: str, status: int, kind: type, transient: bool) -> None:
    error = said(answer(code, status))
    assert type(error) is kind
    assert error.transient is transient
    assert "my-backups" in error.message or kind is strongroom.AlreadyExists


def test_an_answer_is_repeated_on_one_line_and_cut() -> None:
    error = said(answer("Odd", 400, Message="x" * 1000))
    assert "\n" not in error.message and len(error.message) < 500
    assert "The server's own words" in said(answer("Odd", 400)).message


def test_another_region_is_named() -> None:
    error = said(answer("AuthorizationHeaderMalformed", 400, Region="eu-west-3"))
    assert error.remedy == "Set the region eu-west-3."


@pytest.mark.parametrize(
    ("error", "words", "transient"),
    [
        (its_errors.NoCredentialsError(), "no keys", False),
        (its_errors.ProfileNotFound(profile="p"), "no profile", False),
        (its_errors.CredentialRetrievalError(provider="sso", error_msg="expired"), "no keys that can", False),
        (its_errors.UnauthorizedSSOTokenError(), "no keys that can", False),
        (its_errors.EndpointConnectionError(endpoint_url="https://x"), "No connection", True),
        (its_errors.ConnectTimeoutError(endpoint_url="https://x"), "in time", True),
        (its_errors.ReadTimeoutError(endpoint_url="https://x"), "in time", True),
        (its_errors.ConnectionClosedError(endpoint_url="https://x"), "without an answer", True),
        (its_errors.ProxyConnectionError(proxy_url="http://user:***@p"), "proxy", True),
        (
            its_errors.HTTPClientError(error=OSError(104, "Connection reset by peer")),
            "Connection reset by peer",
            True,
        ),
        (its_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2), "broke", True),
        (its_errors.ParamValidationError(report="Invalid bucket"), "is refused", False),
        (
            its_errors.SSLError(endpoint_url="https://x", error="CERTIFICATE_VERIFY_FAILED"),
            "prove who it is",
            False,
        ),
        (its_errors.SSLError(endpoint_url="https://x", error="UNEXPECTED_EOF"), "prove who it is", True),
        (ResponseParserError("no XML"), "no S3 server", False),
    ],
)
def test_what_keeps_it_from_answering_is_told(error: Exception, words: str, transient: bool) -> None:
    assert isinstance(error, errors.RAW)
    found = said(error)
    assert words in found.message
    assert found.transient is transient
    assert found.message.endswith(".") and not found.message.endswith("..")
