"""The parts that are made once and used everywhere."""

from __future__ import annotations

from desktop.widgets.basic import (
    button,
    clear,
    column,
    fit_height,
    label,
    listing,
    repolish,
    row,
    rule,
    scrolled,
    set_ink,
)
from desktop.widgets.card import Card, KeyValueGrid
from desktop.widgets.chip import StateChip
from desktop.widgets.elided import ElidedLabel, TitleLabel
from desktop.widgets.log import LogView
from desktop.widgets.notices import EmptyState, ErrorPanel, Notice, Toast
from desktop.widgets.progress import Bar, ProgressRow
from desktop.widgets.spinner import Spinner
from desktop.widgets.stages import StageStrip
from desktop.widgets.table import RecordTable
from desktop.widgets.value import ValueLabel

__all__ = [
    "Bar",
    "Card",
    "ElidedLabel",
    "EmptyState",
    "ErrorPanel",
    "KeyValueGrid",
    "LogView",
    "Notice",
    "ProgressRow",
    "RecordTable",
    "Spinner",
    "StageStrip",
    "StateChip",
    "TitleLabel",
    "Toast",
    "ValueLabel",
    "button",
    "clear",
    "column",
    "fit_height",
    "label",
    "listing",
    "repolish",
    "row",
    "rule",
    "scrolled",
    "set_ink",
]
