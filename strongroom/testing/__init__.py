"""The conformance suites that any plugin can be run against; each needs pytest."""

from __future__ import annotations

from strongroom.testing.storages import StorageConformance

__all__ = ["StorageConformance"]
