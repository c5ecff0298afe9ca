"""Any channel that Apprise knows, by its URL: mail, chat, push, webhooks, more than a hundred services.

The URL holds the tokens and passwords of the channel, so the whole of it is the secret.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pydantic

import strongroom

if TYPE_CHECKING:
    import apprise

_TYPES = {"info": "info", "success": "success", "warning": "warning", "error": "failure"}
"""Apprise's words for our levels."""


class NotDelivered(strongroom.StrongroomError):
    """The service did not confirm that it took the message."""


class Apprise(strongroom.Notifier):
    """Tells people through one Apprise URL."""

    name = "apprise"
    title = "Any Apprise service"
    icon = "bell"

    class Config(strongroom.AdapterConfig):
        url: pydantic.SecretStr = strongroom.field(
            title="Apprise URL",
            description="Where messages go, as https://github.com/caronc/apprise/wiki writes it.",
            placeholder="mailto://user:password@example.org",
        )
        time_limit: int = strongroom.field(
            30,
            title="Time limit",
            description="Seconds after which a service that has not answered counts as failed.",
            advanced=True,
            ge=1,
            le=600,
        )

        @pydantic.field_validator("url")
        @classmethod
        def _is_url(cls, value: pydantic.SecretStr) -> pydantic.SecretStr:
            if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value.get_secret_value().strip()):
                raise ValueError("an Apprise URL begins with the service's name and ://")
            return value

    config: Config

    def check(self) -> str:
        self.send(
            strongroom.Message(
                title="Strongroom reaches you here",
                body="This is a test. Messages about your backups will come the same way.",
            )
        )
        return f"A test message was sent by {self._scheme()}."

    def render(self, message: strongroom.Message) -> dict[str, Any]:
        lines = [
            message.body,
            *(["", *(f"{name}: {value}" for name, value in message.facts)] * bool(message.facts)),
        ]
        return {
            "service": self._scheme(),
            "title": message.title,
            "body": "\n".join(lines).strip(),
            "type": _TYPES.get(message.level, "info"),
        }

    def send(self, message: strongroom.Message) -> None:
        payload = self.render(message)
        with _LISTENING, _listening() as said:
            channel = self._channel()
            outcome: list[bool | Exception] = []

            def deliver() -> None:
                try:
                    result = channel.notify(
                        title=payload["title"],
                        body=payload["body"],
                        notify_type=payload["type"],
                        body_format="text",
                    )
                except Exception as error:  # a service's plugin may raise anything; it is judged below
                    outcome.append(error)
                else:
                    outcome.append(bool(result))  # an object that is true only if every service took it

            # Apprise limits single reads, not the whole; a service that trickles would hold the run up.
            thread = threading.Thread(target=deliver, name="apprise", daemon=True)
            thread.start()
            thread.join(self.config.time_limit)
        if outcome == [True]:
            return
        if not outcome:
            what = f"it gave no answer in {self.config.time_limit} seconds"
        elif isinstance(outcome[0], Exception):
            what = f"{type(outcome[0]).__name__}: {outcome[0]}"
        else:
            what = said[-1] if said else "the service did not take the message"
        raise NotDelivered(
            f"The message could not be sent by {self._scheme()}: {self._blot(what)}",
            remedy="Check the Apprise URL and that this machine reaches the service.",
        )

    def _channel(self) -> apprise.Apprise:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the libraries of its services
            channel, known = self._opened()
        if not known:
            raise strongroom.ConfigError(
                f"Apprise does not understand this URL for {self._scheme()}.",
                field="url",
                remedy="Compare it with the service's page in https://github.com/caronc/apprise/wiki.",
            )
        return channel

    def _opened(self) -> tuple[apprise.Apprise, bool]:
        try:
            import apprise
        except ImportError as error:
            raise strongroom.StrongroomError(
                "The library apprise is not installed, which sends the notifications.",
                remedy="Install it: pip install 'strongroom[notify]'",
            ) from error
        asset = apprise.AppriseAsset(
            app_id="Strongroom",
            app_desc="Strongroom database backups",
            app_url="",
            async_mode=False,
            image_url_mask="",
            image_url_logo="",
            storage_mode="memory",
        )
        channel = apprise.Apprise(asset=asset)
        return channel, bool(channel.add(self.config.url.get_secret_value().strip()))

    def _scheme(self) -> str:
        return self.config.url.get_secret_value().strip().partition("://")[0].lower()

    def _blot(self, text: str) -> str:
        """The text without any part of the URL: which part is a token differs from service to service."""
        rest = self.config.url.get_secret_value().partition("://")[2]
        pieces = {piece for piece in re.split(r"[/:@?&=#,\s]+", rest) if len(piece) > 3}
        for piece in sorted(pieces | {unquote(piece) for piece in pieces}, key=len, reverse=True):
            text = text.replace(piece, "***")
        return text


_LISTENING = threading.Lock()
"""One message at a time, so that what Apprise logs meanwhile belongs to it; it has threads of its own."""


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect Apprise's warnings: it returns False, and says why only there.

    They go nowhere else, and nothing below a warning is even made: it would hold the whole URL.
    """
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, listener = logging.getLogger("apprise"), Listener()
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)


@strongroom.hookimpl
def strongroom_notifiers() -> list[type[strongroom.Notifier]]:
    return [Apprise]
