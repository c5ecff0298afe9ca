"""What went wrong in words that say what to do next: one place, so that all of it can be read at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import botocore.exceptions as botocore_errors
from botocore.parsers import ResponseParserError

import strongroom
from plugins.storage.aws import errors
from plugins.storage.aws.settings import Settings

_REACH = "See that the endpoint is right, and that the server runs and can be reached from here."

_DENIED = frozenset(
    {"403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden", "UnauthorizedAccess"}
)
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_REGION = frozenset(
    {
        "301",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)
_ANSWERS = (
    (
        frozenset({"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"}),
        "does not know the access key ID",
        "Correct the access key ID, or make new keys.",
    ),
    (
        frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"}),
        "refused the secret access key",
        "Enter the secret access key again.",
    ),
    (
        frozenset(
            {
                "ExpiredToken",
                "ExpiredTokenException",
                "InvalidToken",
                "RequestExpired",
                "TokenRefreshRequired",
            }
        ),
        "says that the keys have expired",
        "Enter new keys, with their session token.",
    ),
    (
        _DENIED,
        "does not allow this to these keys",
        "Give them the rights that docs/storage-s3.md lists, for this bucket.",
    ),
    (frozenset({"InvalidStorageClass"}), "has no such storage class", "Correct the storage class."),
    (
        frozenset({"InvalidObjectState"}),
        "has put it into an archive, from which it cannot be read at once",
        "Restore the object there first; keep backups out of archive classes.",
    ),
    (
        frozenset({"EntityTooLarge", "InvalidArgument"}),
        "refused it",
        "See what this server allows: the size of an object or of a part, their number.",
    ),
)
"""Codes of S3 and STS, what they mean, and what to do."""

_NO_KEYS = (
    botocore_errors.ConfigParseError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.InvalidConfigError,
    botocore_errors.LoginError,
    botocore_errors.MetadataRetrievalError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.RefreshWithMFAUnsupportedError,
    botocore_errors.SSOError,
    botocore_errors.TokenRetrievalError,
)


def translate(error: BaseException, settings: Settings, name: str) -> strongroom.StorageError:
    """The error to raise for one of `errors.RAW`; `name` is the file that it was about, "" for none."""
    if isinstance(error, botocore_errors.ClientError):
        return _answer(error, settings, name)
    message, remedy = _connection(error, settings, name)
    return strongroom.StorageError(message, remedy=remedy, transient=errors.is_passing(error))


def taken(name: str) -> strongroom.AlreadyExists:
    """The error for a name that is in use."""
    return strongroom.AlreadyExists(f"There is a file {name} already; it stays as it is.")


def no_s3(settings: Settings) -> strongroom.StorageError:
    """The error for a server that speaks something else."""
    return strongroom.StorageError(
        f"What answers for {settings.place} is no S3 server.",
        remedy="Correct the endpoint: its port, its path.",
    )


# --------------------------------------------------------------------------------- what the server said


def _answer(error: Any, settings: Settings, name: str) -> strongroom.StorageError:
    place, code = settings.place, errors.code(error)
    about = f" for {name}" if name else ""
    if code == "NoSuchBucket":
        return strongroom.StorageError(
            f"There is no {place.removeprefix('the ')}.",
            remedy="Make the bucket, or correct its name, the endpoint or the region.",
        )
    if errors.is_missing(error):
        if not name:
            return no_s3(settings)
        return strongroom.StorageMissing(
            f"There is no {name} in {place}.", remedy="See who removed it; take another copy or backup."
        )
    if code in errors.TAKEN:
        return taken(name)
    if code in errors.FULL_CODES or errors.status(error) == 507:
        return strongroom.StorageFull(
            f"No space is left in {place}{about}: {_said(error)}.",
            remedy="Free space there, keep fewer backups (retention), or raise the quota.",
        )
    if code in _CLOCK:
        return strongroom.StorageError(
            f"The clock of this machine and that of {place} are {_skew(error)} apart, so it refuses all.",
            remedy="Set this machine's clock, by NTP if it can be had.",
        )
    if error.operation_name == "AssumeRole" and code in _DENIED:
        return strongroom.StorageError(
            f"The role {settings.role_arn} cannot be taken on with these keys: {_said(error)}.",
            remedy="Let the role's trust policy name the owner of these keys, with the same external ID.",
        )
    if code in _REGION:
        return strongroom.StorageError(
            f"{capital(place)} is in another region, or at another endpoint: {_said(error)}.",
            remedy=_region(error),
        )
    for codes, what, remedy in _ANSWERS:
        if code in codes:
            return strongroom.StorageError(f"{capital(place)} {what}{about}: {_said(error)}.", remedy=remedy)
    return strongroom.StorageError(
        f"{capital(place)} failed{about}: {_said(error)}.",
        remedy="Look at the server's own log." if errors.status(error) >= 500 else "",
        # An upload that somebody ended: another one may do.
        transient=errors.is_passing(error) or code == "NoSuchUpload",
    )


def _said(error: Any) -> str:
    """The server's own words, cut to a length that a line holds."""
    code = errors.code(error)
    message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split()).rstrip(".")
    return (f"{code}, {message}" if message and message != code else code)[:300]


def _region(error: Any) -> str:
    found = error.response.get("Error", {}).get("Region") or _headers(error).get("x-amz-bucket-region")
    return f"Set the region {found}." if found else "Correct the region or the endpoint."


def _skew(error: Any) -> str:
    try:
        there = parsedate_to_datetime(_headers(error)["date"])
    except (KeyError, ValueError):
        return "too far"
    return f"{round(abs((datetime.now(UTC) - there).total_seconds()) / 60):,} minutes"


def _headers(error: Any) -> dict[str, str]:
    found: dict[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return found


# --------------------------------------------------------------------------- what kept it from answering


def _connection(error: BaseException, settings: Settings, name: str) -> tuple[str, str]:
    """What to say, and what to do."""
    place = settings.place
    match error:
        case botocore_errors.NoCredentialsError():
            return (
                f"There are no keys for {place}: neither the destination nor this machine has any.",
                "Enter an access key ID and its secret, or name a profile.",
            )
        case botocore_errors.ProfileNotFound():
            return (
                f"This machine's AWS configuration has no profile {settings.profile or 'of that name'}.",
                "Correct the profile's name, or enter keys.",
            )
        case _ if isinstance(error, _NO_KEYS):
            return (
                f"This machine's AWS configuration gives no keys that can be used: {_short(error)}.",
                "Log in again (aws sso login, say), or enter keys.",
            )
        case botocore_errors.SSLError():
            return _tls(error, settings)
        case botocore_errors.EndpointConnectionError():
            return f"No connection to the server of {place}: {_cause(error)}.", _REACH
        case botocore_errors.ProxyConnectionError() | botocore_errors.InvalidProxiesConfigError():
            return f"The proxy on the way to {place} failed.", "See the variables HTTPS_PROXY and NO_PROXY."
        case botocore_errors.ConnectTimeoutError() | botocore_errors.ReadTimeoutError():
            return f"The server of {place} did not answer in time.", "See that it can be reached from here."
        case botocore_errors.ParamValidationError() | botocore_errors.InvalidRegionError():
            return (
                f"A value of the destination is refused: {_short(error)}.",
                "Correct the bucket's name or the region.",
            )
        case ResponseParserError():
            its = no_s3(settings)
            return its.message, its.remedy
    about = f" for {name}" if name else ""
    remedy = _REACH if errors.is_passing(error) else ""
    if remedy and (settings.endpoint or "").startswith("http:"):
        remedy += " It may want https."
    return f"The connection to {place} broke{about}: {_cause(error)}.", remedy


def _tls(error: BaseException, settings: Settings) -> tuple[str, str]:
    place, text = settings.place, str(error)
    if "WRONG_VERSION_NUMBER" in text:
        return (
            f"The server of {place} does not speak TLS on that port.",
            "Correct the port; or write http:// for a server without encryption.",
        )
    if "NO_CERTIFICATE_OR_CRL_FOUND" in text:
        return f"The file {settings.ca} holds no certificate.", "Choose a PEM file."
    found = re.search(r"certificate verify failed: ([^(]+)", text)
    why = found[1].strip(" .") if found else _cause(error)
    return (
        f"The server of {place} could not prove who it is: {why}.",
        "If its certificate is your company's own, choose its certificate authority's file.",
    )


def _cause(error: BaseException) -> str:
    """What the system said, out of the errors that libraries have put around it."""
    said = ""
    for found in _inside(error):
        if isinstance(found, OSError) and found.strerror:
            said = found.strerror
        elif isinstance(found, TimeoutError):
            said = "nothing went on for too long"
    if not said and isinstance(error, botocore_errors.ConnectionClosedError):
        return "the server closed it without an answer"
    return (said or _short(error))[:300]


def _inside(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        kept = getattr(found, "kwargs", None)
        inner = kept.get("error") if isinstance(kept, dict) else None
        inner = inner or getattr(found, "reason", None) or found.__cause__ or found.__context__
        found = inner if isinstance(inner, BaseException) and inner is not found else None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
