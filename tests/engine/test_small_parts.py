"""The small vocabulary: cancel tokens, the event bus, scratch folders, units, and what is public."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import strongroom
from engine import errors, scratch
from engine.cancellation import REASON, CancelToken, cancel_words
from engine.contract.config import AdapterConfig, build, describe, field, field_errors, split_secrets
from engine.errors import Cancelled, ConfigError, StrongroomError
from engine.event_bus import EventBus
from engine.events import Event, ExecutionQueued
from engine.units import counted, sentence, size_text, span_text


def test_a_cancel_wakes_what_waits_and_calls_what_blocks() -> None:
    token = CancelToken()
    called: list[str] = []
    with token.calling(lambda: called.append("inside")):
        thread = threading.Thread(target=token.cancel, args=("enough",))
        thread.start()
        assert token.wait(10)
        thread.join()

    assert called == ["inside"]
    with pytest.raises(Cancelled, match="enough"):
        token.raise_if_cancelled()
    with token.calling(lambda: called.append("late")):
        pass
    assert called == ["inside", "late"], "who comes after the cancel is called at once"


def test_who_left_before_the_cancel_is_not_called() -> None:
    token = CancelToken()
    called: list[str] = []
    with token.calling(lambda: called.append("x")):
        pass

    token.cancel()

    assert called == []


def test_one_callback_that_fails_does_not_keep_the_next_from_its_turn() -> None:
    token = CancelToken()
    called: list[str] = []

    def fail() -> None:
        raise RuntimeError("boom")

    with token.calling(fail), token.calling(lambda: called.append("x")), pytest.raises(RuntimeError):
        token.cancel()

    assert called == ["x"]


def test_a_cancel_is_no_error_of_ours() -> None:
    assert not issubclass(Cancelled, StrongroomError)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "Cancelled."),
        (REASON, "Cancelled."),
        ("cancelled. The target was not touched.", "Cancelled. The target was not touched."),
        ("the window was closed", "Cancelled: the window was closed."),
        ("cancelled by hand", "Cancelled: cancelled by hand."),
    ],
)
def test_a_cancel_is_told_once(said: str, words: str) -> None:
    assert cancel_words(said) == words


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    tree = errors.__doc__ or ""
    for name in errors.__all__:
        assert name in tree, f"{name} is missing in the tree"


def test_a_listener_that_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bus, seen = EventBus(), list[Event]()

    def fail(event: Event) -> None:
        raise RuntimeError("a listener's bug")

    bus.subscribe(fail)
    leave = bus.subscribe(seen.append)
    bus.emit(ExecutionQueued("1", "shop"))
    leave()
    bus.emit(ExecutionQueued("2", "shop"))

    assert seen == [ExecutionQueued("1", "shop")]
    assert "a listener failed" in caplog.text


def test_scratch_is_emptied_in_every_outcome(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), scratch.scratch_folder(tmp_path, "run1") as folder:
        (folder / "plain").write_text("x")
        assert folder.stat().st_mode & 0o777 == 0o700
        raise RuntimeError

    assert list(tmp_path.iterdir()) == []


def test_a_sweep_removes_what_the_dead_left_and_only_that(tmp_path: Path) -> None:
    for name in ("dead.0001", "alive.0001", "adhoc.ab12"):
        (tmp_path / name).mkdir()
    (tmp_path / "dead.0002").write_text("a spool")

    removed = scratch.sweep(tmp_path, lambda owner: owner == "dead")

    assert removed == ["dead.0001", "dead.0002"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adhoc.ab12", "alive.0001"]


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (763_400_000, "763 MB"), (1.9e9, "1.9 GB")],
)
def test_sizes_read_as_storage_is_sold(count: float, said: str) -> None:
    assert size_text(count) == said


@given(st.floats(0, 1e15))
def test_no_size_has_more_than_four_figures(count: float) -> None:
    assert len(size_text(count).split()[0].replace(".", "")) <= 4


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (14.2, "14 s"),
        (161, "2 min 41 s"),
        (3600, "1 h"),
        (11100, "3 h 5 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_spans_of_time_read_as_people_say_them(seconds: float, said: str) -> None:
    assert span_text(seconds) == said


def test_one_is_singular() -> None:
    assert (counted(1, "backup"), counted(3, "backup")) == ("1 backup", "3 backups")


class Config(AdapterConfig):
    host: str = field(title="Host", placeholder="db.example", min_length=1)
    port: int = field(5432, title="Port", ge=1, le=65535)
    password: SecretStr | None = field(None, title="Password")


def test_a_form_knows_everything_from_the_field() -> None:
    host, port, password = describe(Config)

    assert (host.title, host.placeholder, host.required, host.kind) == ("Host", "db.example", True, "text")
    assert (port.minimum, port.maximum, port.default, port.kind) == (1, 65535, 5432, "integer")
    assert password.kind == "secret"


def test_the_message_beside_a_field_is_found_by_its_name() -> None:
    assert set(field_errors(Config, {"port": 0})) == {"host", "port"}
    assert field_errors(Config, {"host": "x"}) == {}


def test_only_secrets_are_split_away() -> None:
    public, secrets = split_secrets(Config(host="x", port=1, password="hunter2"))  # type: ignore[arg-type]

    assert (public, secrets) == ({"host": "x", "port": 1}, {"password": "hunter2"})


def test_the_public_face_exports_what_it_says() -> None:
    assert sorted(strongroom.__all__, key=str.casefold) == sorted(set(strongroom.__all__), key=str.casefold)
    for name in strongroom.__all__:
        assert hasattr(strongroom, name)


def test_a_misspelt_key_is_told_before_the_one_that_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Config, {"hots": "db.example"})

    assert (caught.value.field, "host" in caught.value.remedy) == ("hots", True)


@pytest.mark.parametrize("said", ["It is lost", "It is lost.", " It is lost.\n"])
def test_a_sentence_has_one_stop(said: str) -> None:
    assert sentence(said) == "It is lost."
    assert sentence("Is it lost?") == "Is it lost?"
