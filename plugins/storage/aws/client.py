"""botocore's client for one destination: whose keys, which region, which way to write the bucket's name.

botocore alone is used, which boto3 is a face of: the client is the same, and half as slow to import.
With keys of its own a destination takes nothing from this machine but its proxies and AWS_CA_BUNDLE: the
variables AWS_* and the files in ~/.aws would otherwise change where a backup goes. Without keys it is all
left to botocore.
"""

from __future__ import annotations

import logging
import os
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, Credentials, DeferredRefreshableCredentials

import strongroom
from plugins.storage.aws.parts import Section
from plugins.storage.aws.settings import Settings

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
"""Seconds."""

_OWN_SIGNER = "strongroom-s3v4"
_LAST_REGION = "us-east-1"
"""What servers expect that know no regions, and where Amazon S3 says which other one it is."""

# Its debugging lines hold what is signed, a session's token among it.
logging.getLogger("botocore").setLevel(logging.INFO)

_loader = botocore.loaders.create_loader()
"""The descriptions of the services, read once a process: without it each client takes 60 ms instead of 10."""


class SectionAuth(botocore.auth.S3SigV4Auth):  # type: ignore[misc]
    """Signature version 4 that hashes no section again: its SHA-256 is known, and covers the body."""

    def payload(self, request: Any) -> Any:
        if isinstance(request.body, Section) and request.body.sha256:
            return request.body.sha256.hex()
        return super().payload(request)


# botocore looks signers up by name, and asks its event `choose-signer` for the name.
botocore.auth.AUTH_TYPE_MAPS[_OWN_SIGNER] = SectionAuth


def make_session(settings: Settings) -> Any:
    """A botocore session with the credentials of the settings, none of which is looked up yet.

    Raises what botocore does: `ProfileNotFound`, say.
    """
    nothing = (None, None, None, None)
    apart = {
        "profile": nothing,
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session = botocore.session.Session(session_vars=apart if settings.has_keys else None)
    session.register_component("data_loader", _loader)
    # A machine that is no instance of Amazon's asks an address that nobody answers: once, for a second.
    session.set_config_variable("metadata_service_timeout", 1)
    session.set_config_variable("metadata_service_num_attempts", 1)
    if settings.profile is not None:
        session.set_config_variable("profile", settings.profile)
    return session


def region(settings: Settings, session: Any) -> str:
    """The region to sign for."""
    found = settings.region
    if found is None and not settings.has_keys:
        found = session.get_config_variable("region")
    return found or _LAST_REGION


def verify(settings: Settings, session: Any) -> str | bool:
    """What a server's certificate is checked by: a PEM file's path, or True for the public authorities.

    Raises `StorageError` for a file that is not there.
    """
    found = settings.ca or session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    if found is None:
        return True
    if not os.path.isfile(found):  # noqa: PTH113 - a path or a text
        raise strongroom.StorageError(
            f"The file {found} of certificate authorities is not there.",
            remedy="Correct the destination's certificate authority, or leave it empty.",
        )
    return str(found)


def make_client(settings: Settings, session: Any, send: Any) -> Any:
    """An S3 client whose requests leave by `send` (see `wire.Wire.send`)."""
    config = _config(settings)
    where = {"region_name": region(settings, session), "endpoint_url": settings.endpoint, "config": config}
    credentials = _credentials(settings, session)
    if settings.role_arn is not None:
        credentials = _role(settings, session, credentials, send)
    session.register_component("credential_provider", _Given(credentials))
    client = session.create_client("s3", **where)
    client.meta.events.register("before-send.s3", send)
    client.meta.events.register_first("choose-signer.s3.UploadPart", _choose_signer)
    return client


def sts_endpoint(settings: Settings) -> str | None:
    """Where roles are asked for: None for Amazon's own, else the same server, which has both."""
    host = (urlsplit(settings.endpoint).hostname or "") if settings.endpoint else ""
    amazons = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return settings.endpoint if host and not amazons else None


def _config(settings: Settings) -> Any:
    style = settings.path_style
    if style == "auto" and settings.endpoint is not None:
        style = "path"
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        # What is tried again, and how often, is for us to say (see `link`).
        retries={"total_max_attempts": 1, "mode": "standard"},
        s3={"addressing_style": style},
        # Checksums that we have not asked for are unknown to many servers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=settings.has_keys,
        user_agent_extra=f"strongroom/{strongroom.__version__}",
    )


def _credentials(settings: Settings, session: Any) -> Any:
    if not settings.has_keys:
        # Not by the session's own method, which would keep them for every client that it makes.
        return session.get_component("credential_provider").load_credentials()
    secret, token = settings.secret_access_key, settings.session_token
    return Credentials(
        settings.access_key_id,
        secret.get_secret_value() if secret is not None else None,
        token.get_secret_value() if token is not None else None,
        method="destination",
    )


def _role(settings: Settings, session: Any, credentials: Any, send: Any) -> Any:
    """Credentials that take the role on when they are first used, and again before they expire."""

    def create(service: str, **keys: Any) -> Any:
        client = session.create_client(
            service,
            region_name=region(settings, session),
            endpoint_url=sts_endpoint(settings),
            config=_config(settings),
            **keys,
        )
        client.meta.events.register(f"before-send.{service}", send)
        return client

    extra = {"RoleSessionName": "strongroom"}
    if settings.external_id is not None:
        extra["ExternalId"] = settings.external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=create,
        source_credentials=credentials,
        role_arn=settings.role_arn,
        extra_args=extra,
    )
    return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)


class _Given:
    """The provider of the one set of credentials."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials


def _choose_signer(signature_version: object, **_: object) -> str | None:
    # Express buckets and multi-region access points have signers of their own, which hash once more.
    return _OWN_SIGNER if signature_version in ("v4", "s3v4") else None
