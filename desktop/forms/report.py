"""What a connection test found, in words: for the form, and for the page of an endpoint."""

from __future__ import annotations

from desktop import words
from engine.configuration.endpoints import Report
from engine.contract.values import SourceReport, StorageReport

MOST = 8
"""Databases that are named; the others are counted."""


def report_facts(report: Report) -> tuple[str, list[tuple[str, str]]]:
    """A sentence and the facts behind it."""
    if isinstance(report, SourceReport):
        named = ", ".join(report.databases[:MOST])
        more = len(report.databases) - MOST
        facts = [("Databases", f"{named} and {more} more" if more > 0 else named or "none")]
        facts += [(tool.name, f"{tool.version}, {tool.path}") for tool in report.tools]
        facts += _notes(report.notes)
        return f"{report.engine} {report.version} answers: a backup will work.", facts
    if isinstance(report, StorageReport):
        facts = [("Free", words.size(report.free))] if report.free is not None else []
        return f"{words.capital(report.detail)}", facts + _notes(report.notes)
    return report, []


def _notes(notes: tuple[str, ...]) -> list[tuple[str, str]]:
    return [("Besides", "\n".join(words.capital(note) for note in notes))] if notes else []
