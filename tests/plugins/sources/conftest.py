"""What the tests of the sources share."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.testing import Surroundings


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    """A context with its cancel token, log and scratch folder."""
    folder = tmp_path / "around"
    folder.mkdir()
    return Surroundings(folder)
