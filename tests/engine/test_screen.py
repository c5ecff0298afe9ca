"""Whether there is a screen, asked of real sockets: the answer must come before Qt has its say."""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine import screen
from engine.errors import UsageError
from engine.screen import require_screen, screen_problem

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a screen here")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the displays' sockets lie, in place of the machine's own: short, as their paths must be."""
    with tempfile.TemporaryDirectory(prefix="sr-") as made:
        monkeypatch.setattr(screen, "X_SOCKETS", f"{made}/X")
        yield Path(made)


@pytest.fixture
def listen() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def serve(listen: ExitStack, path: Path) -> None:
    server = listen.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(str(path))
    server.listen()


def test_nothing_set_is_no_screen() -> None:
    assert screen_problem({}) == "neither DISPLAY nor WAYLAND_DISPLAY is set"
    with pytest.raises(UsageError, match="There is no screen for the desktop: neither") as caught:
        require_screen({})
    assert "strongroom agent" in caught.value.remedy


@pytest.mark.parametrize("display", [":7", "unix:7", ":7.0", "machine/:7"])
def test_an_x_server_is_called_at_its_socket(folder: Path, listen: ExitStack, display: str) -> None:
    assert screen_problem({"DISPLAY": display}) == f"DISPLAY is {display}, and nothing answers there"
    serve(listen, folder / "X7")
    assert screen_problem({"DISPLAY": display}) == ""


def test_an_x_server_of_another_machine_is_called_at_its_port(
    listen: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = listen.enter_context(socket.create_server(("127.0.0.1", 0)))
    monkeypatch.setattr(screen, "X_PORT", server.getsockname()[1] - 10)
    assert screen_problem({"DISPLAY": "127.0.0.1:10.0"}) == ""
    server.close()
    assert "nothing answers" in screen_problem({"DISPLAY": "127.0.0.1:10.0"})


def test_wayland_is_called_in_the_runtime_folder(folder: Path, listen: ExitStack) -> None:
    environ = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(folder)}
    assert "WAYLAND_DISPLAY is wayland-0" in screen_problem(environ)
    serve(listen, folder / "wayland-0")
    assert screen_problem(environ) == ""


def test_a_dead_wayland_beside_a_living_x_server_is_a_screen(folder: Path, listen: ExitStack) -> None:
    serve(listen, folder / "X3")
    dead = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": str(folder)}
    assert screen_problem({**dead, "DISPLAY": ":3"}) == ""
    assert "wayland-0 and DISPLAY is :4, and nothing" in screen_problem({**dead, "DISPLAY": ":4"})


def test_a_display_that_names_none_is_told(folder: Path) -> None:
    assert "DISPLAY is nonsense" in screen_problem({"DISPLAY": "nonsense"})
    assert screen_problem({"DISPLAY": "localhost:99999999"})


def test_a_platform_that_needs_no_display_is_not_asked_for_one() -> None:
    assert screen_problem({"QT_QPA_PLATFORM": "offscreen"}) == ""
    assert screen_problem({"QT_QPA_PLATFORM": "xcb;vnc:size=800x600"}) == ""
    assert screen_problem({"QT_QPA_PLATFORM": "xcb"}) != ""
