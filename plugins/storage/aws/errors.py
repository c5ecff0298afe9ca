"""What botocore raises and servers answer, sorted: is it missing, may it pass, is it open what happened."""

from __future__ import annotations

import re

import botocore.exceptions as botocore_errors
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

RAW = (botocore_errors.BotoCoreError, botocore_errors.ClientError, ResponseParserError, HTTPError)
"""What botocore's calls and streams raise, errors of the connection included."""

_PASSING_CODES = frozenset(
    {
        "BadDigest",  # what went out was damaged on its way
        "Busy",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
FULL_CODES = frozenset({"InsufficientStorage", "QuotaExceeded", "StorageFull", "XMinioStorageFull"})


TAKEN = ("PreconditionFailed", "412")
"""How servers say that there is something else than was asked for: an object, or another one."""


def code(error: BaseException) -> str:
    """The server's word for what is wrong ("NoSuchKey"); "" for what is no server's answer."""
    if not isinstance(error, botocore_errors.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", "")) or str(status(error))


def status(error: BaseException) -> int:
    """The HTTP status of a server's refusal; 0 for what is none."""
    if not isinstance(error, botocore_errors.ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: BaseException) -> bool:
    """Whether the object is not there; a HEAD does not tell this from a bucket that is not there."""
    return code(error) in ("404", "NoSuchKey", "NoSuchVersion", "NotFound")


def is_passing(error: BaseException) -> bool:
    """Whether trying again may help."""
    if isinstance(error, botocore_errors.SSLError):
        return not re.search("CERTIFICATE|WRONG_VERSION|HOSTNAME", str(error).upper())
    if isinstance(error, botocore_errors.ClientError):
        return (
            code(error) in _PASSING_CODES or status(error) == 429 or status(error) in (500, 502, 503, 504)
        ) and code(error) not in FULL_CODES
    return isinstance(
        error,
        (
            botocore_errors.ConnectionError,
            botocore_errors.HTTPClientError,
            botocore_errors.IncompleteReadError,
            botocore_errors.ResponseStreamingError,
            HTTPError,
        ),
    ) and not isinstance(error, botocore_errors.InvalidProxiesConfigError)


def is_unanswered(error: BaseException) -> bool:
    """Whether it is open if the server did what it was asked to."""
    return is_passing(error) and (status(error) == 0 or status(error) >= 500)


def refuses_checksums(error: BaseException) -> bool:
    """Whether a server says that it knows nothing of checksums; then it is read back instead."""
    return code(error) in (
        "NotImplemented",
        "InvalidArgument",
        "InvalidRequest",
        "UnsupportedArgument",
        "UnsupportedHeader",
    )


def refuses_conditions(error: BaseException) -> bool:
    """Whether a server says that it knows nothing of If-None-Match."""
    return code(error) in ("NotImplemented", "UnsupportedHeader", "UnsupportedArgument")
