"""Programs that tests need and pip cannot install. With CI=true a missing one fails, elsewhere it skips."""

from __future__ import annotations

import os
import shutil

import pytest


def required_program(name: str, *, package: str) -> str:
    """The program's path; else a failure or a skip that names it and its Debian package."""
    path = shutil.which(name)
    if path is not None:
        return path
    text = f"the program {name} is missing (Debian: {package})"
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(text)
    pytest.skip(text)
