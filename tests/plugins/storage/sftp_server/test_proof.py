"""Proving what the server holds: by its own hash where it has a shell to be trusted, else by reading."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import strongroom
from plugins.storage.sftp import SftpServer
from plugins.storage.sftp_server import proof, reading
from strongroom.testing.readers import HookedReader, StreamReader, context
from tests.conformance.test_storages import flip_in_the_middle
from tests.parts.cancelling import cancelled_within
from tests.parts.sshd import SshServer, running
from tests.plugins.storage.sftp_server.conftest import Opener, put

MIB = 1 << 20
BY_SERVER, BY_READING = proof.BY_SERVER, proof.BY_READING


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are read back from the server."""
    paths: list[str] = []
    read = reading.read

    def noting(remote: Any, path: str, offset: int = 0, *, check: Callable[[], None]) -> Iterator[bytes]:
        paths.append(path)
        return read(remote, path, offset, check=check)

    monkeypatch.setattr(reading, "read", noting)
    return paths


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Callable[..., tuple[SftpServer, Path]]]:
    """Starts a server with settings, and opens a storage on it; both are gone at the end."""
    with ExitStack() as held:

        def start(
            *options: str, force: str = "", alive: Callable[[int], None] | None = None, **settings: Any
        ) -> Any:
            if force:
                options = (*options, f"ForceCommand {force}")
            server = held.enter_context(running(options=list(options), **settings))
            folder = server.new_folder()
            values = SftpServer.Config(**server.values(path=str(folder)))
            around = context(tmp_path)
            if alive is not None:
                around = strongroom.Context(around.host, around.cancel, around.scratch, alive=alive)
            return held.enter_context(closing(SftpServer(values, around))), folder

        yield start


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def verified(storage: SftpServer, name: str, data: bytes) -> str:
    return storage.verify(name, len(data), hashlib.sha256(data).hexdigest())


# ------------------------------------------------------------------------------------ where there is a shell


def test_a_server_with_a_shell_hashes_and_nothing_is_read_back(storage: SftpServer, reads: list[str]) -> None:
    data = os.urandom(3 * MIB)
    assert put(storage, "a.dump", data).startswith(BY_SERVER)
    assert verified(storage, "a.dump", data).startswith(BY_SERVER)
    assert reads == []


def test_it_is_read_back_where_that_is_asked_for(opened: Opener, reads: list[str]) -> None:
    storage = opened(read_back="always")
    assert put(storage, "a.dump", b"data") == BY_READING
    assert verified(storage, "a.dump", b"data") == BY_READING
    assert len(reads) == 2


@pytest.mark.parametrize(
    "name",
    [
        "$(touch hacked)`touch hacked`;touch hacked",
        'it\'s "quoted" \\ back\\slash\\',
        "  leading and trailing  ",
        "-n",
        "--help",
        "new&line|pipe>file<in*?[a]~#!",
        "Zürich 数据库 🗄",
    ],
)
def test_odd_names_are_hashed_and_not_obeyed(
    opened: Opener, folder: Path, reads: list[str], name: str
) -> None:
    odd = folder / name
    odd.mkdir()
    storage = opened(path=str(odd))
    data = name.encode()
    assert put(storage, f"{name}/{name}", data).startswith(BY_SERVER)
    assert verified(storage, f"{name}/{name}", data).startswith(BY_SERVER)
    assert reads == []
    assert not list(folder.rglob("hacked")) and not Path.home().joinpath("hacked").exists()


def test_a_damaged_file_is_found_by_the_servers_hash(storage: SftpServer, folder: Path) -> None:
    data = os.urandom(MIB)
    put(storage, "a.dump", data)
    flip_in_the_middle(folder / "a.dump")
    with pytest.raises(strongroom.ChecksumMismatch, match="SHA-256"):
        verified(storage, "a.dump", data)


def test_damage_during_the_upload_is_found_and_nothing_is_left(storage: SftpServer, folder: Path) -> None:
    """What is proven is what lies there in the end, not what went by."""

    def damage(position: int) -> None:
        if position >= 12 * MIB:  # the first bytes are there: no more than 4 MiB are under way
            (temporary,) = folder.iterdir()
            with temporary.open("r+b") as file:
                file.write(b"damaged")

    with pytest.raises(strongroom.ChecksumMismatch):
        storage.put("a.dump", HookedReader(16 * MIB, damage), begun=lambda leftover: None)
    assert list(folder.iterdir()) == []


def test_another_size_is_found_without_reading(storage: SftpServer, folder: Path, reads: list[str]) -> None:
    put(storage, "a.dump", b"1234")
    (folder / "a.dump").write_bytes(b"123")
    with pytest.raises(strongroom.ChecksumMismatch, match="3 bytes instead of 4"):
        verified(storage, "a.dump", b"1234")
    assert reads == []


@pytest.mark.parametrize("only", ["openssl", "sha256sum", "shasum", "sha256"])
def test_each_tool_that_hashes_will_do(
    at: Callable[..., tuple[SftpServer, Path]], tmp_path: Path, reads: list[str], only: str
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for program in ("sh", "sftp-server"):
        (tools / program).symlink_to("/bin/sh")
    commands = {
        "openssl": 'exec /usr/bin/openssl "$@"',
        "sha256sum": "exec /usr/bin/sha256sum",
        "shasum": '[ "$*" = "-a 256" ] && exec /usr/bin/sha256sum',
        "sha256": '[ "$*" = "-q" ] && /usr/bin/sha256sum | /usr/bin/cut -c1-64',
    }
    tool(tools, only, commands[only])
    storage, _ = at(f"SetEnv PATH={tools}")
    assert put(storage, "a.dump", b"data") == f"{BY_SERVER} ({only})"
    assert reads == []


def test_a_tool_that_fails_gives_way_to_the_next(
    at: Callable[..., tuple[SftpServer, Path]], tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tool(tools, "openssl", "echo unknown option -r >&2; exit 1")
    storage, _ = at(f"SetEnv PATH={tools}:/usr/bin:/bin")
    assert put(storage, "a.dump", b"data") == f"{BY_SERVER} (sha256sum)"


def test_a_hash_that_is_wrong_is_not_believed_before_the_file_was_read(
    at: Callable[..., tuple[SftpServer, Path]], tmp_path: Path, reads: list[str]
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tool(tools, "openssl", f"echo {'0' * 64} '*stdin'")
    storage, folder = at(f"SetEnv PATH={tools}:/usr/bin:/bin")
    data = os.urandom(MIB)
    assert put(storage, "a.dump", data) == BY_READING
    assert verified(storage, "a.dump", data) == BY_READING
    assert len(reads) == 2
    flip_in_the_middle(folder / "a.dump")
    with pytest.raises(strongroom.ChecksumMismatch):
        verified(storage, "a.dump", data)


# ----------------------------------------------------------------------------------- where there is none


def test_a_server_without_a_shell_is_asked_once_and_then_read_back(
    at: Callable[..., tuple[SftpServer, Path]], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, _ = at(shell=False)
    asked: list[str] = []
    prover = storage._open().prover
    by_server = prover.by_server

    def noting(path: str, size: int) -> str | None:
        asked.append(path)
        return by_server(path, size)

    monkeypatch.setattr(prover, "by_server", noting)
    for number in range(3):
        assert put(storage, f"{number}.dump", b"data") == BY_READING
    assert len(asked) == 1 and len(reads) == 3


@pytest.mark.parametrize(
    "instead",
    [
        "echo This account is not available; exit 1",
        "echo strongroom-hashing; echo nothing",
        "cat /dev/zero | head -c 3000000",
        "kill -9 $$",
        "true",
    ],
)
def test_nonsense_in_place_of_a_shell_is_no_proof(
    at: Callable[..., tuple[SftpServer, Path]], reads: list[str], tmp_path: Path, instead: str
) -> None:
    storage, _ = at(**forced(tmp_path, instead))
    assert put(storage, "a.dump", b"data") == BY_READING
    assert len(reads) == 1


def test_a_shell_that_says_nothing_is_left_after_a_while(
    at: Callable[..., tuple[SftpServer, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_BEGIN", 0.5)
    storage, _ = at(**forced(tmp_path, HANG))
    begun = time.monotonic()
    assert put(storage, "a.dump", b"data") == BY_READING
    assert put(storage, "b.dump", b"data") == BY_READING
    assert time.monotonic() - begun < 10


def test_a_login_that_prints_before_the_answer_does_no_harm(
    at: Callable[..., tuple[SftpServer, Path]], reads: list[str], tmp_path: Path
) -> None:
    storage, _ = at(
        **forced(tmp_path, 'echo Welcome; echo "Last login"; sh -c "$SSH_ORIGINAL_COMMAND"; echo Bye')
    )
    assert put(storage, "a.dump", b"data").startswith(BY_SERVER)
    assert reads == []


def test_a_shell_that_sees_other_folders_is_no_witness(
    at: Callable[..., tuple[SftpServer, Path]], reads: list[str], tmp_path: Path
) -> None:
    """As where SFTP is confined to a folder and the shell is not: the path leads elsewhere, or nowhere."""
    other = tmp_path / "other"
    other.write_bytes(b"another file")
    script = f'read -r path; echo {other} | sh -c "$SSH_ORIGINAL_COMMAND"'
    storage, _ = at(**forced(tmp_path, script))
    assert put(storage, "a.dump", b"data") == BY_READING
    storage, _ = at(**forced(tmp_path, 'read -r path; echo /nowhere | sh -c "$SSH_ORIGINAL_COMMAND"'))
    assert put(storage, "a.dump", b"data") == BY_READING
    assert len(reads) == 2


HANG = "while kill -0 $PPID; do sleep 0.2; done"
"""Hangs until what serves the connection ends."""


def forced(folder: Path, script: str) -> dict[str, Any]:
    """Settings of a server that runs a script in place of every command, but for SFTP."""
    program = "/usr/lib/openssh/sftp-server"
    if not Path(program).exists():
        pytest.skip(f"there is no {program} (Debian: openssh-sftp-server)")
    path = folder / "forced"
    path.write_text(f'if [ "$SSH_ORIGINAL_COMMAND" = {program} ]; then exec {program}; fi\n{script}\n')
    return {"subsystem": program, "force": f"/bin/sh {path}"}


# ----------------------------------------------------------------------------------------- signs of life


def test_reading_back_gives_signs_of_life(at: Callable[..., tuple[SftpServer, Path]]) -> None:
    moved: list[int] = []
    storage, _ = at(shell=False, alive=moved.append)
    storage.put("a.dump", StreamReader(8 * MIB), begun=lambda leftover: None)
    assert sum(moved) == 8 * MIB and len(moved) > 8


def test_a_long_hash_gives_signs_of_life_and_has_time(
    at: Callable[..., tuple[SftpServer, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    tool(tools, "openssl", "sleep 4.5; exec /usr/bin/openssl dgst -sha256 -r")
    monkeypatch.setattr(proof, "_BEGIN", 3.0)
    moved: list[int] = []
    storage, _ = at(f"SetEnv PATH={tools}:/usr/bin:/bin", alive=moved.append)
    assert put(storage, "a.dump", b"data").startswith(BY_SERVER)
    assert len(moved) >= 2


def test_a_cancel_ends_the_wait_for_the_servers_hash(
    opened: Opener, folder: Path, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_COMMAND", f"touch {folder}/began; {HANG}")
    began = folder / "began"

    def begun() -> None:
        end = time.monotonic() + 30
        while not began.exists():
            assert time.monotonic() < end
            time.sleep(0.01)

    cancelled_within(2, lambda token: put(opened(token), "job/a.dump", b"data"), after=begun)
    assert [path.name for path in folder.iterdir()] == ["began"]
