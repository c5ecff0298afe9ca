"""Secrets that were read once stay at hand: a keyring that locks or dies in mid-run stops nothing.

One of these lives as long as one execution, in memory alone.
"""

from __future__ import annotations

from engine.cancellation import CancelToken
from engine.secrets.base import SecretStore


class RememberedSecrets(SecretStore):
    """Another store, asked once for each secret. Safe to use from several threads."""

    def __init__(self, inner: SecretStore, known: dict[str, str] | None = None) -> None:
        self._inner = inner
        self._known = {} if known is None else known
        self.title = inner.title

    def __repr__(self) -> str:
        return f"{self._inner!r}.remembered"

    def get(self, key: str) -> str:
        if (known := self._known.get(key)) is not None:
            return known
        secret = self._known[key] = self._inner.get(key)
        return secret

    def set(self, key: str, secret: str) -> None:
        self._inner.set(key, secret)
        self._known[key] = secret

    def delete(self, key: str) -> None:
        self._known.pop(key, None)
        self._inner.delete(key)

    def check(self) -> str:
        return self._inner.check()

    def look(self) -> str:
        return self._inner.look()

    def elsewhere(self) -> str:
        return self._inner.elsewhere()

    def until(self, cancel: CancelToken) -> SecretStore:
        return RememberedSecrets(self._inner.until(cancel), self._known)
