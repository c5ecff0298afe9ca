"""Hosts: the servers and containers on which sources' tools run."""

from __future__ import annotations

from desktop.snapshot import Snapshot
from desktop.views.endpoints import EndpointsView
from engine.records import Endpoint


class HostsView(EndpointsView):
    """The list of hosts; this machine is always there and not in it."""

    name, title, kind, icon = "hosts", "Hosts", "host", "server"
    empty_title = "No host yet"
    empty_text = (
        "A source's tools run on this machine. A host is another place for them: a server with an SSH login, "
        "or a container."
    )
    new_text = "New host"

    def users(self, endpoint: Endpoint, snapshot: Snapshot) -> tuple[str, ...]:
        return tuple(its.name for its in (*snapshot.sources, *snapshot.hosts) if its.host == endpoint.id)
