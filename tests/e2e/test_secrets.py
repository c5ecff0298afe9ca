"""Secrets in a real keyring, by the real command line: kept, locked, lost, and moved to the vault file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Gate
from tests.faults.servers import source_of, tools
from tests.parts.commands import Installation
from tests.parts.postgres import PASSWORD, Server, postgres  # noqa: F401 - a fixture
from tests.parts.prompter import prompter
from tests.parts.secret_service import Session, secret_service

pytestmark = pytest.mark.xdist_group("e2e-postgres")


@pytest.fixture(scope="module")
def server(postgres: Server) -> Iterator[Server]:  # noqa: F811
    """A server with a small database."""
    postgres.create_database("small", "CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 1000) g")
    yield postgres
    postgres.clean()


@pytest.fixture
def desktop() -> Iterator[Session]:
    """A desktop session whose keyring is open."""
    with secret_service() as its:
        yield its


@pytest.fixture
def installation(desktop: Session, server: Server, tmp_path: Path) -> Iterator[Installation]:
    """An installation that keeps its secrets in that session's keyring, with one job."""
    its = Installation(
        tmp_path, environ={**desktop.environ, "STRONGROOM_VAULT": "", "SHOP_PASSWORD": PASSWORD}
    )
    configure(its, server)
    yield its
    its.close()


def configure(installation: Installation, server: Server, **more: Any) -> None:
    path = installation.folder / "shop.toml"
    path.write_text(
        f"""
        [[key]]
        name = "default"
        {source_of(server, databases=["small"], **more)}
        [[destination]]
        name = "disk"
        adapter = "local"
        config = {{ path = "disk" }}
        [[job]]
        name = "nightly"
        source = "shop"
        destinations = ["disk"]
        """,
        encoding="utf-8",
    )
    installation.run("apply", str(path))


def files(installation: Installation) -> int:
    return len(list((installation.folder / "disk").rglob("*.age")))


def test_a_locked_keyring_fails_a_run_at_once_and_the_next_one_succeeds_once_it_is_open(
    installation: Installation, desktop: Session
) -> None:
    kept = desktop.secrets()
    prefixes = {name.split("/")[0] for name in kept}
    assert len(prefixes) == 1, "all under the installation's ID"
    assert sorted(name.split("/")[1] for name in kept) == ["key", "source"]
    assert [its for name, its in kept.items() if name.endswith("/password")] == [PASSWORD]
    assert installation.run("run", "nightly", "--json").document["status"] == "Success"
    assert not (installation.folder / "home" / "vault.json").exists()

    desktop.lock()
    begun = time.monotonic()
    failed = installation.run("run", "nightly", "--json", code=1)
    assert time.monotonic() - begun < 40, "there is no screen, and nobody is waited for"
    told = failed.document
    assert (told["status"], told["error"]["kind"], told["backups"]) == ("Failed", "KeyringLocked", [])
    assert "Unlock it" in told["error"]["remedy"]
    log = installation.run("show", told["execution"]).stdout
    assert "The source answers" not in log and "Dump" not in log, "before anything is dumped"
    text = installation.run("run", "nightly", code=1)
    assert "The keyring is locked" in text.stdout + text.stderr
    assert "Unlock it" in text.stdout + text.stderr
    listed = installation.run("keys", "list")
    assert "restores and encrypts" in listed.stdout
    assert "is unknown" in listed.stderr and "Unlock it" in listed.stderr

    desktop.unlock()
    assert installation.run("run", "nightly", "--json").document["status"] == "Success"
    assert files(installation) == 2


def test_ctrl_c_ends_the_wait_for_a_prompt_that_nobody_answers(
    installation: Installation, desktop: Session
) -> None:
    desktop.lock()
    with prompter(desktop.address, silent=True) as person:
        command = installation.start("run", "nightly", "--json")
        assert person.asked.wait(60)
        command.interrupt()
        begun = time.monotonic()
        ended = command.ended()
        assert time.monotonic() - begun < 30, "the prompt alone would have taken a minute"
    assert (ended.code, ended.document["status"]) == (4, "Cancelled")
    assert person.prompts == 1


def test_what_the_keyring_lost_is_named_and_the_same_file_mends_it(
    installation: Installation, desktop: Session, server: Server
) -> None:
    desktop.lose("/password")
    told = installation.run("run", "nightly", "--json", code=1).document["error"]
    assert told["kind"] == "SecretMissing"
    assert told["message"] == "The password of the source 'shop' is not in the OS keyring (any more)."
    assert "apply its configuration file" in told["remedy"]
    examined = installation.run("doctor", code=1).stdout
    assert "the password of the source shop is not in the OS keyring" in examined
    configure(installation, server)
    assert installation.run("run", "nightly", "--json").document["status"] == "Success"

    (key,) = (name for name in desktop.secrets() if "/key/" in name)
    desktop.lose(key)
    ran = installation.run("run", "nightly", "--json")
    assert ran.document["status"] == "Success"
    assert "nobody may be able to restore" in ran.stderr
    listed = installation.run("keys", "list", "--json")
    assert [its["lost"] for its in listed.document] == [True]
    assert "never exported" in listed.stderr


def test_a_process_that_lives_on_works_again_and_a_run_outlives_the_lock(
    desktop: Session, server: Server, tmp_path: Path
) -> None:
    """As the window and the agent are: opened once, with runs by the schedule."""
    its = Installation(
        tmp_path, environ={**desktop.environ, "STRONGROOM_VAULT": "", "SHOP_PASSWORD": PASSWORD}
    )
    gate = Gate(tmp_path / "gate")
    held = 'if [ -e hold ]; then @REAL@ "$@" | ' + gate.held(10) + '; else @REAL@ "$@"; fi'
    configure(
        its,
        server,
        tools=tools(tmp_path / "tools", server, {"pg_dump": held.replace("hold ]", f"{tmp_path}/hold ]")}),
    )
    program = """
        from engine.workspace import Workspace
        with Workspace.open() as workspace:
            while input() != "end":
                made = workspace.wait(workspace.run_job("nightly", trigger="schedule", reason="planned"))
                print(made.status, made.error_kind, flush=True)
    """
    with desktop.dialogue(program, STRONGROOM_HOME=str(its.home.root)) as agent:
        agent.say()
        assert agent.hear() == "Success None"
        desktop.lock()
        agent.say()
        assert agent.hear() == "Failed KeyringLocked"
        desktop.unlock()
        (tmp_path / "hold").touch()
        agent.say()
        gate.reached()
        desktop.lock()
        gate.open()
        assert agent.hear() == "Success None", "what it needs it has read"
        (tmp_path / "hold").unlink()
        desktop.restart_keyring()
        agent.say()
        assert agent.hear() == "Success None"
    gate.close()
    assert files(its) == 3


def test_from_the_keyring_to_the_vault_file_and_back(
    installation: Installation, desktop: Session, server: Server
) -> None:
    (old,) = installation.run("run", "nightly", "--json").document["backups"]
    key = installation.folder / "key.txt"
    installation.run("keys", "export", "default", "-o", str(key))
    kept = desktop.secrets()

    vault = {"STRONGROOM_VAULT": "file", "STRONGROOM_VAULT_PASSPHRASE": "hidden-word"}
    installation.environ |= vault
    told = installation.run("run", "nightly", "--json", code=1).document["error"]
    assert told["message"] == "The password of the source 'shop' is not in the vault file (any more)."
    assert "If it lies in the OS keyring, unset STRONGROOM_VAULT." in told["remedy"]
    configure(installation, server)
    installation.run("keys", "import", str(key))
    assert installation.run("run", "nightly", "--json").document["status"] == "Success"
    outcomes = installation.run("verify", "--all", "--json").document
    assert [its["outcome"] for its in outcomes] == ["passed", "passed"], "what was signed before still counts"
    installation.run("restore", old["id"], "--to", "shop", "--as", "moved")
    assert desktop.secrets() == kept, "the keyring is left as it was"
    assert PASSWORD.encode() not in installation.home.vault.read_bytes()

    installation.environ["STRONGROOM_VAULT"] = ""
    examined = installation.run("doctor", code=0).stdout
    assert f"{installation.home.vault} is not used" in examined
    assert installation.run("run", "nightly", "--json").document["status"] == "Success", (
        "nothing was lost there"
    )
    desktop.lose()
    told = installation.run("run", "nightly", "--json", code=1).document["error"]
    assert "There is a vault file, too: if it lies in that, set STRONGROOM_VAULT=file." in told["remedy"]
