"""Tools of this machine: their output, their end, and what it takes to end them."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.errors import Cancelled, SourceError, ToolFailed, ToolMissing
from engine.hosts.local import LocalHost, LocalProcess, child_environment

HOLDS_THE_PIPE = (
    "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(9)\nprint('done', flush=True)"
)
"""A tool that leaves a child of another session behind, with its pipes still open."""

IGNORES_TERM = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def cancel() -> CancelToken:
    return CancelToken()


@pytest.fixture
def host(cancel: CancelToken) -> LocalHost:
    return LocalHost(cancel)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Wait for a process that is nobody's child any more."""
    end = time.monotonic() + seconds
    while is_running(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def later(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


# ------------------------------------------------------------------------------------- in and out


def test_output_errors_and_exit_status_are_told(host: LocalHost) -> None:
    ended = host.capture(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (ended.exit_status, ended.stdout, ended.stderr) == (3, b"out\n", "err\n")
    assert ended.argv == ("sh", "-c", "echo out; echo err >&2; exit 3")


def test_a_signal_is_a_negative_exit_status(host: LocalHost) -> None:
    assert host.capture(["sh", "-c", "kill -SEGV $$"]).exit_status == -signal.SIGSEGV


def test_a_large_input_and_a_large_output_pass_at_once(host: LocalHost) -> None:
    data = os.urandom(10 << 20)
    assert host.capture(["cat"], stdin=data).stdout == data


def test_input_that_the_tool_does_not_read_is_no_error_of_its_own(host: LocalHost) -> None:
    assert host.capture(["sh", "-c", "exec <&-; exit 4"], stdin=bytes(4 << 20)).exit_status == 4


def test_an_input_is_written_while_the_output_is_read(host: LocalHost) -> None:
    with host.run(["cat"], stdin=True) as tool:
        for line in (b"one\n", b"two\n"):
            tool.write(line)
            assert tool.read() == line
        tool.close_stdin()
        assert tool.read() == b""
        assert tool.wait() == 0


def test_without_an_input_the_tool_finds_its_end(host: LocalHost) -> None:
    assert host.capture(["cat"]).stdout == b""
    with host.run(["true"]) as tool, pytest.raises(BrokenPipeError):
        tool.write(b"x")


def test_writing_to_a_tool_that_has_gone_is_a_broken_pipe(host: LocalHost) -> None:
    with host.run(["true"], stdin=True) as tool, pytest.raises(BrokenPipeError):
        for _ in range(100):
            tool.write(bytes(1 << 20))


def test_a_flood_of_errors_stalls_nothing_and_its_last_64_kib_are_kept(host: LocalHost) -> None:
    script = "import sys; sys.stderr.write('e' * 5_000_000 + 'the last words'); print('out')"
    ended = host.capture([sys.executable, "-c", script])
    assert ended.stdout == b"out\n"
    assert ended.stderr.endswith("the last words")
    assert len(ended.stderr) == 64 << 10


@pytest.mark.parametrize("piece", [100, 5_000, 100_000])
def test_a_long_output_arrives_whole_however_it_is_written(host: LocalHost, piece: int) -> None:
    script = f"import os\nfor n in range(20_000_000 // {piece}): os.write(1, bytes([n % 251]) * {piece})"
    with host.run([sys.executable, "-c", script]) as tool:
        chunks = list(tool)
        assert tool.wait() == 0
    data = b"".join(chunks)
    assert data == b"".join(bytes([number % 251]) * piece for number in range(20_000_000 // piece))
    assert all(len(chunk) <= 1 << 20 for chunk in chunks)


def test_an_answer_that_never_ends_is_no_answer(host: LocalHost) -> None:
    with pytest.raises(ToolFailed, match="16 MiB"):
        host.capture(["cat", "/dev/zero"])


def test_waiting_has_a_limit(host: LocalHost) -> None:
    with host.run(["sleep", "60"]) as tool, pytest.raises(TimeoutError):
        tool.wait(0.05)


# -------------------------------------------------------------------------------- what is refused


def test_a_tool_that_is_not_there_is_named(host: LocalHost) -> None:
    with pytest.raises(ToolMissing, match="pg_dumpp") as raised:
        host.run(["pg_dumpp"])
    assert "Install pg_dumpp" in raised.value.remedy
    assert host.which("pg_dumpp") is None


def test_a_file_that_is_no_program_is_no_tool(host: LocalHost, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("text")
    with pytest.raises(ToolMissing):
        host.run([str(tmp_path / "tool")])


def test_an_argument_that_the_system_cannot_pass_is_an_error_of_ours(host: LocalHost) -> None:
    with pytest.raises(ToolFailed):
        host.run(["echo", "a\0b"])


def test_files_and_tools_are_found(host: LocalHost, tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.bin"):
        (tmp_path / name).touch()
    assert host.glob(f"{tmp_path}/*.txt") == [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert host.exists(str(tmp_path / "a.txt"))
    assert not host.exists(str(tmp_path / "d.txt"))
    assert Path(host.which("sh") or "").is_absolute()


# ------------------------------------------------------------------------------ what the tool gets


def test_a_tool_gets_the_allowed_variables_and_its_own(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_SECRET_ACCESS_KEY": "x",
        "LC_TIME": "C",
        "TZ": "UTC",
        "PGPASSWORD": "ours",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("STRONGROOM_VAULT_PASSPHRASE", "x")
    printed = host.capture(["env"], env={"PGPASSWORD": "theirs"}).stdout.decode()
    variables = dict(line.split("=", 1) for line in printed.splitlines())
    assert variables["PGPASSWORD"] == "theirs"
    assert variables["LC_TIME"] == "C"
    assert variables["TZ"] == "UTC"
    assert variables["PATH"] == os.environ["PATH"]
    assert not {"AWS_SECRET_ACCESS_KEY", "STRONGROOM_VAULT_PASSPHRASE", "LD_PRELOAD"} & variables.keys()
    assert variables.keys() <= child_environment({"PGPASSWORD": "", "_": "", "PWD": "", "SHLVL": ""}).keys()


def test_a_tool_has_no_terminal_to_ask_on(host: LocalHost) -> None:
    assert host.capture(["sh", "-c", "exec < /dev/tty"]).exit_status != 0


def test_a_tool_inherits_no_descriptor(host: LocalHost, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w"):
        listed = host.capture(["ls", "-l", "/proc/self/fd"]).stdout.decode()
    assert str(tmp_path) not in listed


def test_a_secret_file_is_this_users_alone_and_goes_with_the_block(host: LocalHost) -> None:
    with host.secret_file("host:5432:*:ü:pass\\word\n") as name:
        path = Path(name)
        assert path.read_text(encoding="utf-8") == "host:5432:*:ü:pass\\word\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_a_secret_file_goes_when_the_block_fails(host: LocalHost) -> None:
    with pytest.raises(ZeroDivisionError), host.secret_file("s") as name:
        raise ZeroDivisionError
    assert not Path(name).parent.exists()


# --------------------------------------------------------------------------------- ending the tool


def test_leaving_the_block_ends_the_tool_and_what_it_started(host: LocalHost) -> None:
    with host.run(["sh", "-c", "sleep 60 & echo $!; wait"]) as tool:
        child = int(tool.read())
        assert is_running(child)
    assert gone(child)


def test_leaving_the_block_ends_what_a_tool_that_ended_well_left_behind(host: LocalHost) -> None:
    with host.run(["sh", "-c", "sleep 60 > /dev/null 2>&1 & echo $!"]) as tool:
        child = int(b"".join(tool))
        assert tool.wait() == 0
        assert is_running(child)
    assert gone(child)


def test_what_was_left_behind_and_does_not_listen_is_forced(host: LocalHost) -> None:
    script = f'sh -c "{IGNORES_TERM}" > /dev/null 2>&1 & echo $!; sleep 0.2'
    with host.run(["sh", "-c", script]) as tool:
        child = int(b"".join(tool))
        assert tool.wait() == 0
        assert is_running(child)
    assert gone(child)


def test_a_tool_is_asked_first_so_that_it_can_clean_up(host: LocalHost, tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = f"trap 'echo cleaned > {note}; exit' TERM; echo ready; while :; do sleep 0.02; done"
    with host.run(["sh", "-c", script]) as tool:
        assert tool.read() == b"ready\n"
    assert note.read_text() == "cleaned\n"


def test_a_tool_that_does_not_listen_is_forced_after_two_seconds(host: LocalHost) -> None:
    with host.run(["sh", "-c", IGNORES_TERM]) as tool:
        assert tool.read() == b"ready\n"
        begun = time.monotonic()
    assert 1.5 < time.monotonic() - begun < 4.0


def test_kill_may_be_called_twice_and_from_several_threads(host: LocalHost) -> None:
    with host.run(["sleep", "60"]) as tool:
        threads = [later(tool.kill) for _ in range(4)]
        tool.kill()
        for thread in threads:
            thread.join()
        assert tool.read() == b""


@pytest.mark.parametrize("waiting", ["read", "write", "wait"])
@pytest.mark.parametrize("script", ["echo ready; sleep 60", IGNORES_TERM])
def test_a_cancel_wakes_whoever_waits_for_the_tool(
    host: LocalHost, cancel: CancelToken, waiting: str, script: str
) -> None:
    with host.run(["sh", "-c", script], stdin=True) as tool:
        assert tool.read() == b"ready\n"
        begun = time.monotonic()
        thread = later(lambda: cancel.cancel("by hand"))
        with pytest.raises(Cancelled, match="by hand"):
            if waiting == "write":
                tool.write(bytes(64 << 20))
            elif waiting == "read":
                tool.read()
            else:
                tool.wait()
        # Only the wait for the end has to see the end.
        assert time.monotonic() - begun < (3.0 if waiting == "wait" and script == IGNORES_TERM else 1.0)
        thread.join()
    assert time.monotonic() - begun < 3.5


def test_a_cancel_does_not_hold_up_the_thread_that_asks_for_it(host: LocalHost, cancel: CancelToken) -> None:
    with host.run(["sh", "-c", IGNORES_TERM]) as tool:
        assert tool.read() == b"ready\n"
        begun = time.monotonic()
        cancel.cancel()
        assert time.monotonic() - begun < 0.5


def test_a_cancelled_host_starts_nothing(host: LocalHost, cancel: CancelToken) -> None:
    cancel.cancel("by hand")
    with pytest.raises(Cancelled):
        host.run(["true"])
    with pytest.raises(Cancelled):
        host.capture(["true"])


def test_a_cancel_ends_a_capture(host: LocalHost, cancel: CancelToken) -> None:
    timer = threading.Timer(0.1, cancel.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        host.capture(["sleep", "60"])
    assert time.monotonic() - begun < 2.0
    timer.join()


@pytest.mark.parametrize("script", ["sleep 60", IGNORES_TERM])
def test_a_capture_has_a_time_limit(host: LocalHost, script: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ToolFailed, match=r"sh did not answer within 0\.2 s") as raised:
        host.capture(["sh", "-c", script], timeout=0.2)
    assert time.monotonic() - begun < 4.0
    assert raised.value.remedy


def test_a_descendant_that_holds_the_pipes_is_not_waited_for(host: LocalHost) -> None:
    begun = time.monotonic()
    ended = host.capture([sys.executable, "-c", HOLDS_THE_PIPE])
    assert (ended.exit_status, ended.stdout) == (0, b"done\n")
    assert time.monotonic() - begun < 6.0


def test_output_that_a_descendant_still_writes_is_read(host: LocalHost) -> None:
    """What goes on after the tool's end belongs to its output as long as it keeps coming."""
    script = "(for n in 1 2 3 4 5; do sleep 0.3; echo $n; done) & exit 0"
    with host.run(["sh", "-c", script]) as tool:
        assert b"".join(tool) == b"1\n2\n3\n4\n5\n"


def test_a_cancel_does_not_wait_for_a_descendant_either(host: LocalHost, cancel: CancelToken) -> None:
    with host.run([sys.executable, "-c", HOLDS_THE_PIPE]) as tool:
        assert tool.read() == b"done\n"
        assert tool.wait() == 0
        begun = time.monotonic()
        thread = later(cancel.cancel)
        with pytest.raises(Cancelled):
            tool.read()
        thread.join()
    assert time.monotonic() - begun < 2.0


def test_the_groups_number_is_kept_until_the_last_signal(host: LocalHost) -> None:
    """A reaped leader's number may be another group's: its zombie stays until the block is left."""
    with host.run(["true"]) as tool:
        assert tool.wait() == 0
        assert isinstance(tool, LocalProcess)
        pid = tool.pid
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_many_processes_at_once_each_with_its_own_output(host: LocalHost) -> None:
    found: dict[int, bytes] = {}

    def work(number: int) -> None:
        found[number] = host.capture(["sh", "-c", f"echo {number}; head -c 200000 /dev/zero"]).stdout

    threads = [later(lambda number=number: work(number)) for number in range(12)]
    for thread in threads:
        thread.join()
    assert found == {number: b"%d\n" % number + bytes(200_000) for number in range(12)}


def test_a_folder_is_private_and_goes_with_all_that_is_in_it(host: LocalHost) -> None:
    with host.folder() as folder:
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
        (Path(folder) / "deep").mkdir()
        (Path(folder) / "deep" / "file").write_bytes(b"x")
    assert not Path(folder).exists()


def test_a_file_is_written_private_and_read_back(host: LocalHost, tmp_path: Path) -> None:
    path = tmp_path / "it's a “file” $HOME"
    host.write_file(str(path), [b"one\0", b"two"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"".join(host.read_file(str(path))) == b"one\0two"


def test_a_file_that_is_there_is_not_written_over(host: LocalHost, tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.write_text("theirs")
    with pytest.raises(SourceError, match="theirs cannot be written: File exists"):
        host.write_file(str(path), [b"ours"])
    assert path.read_text() == "theirs"


def test_what_a_failed_write_began_is_removed(host: LocalHost, tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"some"
        raise RuntimeError("the stream broke")

    with pytest.raises(RuntimeError, match="the stream broke"):
        host.write_file(str(tmp_path / "half"), chunks())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_says_so(host: LocalHost, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing cannot be read: No such file"):
        list(host.read_file(str(tmp_path / "nothing")))


def test_a_tunnel_on_this_machine_is_the_address_itself(host: LocalHost) -> None:
    with host.tunnel("db", 5432) as reached:
        assert reached == ("db", 5432)
    assert host.local
