"""How the window looks: tokens, type, icons and the style sheet made of them."""

from __future__ import annotations

from desktop.theme.fonts import Role, font, set_role
from desktop.theme.icons import picture
from desktop.theme.manager import Mode, Theme, install, theme
from desktop.theme.tokens import DARK, LIGHT, Palette, Size, Tone, Type

__all__ = [
    "DARK",
    "LIGHT",
    "Mode",
    "Palette",
    "Role",
    "Size",
    "Theme",
    "Tone",
    "Type",
    "font",
    "install",
    "picture",
    "set_role",
    "theme",
]
