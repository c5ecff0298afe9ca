"""How a server is reached: a pasted URL taken apart, and what the command-line client is told.

The password goes to the client in its environment (`REDISCLI_AUTH`, which Valkey's reads too), everything
else as arguments.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

_PLAIN = ("redis", "valkey")
_WITH_TLS = ("rediss", "valkeys")
_SOCKET = ("unix", "redis+unix", "redis+socket", "redis-socket", "valkey+unix")
_FILES = {
    "ssl_ca_certs": "ssl_ca",
    "ssl_ca": "ssl_ca",
    "ssl_certfile": "ssl_cert",
    "ssl_cert": "ssl_cert",
    "ssl_keyfile": "ssl_key",
    "ssl_key": "ssl_key",
}
_HARMLESS = {
    *("db", "virtual_host", "protocol", "decode_responses", "socket_timeout", "socket_connect_timeout"),
    *("health_check_interval", "max_connections", "client_name", "retry_on_timeout", "family"),
}


def values_of_url(url: str) -> dict[str, Any]:
    """The configuration values that a connection URL holds. The number of a database is left out.

    Raises `ValueError`; no message repeats any part that may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("this is not a connection URL: redis://user@host:6379") from None
    values: dict[str, Any] = {}
    if parts.scheme in _SOCKET:
        values["host"] = unquote(parts.path)
    elif parts.scheme in _PLAIN or parts.scheme in _WITH_TLS:
        if parts.hostname:
            values["host"] = unquote(parts.hostname)
        if port is not None:
            values["port"] = port
        if parts.scheme in _WITH_TLS:
            values["ssl_mode"] = "verify-ca"
        if (number := parts.path.strip("/")) and not number.isdigit():
            raise ValueError("the URL's path is a database's number, or nothing")
    elif "sentinel" in parts.scheme or "cluster" in parts.scheme:
        raise ValueError(
            "a Sentinel's or a cluster's URL is not understood: give the URL of the server itself"
        )
    else:
        raise ValueError("a connection URL begins with redis://, rediss://, valkey://, valkeys:// or unix://")
    if parts.username:
        values["user"] = unquote(parts.username)
    if parts.password:
        values["password"] = unquote(parts.password)
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        key = option.lower()
        if key == "ssl_cert_reqs":
            if "ssl_mode" in values:
                values["ssl_mode"] = "require" if value.lower() in ("none", "cert_none") else "verify-ca"
        elif key in _FILES:
            values[_FILES[key]] = value
        elif key not in _HARMLESS:
            raise ValueError(f"the URL's option {option!r} is not understood")
    return values


@dataclass(frozen=True, slots=True)
class Connection:
    """One server and login. The password is None where the server asks for none."""

    host: str
    port: int = 6379
    user: str = ""
    password: SecretStr | None = None
    ssl_mode: str = "disable"
    ssl_ca: str = ""
    ssl_cert: str = ""
    ssl_key: str = ""
    connect_timeout: int = 10

    @property
    def place(self) -> str:
        """The server in words."""
        return self.host if self.by_socket else f"{self.host}:{self.port}"

    @property
    def by_socket(self) -> bool:
        """Whether the host is the path of a Unix socket."""
        return self.host.startswith("/")

    def arguments(self) -> list[str]:
        """The client's options, without any secret."""
        argv = ["-s", self.host] if self.by_socket else ["-h", self.host, "-p", str(self.port)]
        if self.user:
            argv += ["--user", self.user]
        if self.ssl_mode == "disable":
            return argv
        argv.append("--tls")
        if not self.by_socket and not _is_address(self.host):
            argv += ["--sni", self.host]
        if self.ssl_mode == "require":
            argv.append("--insecure")
        for option, path in (("--cacert", self.ssl_ca), ("--cert", self.ssl_cert), ("--key", self.ssl_key)):
            if path:
                argv += [option, path]
        return argv

    def environment(self) -> Mapping[str, str]:
        """The client's environment: the password."""
        secret = self.password.get_secret_value() if self.password is not None else ""
        return {"REDISCLI_AUTH": secret} if secret else {}

    def without_secret(self, text: str) -> str:
        """`text` with the password blotted out, should a tool ever have repeated it."""
        password = self.password.get_secret_value() if self.password is not None else ""
        return text.replace(password, "********") if len(password) >= 4 else text


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
