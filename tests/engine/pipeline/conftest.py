"""Gates for adapters that wait or hang; whatever a test leaves hanging goes on when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.parts.faulty import GATES, FaultyFolder, Gate


@pytest.fixture
def gate() -> Iterator[Callable[..., Gate]]:
    """Makes the gate of a name: `gate("put")` holds all who come there, `gate("put", 1)` the first."""
    FaultyFolder.calls.clear()
    FaultyFolder.failures.clear()

    def make(name: str, times: int = 1_000_000) -> Gate:
        GATES[name] = Gate(times)
        return GATES[name]

    yield make
    for each in GATES.values():
        each.opened.set()
    GATES.clear()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries after some hundredths of a second, and less patience with what does not come back."""
    monkeypatch.setattr("engine.pipeline.upload.FIRST_WAIT", 0.01)
    monkeypatch.setattr("engine.pipeline.upload.LONGEST_WAIT", 0.02)
    monkeypatch.setattr("engine.pipeline.attempt.GRACE", 0.5)
