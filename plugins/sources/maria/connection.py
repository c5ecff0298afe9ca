"""How a server is reached: a pasted URL taken apart, the options file of the client tools, quoting.

Every value goes to the tools in an options file of mode 0600 that is theirs alone: no argument holds a
secret, and what other files of the machine say does not change a backup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

SCHEMES = ("mysql", "mariadb", "mysql2")
MOST = 64
"""How many characters a name has at most, in both servers."""

# Names of the same thing in the connection URLs that consoles and frameworks show.
_TLS_MODES = {
    "disabled": "disable",
    "preferred": "prefer",
    "required": "require",
    "verify_ca": "verify-ca",
    "verify_identity": "verify-full",
}
_URL_OPTIONS = {
    "ssl-ca": "ssl_ca",
    "sslca": "ssl_ca",
    "ssl-cert": "ssl_cert",
    "sslcert": "ssl_cert",
    "ssl-key": "ssl_key",
    "sslkey": "ssl_key",
    "socket": "host",
}
_HARMLESS = {"charset", "connect_timeout", "useunicode", "characterencoding", "servertimezone"}


def values_of_url(url: str) -> dict[str, Any]:
    """The configuration values that a connection URL holds.

    Raises `ValueError`; no message repeats any part that may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("this is not a connection URL: mysql://user@host:3306/database") from None
    if parts.scheme.partition("+")[0] not in SCHEMES:
        raise ValueError("a connection URL begins with mysql:// or mariadb://")
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
        key = option.lower()
        if key in ("ssl-mode", "sslmode", "ssl_mode"):
            mode = value.lower().replace("-", "_")
            values["ssl_mode"] = _TLS_MODES.get(mode, value.lower())
        elif key in ("ssl", "usessl", "tls"):
            values.setdefault("ssl_mode", "require" if value.lower() in ("true", "1", "on") else "prefer")
        elif key in _URL_OPTIONS:
            values[_URL_OPTIONS[key]] = value
        elif key not in _HARMLESS:
            raise ValueError(f"the URL's option {option!r} is not understood")
    return values


def identifier(name: str) -> str:
    """A quoted identifier for SQL."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: str) -> str:
    """A string constant for SQL, whatever the server's `sql_mode` says of backslashes and quotes."""
    return f"CONVERT(0x{value.encode('utf-8', 'surrogateescape').hex()} USING utf8mb4)" if value else "''"


def fits(name: str) -> bool:
    """Whether a server takes this name for a database."""
    return 0 < len(name) <= MOST and not name.endswith(" ") and "\0" not in name


def fit(name: str, suffix: str) -> str:
    """`name + suffix`, the name cut so that the whole keeps to the limit."""
    return name[: max(MOST - len(suffix), 0)] + suffix


@dataclass(frozen=True, slots=True)
class Connection:
    """One server and login. The password is None where the user's own `~/.my.cnf` is to be asked."""

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
        return self.host if self.by_socket else f"{self.host}:{self.port}"

    @property
    def by_socket(self) -> bool:
        """Whether the host is the path of a Unix socket."""
        return self.host.startswith("/")

    def options(self, *, mariadb_tools: bool, include: str | None = None) -> str:
        """The text of an options file; `include` is a file of the user's own, for what is not said here."""
        lines = [f"!include {include}"] if include is not None else []
        lines.append("[client]")
        where = {"socket": self.host} if self.by_socket else {"host": self.host, "port": str(self.port)}
        values = {**where, "protocol": "socket" if self.by_socket else "tcp", "user": self.user}
        if self.password is not None:
            values["password"] = self.password.get_secret_value()
        values["loose-connect-timeout"] = str(self.connect_timeout)
        for name in ("ssl_ca", "ssl_cert", "ssl_key"):
            if path := getattr(self, name):
                values[name.replace("_", "-")] = path
        lines += [f'{name}="{_escaped(value)}"' for name, value in values.items()]
        lines += _tls(self.ssl_mode, mariadb_tools)
        return "\n".join(lines) + "\n"

    def without_secret(self, text: str) -> str:
        """`text` with the password blotted out, should a tool ever have repeated it."""
        password = self.password.get_secret_value() if self.password is not None else ""
        return text.replace(password, "********") if len(password) >= 4 else text


def _tls(mode: str, mariadb_tools: bool) -> list[str]:
    if not mariadb_tools:
        words = {
            "disable": "DISABLED",
            "prefer": "PREFERRED",
            "require": "REQUIRED",
            "verify-ca": "VERIFY_CA",
        }
        return [f"ssl-mode={words.get(mode, 'VERIFY_IDENTITY')}"]
    # MariaDB's tools know a switch for TLS and one for looking at the name, and no word between.
    match mode:
        case "disable":
            return ["skip-ssl"]
        case "prefer":
            # From 11.4 on they look at the certificate unless told not to; older ones do not know the word.
            return ["loose-disable-ssl-verify-server-cert"]
        case "require":
            return ["ssl", "loose-disable-ssl-verify-server-cert"]
        case _:
            return ["ssl", "ssl-verify-server-cert"]


def _escaped(value: str) -> str:
    """A value for within the double quotes of an options file."""
    for plain, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        value = value.replace(plain, written)
    return value
