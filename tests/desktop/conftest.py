"""What the desktop tests share: Qt without a screen, the theme, the real window on an installation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import Application
from desktop.theme import Theme, install
from desktop.worker import QtExecutor
from engine.contract.registry import Registry
from engine.home import Home
from engine.secrets import SecretStore, VaultSecrets
from engine.workspace import Workspace
from tests.desktop.driver import Driver

PATIENCE_MS = 30_000
"""How long a test waits for the window before it says that it hangs."""


@pytest.fixture(autouse=True)
def themed(qapp: QApplication) -> Theme:
    """The light theme, on the application that all tests share."""
    return install(qapp, "light")


@pytest.fixture
def secrets(home: Home) -> SecretStore:
    """A vault file; tests that need a slow or a broken one put theirs in its place."""
    return VaultSecrets(home.vault, "a passphrase of the tests")


@pytest.fixture
def opener(home: Home, secrets: SecretStore, registry: Registry) -> Callable[[QtExecutor], Workspace]:
    """Opens the installation for a window, as `desktop.app.open_workspace` does for the real one."""

    def opened(executor: QtExecutor) -> Workspace:
        return Workspace.open(home, executor=executor, secrets=secrets, registry=lambda: registry)

    return opened


@pytest.fixture
def driver(
    qapp: QApplication,
    qtbot: QtBot,
    opener: Callable[[QtExecutor], Workspace],
    tmp_path: Path,
) -> Iterator[Driver]:
    """The real window on a fresh installation, driven by clicks and keys; closed at the end."""
    application = Application(qapp, opener, mode="light", scheduled=False, with_tray=False)
    driven = Driver(qtbot, application, tmp_path)
    driven.start()
    yield driven
    driven.end()
