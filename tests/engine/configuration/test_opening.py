"""A destination is opened again and again, shows that it lives, and is closed within a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import strongroom
from engine.configuration.opening import StorageOpener
from engine.workspace import Workspace
from tests.parts.faulty import GATES, FaultyFolder, Gate


@pytest.fixture
def opener(workspace: Workspace, tmp_path: Path) -> Iterator[Callable[..., StorageOpener]]:
    """Makes what opens a faulty folder with these values."""

    def make(**values: object) -> StorageOpener:
        place = {"path": str(tmp_path / "vault"), **values}
        saved = workspace.endpoints.save("destination", "vault", "faulty-folder", place)
        return workspace.endpoints.storage_opener(saved)

    yield make
    for gate in GATES.values():
        gate.opened.set()
    GATES.clear()


def test_its_secrets_are_asked_for_once(opener: Callable[..., StorageOpener], workspace: Workspace) -> None:
    made = opener(token="s3cr3t-token")
    [place] = workspace.endpoints.all("destination")
    workspace.secrets.delete(f"destination/{place.id}/token")

    with made.open() as first, made.open() as second:
        assert first.adapter is not second.adapter
        assert first.adapter.config.token.get_secret_value() == "s3cr3t-token"
    assert made.secrets == ["s3cr3t-token"]


def test_each_answer_and_each_sign_of_the_adapter_is_told(opener: Callable[..., StorageOpener]) -> None:
    signs: list[int] = []

    def told(act: Callable[[], object]) -> bool:
        signs.clear()
        act()
        return bool(signs)

    with opener().open(alive=signs.append) as storage:
        storage.put("a.age", strongroom.BytesReader(b"x" * 10), begun=lambda leftover: None)
        assert signs == [strongroom.CHUNK], "it was read back"
        assert told(lambda: list(storage.list()))
        assert told(lambda: b"".join(storage.get("a.age")))
        assert told(lambda: storage.stat("a.age"))
        assert told(lambda: storage.delete("a.age"))
        assert told(lambda: storage.discard(strongroom.Leftover(".a.age.0123456789abcdef.partial")))
        assert told(lambda: storage.adapter.context.alive(7))


def test_a_close_that_hangs_or_fails_is_nobodys_failure(
    opener: Callable[..., StorageOpener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.configuration.opening.CLOSING", 0.2)
    GATES["close"] = Gate()
    begun = time.monotonic()
    made = opener(hang=["close"])
    with made.open():
        pass
    assert GATES["close"].reached.is_set()
    assert time.monotonic() - begun < 10

    def fail(self: FaultyFolder) -> None:
        raise OSError("the socket is gone")

    monkeypatch.setattr(FaultyFolder, "close", fail)
    with made.open():
        pass
