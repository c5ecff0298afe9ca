"""The conformance suites that any plugin can be run against; each needs pytest."""

from __future__ import annotations

from strongroom.testing.hosts import HostConformance
from strongroom.testing.laboratory import PasswordLab, SourceLab, Surroundings, ToolLab
from strongroom.testing.sources import PasswordConformance, SourceConformance, ToolConformance
from strongroom.testing.storages import StorageConformance

__all__ = [
    "HostConformance",
    "PasswordConformance",
    "PasswordLab",
    "SourceConformance",
    "SourceLab",
    "StorageConformance",
    "Surroundings",
    "ToolConformance",
    "ToolLab",
]
