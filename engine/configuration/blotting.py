"""The last guard: the secrets of a configuration are blotted out of all that its adapter says.

Adapters promise to put no secret into any text. But tools and servers repeat what they were given, in
errors that nobody has seen before, and a message goes far: to the screen, the store, the people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

from engine.contract.adapters import Log
from engine.contract.config import AdapterConfig, split_secrets
from engine.errors import StrongroomError
from engine.events import LogLevel, LogType

HIDDEN = "•••"
SHORTEST = 4
"""Characters below which a secret would be blotted out of ordinary words."""


class Blotter:
    """Blots texts out, as they are and as URLs, JSON and Python's repr write them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        written = {
            text
            for secret in secrets
            if len(secret) >= SHORTEST
            for text in (
                secret,
                quote(secret),
                quote(secret, safe=""),
                quote_plus(secret),
                json.dumps(secret)[1:-1],
                json.dumps(secret, ensure_ascii=False)[1:-1],
                repr(secret)[1:-1],
            )
        }
        # The longest first: one secret may be part of another.
        self._written = sorted(written, key=len, reverse=True)

    @classmethod
    def of(cls, config: AdapterConfig) -> Blotter:
        """For the secret fields of a configuration."""
        return cls(split_secrets(config)[1].values())

    def clean(self, text: str) -> str:
        """The text without any of them."""
        for written in self._written:
            text = text.replace(written, HIDDEN)
        return text

    def log(self, log: Log) -> Log:
        """A log that is written to by way of `clean`."""

        def cleaned(message: str, level: LogLevel, type: LogType, details: str) -> None:
            log(self.clean(message), level, type, self.clean(details))

        return cleaned

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Clean the texts of an error that leaves the block, and of those that it came from."""
        try:
            yield
        except BaseException as error:
            self._clean_error(error)
            raise

    def _clean_error(self, error: BaseException) -> None:
        seen: set[int] = set()
        waiting: list[BaseException | None] = [error]
        while waiting:
            its = waiting.pop()
            if its is None or id(its) in seen:
                continue
            seen.add(id(its))
            waiting += [its.__cause__, its.__context__]
            its.args = tuple(self.clean(arg) if isinstance(arg, str) else arg for arg in its.args)
            if isinstance(its, StrongroomError):
                its.message, its.remedy = self.clean(its.message), self.clean(its.remedy)
