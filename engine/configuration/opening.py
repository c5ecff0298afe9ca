"""Opens one destination as often as needed: each attempt of an upload has a connection of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.cancellation import CancelToken
from engine.configuration.blotting import Blotter
from engine.contract.adapters import Adapter, Context, Log, Storage, no_log, no_sign
from engine.contract.checked_storage import CheckedStorage
from engine.contract.config import AdapterConfig, split_secrets

_log = logging.getLogger(__name__)

Alive = Callable[[int], None]
CLOSING = 1.0
"""Seconds that a storage may take to close its connection before it is left alone with that."""


class StorageOpener:
    """A destination whose adapter is there and whose secrets are at hand, to be opened as often as needed."""

    def __init__(
        self, adapter: type[Storage], config: AdapterConfig, context: Callable[..., Context]
    ) -> None:
        self.needs_length = adapter.needs_length
        self._adapter = adapter
        self._config = config
        self._context = context

    @property
    def secrets(self) -> list[str]:
        """The values of its secrets, for the log to blot out."""
        return list(split_secrets(self._config)[1].values())

    @contextmanager
    def open(
        self, *, cancel: CancelToken | None = None, log: Log = no_log, alive: Alive = no_sign
    ) -> Iterator[CheckedStorage]:
        """The adapter behind the check of names, with a connection of its own until the block ends."""
        blotter = Blotter.of(self._config)
        with blotter.errors():
            adapter = self._adapter(self._config, self._context(cancel, blotter.log(log), alive=alive))
            try:
                yield CheckedStorage(adapter, alive)
            finally:
                _close_within(CLOSING, adapter)


def _close_within(seconds: float, adapter: Adapter) -> None:
    """Close on a thread that is left alone when it hangs: what was done is done, closed or not."""

    def close() -> None:
        try:
            adapter.close()
        except Exception as error:
            _log.debug("closing %s met an error: %s", adapter.name, error)

    thread = threading.Thread(target=close, name="strongroom-close", daemon=True)
    thread.start()
    thread.join(seconds)
