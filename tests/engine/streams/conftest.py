"""Every test here also shows that its work ends its threads and closes its descriptors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.leaks import nothing_left_behind


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    with nothing_left_behind():
        yield
