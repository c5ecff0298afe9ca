"""Endpoints: saved, changed, opened and tested, with their secrets split away and joined again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.contract.readers import BytesReader
from engine.contract.values import Leftover, SourceReport, StorageReport
from engine.errors import ConfigError, NameEscapes, NotFound, SecretMissing, SecretsError, UsageError
from engine.secrets import SecretStore
from engine.workspace import Workspace
from tests.conftest import Bench, make_shop

TOKEN = "s3cr3t-token-of-the-test"


def everything_in(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump())


def test_secrets_are_split_away_and_joined_again(workspace: Workspace, tmp_path: Path) -> None:
    saved = workspace.endpoints.save(
        "destination", "vault", "faulty-folder", {"path": str(tmp_path / "v"), "token": TOKEN}
    )

    assert saved.secret_names == ("token",)
    assert TOKEN not in repr(saved)
    assert TOKEN not in everything_in(workspace.home.database)
    assert workspace.endpoints.config(saved).token.get_secret_value() == TOKEN  # type: ignore[attr-defined]
    assert TOKEN not in repr(workspace.endpoints.config(saved))


def test_a_change_that_leaves_the_secret_out_keeps_it(workspace: Workspace, tmp_path: Path) -> None:
    values = {"path": str(tmp_path / "v"), "token": TOKEN}
    saved = workspace.endpoints.save("destination", "vault", "faulty-folder", values)

    changed = workspace.endpoints.save(
        "destination", "renamed", "faulty-folder", {"path": str(tmp_path / "w")}, id=saved.id
    )

    assert (changed.id, changed.name) == (saved.id, "renamed")
    assert workspace.endpoints.secrets(changed) == [TOKEN]


def test_a_secret_that_is_taken_away_is_gone(workspace: Workspace, tmp_path: Path) -> None:
    values = {"path": str(tmp_path / "v"), "token": TOKEN}
    saved = workspace.endpoints.save("destination", "vault", "faulty-folder", values)

    changed = workspace.endpoints.save(
        "destination", "vault", "faulty-folder", {**values, "token": None}, id=saved.id
    )

    assert changed.secret_names == ()
    with pytest.raises(SecretMissing):
        workspace.secrets.get(f"destination/{saved.id}/token")


class Refusing(SecretStore):
    """A store of secrets that takes none: what a locked keyring does."""

    title = "a keyring that refuses"

    def get(self, key: str) -> str:
        raise SecretsError("The keyring is locked.")

    def set(self, key: str, secret: str) -> None:
        self.get(key)

    def delete(self, key: str) -> None:
        self.get(key)

    def check(self) -> str:
        raise SecretsError("The keyring is locked.")


def test_without_a_keyring_an_endpoint_with_a_secret_is_not_half_saved(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.endpoints._secrets = Refusing()

    with pytest.raises(SecretsError):
        workspace.endpoints.save(
            "destination", "vault", "faulty-folder", {"path": str(tmp_path / "v"), "token": TOKEN}
        )

    assert workspace.endpoints.all("destination") == []


@pytest.mark.parametrize(
    ("values", "field"),
    [({}, "path"), ({"path": "/x", "colour": "red"}, "colour"), ({"path": "/x", "times": "often"}, "times")],
)
def test_a_wrong_configuration_names_its_field_and_saves_nothing(
    workspace: Workspace, values: dict[str, object], field: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        workspace.endpoints.save("destination", "vault", "faulty-folder", values)

    assert caught.value.field == field
    assert workspace.endpoints.all("destination") == []


@pytest.mark.parametrize("name", ["", " vault", "a\nb", "x" * 201])
def test_a_name_that_no_list_could_show_is_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        workspace.endpoints.save("destination", name, "local", {"path": str(tmp_path)})


def test_what_a_job_uses_is_not_deleted(bench: Bench) -> None:
    job = bench.job()

    with pytest.raises(UsageError, match="shop-nightly"):
        bench.workspace.endpoints.delete("source", job.source_id)
    bench.workspace.jobs.delete(job.id)
    bench.workspace.endpoints.delete("source", job.source_id)

    with pytest.raises(NotFound):
        bench.workspace.endpoints.get("source", job.source_id)


def test_a_form_is_tested_before_it_is_saved(workspace: Workspace, tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop.sqlite")

    source = workspace.endpoints.check_values("source", "sqlite", {"path": str(shop)})
    destination = workspace.endpoints.check_values("destination", "local", {"path": str(tmp_path / "v")})

    assert isinstance(source, SourceReport)
    assert source.databases == ("shop",)
    assert isinstance(destination, StorageReport)
    assert workspace.endpoints.all("source") == []


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a//b", "a/../../b", "a\\b", "", "nul\0byte"])
def test_no_name_that_escapes_reaches_a_storage(workspace: Workspace, tmp_path: Path, name: str) -> None:
    saved = workspace.endpoints.save("destination", "vault", "local", {"path": str(tmp_path / "vault")})

    with workspace.endpoints.open_storage(saved) as storage:
        storage.put("good", BytesReader(b"x"), begun=lambda leftover: None)
        for act in (
            lambda: storage.put(name, BytesReader(b"x"), begun=lambda leftover: None),
            lambda: b"".join(storage.get(name)),
            lambda: storage.stat(name),
            lambda: storage.delete(name),
            lambda: storage.verify(name, 1, "00"),
            lambda: storage.discard(Leftover(name)),
        ):
            with pytest.raises(NameEscapes):
                act()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "vault"]
