"""The style sheet, made from a palette: borders, paddings and colours of Qt's own controls."""

from __future__ import annotations

from desktop.theme.tokens import Palette, Size, Tone

_TONES: tuple[Tone, ...] = ("plain", "accent", "good", "risk", "bad", "quiet")


def style_sheet(p: Palette, icons: dict[str, str]) -> str:
    """The application's style sheet; `icons` maps names to paths of tinted pictures (arrows, check)."""
    r, grid = Size.RADIUS, Size.GRID
    tones = "".join(
        f"""
QLabel[ink="{tone}"] {{ color: {p.ink(tone)}; }}
"""
        for tone in _TONES
    )
    return f"""
* {{ outline: none; }}
QWidget {{ color: {p.text}; }}
QMainWindow, QDialog, #page, #content, QScrollArea, #scrolled {{ background: {p.window}; }}
QScrollArea {{ border: none; }}
QLabel {{ background: transparent; }}
QLabel[muted="true"] {{ color: {p.muted}; }}
QToolTip {{ background: {p.panel}; color: {p.text}; border: 1px solid {p.edge}; padding: {grid}px; }}

#sidebar {{ background: {p.sidebar}; border-right: 1px solid {p.line}; }}
#sidebar QToolButton {{ border: 1px solid transparent; border-radius: {r}px; color: {p.muted};
  padding: 0 {grid * 2}px; text-align: left; background: transparent; }}
#sidebar QToolButton:hover {{ background: {p.hover}; color: {p.text}; }}
#sidebar QToolButton:checked {{ background: {p.panel}; border-color: {p.line}; color: {p.text}; }}
#sidebar QToolButton:focus {{ border-color: {p.accent}; }}
#header {{ background: {p.panel}; border-bottom: 1px solid {p.line}; }}
#side {{ background: {p.window}; border-left: 1px solid {p.line}; }}
#listing {{ background: {p.panel}; }}

#card {{ background: {p.panel}; border: 1px solid {p.line}; border-radius: {Size.CARD_RADIUS}px; }}
#toast {{ background: {p.text}; border-radius: {Size.CARD_RADIUS}px; }}
#toast QLabel {{ color: {p.window}; }}
#errorpanel {{ background: {p.bad_tint}; border: 1px solid {p.bad}; border-radius: {Size.CARD_RADIUS}px; }}
#errorpanel[tone="risk"] {{ background: {p.risk_tint}; border-color: {p.risk}; }}
QFrame[spaced="true"] {{ margin: {grid * 2}px 0; }}
#notice {{ background: {p.risk_tint}; border: 1px solid {p.risk}; border-radius: {Size.CARD_RADIUS}px; }}
#rule {{ background: {p.line}; border: none; }}
{tones}
QPushButton {{ background: {p.panel}; border: 1px solid {p.edge}; border-radius: {r}px;
  padding: 0 {grid * 3}px; min-height: {Size.CONTROL - 2}px; }}
QPushButton:hover {{ background: {p.hover}; }}
QPushButton:focus {{ border: {Size.FOCUS}px solid {p.accent}; padding: 0 {grid * 3 - 1}px;
  min-height: {Size.CONTROL - 4}px; }}
QPushButton:disabled {{ color: {p.faint}; background: {p.window}; border-color: {p.line}; }}
QPushButton[kind="primary"] {{ background: {p.accent}; border-color: {p.accent}; color: {p.on_accent}; }}
QPushButton[kind="primary"]:hover {{ background: {p.accent_hover}; }}
QPushButton[kind="primary"]:focus {{ border: {Size.FOCUS}px solid {p.text}; }}
QPushButton[kind="primary"]:disabled {{ background: {p.track}; border-color: {p.track}; color: {p.muted}; }}
QPushButton[kind="danger"] {{ color: {p.bad_ink}; }}
QPushButton[kind="danger"]:disabled {{ color: {p.faint}; }}
QPushButton[kind="danger-primary"] {{ background: {p.bad}; border-color: {p.bad}; color: {p.on_bad}; }}
QPushButton[kind="danger-primary"]:disabled {{ background: {p.track}; border-color: {p.track};
  color: {p.muted}; }}
QPushButton[kind="danger-primary"]:focus {{ border: {Size.FOCUS}px solid {p.text}; }}
QPushButton[kind="link"], QPushButton[kind="danger-link"] {{
  background: transparent; border: 1px solid transparent; color: {p.accent_ink};
  padding: 0 {grid}px; min-height: {grid * 5}px; }}
QPushButton[kind="link"]:hover, QPushButton[kind="danger-link"]:hover {{ color: {p.text}; }}
QPushButton[kind="danger-link"] {{ color: {p.bad_ink}; }}
QPushButton[kind="link"]:disabled, QPushButton[kind="danger-link"]:disabled {{ color: {p.faint}; }}
QPushButton[kind="link"]:focus, QPushButton[kind="danger-link"]:focus {{
  border: 1px solid {p.accent}; padding: 0 {grid}px; }}
QPushButton::menu-indicator {{ width: 0; }}

QLineEdit, QPlainTextEdit, QSpinBox, QDoubleSpinBox, QComboBox {{ background: {p.panel};
  border: 1px solid {p.edge}; border-radius: {r}px; padding: 0 {grid * 2}px;
  selection-background-color: {p.accent}; selection-color: {p.on_accent}; }}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {{ min-height: {Size.CONTROL - 2}px; }}
QPlainTextEdit {{ padding: {grid}px; }}
QLineEdit:focus, QPlainTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus
  {{ border: 1px solid {p.accent}; }}
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled {{ color: {p.muted}; background: {p.window}; }}
QLineEdit[wrong="true"], QPlainTextEdit[wrong="true"], QSpinBox[wrong="true"], QComboBox[wrong="true"]
  {{ border: 1px solid {p.bad}; }}
QAbstractSpinBox QLineEdit, QComboBox QLineEdit {{ border: none; margin: 0; min-height: 0;
  padding: 0 {grid}px; background: transparent; }}
QComboBox QLineEdit {{ padding: 0; }}
QSpinBox, QDoubleSpinBox {{ padding: 0 {grid * 5}px 0 {grid}px; max-height: {Size.CONTROL - 2}px; }}
QComboBox[kind="quiet"] {{ border: 1px solid transparent; background: transparent; color: {p.muted};
  min-height: {grid * 5}px; }}
QComboBox[kind="quiet"]:focus {{ border: 1px solid {p.accent}; }}
#search {{ background: {p.window}; }}
QComboBox::drop-down {{ border: none; width: {grid * 6}px; }}
QComboBox::down-arrow {{ image: url("{icons["chevron-down"]}"); width: 12px; height: 12px; }}
QComboBox QAbstractItemView {{ background: {p.panel}; border: 1px solid {p.edge}; color: {p.text};
  selection-background-color: {p.accent_tint}; selection-color: {p.text}; padding: {grid}px; }}
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button
  {{ border: none; width: {grid * 5}px; background: transparent; }}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow {{ image: url("{icons["chevron-up"]}");
  width: 10px; height: 10px; }}
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {{ image: url("{icons["chevron-down"]}");
  width: 10px; height: 10px; }}
QCheckBox, QRadioButton {{ spacing: {grid * 2}px; background: transparent; min-height: {grid * 5}px; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {p.muted}; border-radius: 4px;
  background: {p.panel}; }}
QCheckBox::indicator:checked {{ background: {p.accent}; border-color: {p.accent};
  image: url("{icons["check"]}"); }}
QCheckBox::indicator:focus {{ border: {Size.FOCUS}px solid {p.accent}; }}
QCheckBox::indicator:disabled {{ background: {p.track}; border-color: {p.edge}; }}

QTableView {{ background: {p.panel}; border: none; gridline-color: transparent;
  selection-background-color: {p.accent_tint}; selection-color: {p.text}; }}
QHeaderView {{ background: {p.panel}; border: none; }}
QHeaderView::section {{ background: {p.panel}; color: {p.muted}; border: none;
  border-bottom: 1px solid {p.line}; padding: 0 {grid * 2}px; }}
QTableCornerButton::section {{ background: {p.panel}; border: none; }}
QSplitter::handle {{ background: {p.line}; }}

QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{ background: {p.edge}; border-radius: 3px; margin: 2px; min-height: 24px;
  min-width: 24px; }}
QScrollBar::handle:hover {{ background: {p.muted}; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page
  {{ background: transparent; border: none; width: 0; height: 0; }}

QMenu {{ background: {p.panel}; border: 1px solid {p.edge}; padding: {grid}px; }}
QMenu::item {{ padding: {grid + 2}px {grid * 5}px; border-radius: {grid}px; }}
QMenu::item:selected {{ background: {p.accent_tint}; }}
QMenu::item:disabled {{ color: {p.muted}; }}
QMenu::separator {{ height: 1px; background: {p.line}; margin: {grid}px; }}
#log {{ background: {p.panel}; border: none; padding: 0; }}
#command {{ background: {p.hover}; border: 1px solid {p.line}; border-radius: {r}px; padding: {grid}px; }}
"""
