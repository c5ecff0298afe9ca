"""Logging in: the private key, the agent's keys, the password, in that order and as the server lets us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from engine.cancellation import CancelToken
from engine.errors import SshError
from engine.ssh.access import Access
from engine.ssh.dialing import apart
from engine.ssh.known_hosts import ServerKey
from engine.ssh.library import paramiko

ANSWER = 60.0
"""Seconds that a server, or an agent that asks somebody, may take for one attempt."""

_Try = Callable[[Any], list[str]]


class _Attempt:
    """One proof: the SSH method that it needs, how it is called in messages, and how it is given."""

    def __init__(self, method: str, words: str, give: _Try) -> None:
        self.method = method
        self.words = words
        self.give = give


class _Attempts:
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
            yield _with_key(access, key, f"the key {access.private_key}")
        if access.agent:
            yield from self._of_the_agent()
        if access.password is not None:
            yield _Attempt("password", "the password", _password(access, access.password))
            yield _Attempt(
                "keyboard-interactive",
                "the password, as the answer to its question",
                _answer(access, access.password),
            )

    def _of_the_agent(self) -> Iterator[_Attempt]:
        library = paramiko()
        try:
            agent = apart(library.Agent, self._cancel, ANSWER)
        except (library.SSHException, OSError, TimeoutError) as error:
            self.hints.append(f"the SSH agent does not answer ({error or 'no answer in time'})")
            return
        self._held.callback(agent.close)  # its keys sign only while it is open
        keys = agent.get_keys()
        if not keys:
            self.hints.append("no SSH agent with keys was found (SSH_AUTH_SOCK)")
        for key in keys:
            comment = f" {key.comment}" if getattr(key, "comment", "") else ""
            yield _with_key(self._access, key, f"the agent's key{comment}")


def log_in(transport: Any, access: Access, cancel: CancelToken) -> None:
    """Prove who we are. Raises `SshError` that says what was tried and what the server takes.

    A server may want several proofs (a key, then a password): it goes on with those not yet given.
    """
    transport.auth_timeout = ANSWER
    allowed = _allowed(transport, access)
    if allowed is None:
        return
    with ExitStack() as held:
        _try_all(transport, access, allowed, _Attempts(access, cancel, held))


def _try_all(transport: Any, access: Access, allowed: list[str], attempts: _Attempts) -> None:
    library = paramiko()
    tried: list[str] = []
    left = list(attempts)
    while left:
        attempt = next((its for its in left if its.method in allowed), None)
        if attempt is None:
            break
        left.remove(attempt)
        tried.append(attempt.words)
        try:
            remaining = attempt.give(transport)
        except library.BadAuthenticationType as error:
            allowed = list(error.allowed_types)
            continue
        except library.AuthenticationException as error:
            if not transport.is_active():
                raise _cut_off(access, tried, allowed) from error
            continue
        if not remaining:
            return
        tried[-1] += " (accepted, but not enough)"
        allowed = remaining
    raise _refused(access, tried, allowed, attempts.hints)


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


def _with_key(access: Access, key: Any, words: str) -> _Attempt:
    shown = ServerKey(key.get_name(), key.asbytes()).value

    def give(transport: Any) -> list[str]:
        return list(transport.auth_publickey(access.user, key))

    return _Attempt("publickey", f"{words} ({shown})", give)


def _password(access: Access, password: str) -> _Try:
    def give(transport: Any) -> list[str]:
        return list(transport.auth_password(access.user, password, fallback=False))

    return give


def _answer(access: Access, password: str) -> _Try:
    """The password as the answer to one hidden question, which is how PAM often asks for it."""

    def answer(title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
        if not questions:
            return []
        if len(questions) > 1 or questions[0][1]:
            raise paramiko().SSHException("The server asks for more than a password.")
        return [password]

    def give(transport: Any) -> list[str]:
        return list(transport.auth_interactive(access.user, answer))

    return give


def load_key(path: Path, passphrase: str | None) -> Any:
    """A private key of any kind that OpenSSH writes. Raises `SshError`; its texts hold nothing of the key."""
    library = paramiko()
    try:
        start = path.read_bytes()[:64]
    except OSError as error:
        raise SshError(
            f"The private key {path} cannot be read: {error.strerror}.",
            remedy="Name a file that this user can read.",
        ) from error
    if start.startswith(b"PuTTY-User-Key-File"):
        raise SshError(
            f"{path} is a key in PuTTY's own format.",
            remedy="Convert it: puttygen FILE -O private-openssh-new -o NEWFILE",
        )
    if start.startswith((b"ssh-", b"ecdsa-")):
        raise SshError(
            f"{path} is a public key.", remedy="Name the private one: the file of that name without .pub."
        )
    try:
        return library.PKey.from_path(path, passphrase.encode() if passphrase else None)
    except library.UnknownKeyType:
        raise SshError(
            f"{path} is a key of a kind that is not used any more.",
            remedy="Make a new one: ssh-keygen -t ed25519",
        ) from None
    except (library.SSHException, ValueError, TypeError) as error:
        # Which of these a locked or foreign file raises is the libraries' business, and changes.
        raise _unusable(path, passphrase, error) from None


def _unusable(path: Path, passphrase: str | None, error: Exception) -> SshError:
    text = str(error).lower()
    if "password" in text or "passphrase" in text or "decrypt" in text or "corrupt" in text:
        if passphrase:
            return SshError(
                f"The passphrase does not open the private key {path}.", remedy="Enter its passphrase again."
            )
        return SshError(
            f"The private key {path} is locked with a passphrase.", remedy="Enter its passphrase."
        )
    return SshError(f"{path} is no private key that can be read.", remedy="Make one: ssh-keygen -t ed25519")


def _refused(access: Access, tried: list[str], allowed: list[str], hints: list[str]) -> SshError:
    takes = ", ".join(allowed) or "nothing more"
    if not tried:
        what = "; ".join(hints) or "no password and no key is configured for it"
        what = f"There was nothing to try: {what}."
    else:
        what = f"Tried: {', '.join([*tried, *hints])}."
    return SshError(
        f"{access.login} was not let in. {what} The server takes: {takes}.",
        remedy=f"Check the user's name and its password or key; a key's public half belongs into "
        f"~/.ssh/authorized_keys of {access.user} on the server.",
    )


def _cut_off(access: Access, tried: list[str], allowed: list[str]) -> SshError:
    return SshError(
        f"{access.server} cut {access.user} off after these attempts to log in: {', '.join(tried)}. "
        f"The server takes: {', '.join(allowed)}.",
        remedy="It allows a few attempts only: configure the one right key or password, and switch the "
        "agent off if it holds many keys.",
    )
