"""Connections that do not come about, that break, and that are cancelled while they wait."""

from __future__ import annotations

import getpass
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.errors import Cancelled, SshError
from engine.ssh import connection as connections
from engine.ssh import dialing
from engine.ssh.access import Access
from engine.ssh.commands import Command, run
from engine.ssh.connection import connect
from tests.parts.cancelling import cancelled_within
from tests.parts.leaks import nothing_left_behind
from tests.parts.proxy import Proxy
from tests.parts.sshd import SshServer, running, sshd  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Whatever happens, no thread and no descriptor stays behind."""
    with nothing_left_behind():
        yield


def access(server: SshServer, **changed: object) -> Access:
    values = {"private_key": server.key(), "known_hosts": server.known_hosts, "port": server.port}
    return Access(server.host, server.user, **{**values, **changed})  # type: ignore[arg-type]


def stranger(port: int) -> Access:
    return Access("127.0.0.1", "somebody", port, known_hosts=Path("/nowhere"))


@contextmanager
def failing(*words: str, transient: bool) -> Iterator[None]:
    with pytest.raises(SshError) as caught:
        yield
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert caught.value.remedy
    assert caught.value.transient is transient


@contextmanager
def listening(answer: Callable[[socket.socket], object] | None = None) -> Iterator[socket.socket]:
    """A port where something answers that is no SSH server; nothing at all by default."""
    with socket.create_server(("127.0.0.1", 0)) as its, ExitStack() as held:
        if answer is not None:

            def serve() -> None:
                try:
                    made, _ = its.accept()
                except OSError:
                    return
                with made:
                    answer(made)

            thread = threading.Thread(target=serve)
            thread.start()
            held.callback(thread.join, 10)
            held.callback(its.shutdown, socket.SHUT_RDWR)
        yield its


# ------------------------------------------------------------------------------------- not coming about


def test_nobody_listening_is_transient_and_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with failing("cannot be reached", "Connection refused", f"127.0.0.1:{port}", transient=True):
        connect(stranger(port), CancelToken())


def test_a_name_that_does_not_exist_says_so() -> None:
    with failing("name was not found", "nowhere.invalid", transient=True):
        connect(Access("nowhere.invalid", "somebody"), CancelToken())
    with failing("name was not found", transient=True):
        connect(Access("ä" * 70 + ".invalid", "somebody"), CancelToken())


def test_a_server_that_does_not_take_the_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialing, "CONNECT", 0.3)
    with full() as port, failing("cannot be reached", "timed out", transient=True):
        connect(stranger(port), CancelToken())


def test_a_server_that_never_greets_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECT", 0.3)
    with listening() as its, failing("no SSH connection came about", transient=True):
        connect(stranger(its.getsockname()[1]), CancelToken())


def test_a_server_that_greets_and_then_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "NEGOTIATION", 0.3)

    def answer(made: socket.socket) -> None:
        made.sendall(b"SSH-2.0-Silent\r\n")
        while made.recv(1000):
            pass

    with listening(answer) as its, failing("no SSH connection came about", transient=True):
        connect(stranger(its.getsockname()[1]), CancelToken())


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"220 ready\r\n",
        b"hello\r\n" * 200,
        b"SSH-1.5-Old\r\n",
        b"\0" * 70000,
    ],
)
def test_what_is_no_ssh_server_is_said_to_be_none(greeting: bytes) -> None:
    def answer(made: socket.socket) -> None:
        made.sendall(greeting)
        made.shutdown(socket.SHUT_WR)
        while made.recv(1000):
            pass

    with listening(answer) as its, failing("127.0.0.1", "SSH", transient=False):
        connect(stranger(its.getsockname()[1]), CancelToken())


def test_a_server_that_hangs_up_before_it_greets_is_transient() -> None:
    with listening(lambda made: None) as its, failing("no SSH connection came about", transient=True):
        connect(stranger(its.getsockname()[1]), CancelToken())


@pytest.mark.parametrize(
    ("setting", "what", "offered"),
    [
        ("KexAlgorithms diffie-hellman-group14-sha1", "key exchange", "diffie-hellman-group14-sha1"),
        ("Ciphers chacha20-poly1305@openssh.com", "cipher", "chacha20-poly1305@openssh.com"),
        ("Ciphers aes128-ctr\nMACs umac-64@openssh.com", "MAC", "umac-64@openssh.com"),
        ("HostKeyAlgorithms ssh-rsa", "host key", "ssh-rsa"),
    ],
)
def test_a_server_with_nothing_in_common_is_told_with_what_it_offers(
    setting: str, what: str, offered: str
) -> None:
    with running(options=setting.split("\n")) as server:
        words = (f"no {what} algorithm in common", f"The server offers {offered}", "here there are")
        with failing(*words, transient=False):
            connect(access(server), CancelToken())


def test_a_cipher_that_does_not_authenticate_gets_a_mac_beside_it() -> None:
    with (
        running(options=["Ciphers aes256-ctr", "MACs hmac-sha2-512"]) as server,
        closing(connect(access(server), CancelToken())) as connection,
    ):
        assert connection.cipher == "aes256-ctr"
        assert run(connection, "echo hello", waiting=lambda output: 10).output == b"hello\n"


def test_a_server_that_takes_no_more_says_so_and_is_transient() -> None:
    with running(options=["PerSourceMaxStartups 1"]) as server, ExitStack() as held:

        def is_the_one() -> bool:
            # The one that saw that the server is up may still count.
            made = socket.create_connection(("127.0.0.1", server.port))
            held.callback(made.close)
            return made.recv(4) == b"SSH-"

        wait_for(is_the_one)
        with failing("no SSH connection came about", "MaxStartups", transient=True):
            connect(access(server), CancelToken())


# --------------------------------------------------------------------------------------------- cancelled


def test_a_cancel_before_the_beginning_connects_to_nobody() -> None:
    token = CancelToken()
    token.cancel()
    with listening() as its:
        its.setblocking(False)
        with pytest.raises(Cancelled):
            connect(stranger(its.getsockname()[1]), token)
        with pytest.raises(BlockingIOError):
            its.accept()


def test_a_cancel_ends_the_wait_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hang(*args: object, **more: object) -> list[object]:
        asked.set()
        go_on.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        cancelled_within(1, lambda token: connect(stranger(1), token), after=asked.wait)
    finally:
        go_on.set()


def test_a_cancel_ends_the_wait_for_the_connection() -> None:
    with full() as port:
        cancelled_within(1, lambda token: connect(stranger(port), token), after=lambda: time.sleep(0.3))


def test_a_cancel_ends_the_wait_for_the_greeting() -> None:
    with listening() as its:
        cancelled_within(1, lambda token: connect(stranger(its.getsockname()[1]), token), after=its.accept)


def test_a_cancel_ends_the_wait_for_keys() -> None:
    greeted = threading.Event()

    def answer(made: socket.socket) -> None:
        made.sendall(b"SSH-2.0-Silent\r\n")
        while made.recv(1000):
            greeted.set()

    with listening(answer) as its:
        cancelled_within(1, lambda token: connect(stranger(its.getsockname()[1]), token), after=greeted.wait)


def test_a_cancel_ends_the_wait_for_the_login() -> None:
    """The server asks a program for the user's keys, and that takes its time."""
    asking = ["AuthorizedKeysCommand /bin/sleep 31", f"AuthorizedKeysCommandUser {getpass.getuser()}"]
    with running(options=asking) as server:

        def is_asking() -> bool:
            return any(_program(pid) == "/bin/sleep" for pid in server.sessions())

        its = access(server, private_key=server.stranger_key())
        cancelled_within(1, lambda token: connect(its, token), after=lambda: wait_for(is_asking, 30))


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0]
    except OSError:
        return ""


def test_a_cancel_leaves_a_moment_and_then_cuts(sshd: SshServer) -> None:  # noqa: F811
    token = CancelToken()
    with closing(connect(access(sshd), token)) as connection:
        channel = connection.open_channel()
        channel.exec_command("cat")
        token.cancel()
        assert connection.is_alive, "there is a moment for tidying up"
        channel.sendall(b"still here")
        assert channel.recv(100) == b"still here"
        begun = time.monotonic()
        assert channel.recv(100) == b"", "the connection is cut"
        assert time.monotonic() - begun < connections.GRACE + 1
        with pytest.raises(Cancelled):
            raise connection.lost()


# ---------------------------------------------------------------------------------------------- breaking


def test_a_server_that_dies_is_noticed(sshd: SshServer) -> None:  # noqa: F811
    before = set(sshd.sessions())
    with closing(connect(access(sshd), CancelToken())) as connection:
        channel = connection.open_channel()
        channel.exec_command("cat")
        for pid in set(sshd.sessions()) - before:
            os.kill(pid, signal.SIGKILL)
        assert channel.recv(1) == b""
        wait_for(lambda: not connection.is_alive)
        with failing("was lost", transient=True):
            connection.open_channel()


def test_a_closed_connection_is_closed_for_the_server_too(sshd: SshServer) -> None:  # noqa: F811
    before = set(sshd.sessions())
    connection = connect(access(sshd), CancelToken())
    assert set(sshd.sessions()) - before
    connection.close()
    connection.close()
    assert not connection.is_alive
    wait_for(lambda: set(sshd.sessions()) <= before)


def test_it_can_be_closed_from_another_thread_while_one_waits(sshd: SshServer) -> None:  # noqa: F811
    connection = connect(access(sshd), CancelToken())
    channel = connection.open_channel()
    channel.exec_command("cat")
    timer = threading.Timer(0.2, connection.close)
    timer.start()
    assert channel.recv(1) == b""
    timer.join()


def test_a_connection_carries_another_one(sshd: SshServer) -> None:  # noqa: F811
    """As a jump host does: the second connection runs through a channel of the first."""
    with closing(connect(access(sshd), CancelToken())) as first:
        through = first.transport.open_channel("direct-tcpip", ("127.0.0.1", sshd.port), ("127.0.0.1", 0))
        with closing(connect(access(sshd), CancelToken(), sock=through)) as second:
            assert run(second, "echo through", waiting=lambda output: 10).output == b"through\n"


def test_new_keys_are_agreed_upon_while_channels_close(
    sshd: SshServer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the order in which the server answers and closes: nothing waits for itself."""
    from engine.ssh.packets import Packets

    monkeypatch.setattr(Packets, "REKEY_BYTES", 500_000)
    with closing(connect(access(sshd), CancelToken())) as connection:
        before = connection.transport.H
        for size in range(490_000, 520_000, 1000):
            answer = run(connection, f"head -c {size} /dev/zero", waiting=lambda output: 20)
            assert len(answer.output) == size and answer.status == 0
        assert before != connection.transport.H


# ---------------------------------------------------------------------------------------------- commands


def test_a_command_tells_what_it_printed_and_how_it_ended(sshd: SshServer) -> None:  # noqa: F811
    with closing(connect(access(sshd), CancelToken())) as connection:
        answer = run(connection, "cat; echo oh >&2; exit 3", given=b"given\n", waiting=lambda output: 10)
        assert (answer.output, answer.complaint, answer.status) == (b"given\n", b"oh\n", 3)
        killed = run(connection, "kill -9 $$", waiting=lambda output: 10)
        assert killed.status is None


def test_a_command_that_takes_too_long_is_left(sshd: SshServer) -> None:  # noqa: F811
    with closing(connect(access(sshd), CancelToken())) as connection:
        begun = time.monotonic()
        with pytest.raises(SshError, match="in time"):
            run(connection, "echo on it; sleep 60", waiting=lambda output: 1 if output else 30)
        assert time.monotonic() - begun < 5
        assert run(connection, "echo next", waiting=lambda output: 10).output == b"next\n"


def test_a_cancel_ends_the_wait_for_a_command(sshd: SshServer) -> None:  # noqa: F811
    token = CancelToken()
    with closing(connect(access(sshd), token)) as connection:
        timer = threading.Timer(0.3, token.cancel)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(Cancelled):
            run(connection, "sleep 60", waiting=lambda output: 60)
        assert time.monotonic() - begun < 1.5
        timer.join()


# ------------------------------------------------------------------------------------------ its silence


def test_nothing_is_printed_and_nothing_logged_whatever_fails(
    sshd: SshServer,  # noqa: F811
) -> None:
    """In a process of its own, with Python's own habits: warnings shown, the last resort of logging."""
    program = f"""
import logging, socket, sys
from pathlib import Path
from engine.cancellation import CancelToken
from engine.errors import SshError
from engine.ssh.access import Access
from engine.ssh.connection import connect
known = Path({str(sshd.known_hosts)!r})
with socket.create_server(("127.0.0.1", 0)) as silent:
    for port in ({sshd.port}, 1):
        access = Access("127.0.0.1", {sshd.user!r}, port, password="the-secret", known_hosts=known)
        try:
            connect(access, CancelToken())
        except SshError as error:
            print(error)
connection = connect(
    Access("127.0.0.1", {sshd.user!r}, {sshd.port}, private_key=Path({str(sshd.key())!r}), known_hosts=known),
    CancelToken(),
)
connection.transport.sock.close()  # rudely
connection.transport.join(5)
connection.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-X", "dev", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 2
    assert done.stderr == ""
    assert "the-secret" not in done.stdout


def test_a_debugging_log_of_the_process_sees_no_secret(
    sshd: SshServer,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SshError):
        connect(access(sshd, private_key=None, password="the-secret"), CancelToken())
    assert "the-secret" not in caplog.text


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that ask for a sign of life after 0.3 s, and wait 0.7 s more for it."""
    monkeypatch.setattr(connections, "_KEEPALIVE", 0.3)
    monkeypatch.setattr(connections, "LOST", 0.7)


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_lies_dead_behind_a_proxy_is_lost(sshd: SshServer, tmp_path: Path) -> None:  # noqa: F811
    # The proxy's own machine acknowledges whatever is sent, so that the system notices nothing.
    with Proxy(sshd.port) as proxy:
        known = tmp_path / "known_hosts"
        known.write_text(sshd.known_hosts.read_text().replace(str(sshd.port), str(proxy.port)))
        with (
            closing(connect(access(sshd, port=proxy.port, known_hosts=known), CancelToken())) as connection,
            failing("was lost", transient=True),
            closing(Command(connection, "echo begun; sleep 60")) as command,
        ):
            proxy.stall()
            command.give(b"")
            command.answer(lambda output: 30)


@pytest.mark.usefixtures("impatient")
def test_a_connection_on_which_nothing_happens_for_long_lives(sshd: SshServer) -> None:  # noqa: F811
    with closing(connect(access(sshd), CancelToken())) as connection:
        answer = run(connection, "sleep 2; echo still here", waiting=lambda output: 10)
        assert answer.output == b"still here\n"


# ------------------------------------------------------------------------------------------- small parts


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Look until something is so; a process tells nobody that it has begun or ended."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


@contextmanager
def full() -> Iterator[int]:
    """A port whose queue is full, so that a connection to it hangs; yields the port. Linux behaves so."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux leaves a connection hanging when the queue is full")
    with ExitStack() as held:
        its = held.enter_context(socket.socket())
        its.bind(("127.0.0.1", 0))
        its.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(its.getsockname())
        yield its.getsockname()[1]
