"""The built-in storages against the suite that any plugin's storage is held to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from plugins.storage.local import LocalFolder
from strongroom.testing import StorageConformance


def paths_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def flip_in_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x01]))


class TestLocalFolder(StorageConformance):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "destination"
        folder.mkdir()
        return folder

    @pytest.fixture
    def opener(self, folder: Path) -> Callable[[strongroom.Context], strongroom.Storage]:
        return lambda context: LocalFolder(LocalFolder.Config(path=folder), context)

    @pytest.fixture
    def everything(self, folder: Path) -> Callable[[], set[str]]:
        return lambda: paths_below(folder)

    @pytest.fixture
    def damage(self, folder: Path) -> Callable[[str], None]:
        return lambda name: flip_in_the_middle(folder / name)


class TestLocalFolderWithoutReadBack(TestLocalFolder):
    @pytest.fixture
    def opener(self, folder: Path) -> Callable[[strongroom.Context], strongroom.Storage]:
        return lambda context: LocalFolder(LocalFolder.Config(path=folder, read_back=False), context)
