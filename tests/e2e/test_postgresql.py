"""The main job on a PostgreSQL by the real command line: configured, run, proven, restored, compared.

It goes to all three kinds of storage at once: a folder, a real S3 server, and a real SSH server.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.content import SHOP, content_of
from tests.faults.servers import source_of, toml
from tests.parts.commands import Installation
from tests.parts.postgres import PASSWORD, Server, postgres  # noqa: F401 - a fixture
from tests.parts.programs import required_program
from tests.parts.s3 import S3Server, s3  # noqa: F401 - a fixture
from tests.parts.sshd import SshServer, sshd  # noqa: F401 - a fixture

pytestmark = pytest.mark.xdist_group("e2e-postgres")

DATABASE = 'Größe & "Söhne" = 50%\'s'
SMALL = "klein"
PLACES = ("disk", "cloud", "server")


@pytest.fixture(scope="module")
def server(postgres: Server) -> Iterator[Server]:  # noqa: F811
    """A server with the shop's database, and a small one beside it."""
    for name in (DATABASE, SMALL):
        postgres.drop_database(name)
    postgres.create_database(DATABASE, SHOP)
    postgres.create_database(
        SMALL, "CREATE TABLE t AS SELECT g AS a, 'ß' || g AS b FROM generate_series(1, 10) g"
    )
    yield postgres
    for name in postgres.databases():
        if name != "postgres":
            postgres.drop_database(name)


@pytest.fixture(scope="module")
def original(server: Server) -> dict[str, str]:
    """What the shop's database holds."""
    held = content_of(server, DATABASE)
    rows = sum(int(its.split(" rows")[0]) for its in held.values() if " rows, " in its)
    assert rows > 300_000
    return held


@pytest.fixture(scope="module")
def cloud(s3: S3Server) -> Iterator[str]:  # noqa: F811
    """A bucket."""
    name = s3.make_bucket()
    yield name
    s3.remove_bucket(name)


@pytest.fixture(scope="module")
def remote(sshd: SshServer) -> Path:  # noqa: F811
    """A folder on the SSH server, as it is seen from here."""
    return sshd.new_folder()


@pytest.fixture(scope="module")
def stored(installation: Installation, s3: S3Server, cloud: str, remote: Path) -> dict[str, Any]:  # noqa: F811
    """Reads a stored file at each place, behind Strongroom's back."""
    return {
        "disk": lambda name: (installation.folder / "disk" / name).read_bytes(),
        "cloud": lambda name: s3.read(cloud, name),
        "server": lambda name: (remote / name).read_bytes(),
    }


@pytest.fixture(scope="module")
def installation(
    server: Server,
    s3: S3Server,  # noqa: F811
    cloud: str,
    sshd: SshServer,  # noqa: F811
    remote: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """An installation that was configured by a file, whose one run has ended."""
    its = Installation(tmp_path_factory.mktemp("e2e"), environ={"SHOP_PASSWORD": PASSWORD})
    path = its.folder / "strongroom.toml"
    path.write_text(
        f"""
        [[key]]
        name = "default"
        {source_of(server, databases=[DATABASE, SMALL])}
        {source_of(server, "elsewhere", databases=["postgres"])}
        [[destination]]
        name = "disk"
        adapter = "local"
        config = {{ path = "disk" }}
        [[destination]]
        name = "cloud"
        adapter = "s3"
        config = {toml(s3.values(cloud))}
        [[destination]]
        name = "server"
        adapter = "sftp"
        config = {toml(sshd.values(path=str(remote)))}
        [[job]]
        name = "nightly"
        source = "shop"
        destinations = {toml(list(PLACES))}
        """,
        encoding="utf-8",
    )
    assert its.run("apply", str(path)).code == 0
    yield its
    its.close()


@pytest.fixture(scope="module")
def run(installation: Installation) -> dict[str, Any]:
    """The document of the run."""
    document: dict[str, Any] = installation.run("run", "nightly", "--json").document
    return document


@pytest.fixture(scope="module")
def backup(run: dict[str, Any]) -> dict[str, Any]:
    """The backup of the shop's database."""
    return next(dict(its) for its in run["backups"] if its["database"] == DATABASE)


@pytest.fixture(scope="module")
def key(installation: Installation) -> Path:
    """The exported key."""
    path = installation.folder / "key.txt"
    installation.run("keys", "export", "default", "-o", str(path))
    return path


def test_one_dump_lies_encrypted_at_all_three(
    run: dict[str, Any], backup: dict[str, Any], stored: dict[str, Any]
) -> None:
    assert run["status"] == "Success"
    assert {its["name"]: its["status"] for its in run["destinations"]} == dict.fromkeys(PLACES, "Success")
    whole = {stored[place](backup["artifact"]) for place in PLACES}
    assert len(whole) == 1, "the copies differ"
    assert whole.pop().startswith(b"age-encryption.org/v1\n")
    (sidecar,) = {stored[place](backup["artifact"] + ".meta.json").decode() for place in PLACES}
    assert PASSWORD not in sidecar
    assert "customers" not in sidecar, "table names are nobody's business"
    assert json.loads(sidecar)["databases"] == sorted([DATABASE, SMALL])


def test_every_copy_is_listed_and_decodes(installation: Installation, run: dict[str, Any]) -> None:
    listed = installation.run("backups", "--json").document
    assert {its["id"] for its in listed} == {copy["id"] for its in run["backups"] for copy in its["copies"]}
    outcomes = installation.run("verify", "--all", "--json").document
    assert [its["outcome"] for its in outcomes] == ["passed"] * 6


@pytest.mark.parametrize("place", PLACES)
def test_a_restore_from_each_place_is_equal_row_for_row(
    installation: Installation, server: Server, original: dict[str, str], backup: dict[str, Any], place: str
) -> None:
    (copy,) = [its["id"] for its in backup["copies"] if its["destination"] == place]
    name = "Kopie 'von' \"allem\""
    document = installation.run("restore", copy, "--to", "elsewhere", "--as", name, "--json").document
    assert (document["status"], document["target"], document["database"]) == ("Success", "elsewhere", name)
    assert content_of(server, name) == original
    server.drop_database(name)


def test_a_restore_over_what_was_damaged_brings_all_of_it_back(
    installation: Installation, server: Server, original: dict[str, str], backup: dict[str, Any]
) -> None:
    server.sql(DATABASE, 'DELETE FROM orders WHERE id % 2 = 0; DROP TABLE "Läden"."select"')
    refused = installation.run("restore", backup["id"], "--to", "shop", "--json", code=1).document
    assert refused["error"]["kind"] == "TargetNotEmpty"
    document = installation.run("restore", backup["id"], "--to", "shop", "--overwrite", "--json").document
    assert document["status"] == "Success"
    assert content_of(server, DATABASE) == original


def test_a_drill_compares_it_with_what_the_dump_saw(
    installation: Installation, server: Server, backup: dict[str, Any]
) -> None:
    before = server.databases()
    (outcome,) = installation.run("drill", backup["id"], "--json").document
    assert outcome["outcome"] == "passed"
    assert server.databases() == before


def test_standard_tools_alone_restore_it(
    server: Server,
    original: dict[str, str],
    backup: dict[str, Any],
    key: Path,
    stored: dict[str, Any],
    tmp_path: Path,
) -> None:
    age, zstd = required_program("age", package="age"), required_program("zstd", package="zstd")
    server.drop_database("by hand")
    server.create_database("by hand")
    pipeline = 'set -o pipefail; "$1" -d -i "$2" "$3" | "$4" -d -q | "$5" --exit-on-error -d "by hand"'
    artifact = tmp_path / "shop.dump.zst.age"
    artifact.write_bytes(stored["cloud"](backup["artifact"]))
    restore = server.binaries / "pg_restore"
    done = subprocess.run(
        ["bash", "-c", pipeline, "bash", age, str(key), str(artifact), zstd, str(restore)],
        env=server.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert content_of(server, "by hand") == original


def test_a_second_installation_with_the_key_restores_everything(
    installation: Installation,
    server: Server,
    original: dict[str, str],
    run: dict[str, Any],
    key: Path,
    tmp_path: Path,
) -> None:
    other = Installation(tmp_path, "other", environ={"SHOP_PASSWORD": PASSWORD})
    config = tmp_path / "other.toml"
    config.write_text(
        f"{source_of(server, 'here', databases=['postgres'])}\n"
        '[[destination]]\nname = "found"\nadapter = "local"\n'
        f'config = {{ path = "{installation.folder / "disk"}" }}\n',
        encoding="utf-8",
    )
    other.run("apply", str(config))
    outcomes = other.run("verify", "--all", "--json", code=5).document
    assert {its["outcome"] for its in outcomes} == {"could-not-verify"}, "without the key nothing is proven"
    imported = other.run("keys", "import", str(key), "--json").document
    assert len(imported["trusted"]) == 1

    listed = {its["database"]: its for its in other.run("backups", "--json").document}
    assert {its["artifact"] for its in listed.values()} == {its["artifact"] for its in run["backups"]}
    assert {its["signature"] for its in listed.values()} == {"valid"}
    outcomes = other.run("verify", "--all", "--json").document
    assert [its["outcome"] for its in outcomes] == ["passed"] * 2
    for number, (database, its) in enumerate(listed.items()):
        name = f"anew {number}"
        other.run("restore", its["id"], "--to", "here", "--as", name)
        assert content_of(server, name) == (original if database == DATABASE else content_of(server, SMALL))
        server.drop_database(name)
    other.close()
