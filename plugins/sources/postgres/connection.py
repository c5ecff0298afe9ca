"""How a server is reached: the environment of the client tools, and quoting.

Everything goes to the tools by libpq's environment variables, so that no argument holds a secret; only
the database's name is an argument, as a quoted connection string, which takes any name.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr


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


def shown(name: str) -> str:
    """A name for people and records: bytes of it that are no UTF-8, as in SQL_ASCII databases, as `\\xe4`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
    channel_binding: str = "prefer"
    options: str = ""

    @property
    def place(self) -> str:
        """The server in words."""
        return f"{self.host}:{self.port}"

    def environment(self, encoding: str = "UTF8") -> dict[str, str]:
        """The variables that libpq reads; messages in English, so that they can be understood by rule.

        `encoding` is that of names and values between the client and the server.
        """
        chosen = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password.get_secret_value() if self.password is not None else "",
            "PGSSLMODE": self.ssl_mode,
            "PGSSLROOTCERT": self.ssl_ca,
            "PGSSLCERT": self.ssl_cert,
            "PGSSLKEY": self.ssl_key,
            "PGCHANNELBINDING": self.channel_binding if self.channel_binding != "prefer" else "",
            "PGOPTIONS": self.options,
        }
        return {
            **{name: value for name, value in chosen.items() if value},
            "PGCONNECT_TIMEOUT": str(self.connect_timeout),
            "PGAPPNAME": "strongroom",
            "PGCLIENTENCODING": encoding,
            "LC_ALL": "C",
        }

    def without_secret(self, text: str) -> str:
        """`text` with the password blotted out, should a tool ever have repeated it."""
        password = self.password.get_secret_value() if self.password is not None else ""
        return text.replace(password, "********") if len(password) >= 4 else text
