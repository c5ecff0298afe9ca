"""How a server is reached: a pasted URL taken apart, the environment of the client tools, quoting.

Everything goes to the tools by libpq's environment variables, so that no argument holds a secret; only
the database's name is an argument, as a quoted connection string, which takes any name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

_URL_OPTIONS = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "sslmode": "ssl_mode",
    "sslrootcert": "ssl_ca",
    "sslcert": "ssl_cert",
    "sslkey": "ssl_key",
    "connect_timeout": "connect_timeout",
}
_HARMLESS = {"application_name", "fallback_application_name", "client_encoding"}


def values_of_url(url: str) -> dict[str, Any]:
    """The configuration values that a connection URL holds.

    Raises `ValueError`; no message repeats any part that may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("this is not a connection URL: postgresql://user@host:5432/database") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("a connection URL begins with postgresql://")
    if "," in parts.netloc.rpartition("@")[2]:
        raise ValueError("a URL with several hosts is not understood: name the one to back up from")
    values: dict[str, Any] = {}
    if parts.hostname:
        values["host"] = unquote(parts.hostname)
    if port is not None:
        values["port"] = port
    if parts.username:
        values["user"] = unquote(parts.username)
    if parts.password:
        values["password"] = unquote(parts.password)
    if database := unquote(parts.path.removeprefix("/")):
        values["databases"] = [database]
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option == "dbname":
            values["databases"] = [value]
        elif option in _URL_OPTIONS:
            values[_URL_OPTIONS[option]] = value
        elif option not in _HARMLESS:
            raise ValueError(f"the URL's option {option!r} is not understood")
    return values


def literal(value: str) -> str:
    """A string constant for SQL, whatever `standard_conforming_strings` says."""
    quoted = value.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in value else f"'{quoted}'"


def identifier(name: str) -> str:
    """A quoted identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def conninfo(database: str) -> str:
    """A connection string that names `database` and nothing else."""
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"


MOST = 63
"""How many bytes of a name a server keeps. It cuts off the rest, and so means another database."""


def fits(name: str) -> bool:
    """Whether a server keeps all of a name."""
    return 0 < len(name.encode()) <= MOST


def fit(name: str, suffix: str, most: int = MOST) -> str:
    """`name + suffix`, the name cut so that the whole keeps to PostgreSQL's 63 bytes."""
    room = most - len(suffix.encode())
    return name.encode()[: max(room, 0)].decode("utf-8", "ignore") + suffix


@dataclass(frozen=True, slots=True)
class Connection:
    """One server and login. The password is None where libpq's own files (`~/.pgpass`) are to be asked."""

    host: str
    port: int
    user: str
    password: SecretStr | None = None
    ssl_mode: str = "prefer"
    ssl_ca: str = ""
    ssl_cert: str = ""
    ssl_key: str = ""
    connect_timeout: int = 10

    @property
    def place(self) -> str:
        """The server in words."""
        return f"{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """The variables that libpq reads; messages in English, so that they can be understood by rule."""
        chosen = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password.get_secret_value() if self.password is not None else "",
            "PGSSLMODE": self.ssl_mode,
            "PGSSLROOTCERT": self.ssl_ca,
            "PGSSLCERT": self.ssl_cert,
            "PGSSLKEY": self.ssl_key,
        }
        return {
            **{name: value for name, value in chosen.items() if value},
            "PGCONNECT_TIMEOUT": str(self.connect_timeout),
            "PGAPPNAME": "strongroom",
            "PGCLIENTENCODING": "UTF8",
            "LC_ALL": "C",
        }

    def without_secret(self, text: str) -> str:
        """`text` with the password blotted out, should a tool ever have repeated it."""
        password = self.password.get_secret_value() if self.password is not None else ""
        return text.replace(password, "********") if len(password) >= 4 else text
