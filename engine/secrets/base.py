"""The contract of a store of secrets: text by key, for one installation.

Keys are plain words with slashes (`source/k3f9.../password`); `scoped` gives a part of the store whose
keys begin with a prefix, so that no caller builds another's keys. A call may wait for somebody to answer
an unlock prompt: never make one on the UI thread. `until` lets a cancel end that wait.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from engine.cancellation import CancelToken
from engine.errors import SecretMissing, SecretsError


class SecretStore(ABC):
    """Secrets by key. No method puts a secret into a message, a log or a repr."""

    title: str
    """What people call it: "the OS keyring"."""

    @abstractmethod
    def get(self, key: str) -> str:
        """The secret. Raises `SecretMissing` when there is none of that key, else `SecretsError`."""

    @abstractmethod
    def set(self, key: str, secret: str) -> None:
        """Keep a secret, in place of one of the same key. Raises `SecretsError`."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget a secret; a missing one is fine. Raises `SecretsError` when one stays."""

    @abstractmethod
    def check(self) -> str:
        """Show that secrets can be kept, and say where, in words. Raises `SecretsError` when not."""

    def look(self) -> str:
        """Like `check`, for whoever must leave everything as it is."""
        return self.check()

    def until(self, cancel: CancelToken) -> SecretStore:
        """This store, whose calls end with `Cancelled` once that token is cancelled while they wait."""
        return self

    def elsewhere(self) -> str:
        """In what other store a secret that is missing here may lie, and how that one is chosen, in words."""
        return ""

    def find(self, key: str) -> str | None:
        """The secret, or None when there is none of that key."""
        try:
            return self.get(key)
        except SecretMissing:
            return None

    def scoped(self, prefix: str) -> SecretStore:
        """The part of this store whose keys begin with `prefix` and a slash."""
        return ScopedSecrets(self, prefix)


class ScopedSecrets(SecretStore):
    """A part of another store."""

    def __init__(self, inner: SecretStore, prefix: str) -> None:
        self._inner = inner
        self._prefix = checked_key(prefix)
        self.title = inner.title

    def __repr__(self) -> str:
        return f"{self._inner!r}.scoped({self._prefix!r})"

    def get(self, key: str) -> str:
        return self._inner.get(self._key(key))

    def set(self, key: str, secret: str) -> None:
        self._inner.set(self._key(key), secret)

    def delete(self, key: str) -> None:
        self._inner.delete(self._key(key))

    def check(self) -> str:
        return self._inner.check()

    def look(self) -> str:
        return self._inner.look()

    def elsewhere(self) -> str:
        return self._inner.elsewhere()

    def until(self, cancel: CancelToken) -> SecretStore:
        return ScopedSecrets(self._inner.until(cancel), self._prefix)

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{checked_key(key)}"


def checked_key(key: str) -> str:
    """`key` itself; a key that is empty or not printable is a fault of the program."""
    if not key or not key.isprintable():
        raise ValueError("a secret's key is printable text")
    return key


def missing(title: str, key: str, elsewhere: str = "") -> SecretMissing:
    """The error for a key that a store does not hold. The key is no secret: it names a field."""
    remedy = "It may have been deleted, or belong to another user or installation; enter it again."
    return SecretMissing(
        f"{title[:1].upper()}{title[1:]} holds no secret named {key}.",
        remedy=f"{remedy} {elsewhere}".strip(),
    )


def refuse_empty(secret: str) -> None:
    """An empty secret cannot be told from a missing one in some keyrings, so none is kept."""
    if not secret:
        raise SecretsError("An empty secret cannot be kept.", remedy="Leave the field out instead.")
