"""Sources: the databases that can be backed up."""

from __future__ import annotations

from desktop.views.endpoints import EndpointsView


class SourcesView(EndpointsView):
    """The list of sources."""

    name, title, kind, icon = "sources", "Sources", "source", "source"
    empty_title = "No source yet"
    empty_text = "A source is a database to back up: a server with its login, or a file."
    new_text = "New source"
