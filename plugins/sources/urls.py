"""A pasted connection URL in the place of a source's other fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr


def merged_with_url(values: Any, values_of_url: Callable[[str], dict[str, Any]]) -> Any:
    """Take the field `url` apart into the other fields; what is given beside it wins. Raises `ValueError`."""
    if not isinstance(values, Mapping):
        return values
    rest = dict(values)
    url = rest.pop("url", None)
    if isinstance(url, SecretStr):
        url = url.get_secret_value()
    if not url:
        return rest
    if not isinstance(url, str):
        raise ValueError("a connection URL is a text")
    given = {name: value for name, value in rest.items() if value not in (None, "", [], ())}
    return {**rest, **values_of_url(url), **given}
