"""The conformance suites that any plugin can be run against; each needs pytest."""

from __future__ import annotations

from strongroom.testing.sources import (
    PasswordConformance,
    PasswordLab,
    SourceConformance,
    SourceLab,
    Surroundings,
    ToolConformance,
    ToolLab,
)
from strongroom.testing.storages import StorageConformance

__all__ = [
    "PasswordConformance",
    "PasswordLab",
    "SourceConformance",
    "SourceLab",
    "StorageConformance",
    "Surroundings",
    "ToolConformance",
    "ToolLab",
]
