"""What a test found, in words."""

from __future__ import annotations

from desktop.forms.report import report_facts
from engine.contract.values import SourceReport, StorageReport


def test_what_else_was_noticed_is_read_as_sentences() -> None:
    _, facts = report_facts(SourceReport("sqlite", "3.45.1", ("shop",), notes=("8 bytes", "1 table")))
    assert facts == [("Databases", "shop"), ("Besides", "8 bytes\n1 table")]
    text, facts = report_facts(StorageReport("it can be written", free=5_000_000, notes=("a caution",)))
    assert text == "It can be written"
    assert facts == [("Free", "5.0 MB"), ("Besides", "A caution")]


def test_nothing_else_is_no_row() -> None:
    assert report_facts(StorageReport("it can be written")) == ("It can be written", [])
