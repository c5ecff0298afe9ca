from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.secret_service import Session, secret_service


@pytest.fixture(scope="module")
def desktop() -> Iterator[Session]:
    """A desktop session with a real Secret Service whose keyring is unlocked."""
    with secret_service() as session:
        yield session
