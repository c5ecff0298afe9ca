"""A connection as people paste it: a URL, a provider's `psql ...` line, JDBC's URL, or libpq's own words.

What the consoles of RDS, Cloud SQL, Azure, Supabase and Neon show is understood as it is.
"""

from __future__ import annotations

import re
import shlex
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_OPTIONS = {
    "host": "host",
    "hostaddr": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "sslmode": "ssl_mode",
    "sslrootcert": "ssl_ca",
    "sslcert": "ssl_cert",
    "sslkey": "ssl_key",
    "connect_timeout": "connect_timeout",
    "channel_binding": "channel_binding",
    "options": "options",
}
# What other libraries take beside it, and what says nothing about where the data is or how it is kept.
_HARMLESS = {
    *("application_name", "fallback_application_name", "client_encoding"),
    *("pgbouncer", "connection_limit", "pool_timeout", "schema", "gssencmode", "sslsni"),
}
_JDBC = {"ssl": None, "ApplicationName": None}
# What a console writes where the password belongs; it is none.
_PLACEHOLDER = re.compile(r"\[YOUR-PASSWORD\]|\{your[_-]password\}|<(?:your[_-])?password>|\*{3,}", re.I)
_NO_URL = "this is not a connection URL: postgresql://user@host:5432/database"


def values_of_url(url: str) -> dict[str, Any]:
    """The configuration values that a pasted connection holds.

    Raises `ValueError`; no message repeats any part that may hold a password.
    """
    text = url.strip().removeprefix("jdbc:")
    if text.startswith("psql "):
        return _of_psql(text)
    if "://" not in text and re.match(r"\s*\w+\s*=", text):
        return _of_words(re.sub(rf"'?(?:{_PLACEHOLDER.pattern})'?", "''", text, flags=re.IGNORECASE))
    return _of_url(_PLACEHOLDER.sub("", text))


def _of_url(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_NO_URL) from None
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
    _take(values, parse_qsl(parts.query, keep_blank_values=True))
    return values


def _of_words(text: str) -> dict[str, Any]:
    """`host=... dbname='...'`: libpq's connection string."""
    values: dict[str, Any] = {}
    at = 0
    form = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?:\s+|$)")
    while at < len(text):
        match = form.match(text, at)
        if match is None:
            raise ValueError("this is not a connection string: host=... port=5432 dbname=... user=...")
        quoted, plain = match[2], match[3]
        value = re.sub(r"\\(.)", r"\1", quoted if quoted is not None else plain)
        if value:
            _take(values, [(match[1], value)])
        at = match.end()
    return values


def _of_psql(text: str) -> dict[str, Any]:
    """The line that a console shows for psql: a URL or connection string in quotes, or options."""
    try:
        words = shlex.split(text)[1:]
    except ValueError:
        raise ValueError("the psql line has a quote without an end") from None
    letters = {"-h": "host", "-p": "port", "-U": "user", "-d": "dbname"}
    long = {"--host": "host", "--port": "port", "--username": "user", "--dbname": "dbname"}
    values: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in long:
            _take(values, [(long[name], value if equals else next(rest, ""))])
        elif word[:2] in letters:
            _take(values, [(letters[word[:2]], word[2:] or next(rest, ""))])
        elif "://" in word or equals:
            values.update(values_of_url(word))
        elif not word.startswith("-"):
            _take(values, [("dbname", word)])
        else:
            raise ValueError(f"psql's option {name!r} is not understood")
    return values


def _take(values: dict[str, Any], options: list[tuple[str, str]]) -> None:
    for option, value in options:
        if option in ("dbname", "database"):
            if "://" in value or re.match(r"\s*\w+\s*=", value):
                values.update(values_of_url(value))
            else:
                values["databases"] = [value]
        elif option in _OPTIONS:
            values[_OPTIONS[option]] = value
        elif option == "ssl" and value in ("true", "1", ""):
            values.setdefault("ssl_mode", "require")
        elif option not in _HARMLESS and option not in _JDBC:
            raise ValueError(f"the URL's option {option!r} is not understood")
