"""Notifiers: who is told how a run ended."""

from __future__ import annotations

from desktop.views.endpoints import EndpointsView


class NotifiersView(EndpointsView):
    """The list of notifiers."""

    name, title, kind, icon = "notifiers", "Notifiers", "notifier", "notifier"
    empty_title = "No notifier yet"
    empty_text = "A notifier tells people when a backup fails, so that nobody finds out on the day of need."
    new_text = "New notifier"
