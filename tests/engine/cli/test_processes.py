"""Real processes: Ctrl-C, exit codes, one document on standard output, the agent, a third party's plugin."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.engine.cli.conftest import CONFIG, Terminal

SLOW = CONFIG.replace('adapter = "sqlite"', 'adapter = "slow"')

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def slow(terminal: Terminal) -> Terminal:
    """A profile whose job stalls in its dump until it is cancelled."""
    terminal.install_slow_plugin()
    terminal.configure(SLOW)
    return terminal


def until(process: subprocess.Popen[str], text: str, stream: str = "stderr") -> str:
    """Read a stream of a process line by line until one holds `text`; return all lines so far."""
    said = ""
    pipe = getattr(process, stream)
    for line in pipe:
        said += line
        if text in line:
            return said
    raise AssertionError(f"the process ended, and never said {text!r}, but:\n{said}")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_cancels_a_run_with_code_4(slow: Terminal, name: str) -> None:
    process = slow.start("run", "shop-nightly", "--json")
    until(process, "the dump stalls here")
    process.send_signal(getattr(signal, name))
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 4, stderr
    document = json.loads(stdout)
    assert document["status"] == "Cancelled"
    assert document["error"]["kind"] == "Cancelled"
    assert document["backups"] == []
    assert "Traceback" not in stderr
    assert re.search(r"  Cancelled after [^:\n]*\.\n", stderr), "a reason that says nothing is not told"
    backups = slow.folder / "backups"
    assert [path for path in backups.rglob("*") if path.is_file()] == [], "what was half-written is removed"
    (listed,) = json.loads(slow.process("history", "--json").stdout)
    assert listed["status"] == "Cancelled"


def test_the_third_signal_ends_what_nothing_else_ends(slow: Terminal) -> None:
    """As where the system itself holds a thread up: a network disk that is gone, a silent pipe."""
    plugin = slow.folder / "site" / "slow_plugin.py"
    deaf = plugin.read_text().replace("self.context.cancel.wait(60)", "__import__('time').sleep(600)")
    plugin.write_text(deaf)
    process = slow.start("run", "shop-nightly", "--json")
    until(process, "the dump stalls here")
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)  # equal signals that come at once count as one
    process.communicate(timeout=15)
    assert process.returncode == 4
    (settled,) = json.loads(slow.process("history", "--json").stdout)
    assert settled["status"] == "Failed", "the next command settles it"


@pytest.mark.parametrize("how", ["| true", ">&-", "2>&-", ">&- 2>&- <&-", "--json | true", "--json 2>&-"])
def test_a_run_goes_on_when_nobody_reads(terminal: Terminal, how: str) -> None:
    terminal.configure(CONFIG)
    program = "from engine.cli.main import main; main()"
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'"$0" -c "$1" run shop-nightly {how}; exit ${{PIPESTATUS[0]}}',
            sys.executable,
            program,
        ],
        cwd=terminal.folder,
        env={**os.environ, **terminal.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (listed,) = json.loads(terminal.process("history", "--json").stdout)
    assert listed["status"] == "Success"


def test_what_a_killed_run_left_is_settled_by_the_next_command(slow: Terminal) -> None:
    process = slow.start("run", "shop-nightly")
    until(process, "the dump stalls here", "stdout")
    (running,) = json.loads(slow.process("history", "--json").stdout)
    assert running["status"] == "Running", "a run that lives is left alone"
    process.kill()
    process.wait(30)
    done = slow.process("history", "--json")
    (settled,) = json.loads(done.stdout)
    assert settled["status"] == "Failed"
    assert "#1) had died" in done.stderr
    assert slow.process("history", "--json").stderr == ""


def test_a_run_takes_its_place_in_the_queue_of_all_processes(slow: Terminal) -> None:
    first = slow.start("run", "shop-nightly")
    until(first, "the dump stalls here", "stdout")
    second = slow.start("run", "shop-nightly", "--json")
    said = until(second, "waits for its turn")
    assert "behind shop-nightly (#1)" in said
    second.send_signal(signal.SIGINT)
    stdout, stderr = second.communicate(timeout=30)
    assert (second.returncode, json.loads(stdout)["status"]) == (4, "Cancelled"), stderr
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert first.returncode == 4


def test_the_agent_says_when_it_is_ready_and_stops_cleanly(slow: Terminal) -> None:
    agent = slow.start("agent")
    until(agent, "The agent is ready.", "stdout")
    agent.send_signal(signal.SIGTERM)
    stdout, stderr = agent.communicate(timeout=30)
    assert (agent.returncode, stderr) == (0, "")
    assert "The agent stops." in stdout


def test_standard_output_is_one_document_and_logs_go_to_standard_error(terminal: Terminal) -> None:
    terminal.configure(CONFIG)
    done = terminal.process("run", "shop-nightly", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "Success"
    assert "dump" in done.stderr
    plain = terminal.process("run", "shop-nightly")
    assert plain.stderr == ""
    assert "\x1b" not in plain.stdout, "no colours into a pipe"
    assert "✓ shop-nightly: Success" in plain.stdout


def test_a_signal_that_was_ignored_stays_ignored(slow: Terminal) -> None:
    run = f"{sys.executable} -c 'from engine.cli.main import main; main()' run shop-nightly --json"
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' HUP; exec {run}"],
        env={**os.environ, **slow.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    slow.started.append(process)
    until(process, "the dump stalls here")
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)  # it goes on: nothing else can be waited for
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 4


def test_a_terminal_without_the_characters_gets_marks_and_json_gets_escapes(terminal: Terminal) -> None:
    terminal.configure(CONFIG.replace("shop-nightly", "größe"))
    terminal.environ["PYTHONIOENCODING"] = "latin-1"
    done = terminal.process("check", "source", "shop")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("? The source shop works."), "its sign is no Latin character"
    told = terminal.process("jobs", "--json").stdout
    assert told.isascii()
    assert json.loads(told)[0]["name"] == "größe"


def test_a_third_partys_plugin_works_and_a_broken_one_costs_nothing(slow: Terminal) -> None:
    found = {its["name"]: its for its in json.loads(slow.process("plugins", "--json").stdout)}
    assert found["slow"]["distribution"] == "strongroom-slow"
    assert found["slow"]["version"] == "1.2"
    assert {"sqlite", "postgresql", "local", "apprise"} <= found.keys()
    (slow.folder / "site" / "slow_plugin.py").write_text("import a_library_that_is_not_there")
    done = slow.process("plugins", "--json")
    assert done.returncode == 1
    broken = next(its for its in json.loads(done.stdout) if its["name"] == "slow")
    assert broken["state"] == "broken"
    assert "a_library_that_is_not_there" in broken["error"]
    assert json.loads(slow.process("jobs", "--json").stdout)[0]["name"] == "shop-nightly"
    failed = slow.process("run", "shop-nightly", "--json")
    assert failed.returncode == 1
    assert "slow" in json.loads(failed.stdout)["error"]["message"]


def test_no_keyring_is_a_clear_refusal(terminal: Terminal) -> None:
    terminal.environ |= {
        "STRONGROOM_VAULT": "",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    done = terminal.process("keys", "new", "default", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)["error"]
    assert told["kind"] == "NoKeyring"
    assert "STRONGROOM_VAULT=file" in told["remedy"]
    assert json.loads(terminal.process("keys", "list", "--json").stdout) == []
