"""The command-line client as the way to ask a server. Every error of the server's becomes one of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from plugins.sources.keyvalue.connection import Connection
from plugins.sources.keyvalue.failures import failure, of_reply, unanswered
from plugins.sources.keyvalue.tools import Found, Release
from strongroom import Host, ToolFailed

_ERROR = re.compile(r"^(?:\(error\) )?-?([A-Z]{2,}) ")
_PLAIN_WORDS = ("OK ", "PONG ")


class Client:
    """Asks one server. Raises `SourceError`s, and `Cancelled`."""

    def __init__(self, host: Host, tool: Found, connection: Connection) -> None:
        self._host = host
        self.tool = tool
        self.connection = connection
        self._answered = False

    def argv(self, *more: str) -> list[str]:
        """A command line of the client's; the environment goes with it."""
        return [self.tool.path, *self.connection.arguments(), *more]

    @property
    def env(self) -> Mapping[str, str]:
        """What the client needs in its environment."""
        return self.connection.environment()

    def ask(self, *command: str, timeout: float | None = None) -> bytes:
        """Send one command, none of whose words is a secret; return the answer without its last line feed.

        Raises the server's error as one of ours. `timeout` is in seconds, else it is the time to connect.
        """
        limit = timeout or self.connection.connect_timeout
        try:
            done = self._host.capture(self.argv("--raw", *command), env=self.env, timeout=limit)
        except ToolFailed as error:
            if self._answered or self.connection.ssl_mode == "disable":
                raise
            raise unanswered(limit, self.connection) from error
        # The client goes on without its login when that was refused, and ends well.
        if done.exit_status != 0 or "AUTH failed" in done.stderr:
            raise failure(
                self.tool.name, done.exit_status, done.stderr, self.connection, first=not self._answered
            )
        self._answered = True
        text = done.stdout[:200].decode("utf-8", "replace")
        if _ERROR.match(text) and not text.startswith(_PLAIN_WORDS):
            raise of_reply(text.strip(), self.connection)
        return done.stdout.removesuffix(b"\n")

    def text(self, *command: str) -> str:
        """The answer as a text."""
        return self.ask(*command).decode("utf-8", "replace")

    def info(self, section: str) -> dict[str, str]:
        """A section of INFO."""
        lines = (line.partition(":") for line in self.text("INFO", section).splitlines())
        return {name: value.strip() for name, colon, value in lines if colon}

    def keyspace(self) -> dict[int, int]:
        """The keys of each numbered database that has any, those included whose time is up."""
        found = {}
        for name, value in self.info("keyspace").items():
            if match := re.match(r"keys=(\d+)", value):
                found[int(name.removeprefix("db"))] = int(match[1])
        return found


def release_of(info: Mapping[str, str]) -> Release:
    """What a server is, by its INFO; Valkey calls itself a Redis too."""
    if info.get("valkey_version"):
        return Release("valkey", info["valkey_version"])
    return Release("redis", info.get("redis_version", "0"))
