"""What lies at a destination was changed, cut or written by a stranger: seen, said, and never restored."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from engine.recovery.requests import RestoreRequest
from tests.conftest import rows_of
from tests.faults.conftest import FULL, JOB, SEED, make_bulk
from tests.faults.soundness import older
from tests.parts.commands import Installation, files

pytestmark = pytest.mark.faults

ROUNDS = 400 if FULL else 16

TARGET = '[[source]]\nname = "target"\nadapter = "sqlite"\nconfig = { path = "target.sqlite" }\n'


def back_up(installation: Installation) -> tuple[str, Path]:
    """Run the job; return the backup's ID and its artifact's path."""
    (backup,) = installation.json("run", JOB)["backups"]
    return str(backup["id"]), installation.folder / "disk" / backup["artifact"]


def sidecar_of(artifact: Path) -> Path:
    return artifact.with_name(artifact.name + ".meta.json")


def test_a_sidecar_that_is_not_json_is_named_refused_and_kept(shop: Installation) -> None:
    shop.apply(
        f'[[job]]\nname = "{JOB}"\nsource = "shop"\n'
        'destinations = [{ name = "disk", retention = { mode = "simple", keep = 1 } }]\n'
    )
    identity, artifact = back_up(shop)
    sidecar_of(artifact).write_bytes(b"\x00 this is no { JSON")
    listing = shop.here("backups", "--json")
    assert listing.document == []
    assert artifact.name in listing.stderr, "what cannot be read is named"
    refused = shop.json("restore", identity, "--to", "shop", "--as", "again", code=1)["error"]
    assert refused["kind"] == "SidecarUnreadable", refused
    (outcome,) = shop.json("verify", identity, code=1)
    assert outcome["outcome"] == "failed"

    before = older(shop.folder / "disk")[shop.folder / "disk"]
    for _ in range(3):
        back_up(shop)
    now = files(shop.folder / "disk")
    assert {name: now.get(name) for name in before} == before, "retention deletes nothing that it cannot read"
    assert not (shop.folder / "again.sqlite").exists()


@pytest.mark.parametrize("way", ["unsigned", "tampered", "stranger"])
def test_a_sidecar_whose_writer_is_not_proven_restores_nothing(
    shop: Installation, tmp_path: Path, way: str
) -> None:
    identity, artifact = back_up(shop)
    path = sidecar_of(artifact)
    document = json.loads(path.read_text())
    if way == "tampered":
        document["job"] = "another"
    else:
        del document["signature"]
    if way == "stranger":
        stranger = Installation(tmp_path, "stranger")
        stranger.json("keys", "new")
        with stranger.workspace() as workspace:
            document = workspace.keys.signer().sign(document)
    path.write_text(json.dumps(document))
    (listed,) = shop.json("backups")
    assert listed["signature"] == way
    (outcome,) = shop.json("verify", identity, code=1 if way == "tampered" else 5)
    assert outcome["outcome"] == ("failed" if way == "tampered" else "could-not-verify")
    before = rows_of(shop.folder / "shop.sqlite")
    refused = shop.json("restore", identity, "--to", "shop", "--overwrite", code=1)
    assert refused["error"]["kind"] == "Unproven", refused
    assert rows_of(shop.folder / "shop.sqlite") == before
    # An explicit word is enough for what somebody else wrote, and for nothing that was changed.
    allowed = shop.json(
        "restore", identity, "--to", "shop", "--as", "again", "--unproven", code=1 if way == "tampered" else 0
    )
    assert (allowed["status"] == "Success") == (way != "tampered")
    assert (shop.folder / "again.sqlite").exists() == (way != "tampered")


def test_a_signature_that_is_missing_where_others_have_one_counts_as_tampered(shop: Installation) -> None:
    identity, artifact = back_up(shop)
    back_up(shop)
    document = json.loads(sidecar_of(artifact).read_text())
    del document["signature"]
    sidecar_of(artifact).write_text(json.dumps(document))
    listed = {its["id"]: its["signature"] for its in shop.json("backups")}
    assert listed[identity] == "tampered"
    refused = shop.json("restore", identity, "--to", "shop", "--as", "again", "--unproven", code=1)
    assert refused["error"]["kind"] == "Unproven"


def hurt(whole: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Cut or flip an artifact somewhere; say what was done."""
    # Its ends are where formats keep what matters, so that they come up more often than by chance.
    edges = [*range(64), *range(len(whole) - 64, len(whole))]
    at = chance.choice(edges) if chance.random() < 0.4 else chance.randrange(len(whole))
    if chance.random() < 0.4:
        return f"cut to {at}", whole[:at]
    bit = 1 << chance.randrange(8)
    return f"bit {bit} of byte {at} flipped", whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]


@pytest.mark.parametrize(
    ("compression", "encryption"), [("zstd", "default"), ("gzip", "none"), ("none", "none")]
)
def test_an_artifact_cut_or_flipped_anywhere_is_found_and_never_restored(
    installation: Installation, compression: str, encryption: str
) -> None:
    make_bulk(installation.folder / "shop.sqlite", 1)
    installation.apply(
        '[[key]]\nname = "default"\n'
        '[[source]]\nname = "shop"\nadapter = "sqlite"\nconfig = { path = "shop.sqlite" }\n'
        '[[destination]]\nname = "disk"\nadapter = "local"\nconfig = { path = "disk" }\n'
        f'[[job]]\nname = "{JOB}"\nsource = "shop"\ndestinations = ["disk"]\n'
        f'compression = "{compression}"\nencryption = "{encryption}"\n' + TARGET
    )
    identity, artifact = back_up(installation)
    whole = artifact.read_bytes()
    chance = random.Random(f"{SEED} {compression}")
    with installation.workspace() as workspace:
        target = workspace.endpoints.get("source", "target").id
        for _ in range(ROUNDS):
            what, changed = hurt(whole, chance)
            artifact.write_bytes(changed)
            for level in ("checksum", "decode"):
                done = workspace.wait(workspace.verify([identity], level), 60)
                (outcome,) = done.labels["outcomes"]
                assert outcome["outcome"] == "failed", (what, level, outcome)
            restored = workspace.wait(workspace.restore(RestoreRequest(identity, target)), 60)
            assert str(restored.status) == "Failed", what
            assert restored.error_kind in ("ChecksumMismatch", "StorageMissing"), (what, restored.error)
            assert not (installation.folder / "target.sqlite").exists(), what
        artifact.write_bytes(whole)
        restored = workspace.wait(workspace.restore(RestoreRequest(identity, target)), 60)
        assert str(restored.status) == "Success", restored.error
    assert rows_of(installation.folder / "target.sqlite") == rows_of(installation.folder / "shop.sqlite")


@pytest.mark.parametrize("change", ["cut", "flipped", "gone"])
def test_a_broken_artifact_ends_the_commands_with_code_1(shop: Installation, change: str) -> None:
    identity, artifact = back_up(shop)
    data = bytearray(artifact.read_bytes())
    if change == "cut":
        artifact.write_bytes(data[:-1])
    elif change == "flipped":
        data[len(data) // 2] ^= 4
        artifact.write_bytes(data)
    else:
        artifact.unlink()
    (outcome,) = shop.json("verify", identity, code=1)
    assert outcome["outcome"] == "failed"
    told: dict[str, Any] = shop.json("restore", identity, "--to", "shop", "--as", "again", code=1)["error"]
    assert told["kind"] in ("ChecksumMismatch", "StorageMissing")
    assert told["remedy"]
    out = shop.folder / "out"
    assert shop.json("fetch", identity, "-o", str(out), code=1)["error"]["kind"] == told["kind"]
    assert not out.exists()
    assert sorted(path.name for path in shop.folder.iterdir()) == ["disk", "home", "home.toml", "shop.sqlite"]
