"""Whether a server is the one that is meant, on real servers with real keys."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.errors import NeedsTrust, SshError
from engine.ssh.access import Access
from engine.ssh.connection import connect
from tests.parts.programs import required_program
from tests.parts.sshd import SshServer, running

Login = Callable[..., str]


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    """A server with keys of three kinds."""
    with running() as server:
        yield server


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.fixture
def login(server: SshServer, known: Path) -> Login:
    """Connects, and returns the host key that the server showed."""

    def connected(**changed: object) -> str:
        values: dict[str, object] = {"private_key": server.key(), "known_hosts": known, "user": server.user}
        access = Access(server.host, port=server.port, **{**values, **changed})  # type: ignore[arg-type]
        connection = connect(access, CancelToken())
        try:
            return str(connection.transport.host_key_type)
        finally:
            connection.close()

    return connected


def name_of(server: SshServer) -> str:
    return f"[{server.host}]:{server.port}"


def line(server: SshServer, kind: str, name: str = "") -> str:
    return f"{name or name_of(server)} {server.host_keys[kind].public}\n"


def test_an_unknown_server_is_a_question_with_the_fingerprint(server: SshServer, login: Login) -> None:
    value = server.host_keys["ed25519"].value
    with pytest.raises(NeedsTrust) as caught:
        login()
    assert (caught.value.field, caught.value.value) == ("host_key", value)
    assert value in caught.value.message
    assert "ssh_host_ed25519_key.pub" in caught.value.remedy


def test_nothing_of_the_user_is_told_to_a_server_that_is_not_known(server: SshServer, login: Login) -> None:
    with pytest.raises(NeedsTrust):
        login(user="somebody")
    assert "somebody" not in server.log()
    with pytest.raises(SshError, match="not let in"):
        login(user="somebody", host_key=server.host_keys["ed25519"].value)
    assert "somebody" in server.log()


def test_a_confirmed_key_lets_it_in_and_its_kind_is_asked_for(server: SshServer, login: Login) -> None:
    assert login(host_key=server.host_keys["ed25519"].value) == "ssh-ed25519"
    assert login(host_key=server.host_keys["ecdsa"].value) == "ecdsa-sha2-nistp256"
    assert login(host_key=server.host_keys["rsa"].value) == "rsa-sha2-512"
    assert login(host_key=f"  {server.host_keys['rsa'].value}= ") == "rsa-sha2-512"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_kind_of_key_that_is_known_is_asked_for_first(
    server: SshServer, login: Login, known: Path, kind: str
) -> None:
    known.write_text(line(server, kind))
    assert kind in login()


def test_hashed_names_are_found(server: SshServer, login: Login, known: Path) -> None:
    known.write_text(line(server, "ed25519"))
    keygen = required_program("ssh-keygen", package="openssh-client")
    subprocess.run([keygen, "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert server.host not in known.read_text()
    assert login() == "ssh-ed25519"


def test_a_line_without_the_port_lets_it_in_and_convicts_it_of_nothing(
    server: SshServer, login: Login, known: Path
) -> None:
    known.write_text(line(server, "ecdsa", server.host))
    assert login() == "ecdsa-sha2-nistp256"
    known.write_text(f"{server.host} {stranger(known.parent)}\n")
    with pytest.raises(NeedsTrust):
        login()


def test_a_known_key_that_is_another_one_is_refused_and_not_offered_for_trust(
    server: SshServer, login: Login, known: Path
) -> None:
    known.write_text(f"# first line\n{name_of(server)} {stranger(known.parent)}\n")
    with pytest.raises(SshError, match="REFUSED") as caught:
        login()
    assert server.host_keys["ed25519"].value in caught.value.message
    assert f"{known}, line 2" in caught.value.message
    assert f"ssh-keygen -R '{name_of(server)}'" in caught.value.remedy
    assert not caught.value.transient


def test_a_server_that_lost_its_known_key_and_shows_another_kind_is_refused(
    login: Login, known: Path, server: SshServer
) -> None:
    with running(keys=("ecdsa",)) as poorer:
        known.write_text(f"{name_of(poorer)} {server.host_keys['ed25519'].public}\n")
        with pytest.raises(SshError, match="REFUSED"):
            connect(
                Access(poorer.host, poorer.user, poorer.port, private_key=poorer.key(), known_hosts=known),
                CancelToken(),
            )


def test_a_confirmed_key_that_is_another_one_is_refused(server: SshServer, login: Login, known: Path) -> None:
    known.write_text(line(server, "ed25519"))  # a file that knows it does not help
    wrong = "ssh-ed25519 SHA256:" + "A" * 43
    with pytest.raises(SshError, match="REFUSED") as caught:
        login(host_key=wrong)
    assert wrong in caught.value.message and server.host_keys["ed25519"].value in caught.value.message


@pytest.mark.parametrize("names", ["*", "[127.0.0.1]:*"])
def test_a_revoked_key_is_refused_even_if_it_was_confirmed(
    server: SshServer, login: Login, known: Path, names: str
) -> None:
    known.write_text(line(server, "ed25519") + "@revoked " + line(server, "ed25519", names))
    for changed in ({}, {"host_key": server.host_keys["ed25519"].value}):
        with pytest.raises(SshError, match="revoked"):
            login(**changed)
    assert login(host_key=server.host_keys["ecdsa"].value) == "ecdsa-sha2-nistp256"


def test_a_known_hosts_file_that_cannot_be_read_is_no_empty_one(login: Login, tmp_path: Path) -> None:
    with pytest.raises(SshError, match="cannot be read"):
        login(known_hosts=tmp_path)


def test_an_old_key_beside_the_new_one_does_no_harm(server: SshServer, login: Login, known: Path) -> None:
    known.write_text(f"{name_of(server)} {stranger(known.parent)}\n" + line(server, "ed25519"))
    assert login() == "ssh-ed25519"


def stranger(folder: Path) -> str:
    """A public key that no server here has."""
    path = folder / "stranger"
    if not path.exists():
        keygen = required_program("ssh-keygen", package="openssh-client")
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])
