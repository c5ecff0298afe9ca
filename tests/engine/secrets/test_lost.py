"""Secrets that are lost, and a keyring that locks in mid-run: told where it hurts; nothing else stops."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from engine.cancellation import CancelToken
from engine.contract.registry import Registry
from engine.errors import KeyringLocked, SecretMissing
from engine.events import LogLevel, Status
from engine.home import Home
from engine.records import Execution
from engine.secrets import RememberedSecrets, VaultSecrets
from engine.signing import Verdict
from engine.workspace import Workspace
from tests.conftest import Bench, make_shop
from tests.parts.faulty import GATES, Gate


def warnings_of(workspace: Workspace, execution: Execution) -> list[str]:
    lines = [line.entry for line in workspace.store.logs.list(execution.id)]
    return [f"{line.message} {line.details}" for line in lines if line.level is LogLevel.WARNING]


def test_a_run_warns_of_a_key_that_nobody_may_restore_with(workspace: Workspace, bench: Bench) -> None:
    job = bench.job()
    assert warnings_of(workspace, bench.run(job)) == []
    key = workspace.keys.get("default")
    workspace.secrets.delete(f"key/{key.recipient}")
    run = bench.run(job)
    assert run.status is Status.SUCCESS, "it needs the public half alone"
    (warning,) = warnings_of(workspace, run)
    assert "The secret half of the key 'default' is not in the vault file (any more)" in warning
    assert "never exported" in warning and "strongroom keys new" in warning
    assert "unset STRONGROOM_VAULT" in warning


def test_an_exported_key_is_brought_back_by_its_file(workspace: Workspace, bench: Bench) -> None:
    job = bench.job()
    text = workspace.keys.export("default")
    workspace.secrets.delete(f"key/{workspace.keys.get('default').recipient}")
    (warning,) = warnings_of(workspace, bench.run(job))
    assert "this machine cannot restore" in warning and "strongroom keys import" in warning
    workspace.keys.import_(text)
    assert warnings_of(workspace, bench.run(job)) == []


def test_a_machine_that_only_backs_up_is_not_warned(workspace: Workspace, bench: Bench) -> None:
    workspace.keys.import_(str(pyrage.x25519.Identity.generate().to_public()), "offsite")
    run = bench.run(bench.job(encryption="offsite"))
    assert (run.status, warnings_of(workspace, run)) == (Status.SUCCESS, [])


def test_a_lost_signing_key_is_replaced_and_told(workspace: Workspace, bench: Bench) -> None:
    job = bench.job()
    bench.run(job)
    lost = workspace.keys.signer().public_key
    workspace.secrets.delete(f"signing-key/{lost}")
    (warning,) = warnings_of(workspace, bench.run(job))
    assert "The signing key was gone" in warning and lost in warning
    assert {its.verdict for its in workspace.catalogue.list()} == {Verdict.VALID}
    assert warnings_of(workspace, bench.run(job)) == []


def test_a_missing_secret_names_what_it_belongs_to_and_how_to_mend_it(
    workspace: Workspace, bench: Bench
) -> None:
    place = workspace.endpoints.save(
        "destination",
        "offsite",
        "faulty-folder",
        {"path": str(bench.folder / "offsite"), "token": "the-token"},
    )
    workspace.secrets.delete(f"destination/{place.id}/token")
    with pytest.raises(SecretMissing) as caught:
        workspace.endpoints.config(place)
    assert str(caught.value) == "The token of the destination 'offsite' is not in the vault file (any more)."
    assert "edit the destination, or apply its configuration file" in caught.value.remedy
    assert "If it lies in the OS keyring, unset STRONGROOM_VAULT." in caught.value.remedy


class Lockable(VaultSecrets):
    """A vault that locks as a keyring does, and counts how often it is asked."""

    locked = False
    asked = 0

    def get(self, key: str) -> str:
        self.asked += 1
        if self.locked:
            raise KeyringLocked("The keyring is locked.")
        return super().get(key)


def test_a_keyring_that_locks_in_mid_run_stops_nothing(
    home: Home, registry: Registry, tmp_path: Path
) -> None:
    vault = Lockable(home.vault, "a passphrase of the tests")
    gate = GATES["dump"] = Gate()
    with Workspace.open(home, secrets=vault, registry=lambda: registry) as workspace:
        workspace.keys.new("default")
        bench = Bench(workspace, tmp_path)
        shop = make_shop(tmp_path / "shop.sqlite")
        job = bench.job(
            source="faulty-source",
            source_values={"path": str(shop), "gate": "dump"},
            destinations={
                "offsite": ("faulty-folder", {"path": str(tmp_path / "offsite"), "token": "the-token"})
            },
        )
        execution = workspace.run_job(job.id)
        assert gate.reached.wait(30)
        vault.locked = True
        gate.opened.set()
        assert workspace.wait(execution, 60).status is Status.SUCCESS
        failed = bench.run(job)
        assert (failed.status, failed.error_kind) == (Status.FAILED, "KeyringLocked"), (
            "the next one asks anew"
        )
        assert not failed.artifacts
        vault.locked = False
        assert bench.run(job).status is Status.SUCCESS


def test_what_is_remembered_is_asked_for_once_and_follows_what_is_set(home: Home) -> None:
    vault = Lockable(home.vault, "a passphrase of the tests")
    vault.set("key", "one")
    remembered = RememberedSecrets(vault)
    assert [remembered.get("key"), remembered.until(CancelToken()).get("key")] == ["one", "one"]
    assert vault.asked == 1
    remembered.set("key", "two")
    assert remembered.get("key") == vault.get("key") == "two"
    remembered.delete("key")
    for store in (remembered, vault):
        with pytest.raises(SecretMissing):
            store.get("key")
    assert "one" not in repr(remembered) and "two" not in repr(remembered)
