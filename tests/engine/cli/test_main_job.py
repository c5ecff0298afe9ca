"""The main job from the command line: configured, run, listed, proven, restored, in documents and words."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import rows_of
from tests.engine.cli.conftest import Terminal


def the_backup(shop: Terminal) -> str:
    """Run the job and return its backup's ID."""
    return str(shop.json("run", "shop-nightly")["backups"][0]["id"])


def test_a_run_prints_the_contracts_document(shop: Terminal) -> None:
    document = shop.json("run", "shop-nightly")
    assert document["status"] == "Success"
    assert document["job"] == "shop-nightly"
    assert document["error"] is None
    assert 0 < document["duration_s"] < 60
    (backup,) = document["backups"]
    assert backup["database"] == "shop"
    stored = shop.folder / "backups" / backup["artifact"]
    assert stored.stat().st_size == backup["size"]
    assert hashlib.sha256(stored.read_bytes()).hexdigest() == backup["sha256"]
    assert document["destinations"] == [
        {
            "name": "disk",
            "status": "Success",
            "path": backup["artifact"],
            "proof": "read back from the disk",
            "error": None,
            "copies": [
                {
                    "database": "shop",
                    "artifact": backup["artifact"],
                    "id": backup["id"],
                    "status": "Success",
                    "proof": "read back from the disk",
                    "error": None,
                }
            ],
        }
    ]


def test_the_id_of_a_run_is_the_id_of_the_listing(shop: Terminal) -> None:
    run = shop.json("run", "shop-nightly")["backups"][0]
    (listed,) = shop.json("backups")
    assert listed["id"] == run["id"]
    assert listed["artifact"] == run["artifact"]
    assert listed["sha256"] == run["sha256"]
    assert (listed["job"], listed["source"], listed["database"]) == ("shop-nightly", "shop", "shop")
    assert (listed["destination"], listed["locked"], listed["verified"]) == ("disk", False, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", listed["created_at"])
    assert shop.json("backups", "disk") == shop.json("backups", "--job", "shop-nightly") == [listed]


def test_a_backup_is_verified_and_drilled(shop: Terminal) -> None:
    identity = the_backup(shop)
    for command, level in [
        (["verify", identity, "--level", "checksum"], "checksum"),
        (["verify", identity], "decode"),
        (["verify", "--all"], "decode"),
        (["drill", identity], "drill"),
        (["drill", "--all"], "drill"),
    ]:
        (outcome,) = shop.json(*command)
        assert outcome["duration_s"] >= 0
        assert {**outcome, "duration_s": 0} == {
            "backup": identity,
            "level": level,
            "outcome": "passed",
            "reason": None,
            "duration_s": 0,
        }
    (listed,) = shop.json("backups")
    assert listed["verified"]["outcome"] == "passed"
    assert listed["drilled"]["level"] == "drill"


def test_a_flipped_artifact_fails_with_code_1(shop: Terminal) -> None:
    run = shop.json("run", "shop-nightly")["backups"][0]
    stored = shop.folder / "backups" / run["artifact"]
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)
    (outcome,) = shop.json("verify", run["id"], code=1)
    assert outcome["outcome"] == "failed"
    assert outcome["reason"]
    assert "✕ failed" in shop.said("verify", run["id"], "--level", "checksum", code=1)


def test_what_cannot_be_verified_is_no_pass_and_has_code_5(shop: Terminal) -> None:
    identity = the_backup(shop)
    (shop.folder / "backups").rename(shop.folder / "elsewhere")
    assert shop.json("verify", "unheard-of", code=5)["error"]["kind"] == "CouldNotVerify"
    (outcome,) = shop.json("verify", identity, code=5)
    assert outcome["outcome"] == "could-not-verify"
    assert outcome["reason"]
    assert shop("verify", "--all").exit_code == 5
    assert "? could-not-verify" in shop.said("drill", identity, code=5)


def test_a_backup_is_restored_under_another_name(shop: Terminal) -> None:
    identity = the_backup(shop)
    document = shop.json("restore", identity, "--to", "shop", "--as", "shop-again")
    assert document["status"] == "Success"
    assert (document["target"], document["database"], document["error"]) == ("shop", "shop-again", None)
    assert rows_of(shop.folder / "shop-again.sqlite") == rows_of(shop.shop)


def test_an_empty_name_to_restore_under_is_refused(shop: Terminal) -> None:
    backup = the_backup(shop)
    told = shop.json("restore", backup, "--to", "shop", "--as", "", "--overwrite", code=2)
    assert told["error"]["kind"] == "UsageError"


def test_what_is_not_empty_is_replaced_only_when_told_to(shop: Terminal) -> None:
    before = rows_of(shop.shop)
    identity = the_backup(shop)
    with closing(sqlite3.connect(shop.shop)) as database, database:
        database.execute("DELETE FROM orders")
    emptied = rows_of(shop.shop)
    document = shop.json("restore", identity, "--to", "shop", code=1)
    assert document["status"] == "Failed"
    assert document["error"]["kind"] == "TargetNotEmpty"
    assert "--overwrite" in document["error"]["remedy"]
    assert rows_of(shop.shop) == emptied
    assert shop.json("restore", identity, "--to", "shop", "--overwrite")["status"] == "Success"
    assert rows_of(shop.shop) == before


def test_a_file_is_fetched_as_it_is_or_as_the_dump(shop: Terminal) -> None:
    run = shop.json("run", "shop-nightly")["backups"][0]
    raw, plain = shop.folder / "out" / "raw.age", shop.folder / "plain.sqlite"
    raw.parent.mkdir()
    assert shop.json("fetch", run["id"], "-o", str(raw))["decrypted"] is False
    assert raw.read_bytes() == (shop.folder / "backups" / run["artifact"]).read_bytes()
    assert shop.json("fetch", run["id"], "-o", str(plain), "--decrypt")["decrypted"] is True
    assert rows_of(plain) == rows_of(shop.shop)
    assert raw.stat().st_mode & 0o777 == plain.stat().st_mode & 0o777 == 0o600
    assert "exists already" in shop.json("fetch", run["id"], "-o", str(raw), code=2)["error"]["message"]


def test_a_locked_backup_is_not_deleted(shop: Terminal) -> None:
    first, second = the_backup(shop), the_backup(shop)
    assert shop.json("lock", first)["locked"] is True
    assert [its["id"] for its in shop.json("backups") if its["locked"]] == [first]
    assert shop.json("delete", first, code=2)["error"]["kind"] == "UsageError"
    assert shop.json("unlock", first)["locked"] is False
    assert shop.json("delete", first)["deleted"]["id"] == first
    assert [its["id"] for its in shop.json("backups")] == [second]
    assert "error" in shop.json("delete", second, code=2), "the newest good one stays"


@pytest.mark.parametrize("way", ["prefix", "artifact", "latest", "latest-there"])
def test_a_backup_is_meant_in_several_ways(shop: Terminal, way: str) -> None:
    the_backup(shop)
    newest = shop.json("run", "shop-nightly")["backups"][0]
    text = {
        "prefix": newest["id"][:8],
        "artifact": newest["artifact"],
        "latest": "shop-nightly:latest",
        "latest-there": "shop-nightly:latest@disk",
    }[way]
    assert shop.json("lock", text)["id"] == newest["id"]


def test_what_may_mean_several_backups_or_none_is_refused(
    shop: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "backups").mkdir()
    assert shop.json("lock", "shop-nightly:latest", code=2)["error"]["kind"] == "NotFound"
    first, second = the_backup(shop), the_backup(shop)
    assert "names no backup" in shop.json("lock", "", code=2)["error"]["message"]
    monkeypatch.setattr("engine.cli.finding.SHORTEST", 0)  # so that a prefix can fit both
    told = shop.json("lock", "", code=2)["error"]
    assert first in told["remedy"]
    assert second in told["remedy"]
    assert shop.json("lock", "nonsense", code=2)["error"]["kind"] == "NotFound"
    assert shop.json("lock", "shop-nightly:latest@moon", code=2)["error"]["kind"] == "NotFound"


def test_history_and_show_tell_what_ran(shop: Terminal) -> None:
    run = shop.json("run", "shop-nightly")
    shop.json("verify", run["backups"][0]["id"])
    shop.json("run", "shop-nightly")
    found = shop.json("history")
    assert [its["kind"] for its in found] == ["run", "verify", "run"]
    assert found[-1] == run
    assert [its["kind"] for its in shop.json("history", "--kind", "verify")] == ["verify"]
    assert len(shop.json("history", "--limit", "1")) == 1
    for name in (run["execution"], "1", "#1"):
        shown = shop.json("show", name)
        assert {key: shown[key] for key in run} == run
    assert {"at", "level", "type", "stage", "message", "details"} == set(shown["log"][0])
    assert any(line["level"] == "success" for line in shown["log"])
    assert shop.json("show", "99", code=2)["error"]["kind"] == "NotFound"


def test_jobs_are_listed_with_their_last_run(shop: Terminal) -> None:
    (job,) = shop.json("jobs")
    assert (job["name"], job["source"], job["last"], job["next_run"]) == ("shop-nightly", "shop", None, None)
    run = shop.json("run", "shop-nightly")
    assert shop.json("jobs")[0]["last"]["execution"] == run["execution"]


def test_connections_are_checked_for_real(shop: Terminal) -> None:
    assert shop.json("check", "source", "shop")["databases"] == ["shop"]
    assert shop.json("check", "destination", "disk")["ok"] is True
    shop.shop.unlink()
    told = shop.json("check", "source", "shop", code=1)["error"]
    assert str(shop.shop) in told["message"]
    assert told["remedy"]
    assert shop.json("check", "source", "shpo", code=2)["error"]["remedy"] == "Did you mean shop?"


def test_a_failed_run_says_why_and_has_code_1(shop: Terminal) -> None:
    shop.shop.unlink()
    document = shop.json("run", "shop-nightly", code=1)
    assert document["status"] == "Failed"
    assert set(document["error"]) == {"kind", "message", "remedy"}
    assert document["backups"] == []
    said = shop.said("run", "shop-nightly", code=1)
    assert "✕ shop-nightly: Failed" in said
    assert document["error"]["message"] in said


def test_a_run_with_a_failing_destination_is_partial_with_code_3(shop: Terminal) -> None:
    path = shop.folder / "more.toml"
    path.write_text(
        """
        [[destination]]
        name = "usb"
        adapter = "local"
        config = { path = "usb", mount = "usb" }

        [[job]]
        name = "shop-nightly"
        source = "shop"
        destinations = ["usb", "disk"]
        """
    )
    shop.json("apply", str(path))
    document = shop.json("run", "shop-nightly", code=3)
    assert document["status"] == "Partial"
    assert {its["name"]: its["status"] for its in document["destinations"]} == {
        "usb": "Failed",
        "disk": "Success",
    }
    assert [copy["destination"] for copy in document["backups"][0]["copies"]] == ["disk"]
    assert document["backups"][0]["id"] == shop.json("backups", "disk")[0]["id"]


def test_a_destination_that_does_not_answer_is_no_empty_list(shop: Terminal) -> None:
    identity = the_backup(shop)
    shop.json("backups")
    folder = shop.folder / "backups"
    folder.rename(shop.folder / "gone")
    folder.write_text("a file where the folder was")
    told = shop.json("backups", code=1)["error"]
    assert told["message"].startswith("disk: ")
    assert "--cached" in told["remedy"]
    (shop.folder / "more.toml").write_text(
        '[[destination]]\nname = "other"\nadapter = "local"\nconfig = { path = "other" }\n'
    )
    shop.json("apply", str(shop.folder / "more.toml"))
    (shop.folder / "other").mkdir()
    result = shop("backups", "--json")
    assert result.exit_code == 3
    assert [its["id"] for its in json.loads(result.stdout)] == [identity]
    assert "What was seen there last is shown." in result.stderr


def test_people_see_aligned_columns_and_no_noise(shop: Terminal) -> None:
    identity = the_backup(shop)
    said = shop.said("run", "shop-nightly")
    assert "✓ shop-nightly: Success in" in said
    assert "→ disk: Success" in said
    lines = shop.said("backups").splitlines()
    assert lines[0].split()[:3] == ["Backup", "Made", "Job"]
    assert len(lines) == 3
    column = lines[0].index("Destination")
    assert all(line[column:].startswith("disk") for line in lines[1:])
    assert identity in lines[2]
    assert len(shop.said("history").splitlines()) == 3
    assert "Traceback" not in said


def test_a_fresh_profile_is_empty_and_says_what_to_do(terminal: Terminal) -> None:
    for command in ("jobs", "backups", "history"):
        assert terminal.json(command) == []
    assert "strongroom apply" in terminal.said("jobs")
    assert terminal.json("verify", "--all") == []
    told = terminal.json("run", "shop", code=2)["error"]
    assert (told["kind"], told["message"]) == ("NotFound", "There is no job 'shop'.")


def test_another_installation_reads_the_storage_with_the_key(shop: Terminal, tmp_path: Path) -> None:
    run = shop.json("run", "shop-nightly")["backups"][0]
    key = tmp_path / "key.txt"
    assert shop.json("keys", "export", "default", "-o", str(key))["file"] == str(key)
    other = Terminal(tmp_path, {**shop.environ, "STRONGROOM_HOME": str(tmp_path / "other")})
    config = tmp_path / "other.toml"
    config.write_text(
        '[[source]]\nname = "here"\nadapter = "sqlite"\nconfig = { path = "here.sqlite" }\n'
        '[[destination]]\nname = "old disk"\nadapter = "local"\nconfig = { path = "backups" }\n'
    )
    other.json("apply", str(config))
    (listed,) = other.json("backups")
    assert listed["artifact"] == run["artifact"]
    assert listed["signature"] == "stranger"
    (outcome,) = other.json("verify", listed["id"], code=5)
    assert outcome["outcome"] == "could-not-verify"
    imported = other.json("keys", "import", str(key))
    assert imported["created"]
    assert len(imported["trusted"]) == 1
    assert other.json("verify", listed["id"])[0]["outcome"] == "passed"
    assert other.json("restore", listed["id"], "--to", "here")["status"] == "Success"
    assert rows_of(tmp_path / "here.sqlite") == rows_of(shop.shop)


def test_retention_says_what_and_why_and_deletes_only_when_told_to(shop: Terminal) -> None:
    path = shop.folder / "keep.toml"
    path.write_text(
        '[[job]]\nname = "shop-nightly"\nsource = "shop"\n'
        'destinations = [{ name = "disk", retention = { mode = "simple", keep = 1 } }]\n'
    )
    first, second = the_backup(shop), the_backup(shop)
    shop.json("apply", str(path))
    (preview,) = shop.json("retention", "shop-nightly", "--dry-run")
    assert [(its["keep"], its["backups"]) for its in preview["decisions"]] == [
        (True, [second]),
        (False, [first]),
    ]
    assert all(its["reason"] for its in preview["decisions"])
    assert preview["deleted"] == []
    assert "would delete" in shop.said("retention", "shop-nightly", "--dry-run")
    assert len(shop.json("backups")) == 2
    (done,) = shop.json("retention", "shop-nightly")
    assert len(done["deleted"]) == 1
    assert [its["id"] for its in shop.json("backups")] == [second]
    (shop.folder / "backups").rename(shop.folder / "gone")
    (failed,) = shop.json("retention", "shop-nightly", code=1)
    assert failed["error"]
    assert failed["decisions"] == []


def test_keys_are_made_listed_exported_and_imported(shop: Terminal) -> None:
    assert shop.json("keys", "new", "offsite")["has_identity"] is True
    assert [key["name"] for key in shop.json("keys", "list")] == ["default", "offsite"]
    assert shop.json("keys", "new", "offsite", code=2)["error"]["kind"] == "UsageError"
    path = shop.folder / "offsite.txt"
    shop.json("keys", "export", "offsite", "-o", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert (
        "is there already"
        in shop.json("keys", "export", "offsite", "-o", str(path), code=2)["error"]["message"]
    )
    text = shop.said("keys", "export", "offsite")
    assert text == path.read_text()
    assert "AGE-SECRET-KEY-1" in text
    public = shop.said("keys", "export", "offsite", "--public").strip()
    assert public.startswith("age1")
    assert "AGE-SECRET" not in json.dumps(shop.json("keys", "list"))
    imported = shop.json("keys", "import", str(path))
    assert (imported["created"], imported["identity_added"]) == (False, False)
    assert shop.json("keys", "trust", "nonsense", code=2)["error"]["kind"] == "UsageError"
    assert shop.json("keys", "trust", "ab" * 32, "--name", "the old laptop")["trusted"] == "ab" * 32
    assert "the old laptop" in shop.said("keys", "list")


def test_a_configuration_that_is_wrong_is_told_with_its_line(shop: Terminal) -> None:
    path = shop.folder / "wrong.toml"
    path.write_text('[[source]]\nname = "x"\nadapter = "sqlite"\nconfig = { pth = "x" }\n')
    told = shop.json("apply", str(path), code=2)["error"]
    assert (told["kind"], told["file"], told["line"]) == ("ConfigError", str(path), 4)
    assert told["field"] == "source[x].config.pth"
    assert f"{path}:4: source[x].config.pth: there is no such key" in shop.said("apply", str(path), code=2)
    assert shop.json("apply", str(shop.folder / "gone.toml"), code=2)["error"]["kind"] == "ConfigError"


def test_an_export_is_a_file_that_changes_nothing(shop: Terminal) -> None:
    text = shop.json("export")["toml"]
    assert shop.said("export") == text
    path = shop.folder / "exported.toml"
    assert shop.json("export", "-o", str(path))["file"] == str(path)
    assert path.read_text() == text
    changes = shop.json("apply", str(path))["changes"]
    assert {its["action"] for its in changes} == {"unchanged"}
    assert "0 changes" in shop.said("apply", str(path))
    path.write_text(text.replace('compression = "zstd"', 'compression = "gzip"'))
    assert "Dry run: 1 change would be made; nothing was written." in shop.said(
        "apply", str(path), "--dry-run"
    )
    assert shop.json("jobs")[0]["compression"] == "zstd"


def test_a_backup_whose_sidecar_cannot_be_read_is_found_and_told(shop: Terminal) -> None:
    run = shop.json("run", "shop-nightly")["backups"][0]
    sidecar = shop.folder / "backups" / f"{run['artifact']}.meta.json"
    sidecar.write_text("{ this is not JSON")
    result = shop("backups", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert run["artifact"] in result.stderr
    (outcome,) = shop.json("verify", run["id"], code=1)
    assert (outcome["backup"], outcome["outcome"]) == (run["id"], "failed")
    for command in (
        ["lock"],
        ["restore", "--to", "shop", "--as", "x"],
        ["fetch", "-o", str(shop.folder / "x")],
    ):
        assert shop.json(*command, run["id"], code=1)["error"]["kind"] == "SidecarUnreadable"
    assert sidecar.exists()
