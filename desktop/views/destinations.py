"""Destinations: where backups are kept."""

from __future__ import annotations

from desktop.views.endpoints import EndpointsView


class DestinationsView(EndpointsView):
    """The list of destinations."""

    name, title, kind, icon = "destinations", "Destinations", "destination", "destination"
    empty_title = "No destination yet"
    empty_text = "A destination keeps backups. Two kinds, one of them elsewhere, are safer than one."
    new_text = "New destination"
