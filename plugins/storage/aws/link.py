"""One adapter's calls to its server: each made within reach of a cancel, and tried again a few times.

What passes by itself (a 503, a broken connection) is tried three times within some two seconds: a part of
8 MiB is then sent again instead of the whole file. What lasts longer is for the engine's own attempts.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import strongroom
from plugins.storage.aws import client as making
from plugins.storage.aws import errors, messages
from plugins.storage.aws.settings import Settings
from plugins.storage.aws.wire import Wire

TRIES = 3
_WAIT = 0.4
"""Seconds before the second try, four times as many before the third."""


class _Client:
    """botocore's client and what its certificates are checked by, made when they are first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._api: Any = None
        self._verify: str | bool = True
        self._caller = threading.local()

    def method(self, operation: str, link: Link) -> Callable[..., dict[str, Any]]:
        """An operation, whose requests leave by that link's wire for as long as this thread calls it."""
        with self._lock:
            if self._api is None:
                session = making.make_session(self._settings)
                self._verify = making.verify(self._settings, session)
                self._api = making.make_client(self._settings, session, self._send)
        self._caller.wire = link.wire(self._verify)
        method: Callable[..., dict[str, Any]] = getattr(self._api, operation)
        return method

    def _send(self, request: Any, **_: object) -> Any:
        return self._caller.wire.send(request)


class Link:
    """A wire of its own, and a client, which is made when it is first used."""

    def __init__(
        self,
        settings: Settings,
        cancel: strongroom.CancelToken,
        *,
        connect_timeout: float = making.CONNECT_TIMEOUT,
        read_timeout: float = making.READ_TIMEOUT,
        tries: int = TRIES,
        client: _Client | None = None,
    ) -> None:
        """Timeouts in seconds; `tries` is how often a call is made that fails by what may pass."""
        self.settings = settings
        self.cancel = cancel
        self._timeouts = connect_timeout, read_timeout
        self._tries = tries
        self._client = client or _Client(settings)
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._others: weakref.WeakSet[Link] = weakref.WeakSet()
        self._down = False

    def another(self) -> Link:
        """A link with connections of its own, which this one's hang-up breaks, too."""
        connect, read = self._timeouts
        link = Link(
            self.settings, self.cancel, connect_timeout=connect, read_timeout=read, client=self._client
        )
        with self._lock:
            self._others.add(link)
            if self._down:
                link.hang_up()
        return link

    def for_cleaning(self, seconds: float) -> Link:
        """A link that no cancel reaches, with the same client, whose requests take so long at most."""
        return Link(
            self.settings,
            strongroom.CancelToken(),
            connect_timeout=seconds,
            read_timeout=seconds,
            tries=1,
            client=self._client,
        )

    def call(self, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        """Call an operation of the bucket, such as `head_object`; with `once` it is not tried again.

        Raises one of `errors.RAW`, `Cancelled`, and what a body's own `error` says.
        """
        tries = 1 if once else self._tries
        for attempt in range(1, tries + 1):
            self.cancel.raise_if_cancelled()
            try:
                return self._client.method(operation, self)(Bucket=self.settings.bucket, **params)
            except errors.RAW as error:
                body_error = getattr(params.get("Body"), "error", None)
                if body_error is not None:
                    raise body_error from None
                if attempt == tries or self._down or not errors.is_passing(error):
                    raise
            self.wait(attempt)
            if hasattr(params.get("Body"), "seek"):
                params["Body"].seek(0)
        raise AssertionError("the loop returns or raises")

    def wait(self, attempt: int) -> None:
        """Wait after a failed attempt (from 1), unless a cancel comes."""
        self.cancel.wait(_WAIT * 4 ** (attempt - 1))
        self.cancel.raise_if_cancelled()

    @contextmanager
    def reporting(self, name: str) -> Iterator[None]:
        """Turn what botocore raises into our errors; while the block runs, a cancel breaks connections."""
        with self.cancel.calling(self.hang_up):
            try:
                yield
            except errors.RAW as error:
                self.cancel.raise_if_cancelled()
                raise messages.translate(error, self.settings, name) from error

    def hang_up(self) -> None:
        """Break every connection, from any thread; nothing goes out any more."""
        with self._lock:
            self._down = True
            wire, others = self._wire, list(self._others)
        for each in (wire, *others):
            if each is not None:
                each.hang_up()

    def close(self) -> None:
        """Let go of all. Safe to call twice, and from another thread than works."""
        self.hang_up()
        if self._wire is not None:
            self._wire.close()

    def wire(self, verify: str | bool) -> Wire:
        """The wire that this link's requests leave by."""
        with self._lock:
            if self._wire is None:
                connect, read = self._timeouts
                self._wire = Wire(verify=verify, connect_timeout=connect, read_timeout=read)
                if self._down:
                    self._wire.hang_up()
            return self._wire


@contextmanager
def for_at_most(seconds: float, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` when the block takes longer."""
    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
