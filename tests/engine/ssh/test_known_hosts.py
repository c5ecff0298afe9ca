"""known_hosts files, as ssh-keygen writes them and sshd(8) describes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.errors import SshError
from engine.ssh.known_hosts import Entry, ServerKey, host_name, read
from tests.parts.programs import required_program

ED = "AAAAC3NzaC1lZDI1NTE5AAAAIEq3p0TnnjT2bPDQ0xmTGuFD7W9Hw2yZ1pYQ0Zq1h1Xy"


def entry(names: str) -> Entry:
    return Entry(Path("known_hosts"), 1, names, ServerKey("ssh-ed25519", b""))


@pytest.mark.parametrize(
    ("names", "host", "port", "matches"),
    [
        ("backup.example.com", "backup.example.com", 22, True),
        ("Backup.Example.com", "backup.EXAMPLE.com", 22, True),
        ("backup.example.com", "backup.example.org", 22, False),
        ("backup.example.com", "backup.example.com", 2222, False),
        ("[backup.example.com]:2222", "backup.example.com", 2222, True),
        ("[backup.example.com]:2222", "backup.example.com", 22, False),
        ("one,two,10.0.0.1", "10.0.0.1", 22, True),
        ("*.example.com", "backup.example.com", 22, True),
        ("*.example.com,!bad.example.com", "bad.example.com", 22, False),
        ("!bad.example.com,*.example.com", "good.example.com", 22, True),
        ("host?", "host1", 22, True),
        ("host?", "host", 22, False),
        ("[host*]:22??", "host-a", 2222, True),
        ("host[12]", "host1", 22, False),
        ("::1", "::1", 22, True),
        ("[::1]:2222", "::1", 2222, True),
    ],
)
def test_which_hosts_a_line_names(names: str, host: str, port: int, matches: bool) -> None:
    assert entry(names).names_host(host_name(host, port)) is matches


def test_hashed_names_are_those_that_ssh_keygen_hashed(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"backup.example.com ssh-ed25519 {ED}\n[backup.example.com]:2222 ssh-ed25519 {ED}\n")
    keygen = required_program("ssh-keygen", package="openssh-client")
    subprocess.run([keygen, "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "backup" not in file.read_text()

    first, second = read([file])

    assert first.names_host("backup.example.com") and not first.names_host("[backup.example.com]:2222")
    assert second.names_host("[backup.example.com]:2222") and not second.names_host("other")


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"host ssh-ed25519 {ED} a comment with spaces\n")
    keygen = required_program("ssh-keygen", package="openssh-client")
    told = subprocess.run([keygen, "-l", "-f", str(file)], check=True, capture_output=True, text=True).stdout

    assert read([file])[0].key.fingerprint == told.split()[1]
    assert read([file])[0].key.value == f"ssh-ed25519 {told.split()[1]}"


def test_lines_tell_where_they_stand_and_what_is_revoked(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(
        f"# a comment\n\n@revoked * ssh-ed25519 {ED}\nhost ssh-ed25519 {ED}\n"
        f"@cert-authority * ssh-ed25519 {ED}\n@unheard-of * ssh-ed25519 {ED}\n"
        f"host ssh-ed25519 not!base64\nhost ssh-ed25519\n|1|broken ssh-ed25519 {ED}\n"
    )
    found = read([file])
    assert [(its.line, its.revoked) for its in found] == [(3, True), (4, False), (9, False)]
    assert not found[2].names_host("host")


def test_several_files_are_read_and_missing_ones_passed_over(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"{name} ssh-ed25519 {ED}\n")
    found = read([tmp_path / "one", tmp_path / "none", tmp_path / "one" / "below", tmp_path / "two"])
    assert [its.names for its in found] == ["one", "two"]


def test_a_file_that_cannot_be_read_is_an_error_and_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SshError, match="cannot be read") as caught:
        read([tmp_path])
    assert caught.value.remedy and not caught.value.transient
