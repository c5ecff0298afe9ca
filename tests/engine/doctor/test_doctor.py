"""The doctor says what is wrong and how to mend it, changes nothing, and survives any machine."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from engine import doctor
from engine.configuration.keys import Keys
from engine.contract.registry import Registry
from engine.doctor import Finding, State
from engine.home import Home
from engine.queue.ownership import Ownership
from engine.records import Endpoint, Job, JobDestination
from engine.secrets import open_secrets
from engine.store.database import Store

VAULT = {"STRONGROOM_VAULT": "file", "STRONGROOM_VAULT_PASSPHRASE": "of the tests"}


def found(findings: list[Finding], area: str) -> Finding:
    """The worst finding of an area."""
    return max((its for its in findings if its.area == area), key=lambda its: list(State).index(its.state))


def test_a_fresh_machine_is_looked_at_without_making_anything(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    findings = doctor.examine(home, {})
    assert {its.area for its in findings} >= {"python", "home", "store", "secrets", "spool", "age", "plugins"}
    assert not home.root.exists()
    assert found(findings, "home").state is State.OK
    assert "first command makes it" in found(findings, "home").detail


def test_no_finding_that_hurts_is_without_a_remedy(tmp_path: Path) -> None:
    findings = doctor.examine(Home(tmp_path / "home"), {})
    assert [its for its in findings if its.state in (State.WARNING, State.ERROR) and not its.remedy] == []


def test_a_missing_keyring_hurts_only_when_secrets_are_configured(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    broken = {"STRONGROOM_VAULT": "file"}  # and no passphrase
    assert found(doctor.examine(home, broken), "secrets").state is State.WARNING
    with Store(home.database) as store:
        store.endpoints.save(Endpoint("source", "", "shop", "postgresql", {}, secret_names=("password",)))
    assert found(doctor.examine(home, broken), "secrets").state is State.ERROR


def test_a_vault_that_works_is_well(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    assert found(doctor.examine(home, VAULT), "secrets").state is State.OK


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/dev/null/below-a-file", "Not a directory"),
        ("/proc/nothing-is-made-here", "No such file or directory"),
        ("~nobody-of-that-name/strongroom", "a user that is not here"),
        ("/tmp/" + "long" * 100, "File name too long"),
        ("/tmp/" + "deep/" * 1000, "File name too long"),
        ("/etc/passwd", "not a folder"),
    ],
    ids=["below a file", "proc", "no user", "long", "deep", "a file"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="paths of Linux")
def test_an_impossible_home_is_told_with_the_way_out(given: str, said: str) -> None:
    findings = doctor.examine(environ={"STRONGROOM_HOME": given, "STRONGROOM_VAULT": "file"})
    its = found(findings, "home")
    assert its.state is State.ERROR
    assert said in its.detail and len(its.detail) < 250
    assert "STRONGROOM_HOME" in its.remedy
    assert {"python", "tools", "plugins"} & {each.area for each in findings}, "the rest is looked at"
    assert [each.detail for each in findings if "Error" in each.detail] == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="a folder that is closed to us")
def test_a_home_in_a_closed_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    its = found(doctor.examine(Home(tmp_path / "closed" / "home"), VAULT), "home")
    assert (its.state, "Permission denied" in its.detail) == (State.ERROR, True)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_home_open_to_others_is_told_with_the_command_that_closes_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    home.root.chmod(0o755)
    its = found(doctor.examine(home, VAULT), "home")
    assert its.state is State.WARNING
    assert "chmod 700" in its.remedy
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o755, "looking changes nothing"


def test_a_damaged_store_is_found(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    Store(home.database).close()
    data = bytearray(home.database.read_bytes())
    data[8192:12288] = os.urandom(4096)
    home.database.write_bytes(data)
    its = found(doctor.examine(home, VAULT), "store")
    assert its.state is State.ERROR


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    with closing(sqlite3.connect(home.database)) as other, other:
        other.execute("CREATE TABLE theirs (id)")
    before = home.database.read_bytes()
    its = found(doctor.examine(home, VAULT), "store")
    assert its.state is State.ERROR
    assert "not one of Strongroom's" in its.detail
    assert home.database.read_bytes() == before


def test_an_execution_whose_process_died_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    with Store(home.database) as store:
        dead = store.executions.add("dead00000000", job_name="shop")
        alive = store.executions.add("alive0000000", job_name="shop")
        lock = Ownership(home.locks).take(alive.id)
        assert lock is not None
        with lock:
            findings = doctor.examine(home, VAULT)
    its = found(findings, "executions")
    assert its.state is State.WARNING
    assert f"#{dead.seq}" in its.detail
    assert f"#{alive.seq}" not in its.detail
    assert any(its.area == "executions" and its.detail.startswith("1 running") for its in findings)


def test_keys_that_are_missing_or_only_here_are_named(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    with Store(home.database) as store:
        Keys(store, open_secrets(home, VAULT).scoped(store.installation_id)).new("only-here")
        source = store.endpoints.save(Endpoint("source", "", "shop", "sqlite", {}))
        place = store.endpoints.save(Endpoint("destination", "", "nas", "local", {}))
        store.jobs.save(
            Job("", "nightly", source.id, "shop", (JobDestination(place.id, "nas"),), encryption="gone")
        )
    findings = [its for its in doctor.examine(home, VAULT) if its.area == "keys"]
    assert {(its.state, its.detail.split()[0]) for its in findings} == {
        (State.ERROR, "jobs"),
        (State.WARNING, "only-here"),
    }
    assert "`strongroom keys new gone` makes it." in {its.remedy for its in findings}


def test_a_missing_tool_hurts_only_the_sources_that_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home").make()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("engine.hosts.local.LocalHost.glob", lambda self, pattern: [])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with Store(home.database) as store:
        tools = {its.area: its for its in doctor.check_tools(store)}
        assert tools["pg_dump"].state is State.NOTE
        assert "age" in tools["age"].remedy
        store.endpoints.save(Endpoint("source", "", "shop", "postgresql", {}))
        tools = {its.area: its for its in doctor.check_tools(store)}
        assert tools["pg_dump"].state is State.ERROR
        assert "postgresql-client" in tools["pg_dump"].remedy
        assert tools["zstd"].state is State.NOTE


def test_a_tool_is_named_with_its_version_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "age"
    tool.write_text("#!/bin/sh\necho 'age v9.8.7 (somewhere)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    its = next(its for its in doctor.check_tools(None) if its.area == "age")
    assert (its.state, its.detail) == (State.OK, f"9.8.7 at {tool}")


def test_a_plugin_that_does_not_load_is_named_with_its_cause() -> None:
    registry = Registry.load([EntryPoint("shelf", "no.such.module", "strongroom")])
    findings = list(doctor.check_plugins(registry))
    assert [its.state for its in findings] == [State.ERROR, State.ERROR]
    assert "plugin shelf" in findings[0].detail
    assert "No module named" in findings[0].detail


def test_a_spool_on_a_small_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.streams.spool.free_bytes", lambda folder: 12_000_000)
    home = Home(tmp_path / "home").make()
    (its,) = doctor.check_spool(home)
    assert its.state is State.WARNING
    assert "12.0 MB free" in its.detail


def test_a_check_that_breaks_is_a_finding_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explodes() -> None:
        raise RuntimeError("this machine is odd")

    monkeypatch.setattr(doctor, "check_python", explodes)
    findings = doctor.examine(Home(tmp_path / "home"), VAULT)
    assert findings[0] == Finding("python", State.ERROR, "RuntimeError: this machine is odd")
    assert doctor.worst(findings) is State.ERROR
    assert len(findings) > 5, "the others were looked at all the same"
