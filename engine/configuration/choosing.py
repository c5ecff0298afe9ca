"""The choices of one restore: they go before the source's own `restore_...` fields, and are kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from engine.contract.config import AdapterConfig, FieldSpec, build, describe, split_secrets
from engine.errors import UsageError

CHOICE = "restore_"
"""How the names of a source's fields begin that each restore may choose anew."""
ConfigT = TypeVar("ConfigT", bound=AdapterConfig)


def choices_of(config: type[AdapterConfig]) -> list[FieldSpec]:
    """The fields that a restore may choose."""
    return [spec for spec in describe(config) if spec.name.startswith(CHOICE)]


def chosen(config: ConfigT, choices: Mapping[str, Any]) -> ConfigT:
    """The configuration with these choices in it; each may also be the text of its value.

    Raises `UsageError` for what is no choice of a restore, and `ConfigError` for a wrong value.
    """
    known = [spec.name for spec in choices_of(type(config))]
    for name in choices:
        if name not in known:
            raise UsageError(
                f"{name!r} is nothing that a restore into this source can choose.",
                remedy=f"It can choose: {', '.join(known)}." if known else "It has no choices.",
            )
    public, secrets = split_secrets(config)
    return build(type(config), {**public, **choices}, secrets)
