"""The conformance suite for hosts. A plugin's test subclasses it and gives two hosts that are one:

    class TestJail(HostConformance):
        @pytest.fixture
        def host(self, cancel):
            return JailHost(cancel)

It runs POSIX tools there, and must be able to write below the host's own temporary folder.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator

import pytest

import strongroom
from engine.hosts.local import LocalHost
from strongroom import CancelToken, Host

ODD = 'It\'s a "secret" $HOME `id` \\n ünï 漢 %s; rm -rf *'
"""No shell on the way may trip over it, whether it is a value, a name or an argument."""
CANCEL_WITHIN = 5.0
_MANY = 24 << 20


class HostConformance:
    """What every host must do, this machine as well as one behind three others."""

    @pytest.fixture
    def cancel(self) -> CancelToken:
        return CancelToken()

    @pytest.fixture
    def host(self, cancel: CancelToken) -> Iterator[Host]:
        raise NotImplementedError("override the fixture `host`")

    @pytest.fixture
    def witness(self) -> Iterator[Host]:
        """The same host by another way, which a cancel leaves alone; this machine, where they are one."""
        yield LocalHost(CancelToken())

    # ------------------------------------------------------------------------------- running

    def test_output_complaints_and_status_come_apart(self, host: Host) -> None:
        told = host.capture(["sh", "-c", "echo out; echo 'no good' >&2; exit 3"])
        assert (told.stdout, told.stderr.strip(), told.exit_status) == (b"out\n", "no good", 3)

    def test_arguments_arrive_as_they_are(self, host: Host) -> None:
        arguments = [ODD, "", " ", "a\nb", "-n", "$(id)", "*"]
        told = host.capture(
            ["sh", "-c", 'for each in "$@"; do printf "%s\\0" "$each"; done', "sh", *arguments]
        )
        assert told.stdout.decode().split("\0")[:-1] == arguments

    def test_the_environment_reaches_the_tool(self, host: Host) -> None:
        told = host.capture(["sh", "-c", 'printf %s "$STRONGROOM_ODD"'], env={"STRONGROOM_ODD": ODD})
        assert told.stdout.decode() == ODD

    def test_standard_input_is_given_whole_and_ended(self, host: Host) -> None:
        data = bytes(range(256)) * 4096
        assert host.capture(["cat"], stdin=data).stdout == data

    def test_without_input_a_tool_finds_its_end(self, host: Host) -> None:
        assert host.capture(["cat"], timeout=20).stdout == b""

    def test_a_signal_gives_a_negative_status(self, host: Host) -> None:
        assert host.capture(["sh", "-c", "kill -9 $$"]).exit_status == -9

    def test_a_tool_that_is_not_there_is_named(self, host: Host) -> None:
        with pytest.raises(strongroom.ToolMissing, match="strongroom-no-such-tool") as caught:
            host.run(["strongroom-no-such-tool", "x"]).kill()
        assert caught.value.remedy

    def test_much_goes_both_ways(self, host: Host) -> None:
        piece = bytes(range(256)) * 4096
        hashed = hashlib.sha256()
        with host.run(["cat"], stdin=True) as process:

            def feed() -> None:
                for _ in range(_MANY // len(piece)):
                    process.write(piece)
                process.close_stdin()

            feeder = threading.Thread(target=feed)
            feeder.start()
            for chunk in process:
                hashed.update(chunk)
            feeder.join()
            assert process.wait() == 0
        expected = hashlib.sha256()
        for _ in range(_MANY // len(piece)):
            expected.update(piece)
        assert hashed.digest() == expected.digest()

    def test_a_chatty_tool_does_not_stall(self, host: Host) -> None:
        line = "i=0; while [ $i -lt 40000 ]; do echo 'a long complaint' >&2; i=$((i+1)); done; echo done"
        with host.run(["sh", "-c", line]) as process:
            assert b"".join(process) == b"done\n"
            assert process.wait() == 0
        assert "a long complaint" in process.stderr()
        assert len(process.stderr()) <= 65 << 10

    def test_what_answers_too_late_is_ended(self, host: Host) -> None:
        began = time.monotonic()
        with pytest.raises(strongroom.ToolFailed, match="did not answer"):
            host.capture(["sleep", "77"], timeout=0.5)
        assert time.monotonic() - began < 20

    # -------------------------------------------------------------------------------- ending

    def test_leaving_a_block_ends_the_tool_and_what_it_started(self, host: Host, witness: Host) -> None:
        line = "sleep 300 & echo $!; echo $$; exec sleep 300"
        with host.run(["sh", "-c", line]) as process:
            told = b""
            while told.count(b"\n") < 2:
                told += process.read()
        for pid in told.split():
            self.assert_gone(witness, pid.decode())

    def test_a_tool_that_will_not_end_is_forced(self, host: Host, witness: Host) -> None:
        line = "trap '' TERM; echo $$; while :; do sleep 0.1; done"
        with host.run(["sh", "-c", line]) as process:
            pid = process.read().decode().strip()
        self.assert_gone(witness, pid)

    def test_a_cancel_ends_the_tool(self, host: Host, witness: Host, cancel: CancelToken) -> None:
        with host.run(["sh", "-c", "echo $$; exec sleep 300"]) as process:
            pid = process.read().decode().strip()
            began = time.monotonic()
            cancel.cancel("enough")
            with pytest.raises(strongroom.Cancelled):
                while process.read():
                    pass
                process.wait()
        assert time.monotonic() - began < CANCEL_WITHIN
        self.assert_gone(witness, pid)

    def test_nothing_is_started_after_a_cancel(self, host: Host, cancel: CancelToken) -> None:
        cancel.cancel("enough")
        with pytest.raises(strongroom.Cancelled):
            host.run(["true"]).kill()

    def assert_gone(self, host: Host, pid: str) -> None:
        """Nothing of that process ID runs on the host; a zombie has ended."""
        line = f"ps -o stat= -p {pid} | grep -v Z >/dev/null"
        for _ in range(50):
            if host.capture(["sh", "-c", line]).exit_status != 0:
                return
            time.sleep(0.1)  # its end is nobody's to tell
        raise AssertionError(f"process {pid} still runs")

    # --------------------------------------------------------------------------------- files

    def test_tools_are_found(self, host: Host) -> None:
        found = host.which("cat")
        assert found is not None
        assert found.startswith("/")
        assert host.exists(found)
        assert host.which("strongroom-no-such-tool") is None

    def test_files_are_written_read_and_found_by_odd_names(self, host: Host) -> None:
        data = [b"one\0", b"", b"two" * 100_000]
        with host.folder() as folder:
            path = f"{folder}/{ODD.replace('/', '_')}"
            host.write_file(path, data)
            assert b"".join(host.read_file(path)) == b"".join(data)
            assert host.exists(path)
            assert host.glob(f"{folder}/It*") == [path]
            mode = host.capture(["stat", "-c", "%a", path]).stdout.strip()
            assert mode == b"600"
        assert not host.exists(folder)

    def test_a_file_that_is_there_is_not_written_over(self, host: Host) -> None:
        with host.folder() as folder:
            host.write_file(f"{folder}/theirs", [b"theirs"])
            with pytest.raises(strongroom.SourceError, match="cannot be written"):
                host.write_file(f"{folder}/theirs", [b"ours"])
            assert b"".join(host.read_file(f"{folder}/theirs")) == b"theirs"

    def test_a_write_that_fails_leaves_nothing(self, host: Host) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"some"
            raise RuntimeError("the stream broke")

        with host.folder() as folder:
            with pytest.raises(RuntimeError, match="the stream broke"):
                host.write_file(f"{folder}/half", chunks())
            assert not host.exists(f"{folder}/half")

    def test_what_cannot_be_read_says_so(self, host: Host) -> None:
        with host.folder() as folder, pytest.raises(strongroom.SourceError, match="cannot be read"):
            list(host.read_file(f"{folder}/nothing"))

    def test_a_folder_is_private_and_goes(self, host: Host) -> None:
        with host.folder() as folder:
            assert host.capture(["stat", "-c", "%a", folder]).stdout.strip() == b"700"
            host.capture(["mkdir", f"{folder}/deep"])
            host.write_file(f"{folder}/deep/file", [b"x"])
        assert not host.exists(folder)

    def test_a_secret_file_is_private_holds_the_very_text_and_goes(self, host: Host) -> None:
        secret = f"{ODD}\nand a second line without an end"
        with host.secret_file(secret) as path:
            assert b"".join(host.read_file(path)).decode() == secret
            assert host.capture(["stat", "-c", "%a", path]).stdout.strip() == b"600"
        assert not host.exists(path)

    def test_a_secret_file_goes_at_a_cancel_too(self, host: Host, witness: Host, cancel: CancelToken) -> None:
        with host.secret_file("secret") as path:
            cancel.cancel("enough")
        for _ in range(50):
            if not witness.exists(path):
                return
            time.sleep(0.1)  # the shell that holds it ends by itself
        raise AssertionError(f"{path} is still there")
