"""Logging in: the private key, the agent's keys, the password, in that order and as the server lets us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from engine.cancellation import CancelToken
from engine.errors import SshError
from engine.ssh import agents
from engine.ssh.access import Access
from engine.ssh.known_hosts import ServerKey
from engine.ssh.library import paramiko
from engine.ssh.private_keys import load_key

ANSWER = 60.0
"""Seconds that one attempt may take: the server's answer, and that of a person whom the agent asks."""

_WORDS = {"publickey": "key", "password": "password"}


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One proof: the SSH method that it needs, how messages call it, and how it is given.

    `give` returns the methods that the server wants besides, none when it is content.
    """

    method: str
    words: str
    give: Callable[[Any], list[str]]


def log_in(transport: Any, access: Access, cancel: CancelToken) -> None:
    """Prove who we are. Raises `SshError` that says what was tried and what the server takes."""
    transport.auth_timeout = ANSWER
    with ExitStack() as held:
        proofs = _Proofs(access, cancel, held)
        attempts = list(proofs)
        allowed = _allowed(transport, access)
        if allowed is not None:
            _try_all(transport, access, allowed, attempts, proofs.hints)


def _allowed(transport: Any, access: Access) -> list[str] | None:
    """The methods that the server takes, asked by trying none; None when that was enough for it."""
    library = paramiko()
    try:
        transport.auth_none(access.user)
    except library.BadAuthenticationType as error:
        return list(error.allowed_types)
    except library.AuthenticationException as error:
        if not transport.is_active():
            raise SshError(
                f"{access.server} closed the connection when {access.user} wanted to log in.",
                remedy="Try again; if it stays so, look into the server's own log.",
                transient=True,
            ) from error
        return ["publickey", "password", "keyboard-interactive"]
    return None


def _try_all(
    transport: Any, access: Access, allowed: list[str], attempts: list[_Attempt], hints: list[str]
) -> None:
    """Try what the server takes, until it is content. It may want several proofs: a key, then a password."""
    library = paramiko()
    tried: list[str] = []
    while attempt := next((its for its in attempts if its.method in allowed), None):
        attempts.remove(attempt)
        tried.append(attempt.words)
        try:
            remaining = attempt.give(transport)
        except library.BadAuthenticationType as error:
            allowed = list(error.allowed_types)
        except library.AuthenticationException as error:
            if not transport.is_active():
                raise _cut_off(access, tried, allowed) from error
            if "timeout" in str(error):
                raise _silent(access, attempt) from error
        else:
            if not remaining:
                return
            tried[-1] += " (accepted, but not enough)"
            allowed = remaining
    for word in dict.fromkeys(_WORDS[its.method] for its in attempts if its.method in _WORDS):
        hints.append(f"it takes no {word}")
    raise _refused(access, tried, allowed, hints)


class _Proofs:
    """All that this user can prove, in the order to try; `hints` say what there was not."""

    def __init__(self, access: Access, cancel: CancelToken, held: ExitStack) -> None:
        self._access = access
        self._cancel = cancel
        self._held = held
        self.hints: list[str] = []

    def __iter__(self) -> Iterator[_Attempt]:
        access = self._access
        if access.private_key is not None:
            key = load_key(access.private_key.expanduser(), access.passphrase)
            yield self._key(key, f"the key {access.private_key}")
        if access.agent:
            yield from self._keys_of_the_agent()
        if access.password is not None:
            yield self._password(access.password)
            yield self._answer(access.password)

    def _key(self, key: Any, words: str) -> _Attempt:
        shown = ServerKey(key.get_name(), key.asbytes()).value
        return _Attempt(
            "publickey",
            f"{words} ({shown})",
            lambda transport: list(transport.auth_publickey(self._access.user, key)),
        )

    def _password(self, password: str) -> _Attempt:
        return _Attempt(
            "password",
            "the password",
            lambda transport: list(
                transport.auth_password(self._access.user, password, fallback=False),
            ),
        )

    def _answer(self, password: str) -> _Attempt:
        """The password as the answer to one hidden question, which is how PAM asks for it."""

        def answer(title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
            if len(questions) == 1 and not questions[0][1]:
                return [password]
            if questions:
                asked = ", ".join(question.strip(" :") for question, _ in questions)
                self.hints.append(f"it asks for more than a password: {asked}")
            return [""] * len(questions)

        return _Attempt(
            "keyboard-interactive",
            "the password, as the answer to its question",
            lambda transport: list(transport.auth_interactive(self._access.user, answer)),
        )

    def _keys_of_the_agent(self) -> Iterator[_Attempt]:
        try:
            keys = agents.keys(self._cancel, self._held)
        except agents.NoAgent as problem:
            self.hints.append(str(problem))
            return
        for key in keys:
            comment = f" {key.comment}" if getattr(key, "comment", "") else ""
            yield self._key(key, f"the agent's key{comment}")


def _refused(access: Access, tried: list[str], allowed: list[str], hints: list[str]) -> SshError:
    if tried:
        what = f"Tried: {', '.join(tried)}"
    else:
        what = "There was nothing to try"
        hints = hints or ["no password and no key is configured for it"]
    return SshError(
        f"{access.login} was not let in. {'; '.join([what, *hints])}. "
        f"The server takes: {', '.join(allowed) or 'nothing more'}.",
        remedy="Check the user's name and its password or key. A key's public half belongs into "
        f"~/.ssh/authorized_keys of {access.user} on the server.",
    )


def _silent(access: Access, attempt: _Attempt) -> SshError:
    return SshError(
        f"{access.server} did not answer within {ANSWER:.0f} s to an attempt to log in: {attempt.words}.",
        remedy="See whether an agent asks you for something, else look into the server's own log.",
        transient=True,
    )


def _cut_off(access: Access, tried: list[str], allowed: list[str]) -> SshError:
    return SshError(
        f"{access.server} cut {access.user} off after these attempts to log in: {', '.join(tried)}. "
        f"The server takes: {', '.join(allowed)}.",
        remedy="It allows a few attempts only: configure the one right key or password, and switch the "
        "agent off if it holds many keys.",
    )
