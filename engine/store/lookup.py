"""Errors about names: nothing of that name (with the names that are close), or the name is taken."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from engine.errors import ConfigError, NotFound


def not_found(kind: str, name: str, names: Iterable[str], *, listing: str = "") -> NotFound:
    """The error for a `kind` ("job", "source") that is not there; `listing` is a command that shows all."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        remedy = f"Did you mean {' or '.join(close)}?"
    elif 0 < len(known) <= 10:
        remedy = f"There are: {', '.join(known)}."
    elif known:
        remedy = f"There are {len(known)} others." + (f" `{listing}` shows them." if listing else "")
    else:
        remedy = f"There is no {kind} yet."
    return NotFound(f"There is no {kind} {name!r}.", remedy=remedy)


def name_taken(kind: str, name: str) -> ConfigError:
    """The error for a second `kind` of one name; a form shows it beside the name."""
    return ConfigError(
        f"There is a {kind} named {name!r} already.", field="name", remedy="Choose another name."
    )
