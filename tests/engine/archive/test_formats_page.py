"""docs/formats.md is for strangers: what it tells them to run does what it says."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from engine.archive.sidecar import parse, seal_fingerprint
from engine.contract.values import Fingerprint
from tests.parts.programs import required_program

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
GOLDEN = Path(__file__).parents[1] / "golden" / "shop_2026-11-24_03-00-00_k3f9ab.dump.zst.age.meta.json"


def snippet(language: str, holding: str) -> str:
    """The one code block in that language that holds a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if holding in block]
    return str(found)


@pytest.fixture(params=["whole", "changed"])
def sidecar(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """A signed sidecar, and whether it is as it was signed."""
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if request.param == "changed":
        document["size"] += 1
    path = tmp_path / "sidecar.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path, request.param == "whole"


def test_the_python_way_to_check_a_signature(sidecar: tuple[Path, bool]) -> None:
    path, whole = sidecar
    done = subprocess.run(
        [sys.executable, "-c", snippet("python", "rfc8785"), str(path)], capture_output=True, text=True
    )
    assert (done.returncode == 0) is whole, done.stderr
    assert ("signed by 03a107bff3ce10be" in done.stdout) is whole


def test_the_openssl_way_to_check_a_signature(sidecar: tuple[Path, bool], tmp_path: Path) -> None:
    required_program("openssl", package="openssl")
    path, whole = sidecar
    script = snippet("sh", "openssl pkeyutl").replace("python3", sys.executable)
    done = subprocess.run(
        ["bash", "-e", "-c", script, "check", str(path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode == 0) is whole, done.stderr
    assert ("Signature Verified Successfully" in done.stdout) is whole


def test_the_way_to_open_a_sealed_fingerprint(tmp_path: Path) -> None:
    required_program("age", package="age")
    identity = pyrage.x25519.Identity.generate()
    sealed = seal_fingerprint(Fingerprint({"public.orders": 5}, True), [str(identity.to_public())])
    (tmp_path / "KEY.txt").write_text(f"{identity}\n")
    document = {"fingerprint": {"sealed": getattr(sealed, "data", "")}}
    (tmp_path / "ARTIFACT.meta.json").write_text(json.dumps(document))
    script = snippet("sh", '["fingerprint"]').replace("python3", sys.executable)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert json.loads(done.stdout) == {"consistent": True, "tables": {"public.orders": 5}}, done.stderr


def test_the_page_names_every_field_of_a_sidecar() -> None:
    table = PAGE.partition("## The sidecar")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    named = {name for cell in cells for name in cell.split("`")[1::2]}
    assert named == set(json.loads(GOLDEN.read_text(encoding="utf-8")))


def test_the_examples_of_the_page_are_of_the_golden_file() -> None:
    golden = parse(GOLDEN.read_bytes())
    assert golden.artifact in PAGE
    assert str(golden.signed_by) in PAGE
    assert golden.restore_hint.replace("shop-nightly/", "") in PAGE
    assert base64.b64decode(golden.document["signature"]["value"])
    assert golden.document["signature"]["value"][:16] in PAGE
