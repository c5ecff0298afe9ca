"""A real HTTP server that takes notifications, for Apprise's `json://` addresses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "hunter2secret"
"""The password in its address, which must show up nowhere."""


class Server(ThreadingHTTPServer):
    """Takes JSON posts; `status` is what it answers, `hold` keeps it from answering at all."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.server_port}/tokentoken"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(json.loads(body))
        self.server.paths.append(self.path)
        if self.server.hold is not None:
            self.server.hold.wait(60)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def webhook() -> Iterator[Server]:
    """The server, at work on a free port of this machine."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            if server.hold is not None:
                server.hold.set()
            server.shutdown()
            thread.join()
