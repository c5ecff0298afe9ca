"""Names of files, and the keys of their objects."""

from __future__ import annotations

import pytest

import strongroom
from plugins.storage.aws import keys


@pytest.mark.parametrize("prefix", ["", "backups", "a/b c"])
@pytest.mark.parametrize("name", ["shop/a.dump", "x", "Zürich/数据库 🗄.sqlite", ".hidden/.f", "a/b~c #%"])
def test_a_name_comes_back_from_its_key(prefix: str, name: str) -> None:
    assert keys.name(prefix, keys.key(prefix, name)) == name


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "a/./b", "..", "a/../b", "a\0b", "a/\udcff"])
def test_a_name_that_is_no_proper_one_is_refused(name: str) -> None:
    with pytest.raises(strongroom.NameEscapes):
        keys.key("backups", name)


def test_a_name_that_no_key_can_hold_is_refused() -> None:
    assert len(keys.key("", "n" * 1024)) == 1024
    with pytest.raises(strongroom.NameEscapes, match="too long"):
        keys.key("", "é" * 513)
    with pytest.raises(strongroom.NameEscapes, match="too long"):
        keys.key("prefix", "n" * 1024)


@pytest.mark.parametrize(
    "key", ["backups", "backups/", "backups2/a", "other/a", "backups/a//b", "backups/a/"]
)
def test_a_key_of_somebody_else_has_no_name(key: str) -> None:
    assert keys.name("backups", key) is None
