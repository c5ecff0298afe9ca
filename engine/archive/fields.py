"""Typed reading of the fields of a JSON object that others may have written: each is there, and of its
kind, or the document is unreadable and the message says which field is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from engine.errors import SidecarUnreadable, StrongroomError

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


class Fields:
    """The fields of `document`; `what` begins each message ("The sidecar"). Raises `SidecarUnreadable`."""

    def __init__(self, document: Mapping[str, Any], what: str) -> None:
        self._document = document
        self._what = what

    def kind_and_version(self, kind: str, known: str, *, too_new: type[StrongroomError]) -> str:
        """The version of a document of that kind, when its major part is at most the known one's."""
        if self._document.get("kind") != kind:
            raise SidecarUnreadable(f"{self._what} is not one of Strongroom's: its kind is not {kind}.")
        version = self.text("version")
        match = _VERSION.fullmatch(version)
        if match is None:
            self._wrong("version")
        if int(match[1]) > int(known.partition(".")[0]):
            raise too_new(
                f"{self._what} is of version {version}; this Strongroom reads up to {known}.",
                remedy="Install a newer Strongroom.",
            )
        return version

    def has(self, name: str) -> bool:
        """Whether the field is there and is not null."""
        return self._document.get(name) is not None

    def text(self, name: str, *, empty: bool = False) -> str:
        """A text, which may be empty only when that is allowed."""
        value = self._document.get(name)
        if not isinstance(value, str) or not (value or empty):
            self._wrong(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._document.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wrong(name)
        return tuple(value)

    def count(self, name: str) -> int:
        """A whole number of at least 0."""
        value = self._document.get(name)
        if not isinstance(value, int) or not _is_count(value):
            self._wrong(name)
        return value

    def number(self, name: str) -> float:
        """A number of at least 0."""
        value = self._document.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
            self._wrong(name)
        return float(value)

    def counts(self, name: str) -> dict[str, int]:
        """An object whose values are all whole numbers of at least 0."""
        value = self._document.get(name)
        if not isinstance(value, dict) or not all(_is_count(item) for item in value.values()):
            self._wrong(name)
        return dict(value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._document.get(name)
        if not isinstance(value, bool):
            self._wrong(name)
        return value

    def moment(self, name: str) -> datetime:
        """An ISO 8601 time with its offset, as UTC."""
        try:
            value = datetime.fromisoformat(self.text(name))
            if value.tzinfo is not None:
                return value.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self._wrong(name)

    def inner(self, name: str) -> Fields | None:
        """The fields of an object within; None when it is null or not there."""
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._wrong(name)
        return Fields(value, f"{self._what}'s {name}")

    def _wrong(self, name: str) -> NoReturn:
        state = "is missing" if name not in self._document else "is not what it should be"
        raise SidecarUnreadable(f"{self._what} cannot be read: its field {name} {state}.")


def _is_count(value: object) -> bool:
    # true and false are ints to Python, and no counts.
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
