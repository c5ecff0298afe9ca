"""What applying a file comes to: a change for each thing that it names, and the plan of them all."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["create", "update", "unchanged"]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one thing that the file names; `fields` are those that differ, never their values."""

    kind: str
    name: str
    action: Action
    fields: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, kind: str, name: str, *, known: bool, fields: Iterable[str] = ()) -> Change:
        """Create what is not known yet; update what is and differs in some field."""
        if not known:
            return cls(kind, name, "create")
        differing = tuple(fields)
        return cls(kind, name, "update" if differing else "unchanged", differing)


@dataclass(slots=True)
class Plan:
    """All changes, checked and ready; `perform` writes those that change anything, in their order."""

    check_secrets: Callable[[], object]
    changes: list[Change] = field(default_factory=list)
    needs_secrets: bool = False
    _steps: list[Callable[[], object]] = field(default_factory=list)

    def add(self, change: Change, step: Callable[[], object], *, with_secrets: bool = False) -> None:
        """Add a change and what makes it; `with_secrets` when a secret is kept by it."""
        self.changes.append(change)
        if change.action != "unchanged":
            self._steps.append(step)
            self.needs_secrets = self.needs_secrets or with_secrets

    def perform(self) -> None:
        """Write what differs. Raises `SecretsError` before anything is written where no secret can be."""
        if self.needs_secrets:
            self.check_secrets()
        for step in self._steps:
            step()


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The remedy for a name that is not among `names`."""
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"There are: {', '.join(known[:10])}." if known else "Add it to the file."
