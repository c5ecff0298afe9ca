"""What botocore raises, and what servers answer, in words that say what to do next."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import botocore.exceptions as botocore_errors
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

import strongroom
from plugins.storage.aws.settings import Settings

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
_FULL_CODES = frozenset({"InsufficientStorage", "QuotaExceeded", "StorageFull", "XMinioStorageFull"})
_KEY_CODES = frozenset({"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"})
_SECRET_CODES = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
_EXPIRED_CODES = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestExpired", "TokenRefreshRequired"}
)
_DENIED_CODES = frozenset(
    {"403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedAccess"}
)
_REGION_CODES = frozenset(
    {
        "301",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)
_CLOCK_CODES = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})


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
        ) and code(error) not in _FULL_CODES
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


def translate(error: BaseException, settings: Settings, name: str) -> strongroom.StorageError:
    """The error to raise for one of `RAW`; `name` is the file that it was about, "" for none."""
    if isinstance(error, botocore_errors.ClientError):
        return _answer(error, settings, name)
    return _connection(error, settings, name)


def _answer(error: Any, settings: Settings, name: str) -> strongroom.StorageError:
    place, its = settings.place, code(error)
    about = f" for {name}" if name else ""
    said = _said(error)
    if its == "NoSuchBucket":
        return strongroom.StorageError(
            f"There is no {place.removeprefix('the ')}.",
            remedy="Make the bucket, or correct its name, the endpoint or the region.",
        )
    if is_missing(error):
        return strongroom.StorageMissing(
            f"There is no {name} in {place}.", remedy="See who removed it; take another copy or backup."
        )
    if its in ("PreconditionFailed", "412"):
        return taken(name)
    if its in _FULL_CODES or status(error) == 507:
        return strongroom.StorageFull(
            f"No space is left in {place}{about}: {said}.",
            remedy="Free space there, keep fewer backups (retention), or raise the quota.",
        )
    remedies = (
        (_KEY_CODES, "does not know the access key ID", "Correct the access key ID, or make new keys."),
        (_SECRET_CODES, "refused the secret access key", "Enter the secret access key again."),
        (_EXPIRED_CODES, "says that the keys have expired", "Enter new keys, with their session token."),
        (
            _DENIED_CODES,
            "allows these keys not to do this",
            "Give them the rights that docs/storage-s3.md lists, for this bucket.",
        ),
        (_REGION_CODES, "is in another region, or at another endpoint", _region_remedy(error)),
        (frozenset({"InvalidStorageClass"}), "has no such storage class", "Correct the storage class."),
        (
            frozenset({"InvalidObjectState"}),
            "has put it into an archive, from which it cannot be read at once",
            "Restore the object there first; keep backups out of archive classes.",
        ),
        (
            frozenset({"EntityTooLarge", "InvalidArgument"}),
            "refused it",
            "See what this server allows: the size of an object, of a part, their number.",
        ),
    )
    if its in _CLOCK_CODES:
        return strongroom.StorageError(
            f"The clock of this machine and that of {place} are {_skew(error)} apart, so it refuses all.",
            remedy="Set this machine's clock, by NTP if it can be had.",
        )
    for codes, what, remedy in remedies:
        if its in codes:
            return strongroom.StorageError(f"{_upper(place)} {what}{about}: {said}.", remedy=remedy)
    return strongroom.StorageError(
        f"{_upper(place)} failed{about}: {said}.",
        remedy="Look at the server's own log." if status(error) >= 500 else "",
        # An upload that somebody ended: another one may do.
        transient=is_passing(error) or its == "NoSuchUpload",
    )


def _connection(error: BaseException, settings: Settings, name: str) -> strongroom.StorageError:
    place = settings.place
    kinds: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
        (
            (botocore_errors.NoCredentialsError,),
            f"There are no keys for {place}: neither the destination nor this machine has any",
            "Enter an access key ID and its secret, or name a profile.",
        ),
        (
            (botocore_errors.ProfileNotFound,),
            f"This machine's AWS configuration has no profile {settings.profile or 'of that name'}",
            "Correct the profile's name, or enter keys.",
        ),
        (
            (
                botocore_errors.CredentialRetrievalError,
                botocore_errors.PartialCredentialsError,
                botocore_errors.RefreshWithMFAUnsupportedError,
                botocore_errors.TokenRetrievalError,
                botocore_errors.SSOError,
                botocore_errors.UnauthorizedSSOTokenError,
                botocore_errors.InvalidConfigError,
                botocore_errors.ConfigParseError,
            ),
            f"This machine's AWS configuration gives no usable keys ({_short(error)})",
            "Log in again (aws sso login, say), or enter keys.",
        ),
        (
            (botocore_errors.EndpointConnectionError,),
            f"No connection to the server of {place}: {_cause(error)}",
            "See that the endpoint is right, and that the server runs and can be reached from here.",
        ),
        (
            (botocore_errors.ProxyConnectionError, botocore_errors.InvalidProxiesConfigError),
            f"The proxy on the way to {place} failed",
            "See the variables HTTPS_PROXY and NO_PROXY.",
        ),
        (
            (botocore_errors.ConnectTimeoutError, botocore_errors.ReadTimeoutError),
            f"The server of {place} did not answer in time",
            "See that it can be reached from here.",
        ),
        (
            (botocore_errors.ParamValidationError, botocore_errors.InvalidRegionError),
            f"botocore refuses a value of the destination: {_short(error)}",
            "Correct the bucket's name or the region.",
        ),
    )
    if isinstance(error, botocore_errors.SSLError):
        return strongroom.StorageError(
            f"The server of {place} could not prove who it is, or does not speak TLS: {_cause(error)}.",
            remedy="If its certificate is your company's own, choose its certificate authority's file.",
            transient=is_passing(error),
        )
    for classes, message, remedy in kinds:
        if isinstance(error, classes):
            return strongroom.StorageError(f"{message}.", remedy=remedy, transient=is_passing(error))
    if isinstance(error, ResponseParserError):
        return strongroom.StorageError(
            f"What answers for {place} is no S3 server.", remedy="Correct the endpoint: its port, its path."
        )
    about = f" for {name}" if name else ""
    return strongroom.StorageError(
        f"The connection to {place} broke{about}: {_cause(error)}.",
        remedy="See that the server runs and can be reached from here." if is_passing(error) else "",
        transient=is_passing(error),
    )


def taken(name: str) -> strongroom.AlreadyExists:
    """The error for a name that is in use."""
    return strongroom.AlreadyExists(f"There is a file {name} already; it stays as it is.")


def _said(error: Any) -> str:
    """The server's own words, cut to a length that a line holds."""
    message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split()).rstrip(".")
    found = f"{code(error)}, {message}" if message and message != code(error) else code(error)
    return found[:300]


def _short(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]


def _cause(error: BaseException) -> str:
    """What the system said, out of the errors that libraries have put around it."""
    found: BaseException | None = error
    said = ""
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            said = found.strerror
        inner = getattr(found, "kwargs", {}).get("error") if hasattr(found, "kwargs") else None
        inner = inner or getattr(found, "reason", None) or found.__cause__ or found.__context__
        found = inner if isinstance(inner, BaseException) and inner is not found else None
    return (said or _short(error))[:300]


def _region_remedy(error: Any) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = error.response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return f"Set the region {found}." if found else "Correct the region or the endpoint."


def _skew(error: Any) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        there = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return "too far"
    minutes = round(abs((datetime.now(UTC) - there).total_seconds()) / 60)
    return f"{minutes:,} minutes"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
