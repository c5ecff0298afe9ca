"""A real HTTP server that refuses everything, and says in its error what it was sent: secrets and all.

Amazon's own does so, in part: its answer to a wrong signature repeats the request's headers.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Echo(ThreadingHTTPServer):
    """Answers 403 in S3's form; `heard` is what it repeated."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refusing)
        self.heard: list[str] = []


class _Refusing(BaseHTTPRequestHandler):
    server: Echo

    def _refuse(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        names = sorted(
            self.headers, key=lambda name: name.lower() not in ("x-amz-security-token", "authorization")
        )
        heard = f"{ {name: self.headers[name] for name in names} } {self.path} {body[:1000]!r}"
        self.server.heard.append(heard)
        said = html.escape(heard, quote=False)
        answer = f"<Error><Code>AccessDenied</Code><Message>You sent {said}</Message></Error>".encode()
        self.send_response(403, "Refused")
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _refuse

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def echoing() -> Iterator[Echo]:
    """The server, at work on a free port of this machine."""
    with Echo() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
