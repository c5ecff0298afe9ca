"""The hosts on which sources' tools run: this machine, and those that people configure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.errors import ConfigError, ConnectionFailed, NeedsTrust

if TYPE_CHECKING:
    from engine.records import Endpoint

LOCAL = "local"
"""This machine: always there, and nobody's to configure."""


def way_to(host: str, get: Callable[[str], Endpoint]) -> list[Endpoint]:
    """The hosts by which one is reached, it itself last; none for this machine.

    `get` finds a host by its ID. Raises `NotFound`, and `ConfigError` for a way that goes in a circle.
    """
    way: list[Endpoint] = []
    while host != LOCAL:
        found = get(host)
        if any(found.id == its.id for its in way):
            raise ConfigError(
                f"The host {found.name!r} is reached by way of itself.",
                field="host",
                remedy="Choose another host, or this machine, for one of those on its way.",
            )
        way.insert(0, found)
        host = found.host
    return way


def not_trusted(host: Endpoint, question: NeedsTrust) -> ConnectionFailed:
    """What a source says whose host has shown a key that nobody has confirmed."""
    return ConnectionFailed(
        f"The host {host.name} is not trusted yet. {question.message}",
        remedy=f"Test the host itself, and confirm its key there: strongroom check host {host.name}",
    )
