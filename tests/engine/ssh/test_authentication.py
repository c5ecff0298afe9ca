"""Logging in by every means, at a real OpenSSH server and with a real ssh-agent."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.errors import SshError
from engine.ssh.access import Access
from engine.ssh.connection import Connection, connect
from engine.ssh.library import paramiko
from tests.parts.cancelling import cancelled_within
from tests.parts.programs import required_program
from tests.parts.ssh_keys import PASSPHRASE, agent
from tests.parts.sshd import (  # noqa: F401 - fixtures
    PASSWORD,
    PLAIN_USER,
    SshServer,
    running,
    sshd,
    sshd_with_password,
    with_password,
)

KINDS = ("ed25519", "ecdsa", "rsa")


def access(server: SshServer, **changed: object) -> Access:
    values: dict[str, object] = {"user": server.user, "known_hosts": server.known_hosts, **changed}
    return Access(server.host, port=server.port, **values)  # type: ignore[arg-type]


def log_in(server: SshServer, **changed: object) -> None:
    """Log in, and have the server run something for us."""
    with closing(connect(access(server, **changed), CancelToken())) as connection:
        assert connection.is_alive
        connection.open_subsystem("sftp")


@contextmanager
def refused(*words: str, transient: bool = False) -> Iterator[None]:
    """An error with all these words in it, and no secret; its remedy says something."""
    with pytest.raises(SshError) as caught:
        yield
    error = caught.value
    for word in words:
        assert word in error.message, error.message
    assert error.remedy and error.transient is transient
    for secret in (PASSWORD, PASSPHRASE, "wrong-secret"):
        assert secret not in f"{error!r}{error.message}{error.remedy}{error.__cause__!r}"


# ------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["open", "locked"])
def test_a_key_of_each_kind_logs_in(sshd: SshServer, kind: str, passphrase: str) -> None:  # noqa: F811
    log_in(sshd, private_key=sshd.key(kind, passphrase), passphrase=passphrase or None)


def test_a_key_in_the_old_format_logs_in(sshd: SshServer, tmp_path: Path) -> None:  # noqa: F811
    old = tmp_path / "old"
    old.write_bytes(sshd.key("rsa", PASSPHRASE).read_bytes())
    old.chmod(0o600)
    keygen = required_program("ssh-keygen", package="openssh-client")
    change = [keygen, "-q", "-p", "-m", "PEM", "-P", PASSPHRASE, "-N", PASSPHRASE, "-f", str(old)]
    subprocess.run(change, check=True, capture_output=True)
    assert old.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    log_in(sshd, private_key=old, passphrase=PASSPHRASE)
    with refused("passphrase does not open"):
        log_in(sshd, private_key=old, passphrase="wrong-secret")


@pytest.mark.parametrize("kind", KINDS)
def test_a_locked_key_says_that_it_is_locked(sshd: SshServer, kind: str) -> None:  # noqa: F811
    with refused("locked with a passphrase", str(sshd.key(kind, PASSPHRASE))):
        log_in(sshd, private_key=sshd.key(kind, PASSPHRASE))
    with refused("passphrase does not open"):
        log_in(sshd, private_key=sshd.key(kind, PASSPHRASE), passphrase="wrong-secret")


def test_what_is_no_private_key_is_said_to_be_none(sshd: SshServer, tmp_path: Path) -> None:  # noqa: F811
    with refused("is a public key"):
        log_in(sshd, private_key=sshd.key().with_suffix(".pub"))
    with refused("cannot be read", "No such file"):
        log_in(sshd, private_key=tmp_path / "none")
    for text, words in {
        "PuTTY-User-Key-File-3: ssh-ed25519\n": "PuTTY",
        "some words\n": "no private key",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n": "no private key",
        "": "no private key",
    }.items():
        path = tmp_path / "odd"
        path.write_text(text)
        with refused(words):
            log_in(sshd, private_key=path)


def test_a_key_that_the_server_does_not_know_is_named_with_its_fingerprint(sshd: SshServer) -> None:  # noqa: F811
    key = sshd.stranger_key()
    keygen = required_program("ssh-keygen", package="openssh-client")
    told = subprocess.run([keygen, "-lf", str(key)], check=True, capture_output=True, text=True).stdout
    with refused("was not let in", str(key), told.split()[1], "The server takes: publickey"):
        log_in(sshd, private_key=key)


def test_nothing_to_log_in_with_is_said(sshd: SshServer) -> None:  # noqa: F811
    with refused("nothing to try", "no password and no key"):
        log_in(sshd)


def test_a_password_that_the_server_does_not_take_is_not_sent(sshd: SshServer) -> None:  # noqa: F811
    with refused("nothing to try; it takes no password", "The server takes: publickey"):
        log_in(sshd, password="wrong-secret")


# ------------------------------------------------------------------------------------------------ the agent


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_the_agent_logs_in(
    sshd: SshServer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    with agent(sshd.stranger_key(), sshd.key(kind, PASSPHRASE), passphrase=PASSPHRASE) as its:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(its))
        log_in(sshd, agent=True)


def test_the_agent_is_left_alone_unless_it_was_chosen(
    sshd: SshServer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with agent(sshd.key()) as its:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(its))
        with refused("nothing to try"):
            log_in(sshd)


def test_an_agent_that_is_empty_or_not_there_is_said(
    sshd: SshServer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with refused("SSH_AUTH_SOCK is not set"):
        log_in(sshd, agent=True)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "none"))
    with refused("no SSH agent answers", str(tmp_path / "none")):
        log_in(sshd, agent=True)
    with agent() as its:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(its))
        with refused("holds no keys"):
            log_in(sshd, agent=True)


def test_too_many_keys_of_an_agent_are_said_to_be_the_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keygen = required_program("ssh-keygen", package="openssh-client")
    keys = [tmp_path / f"key{number}" for number in range(4)]
    for key in keys:
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", key.name, "-f", str(key)], check=True)
    with running(options=["MaxAuthTries 2"]) as server, agent(*keys) as its:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(its))
        with refused("cut", "off after these attempts", "the agent's key key1"):
            log_in(server, agent=True)


def test_an_agent_that_does_not_answer_is_left_at_a_cancel(
    sshd: SshServer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        path = Path("/tmp", f"sr-silent-{tmp_path.name}-{threading.get_native_id()}")
        silent.bind(str(path))
        silent.listen(5)
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
            cancelled_within(2, lambda token: connect(access(sshd, agent=True), token), after=silent.accept)
        finally:
            path.unlink()


# ------------------------------------------------------------------------------------------------ passwords


def test_a_password_logs_in(sshd_with_password: SshServer) -> None:  # noqa: F811
    log_in(sshd_with_password, password=PASSWORD)


def test_a_wrong_password_is_said_to_be_wrong(sshd_with_password: SshServer) -> None:  # noqa: F811
    with refused(f"{PLAIN_USER}@", "Tried: the password", "publickey, password"):
        log_in(sshd_with_password, password="wrong-secret")


def test_a_key_and_then_the_password_where_the_server_wants_both() -> None:
    with with_password(options=["AuthenticationMethods publickey,password"]) as server:
        log_in(server, private_key=server.key(), password=PASSWORD)
        with refused("accepted, but not enough", "The server takes: password"):
            log_in(server, private_key=server.key())
        with refused("accepted, but not enough", "the password"):
            log_in(server, private_key=server.key(), password="wrong-secret")


def test_the_password_stands_in_no_repr() -> None:
    shown = repr(Access("host", "user", password=PASSWORD, passphrase=PASSPHRASE))
    assert PASSWORD not in shown and PASSPHRASE not in shown


# ------------------------------------------------------------------------------------------ asked for it
# PAM's questions need PAM, which a test cannot set up; the server below is paramiko's, hence a fake.


@pytest.mark.parametrize("answer", [PASSWORD, "wrong-secret"])
def test_a_server_that_asks_for_the_password_gets_it_as_an_answer(tmp_path: Path, answer: str) -> None:
    with _asking(tmp_path, ["Password: "]) as its:
        if answer == PASSWORD:
            connect(its, CancelToken()).close()
            return
        with refused("as the answer to its question"):
            connect(replace(its, password=answer), CancelToken())


def test_a_server_that_asks_for_more_gets_no_password(tmp_path: Path) -> None:
    with _asking(tmp_path, ["Password: ", "Code: "]) as its, refused("more than a password: Password, Code"):
        connect(its, CancelToken())


@contextmanager
def _asking(folder: Path, questions: list[str]) -> Iterator[Access]:
    library = paramiko()

    class Asking(library.ServerInterface):  # type: ignore[name-defined, misc]
        def get_allowed_auths(self, username: str) -> str:
            return "keyboard-interactive"

        def check_auth_interactive(self, username: str, submethods: str) -> object:
            return library.server.InteractiveQuery("", "", *((question, False) for question in questions))

        def check_auth_interactive_response(self, responses: list[str]) -> int:
            good = list(responses) == [PASSWORD]
            return int(library.AUTH_SUCCESSFUL if good else library.AUTH_FAILED)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        key = library.ECDSAKey.generate()
        transports = []

        def serve() -> None:
            made, _ = listening.accept()
            transport = library.Transport(made)
            transports.append(transport)
            transport.set_log_channel("strongroom.ssh")
            transport.add_server_key(key)
            transport.start_server(event=threading.Event(), server=Asking())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        from engine.ssh.known_hosts import ServerKey

        shown = ServerKey(key.get_name(), key.asbytes()).value
        try:
            yield Access(
                "127.0.0.1", "somebody", listening.getsockname()[1], password=PASSWORD, host_key=shown
            )
        finally:
            thread.join(10)
            for transport in transports:
                transport.close()
                transport.join(5)


def test_a_connection_is_what_it_says(sshd: SshServer) -> None:  # noqa: F811
    connection: Connection
    with closing(connect(access(sshd, private_key=sshd.key()), CancelToken())) as connection:
        assert connection.cipher.startswith("aes") and "gcm" in connection.cipher
        assert connection.server_software.startswith("OpenSSH_")
        assert connection.transport.local_compression == "none"
