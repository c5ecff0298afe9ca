"""The tokens: what must be read has enough contrast in both themes; no other module writes a colour."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import desktop
from desktop.theme import DARK, LIGHT, Palette
from desktop.theme.tokens import Tone

READABLE = 4.5
"""WCAG 2.2, 1.4.3: text below 18 pt."""
VISIBLE = 3.0
"""WCAG 2.2, 1.4.11: parts of controls and graphics that one must see."""
TONES: tuple[Tone, ...] = ("accent", "good", "risk", "bad", "quiet", "plain")
SURFACES = ("window", "panel", "sidebar", "hover")


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(params=[LIGHT, DARK], ids=["light", "dark"])
def palette(request: pytest.FixtureRequest) -> Palette:
    its = request.param
    assert isinstance(its, Palette)
    return its


def test_the_measure_is_the_standards_own() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("surface", SURFACES)
def test_text_and_muted_text_can_be_read_everywhere(palette: Palette, surface: str) -> None:
    for ink in (palette.text, palette.muted):
        assert contrast(ink, getattr(palette, surface)) >= READABLE


@pytest.mark.parametrize("tone", TONES)
def test_a_chips_words_can_be_read_on_its_tint(palette: Palette, tone: Tone) -> None:
    assert contrast(palette.ink(tone), palette.tint(tone)) >= READABLE


@pytest.mark.parametrize("tone", TONES)
def test_coloured_words_can_be_read_on_the_page(palette: Palette, tone: Tone) -> None:
    for surface in ("window", "panel"):
        assert contrast(palette.ink(tone), getattr(palette, surface)) >= READABLE


def test_the_words_of_coloured_buttons_can_be_read(palette: Palette) -> None:
    assert contrast(palette.on_accent, palette.accent) >= READABLE
    assert contrast(palette.on_accent, palette.accent_hover) >= READABLE
    assert contrast(palette.on_bad, palette.bad) >= READABLE


def test_text_can_be_read_on_a_chosen_row(palette: Palette) -> None:
    assert contrast(palette.text, palette.accent_tint) >= READABLE
    assert contrast(palette.muted, palette.accent_tint) >= READABLE


def test_the_focus_and_the_bars_can_be_seen(palette: Palette) -> None:
    for colour in (palette.accent, palette.good, palette.risk, palette.bad):
        assert contrast(colour, palette.panel) >= VISIBLE


def test_no_other_module_writes_a_colour() -> None:
    root = Path(desktop.__file__).parent
    colour = re.compile(r"#[0-9a-fA-F]{6}\b|rgba?\(|QColor\(\s*\d")
    offenders = [
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if path.name != "tokens.py" and colour.search(path.read_text(encoding="utf-8"))
    ]
    assert offenders == []
