"""A configuration field is declared once: forms, validation, TOML and the split of secrets come from it."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from engine.errors import ConfigError
from engine.units import sentence

ConfigT = TypeVar("ConfigT", bound="AdapterConfig")

Kind = Literal[
    "text", "secret", "integer", "number", "boolean", "choice", "file", "folder", "list", "multiline"
]


class AdapterConfig(BaseModel):
    """The base of every adapter's nested `Config`: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def field(
    default: Any = ...,
    *,
    title: str,
    description: str = "",
    placeholder: str = "",
    widget: Literal["", "file", "folder", "multiline"] = "",
    advanced: bool = False,
    belongs_to: tuple[str, ...] = (),
    **constraints: Any,
) -> Any:
    """Declare a configuration field: pydantic's `Field` with what a form needs beside it.

    `widget` chooses a richer input than the type tells; `advanced` puts the field below the fold.
    `belongs_to` is for what a person has confirmed about the values of other fields, such as a server's key:
    a configuration file that leaves it out leaves it as it is, for as long as those are the same.
    `constraints` are pydantic's own (`ge`, `le`, `min_length`, `pattern` ...).
    """
    extra: dict[str, Any] = {"placeholder": placeholder, "widget": widget, "advanced": advanced}
    if belongs_to:
        extra["belongs_to"] = list(belongs_to)
    if default is ...:
        return Field(title=title, description=description, json_schema_extra=extra, **constraints)
    return Field(default, title=title, description=description, json_schema_extra=extra, **constraints)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field as a form, a table of the docs or an exporter wants to know it."""

    name: str
    title: str
    description: str
    placeholder: str
    kind: Kind
    required: bool
    default: Any
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    advanced: bool = False
    belongs_to: tuple[str, ...] = ()


def describe(config: type[AdapterConfig]) -> tuple[FieldSpec, ...]:
    """Return the fields of `config` in their order of declaration."""
    return tuple(_spec(name, info) for name, info in config.model_fields.items())


def _spec(name: str, info: FieldInfo) -> FieldSpec:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, choices = _kind(info.annotation, str(extra.get("widget", "")))
    minimum = maximum = None
    for constraint in info.metadata:
        minimum = getattr(constraint, "ge", getattr(constraint, "gt", minimum))
        maximum = getattr(constraint, "le", getattr(constraint, "lt", maximum))
    default = None if info.default is PydanticUndefined else info.default
    if info.default_factory is not None:
        default = info.get_default(call_default_factory=True, validated_data={})
    return FieldSpec(
        name=name,
        title=info.title or name.replace("_", " ").capitalize(),
        description=info.description or "",
        placeholder=str(extra.get("placeholder", "")),
        kind=kind,
        required=info.is_required(),
        default=default,
        choices=choices,
        minimum=minimum,
        maximum=maximum,
        advanced=bool(extra.get("advanced", False)),
        belongs_to=tuple(map(str, typing.cast("list[str]", extra.get("belongs_to", [])))),
    )


def _kind(annotation: Any, widget: str) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [arg for arg in get_args(annotation) if arg is not type(None)]
        return _kind(inner[0], widget)
    if annotation is SecretStr:
        return "secret", ()
    if widget in ("file", "folder", "multiline"):
        return typing.cast(Kind, widget), ()
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(arg) for arg in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "choice", tuple(str(member.value) for member in annotation)
    if get_origin(annotation) in (list, tuple) or annotation in (list, tuple):
        return "list", ()
    by_type: dict[Any, Kind] = {bool: "boolean", int: "integer", float: "number", Path: "file"}
    return by_type.get(annotation, "text"), ()


def secret_fields(config: type[AdapterConfig]) -> frozenset[str]:
    """Return the names of the fields that hold secrets."""
    return frozenset(spec.name for spec in describe(config) if spec.kind == "secret")


def split_secrets(config: AdapterConfig) -> tuple[dict[str, Any], dict[str, str]]:
    """Split a configuration into what the store may hold (JSON values) and the secrets (plain text)."""
    secrets = {
        name: value.get_secret_value()
        for name in secret_fields(type(config))
        if (value := getattr(config, name)) is not None
    }
    public = config.model_dump(mode="json", exclude=set(secret_fields(type(config))), exclude_defaults=True)
    return public, secrets


def build(
    config: type[ConfigT], values: Mapping[str, Any], secrets: Mapping[str, str] | None = None
) -> ConfigT:
    """Validate `values` and `secrets` into a configuration.

    Raises `ConfigError` for the first field that is wrong, named in `field`; no message repeats a value.
    """
    merged = {**values, **(secrets or {})}
    try:
        return config.model_validate(merged)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # A key that is misspelt is also one that is missing: the misspelling is what helps.
        first = min(found, key=lambda item: item["type"] != "extra_forbidden")
        name = ".".join(str(part) for part in first["loc"]) or "config"
        if first["type"] == "extra_forbidden":
            known = ", ".join(config.model_fields)
            message, remedy = "there is no such key", f"The keys are: {known}."
        elif first["type"] == "missing":
            message, remedy = "this key is missing", f"Add {name}."
        else:
            message, remedy = _plain(config, first), ""
        raise ConfigError(message, field=name, remedy=remedy) from None


def field_errors(config: type[AdapterConfig], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the message beside each wrong field; empty when all is right. For forms."""
    try:
        config.model_validate(dict(values))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return {str(item["loc"][0]) if item["loc"] else "": _beside(config, item) for item in found}
    return {}


def _beside(config: type[AdapterConfig], item: Mapping[str, Any]) -> str:
    """What stands beside a wrong field of a form: a sentence."""
    empty = item["type"] == "string_too_short" and item.get("ctx", {}).get("min_length") == 1
    if item["type"] == "missing" or empty:
        return "Please fill this in."
    said = _plain(config, item)
    return sentence(said[:1].upper() + said[1:])


def _plain(config: type[AdapterConfig], item: Mapping[str, Any]) -> str:
    """Pydantic's message as a person reads it: a pattern tells nobody what to write, an example does."""
    match item["type"]:
        case "string_pattern_mismatch":
            info = config.model_fields.get(str(item["loc"][0]) if item["loc"] else "")
            extra = info.json_schema_extra if info is not None else None
            example = str(extra.get("placeholder", "")) if isinstance(extra, dict) else ""
            return (
                f"this is not of the form {example}" if example else "this is not of the form that is meant"
            )
        case "int_parsing" | "int_type" | "int_from_float":
            return "this should be a whole number"
        case "float_parsing" | "float_type":
            return "this should be a number"
        case _:
            return str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "this should be")
