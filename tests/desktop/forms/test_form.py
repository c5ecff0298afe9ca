"""A form for anybody's Config: each kind of field, its error beside it, and what happens to secrets."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Literal

import pydantic
import pytest
from pydantic import SecretStr
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit, QSpinBox
from pytestqt.qtbot import QtBot

import strongroom
from desktop.forms import FieldForm
from desktop.forms.inputs import PathInput, SecretInput


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class ShelfConfig(strongroom.AdapterConfig):
    """The configuration of a third party's adapter: no Qt in it."""

    host: str = strongroom.field(
        title="Host name", description="Where the shelf is.", placeholder="shelf.local"
    )
    port: int = strongroom.field(4711, title="Port", ge=1, le=65535)
    limit: int | None = strongroom.field(None, title="Limit", ge=1)
    ratio: float = strongroom.field(0.5, title="Ratio", ge=0, le=1)
    code: str = strongroom.field("", title="Code", placeholder="AB-12", pattern=r"^$|^[A-Z]{2}-\d\d$")
    word: str = strongroom.field("please", title="Magic word")
    password: SecretStr | None = strongroom.field(None, title="Password", min_length=4)
    safe: bool = strongroom.field(True, title="Play safe")
    mode: Literal["fast", "slow"] = strongroom.field("slow", title="Mode")
    colour: Colour | None = strongroom.field(None, title="Colour")
    folder: Path | None = strongroom.field(None, title="Folder", widget="folder")
    shelves: list[str] = strongroom.field(default_factory=list, title="Shelves")
    note: str | None = strongroom.field(None, title="Note", widget="multiline", advanced=True)
    secret_word: SecretStr | None = strongroom.field(None, title="Word", advanced=True)

    @pydantic.field_validator("word")
    @classmethod
    def _polite(cls, value: str) -> str:
        if "please" not in value or "magic" in value:
            raise ValueError("say please")
        return value


def shown(qtbot: QtBot, form: FieldForm) -> FieldForm:
    qtbot.addWidget(form)
    form.resize(600, 900)
    form.show()
    return form


@pytest.fixture
def form(qtbot: QtBot) -> FieldForm:
    return shown(qtbot, FieldForm(ShelfConfig))


def edit(form: FieldForm, name: str) -> QLineEdit:
    control = form.field(name).control
    assert isinstance(control, QLineEdit)
    return control


def test_each_kind_of_field_gets_its_own_input(form: FieldForm) -> None:
    kinds = {
        "host": QLineEdit,
        "port": QSpinBox,
        "limit": QLineEdit,
        "ratio": QLineEdit,
        "password": SecretInput,
        "safe": QCheckBox,
        "mode": QComboBox,
        "colour": QComboBox,
        "folder": PathInput,
        "shelves": QLineEdit,
        "note": QPlainTextEdit,
    }
    assert {name: isinstance(form.field(name).input, kind) for name, kind in kinds.items()} == dict.fromkeys(
        kinds, True
    )


def test_every_control_has_a_name_for_who_cannot_see_it(form: FieldForm) -> None:
    for name in ShelfConfig.model_fields:
        assert form.field(name).control.accessibleName()
    assert form.field("host").control.accessibleDescription() == "Where the shelf is."


def test_the_defaults_are_shown_and_validate(form: FieldForm, qtbot: QtBot) -> None:
    qtbot.keyClicks(edit(form, "host"), "shelf.example")
    assert form.check()
    config = ShelfConfig.model_validate(form.values())
    assert config == ShelfConfig(host="shelf.example")


def test_all_that_is_entered_arrives_as_the_config_wants_it(form: FieldForm, qtbot: QtBot) -> None:
    qtbot.keyClicks(edit(form, "host"), "shelf.example")
    port = form.field("port").control
    assert isinstance(port, QSpinBox)
    port.selectAll()
    qtbot.keyClicks(port, "22")
    qtbot.keyClicks(edit(form, "limit"), "12")
    qtbot.keyClicks(edit(form, "password"), "open sesame")
    safe = form.field("safe").control
    qtbot.keyClick(safe, Qt.Key.Key_Space)
    qtbot.keyClick(form.field("mode").control, Qt.Key.Key_Home)
    qtbot.keyClick(form.field("colour").control, Qt.Key.Key_End)
    qtbot.keyClicks(edit(form, "shelves"), "upper, lower ,")
    assert form.check()
    config = ShelfConfig.model_validate(form.values())
    assert config.host == "shelf.example"
    assert config.port == 22
    assert config.limit == 12
    assert config.password is not None and config.password.get_secret_value() == "open sesame"
    assert config.safe is False
    assert config.mode == "fast"
    assert config.colour is Colour.BLUE
    assert config.shelves == ["upper", "lower"]


def test_what_is_missing_is_said_beside_its_field_and_gets_the_focus(form: FieldForm, qtbot: QtBot) -> None:
    assert not form.check()
    assert "fill this in" in form.error_of("host")
    assert form.error_of("port") == ""
    qtbot.waitUntil(lambda: edit(form, "host").hasFocus())


def test_a_wrong_value_is_said_beside_its_field_until_it_is_mended(form: FieldForm, qtbot: QtBot) -> None:
    qtbot.keyClicks(edit(form, "host"), "h")
    edit(form, "ratio").clear()
    qtbot.keyClicks(edit(form, "ratio"), "9")
    assert not form.check()
    assert "less than or equal to 1" in form.error_of("ratio")
    edit(form, "ratio").setFocus()
    edit(form, "ratio").clear()
    qtbot.keyClicks(edit(form, "ratio"), "0.25")
    assert form.error_of("ratio") == ""
    assert form.check()


def test_what_is_wrong_is_said_in_a_persons_words(form: FieldForm, qtbot: QtBot) -> None:
    qtbot.keyClicks(edit(form, "host"), "h")
    qtbot.keyClicks(edit(form, "limit"), "many")
    qtbot.keyClicks(edit(form, "code"), "x")
    qtbot.keyClicks(edit(form, "word"), "magic")
    assert not form.check()
    assert form.error_of("limit") == "✕ This should be a whole number."
    assert form.error_of("code") == "✕ This is not of the form AB-12."
    assert form.error_of("word") == "✕ Say please."


def test_a_secret_is_hidden_until_it_is_looked_at(form: FieldForm) -> None:
    field = edit(form, "password")
    assert field.echoMode() is QLineEdit.EchoMode.Password
    field.actions()[0].trigger()
    assert field.echoMode() is QLineEdit.EchoMode.Normal


def test_a_stored_secret_is_kept_and_never_shown(qtbot: QtBot) -> None:
    form = shown(qtbot, FieldForm(ShelfConfig, {"host": "h"}, stored=["password"]))
    assert edit(form, "password").text() == ""
    assert "stored" in edit(form, "password").placeholderText()
    assert form.check()
    assert "password" not in form.values()


def test_a_stored_secret_is_replaced_by_what_is_typed(qtbot: QtBot) -> None:
    form = shown(qtbot, FieldForm(ShelfConfig, {"host": "h"}, stored=["password"]))
    qtbot.keyClicks(edit(form, "password"), "another")
    assert form.values()["password"] == "another"


def test_a_stored_secret_can_be_forgotten(qtbot: QtBot) -> None:
    form = shown(qtbot, FieldForm(ShelfConfig, {"host": "h"}, stored=["password"]))
    its = form.field("password").input
    assert isinstance(its, SecretInput)
    qtbot.mouseClick(its._forget, Qt.MouseButton.LeftButton)
    assert form.values()["password"] is None


def test_stored_values_are_shown(qtbot: QtBot) -> None:
    values = {"host": "h", "port": 99, "mode": "fast", "colour": "blue", "safe": False, "shelves": ["a", "b"]}
    form = shown(qtbot, FieldForm(ShelfConfig, values))
    assert form.check()
    assert ShelfConfig.model_validate(form.values()) == ShelfConfig.model_validate(values)


def test_an_advanced_field_unfolds_when_it_is_wrong(form: FieldForm) -> None:
    assert not form.field("note").isVisible()
    form.show_errors({"note": "too long"})
    assert form.field("note").isVisible()
    assert "too long" in form.error_of("note")


def test_every_built_in_adapter_gets_a_form(qtbot: QtBot) -> None:
    from engine.contract.registry import Registry

    found = Registry.load().all()
    assert found
    for its in found:
        form = shown(qtbot, FieldForm(its.adapter.Config))
        form.check()
