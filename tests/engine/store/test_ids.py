"""IDs are short, safe in file names, and do not repeat."""

from __future__ import annotations

import re

from engine.store.ids import new_id


def test_an_id_is_twelve_letters_and_digits_that_cannot_be_taken_for_a_number() -> None:
    made = {new_id() for _ in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch("[a-z2-7]{12}", its) for its in made)
