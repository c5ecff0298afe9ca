"""`strongroom check --trust`: a person confirms a server's identity, once, and only the one that it shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.cli.conftest import Terminal
from tests.parts.sshd import SshServer, running


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with running(keys=("ed25519",)) as server:
        yield server


@pytest.fixture
def offsite(terminal: Terminal, server: SshServer) -> Terminal:
    """A profile with one destination on a server that nobody has confirmed yet."""
    server.new_folder()
    terminal.configure(
        f"""
[[destination]]
name = "off site"
adapter = "sftp"
config = {{ host = "127.0.0.1", port = {server.port}, user = "{server.user}", \
private_key = "{server.key()}", path = "{server.root}", known_hosts = "{terminal.folder / "none"}" }}
"""
    )
    return terminal


def host_key_of(terminal: Terminal) -> str | None:
    exported = terminal.said("export")
    lines = [line for line in exported.splitlines() if line.startswith("host_key")]
    return lines[0] if lines else None


def test_an_unknown_server_is_shown_with_the_command_that_confirms_it(
    offsite: Terminal, server: SshServer
) -> None:
    value = server.host_keys["ed25519"].value

    error = offsite.json("check", "destination", "off site", code=1)["error"]

    assert (error["kind"], error["field"], error["value"]) == ("NeedsTrust", "host_key", value)
    assert value in error["message"]
    assert f"strongroom check destination 'off site' --trust '{value}'" in error["remedy"]
    assert host_key_of(offsite) is None


def test_the_key_that_the_server_shows_is_kept_and_the_check_done(
    offsite: Terminal, server: SshServer
) -> None:
    value = server.host_keys["ed25519"].value

    checked = offsite.json("check", "destination", "off site", "--trust", f" {value}= ")

    assert checked["ok"] and checked["trusted"] == value
    again = offsite.json("check", "destination", "off site")
    assert again["ok"] and again["trusted"] is None
    kept = host_key_of(offsite)
    assert kept is not None and value in kept


def test_another_key_than_the_one_confirmed_is_refused_and_both_are_shown(
    offsite: Terminal, server: SshServer
) -> None:
    value = server.host_keys["ed25519"].value
    wrong = "ssh-ed25519 SHA256:" + "A" * 43

    error = offsite.json("check", "destination", "off site", "--trust", wrong, code=1)["error"]

    assert value in error["message"] and wrong in error["message"]
    assert host_key_of(offsite) is None
    assert offsite.json("check", "destination", "off site", code=1)["error"]["kind"] == "NeedsTrust"


def test_a_confirmed_server_that_changes_its_key_is_refused_and_no_trust_is_offered(
    offsite: Terminal, server: SshServer
) -> None:
    value = server.host_keys["ed25519"].value
    offsite.json("check", "destination", "off site", "--trust", value)
    server.stop()
    changed = server.change_host_key().value
    server.start()

    error = offsite.json("check", "destination", "off site", "--trust", changed, code=1)["error"]

    assert error["kind"] == "StorageError"
    assert "REFUSED" in error["message"] and value in error["message"] and changed in error["message"]


def test_there_is_nothing_to_confirm_where_the_server_is_known(terminal: Terminal, server: SshServer) -> None:
    server.trust("ed25519")
    terminal.configure(
        f"""
[[destination]]
name = "known"
adapter = "sftp"
config = {{ host = "127.0.0.1", port = {server.port}, user = "{server.user}", \
private_key = "{server.key()}", path = "{server.root}", known_hosts = "{server.known_hosts}" }}
"""
    )
    said = terminal.said("check", "destination", "known", "--trust", "ssh-ed25519 SHA256:" + "A" * 43)
    assert "nothing to confirm" in said
    assert host_key_of(terminal) is None


def test_a_folder_has_nobody_to_trust(shop: Terminal) -> None:
    assert shop.json("check", "destination", "disk", "--trust", "anything")["trusted"] is None
