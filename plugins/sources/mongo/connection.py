"""How a server is reached: a pasted URL taken apart, and what the driver is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from pydantic import SecretStr

MOST = 63
"""How many bytes a database's name has at most."""
_FORBIDDEN = set('/\\. "$*<>:|?\0')
_YES = ("true", "1", "yes")
_NAMES = {
    "authsource": "auth_source",
    "replicaset": "replica_set",
    "tlscafile": "ssl_ca",
    "ssl_ca_certs": "ssl_ca",
    "tlscertificatekeyfile": "ssl_cert",
    "ssl_certfile": "ssl_cert",
    "authmechanism": "auth_mechanism",
}
_HARMLESS = {
    *(
        "retrywrites",
        "retryreads",
        "w",
        "appname",
        "maxpoolsize",
        "minpoolsize",
        "maxidletimems",
        "compressors",
    ),
    *("connecttimeoutms", "sockettimeoutms", "serverselectiontimeoutms", "directconnection", "journal"),
    *("wtimeoutms", "uuidrepresentation", "readconcernlevel", "loadbalanced", "heartbeatfrequencyms"),
    *("localthresholdms", "zlibcompressionlevel", "waitqueuetimeoutms"),
}


def values_of_url(url: str) -> dict[str, Any]:
    """The configuration values that a connection URL holds, several hosts included.

    Raises `ValueError`; no message repeats any part that may hold a password.
    """
    scheme, mark, rest = url.strip().partition("://")
    if not mark or scheme not in ("mongodb", "mongodb+srv"):
        raise ValueError("a connection URL begins with mongodb:// or mongodb+srv://")
    rest, _, query = rest.partition("?")
    where, _, path = rest.partition("/")
    if where.startswith("%2F") or "@%2F" in where:
        where = where.replace("%2F", "/")
    login, at, hosts = where.rpartition("@")
    if not hosts:
        raise ValueError("the URL names no host")
    values: dict[str, Any] = {"host": hosts}
    if scheme == "mongodb+srv":
        values |= {"srv": True, "ssl_mode": "verify-full"}
    if at:
        user, colon, password = login.partition(":")
        values["user"] = unquote(user)
        if colon:
            values["password"] = unquote(password)
    if database := unquote(path):
        values["auth_source"] = database
        if database not in ("admin", "test"):
            values["databases"] = [database]
    insecure = names = False
    for option, value in parse_qsl(query, keep_blank_values=True):
        key, yes = option.lower(), value.lower() in _YES
        if key in ("tls", "ssl"):
            values["ssl_mode"] = "verify-full" if yes else "disable"
        elif key in ("tlsinsecure", "tlsallowinvalidcertificates"):
            insecure = yes
        elif key == "tlsallowinvalidhostnames":
            names = yes
        elif key == "readpreference":
            values["read_from"] = "primary" if value == "primary" else "secondary-preferred"
        elif key in _NAMES:
            values[_NAMES[key]] = value
        elif key not in _HARMLESS:
            raise ValueError(f"the URL's option {option!r} is not understood")
    if values.get("ssl_mode") == "verify-full" and (insecure or names):
        values["ssl_mode"] = "require" if insecure else "verify-ca"
    return values


@dataclass(frozen=True, slots=True)
class Connection:
    """One server or replica set, and a login."""

    host: str
    port: int = 27017
    user: str = ""
    password: SecretStr | None = None
    auth_source: str = "admin"
    auth_mechanism: str = "default"
    replica_set: str = ""
    srv: bool = False
    ssl_mode: str = "disable"
    ssl_ca: str = ""
    ssl_cert: str = ""
    read_from: str = "primary"
    connect_timeout: int = 10

    @property
    def place(self) -> str:
        """The server in words."""
        return self.host if self.srv or self.by_socket else ",".join(f"{h}:{p}" for h, p in self.hosts)

    @property
    def by_socket(self) -> bool:
        """Whether the host is the path of a Unix socket."""
        return self.host.startswith("/")

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Every host with its port."""
        return [self._address(each.strip()) for each in self.host.split(",") if each.strip()]

    def _address(self, text: str) -> tuple[str, int]:
        name, colon, port = text.rpartition(":")
        if colon and port.isdigit() and (name.endswith("]") or ":" not in name):
            return name.strip("[]"), int(port)
        return text.strip("[]"), self.port

    @property
    def is_direct(self) -> bool:
        """Whether exactly this server is meant, and not the replica set that it belongs to."""
        return not self.srv and not self.replica_set and (self.by_socket or len(self.hosts) == 1)

    def options(self) -> dict[str, Any]:
        """What the driver is told, beside the hosts."""
        options: dict[str, Any] = {
            "appname": "strongroom",
            "connectTimeoutMS": self.connect_timeout * 1000,
            "serverSelectionTimeoutMS": self.connect_timeout * 1000,
            "readPreference": "primary" if self.read_from == "primary" else "secondaryPreferred",
        }
        if self.replica_set:
            options["replicaSet"] = self.replica_set
        if self.user or self.auth_mechanism == "MONGODB-X509":
            options["authSource"] = self.auth_source
            if self.user:
                options["username"] = self.user
            if self.password is not None:
                options["password"] = self.password.get_secret_value()
            if self.auth_mechanism != "default":
                options["authMechanism"] = self.auth_mechanism
                if self.auth_mechanism == "MONGODB-X509":
                    options["authSource"] = "$external"
        if self.ssl_mode == "disable":
            options["tls"] = False
            return options
        options["tls"] = True
        if self.ssl_mode == "require":
            options["tlsAllowInvalidCertificates"] = True
        elif self.ssl_mode == "verify-ca":
            options["tlsAllowInvalidHostnames"] = True
        if self.ssl_ca:
            options["tlsCAFile"] = self.ssl_ca
        if self.ssl_cert:
            options["tlsCertificateKeyFile"] = self.ssl_cert
        return options

    def without_secret(self, text: str) -> str:
        """`text` with the password blotted out, should the driver ever have repeated it."""
        password = self.password.get_secret_value() if self.password is not None else ""
        return text.replace(password, "********") if len(password) >= 4 else text


def fits(name: str) -> bool:
    """Whether a server takes this name for a database."""
    return 0 < len(name.encode()) <= MOST and not set(name) & _FORBIDDEN


def fit(name: str, suffix: str) -> str:
    """`name + suffix`, the name cut so that the whole keeps to the limit."""
    room = max(MOST - len(suffix.encode()), 0)
    return name.encode()[:room].decode("utf-8", "ignore") + suffix
