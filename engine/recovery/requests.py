"""What is to be restored and where to, as it stands in an execution's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_REQUESTS = "requests"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """One backup, or a loose file, into one database of one source.

    `as_name` None means the name that the source itself gives a backup of that database. What exists
    and is not empty is replaced only with `overwrite`; a backup whose writer is not proven is taken
    only with `unproven`. `file` is the path of an artifact on this machine, in the place of `backup_id`.
    `choices` go before the source's own `restore_...` fields.
    """

    backup_id: str
    to_source: str
    as_name: str | None = None
    overwrite: bool = False
    unproven: bool = False
    file: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)

    def to_labels(self) -> dict[str, Any]:
        """As JSON values, for an execution's labels."""
        return asdict(self)

    @classmethod
    def from_labels(cls, labels: Mapping[str, Any]) -> RestoreRequest:
        """The inverse of `to_labels`; what else the labels hold is left alone."""
        return cls(**{name: labels[name] for name in cls.__dataclass_fields__ if name in labels})


def labels_of(requests: Sequence[RestoreRequest]) -> dict[str, Any]:
    """The labels of an execution that restores these, one after the other."""
    first = requests[0].to_labels()
    return first if len(requests) == 1 else {**first, _REQUESTS: [its.to_labels() for its in requests]}


def requests_in(labels: Mapping[str, Any]) -> list[RestoreRequest]:
    """The inverse of `labels_of`."""
    return [RestoreRequest.from_labels(its) for its in labels.get(_REQUESTS, [labels])]
