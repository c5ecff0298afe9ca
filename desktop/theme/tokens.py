"""The one module that holds colours and sizes, for both themes; nothing else in the desktop writes one.

Values follow LOOK's table. Where a colour carries words on its own tint, it has an `_ink` of at least
4.5:1 on that tint (WCAG 2.2, 1.4.3); a test computes each pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "accent", "good", "risk", "bad", "quiet"]
"""What a colour means: never the only carrier, a sign and a word stand beside it."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme, as `#rrggbb`."""

    dark: bool
    window: str
    panel: str
    sidebar: str
    line: str
    edge: str
    """The border of controls: darker than `line`, so that a field can be told from its card."""
    hover: str
    track: str
    text: str
    muted: str
    faint: str
    """For decoration alone, never for what someone must read."""
    accent: str
    accent_hover: str
    on_accent: str
    accent_tint: str
    accent_ink: str
    good: str
    good_tint: str
    good_ink: str
    risk: str
    risk_tint: str
    risk_ink: str
    bad: str
    bad_tint: str
    bad_ink: str
    on_bad: str

    def main(self, tone: Tone) -> str:
        """The strong colour of a tone: bars, dots, icons."""
        return {
            "accent": self.accent,
            "good": self.good,
            "risk": self.risk,
            "bad": self.bad,
            "quiet": self.faint,
            "plain": self.text,
        }[tone]

    def tint(self, tone: Tone) -> str:
        """The quiet background of a tone."""
        return {
            "accent": self.accent_tint,
            "good": self.good_tint,
            "risk": self.risk_tint,
            "bad": self.bad_tint,
            "quiet": self.track,
            "plain": self.track,
        }[tone]

    def ink(self, tone: Tone) -> str:
        """The colour of words on that background, and on the window and its panels."""
        return {
            "accent": self.accent_ink,
            "good": self.good_ink,
            "risk": self.risk_ink,
            "bad": self.bad_ink,
            "quiet": self.muted,
            "plain": self.text,
        }[tone]


LIGHT = Palette(
    dark=False,
    window="#f6f7f9",
    panel="#ffffff",
    sidebar="#eef0f3",
    line="#e3e6ea",
    edge="#c4cad2",
    hover="#f1f3f6",
    track="#e7eaee",
    text="#1c2127",
    muted="#5c6570",
    faint="#98a1ac",
    accent="#2f5fd0",
    accent_hover="#2852b8",
    on_accent="#ffffff",
    accent_tint="#e8eefb",
    accent_ink="#2a56bf",
    good="#1f8a5b",
    good_tint="#e5f4ec",
    good_ink="#146c45",
    risk="#a86500",
    risk_tint="#fdf1dc",
    risk_ink="#8a5200",
    bad="#c2362e",
    bad_tint="#fbe9e7",
    bad_ink="#b12c25",
    on_bad="#ffffff",
)

DARK = Palette(
    dark=True,
    window="#16191d",
    panel="#1e2227",
    sidebar="#1a1d22",
    line="#2e343b",
    edge="#434b55",
    hover="#262b31",
    track="#2a2f36",
    text="#e7eaee",
    muted="#9aa4b0",
    faint="#6d7783",
    accent="#7ea2f5",
    accent_hover="#95b3f8",
    on_accent="#111a30",
    accent_tint="#1f2b47",
    accent_ink="#9bb7f8",
    good="#4cc38a",
    good_tint="#17332a",
    good_ink="#5fcf9a",
    risk="#e3a94a",
    risk_tint="#392c14",
    risk_ink="#e9b661",
    bad="#f07b72",
    bad_tint="#3d201e",
    bad_ink="#f4938b",
    on_bad="#2b0f0d",
)


class Size:
    """Lengths in device-independent pixels, on a grid of four."""

    GRID = 4
    GAP = 8
    CARD_GAP = 16
    MARGIN = 24
    MARGIN_SMALL = 16
    CARD_PADDING = 16
    RADIUS = 6
    CARD_RADIUS = 8
    CHIP = 20
    LINE = 1
    FOCUS = 2
    BAR = 6
    DOT = 11
    ICON = 16
    ICON_LARGE = 40
    CONTROL = 32
    ROW = 37
    HEADER = 56
    TABLE_HEADER = 34
    SIDEBAR = 204
    SIDEBAR_SMALL = 60
    SIDE_PANEL = 372
    SIDE_PANEL_SMALL = 320
    FIELD_LABEL = 168
    FORM = 620
    NUMBER = 152
    SEARCH = 260
    PROGRESS_NAME = 128
    KEY_COLUMN = 104
    WINDOW = (1280, 800)
    WINDOW_SMALLEST = (760, 520)
    NARROW = 1080
    """A window less wide than this shows the sidebar as icons."""


class Type:
    """Sizes of type in pixels."""

    CAPTION = 11
    BODY = 13
    DETAIL = 15
    PAGE = 17
    KEY_FIGURE = 20
    BOLD = 600
    MEDIUM = 500
    FAMILY = "Inter"
    MONO = ("JetBrains Mono", "DejaVu Sans Mono", "Menlo", "Consolas")
