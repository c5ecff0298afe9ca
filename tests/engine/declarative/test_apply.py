"""Applying a file brings the installation to what it says; exporting writes a file that changes nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from engine.declarative.apply import plan
from engine.declarative.changes import Plan
from engine.declarative.document import parse, read
from engine.declarative.export import export
from engine.errors import ConfigError, SecretsError
from engine.events import Status
from engine.workspace import Workspace

CONFIG = """\
[settings]
max_concurrent_jobs = 3

[[key]]
name = "offsite"

[[source]]
name = "shop"
adapter = "postgresql"
config = { host = "db.example", user = "backup", password = { env = "SHOP_PASSWORD" }, databases = ["shop"] }

[[source]]
name = "files"
adapter = "sqlite"
config = { path = "data/files.db" }

[[destination]]
name = "disk"
adapter = "local"
config = { path = "backups" }

[[destination]]
name = "second"
adapter = "local"
config = { path = "/mnt/second", read_back = false }

[[notifier]]
name = "ops"
adapter = "apprise"
config = { url = "json://user:hunter2@example.invalid" }

[[policy]]
name = "usual"
retention = { mode = "smart", daily = 7, weekly = 4 }

[[job]]
name = "nightly"
source = "shop"
schedule = "0 3 * * *"
timezone = "Europe/Berlin"
compression = "zstd:9"
encryption = "offsite"
naming = "{job}/{database}-{date:%Y}"
destinations = ["second", { name = "disk", policy = "usual", priority = 7 }]
notifiers = ["ops"]
options = { retries = 2, parallel_uploads = 1 }

[[job]]
name = "plain"
source = "files"
enabled = false
destinations = [{ name = "disk", retention = { mode = "simple", keep = 3 } }]
notifiers = [{ name = "ops", on = ["success", "failed"] }]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_PASSWORD", "correct horse")
    return tmp_path


def planned(workspace: Workspace, text: str, folder: Path) -> Plan:
    path = folder / "strongroom.toml"
    path.write_text(text, encoding="utf-8")
    return plan(workspace, read(path))


def actions(found: Plan) -> dict[str, str]:
    return {f"{change.kind} {change.name}": change.action for change in found.changes}


def apply(workspace: Workspace, text: str, folder: Path) -> dict[str, str]:
    found = planned(workspace, text, folder)
    found.perform()
    return actions(found)


def test_everything_that_a_file_names_is_made(workspace: Workspace, folder: Path) -> None:
    made = apply(workspace, CONFIG, folder)
    assert set(made.values()) == {"create", "update"}
    assert [name for name, action in made.items() if action == "update"] == ["settings max_concurrent_jobs"]
    assert workspace.store.settings.get("maxConcurrentJobs") == 3
    nightly = workspace.jobs.get("nightly")
    assert [(its.name, dict(its.retention)) for its in nightly.destinations] == [
        ("second", {}),
        ("disk", {"mode": "smart", "daily": 7, "weekly": 4}),
    ]
    assert nightly.notifiers[0].statuses == (Status.PARTIAL, Status.FAILED)
    assert (nightly.schedule, nightly.timezone, nightly.compression) == (
        "0 3 * * *",
        "Europe/Berlin",
        "zstd:9",
    )
    assert (nightly.encryption, nightly.naming) == ("offsite", "{job}/{database}-{date:%Y}")
    assert (nightly.options.retries, nightly.options.parallel_uploads) == (2, 1)
    plain = workspace.jobs.get("plain")
    assert (plain.enabled, plain.encryption, plain.compression) == (False, "default", "zstd")
    assert plain.notifiers[0].statuses == (Status.SUCCESS, Status.FAILED)
    assert workspace.keys.get("offsite").has_identity


def test_a_second_time_changes_nothing(workspace: Workspace, folder: Path) -> None:
    apply(workspace, CONFIG, folder)
    before = [(job.id, job) for job in workspace.jobs.all()]
    assert set(apply(workspace, CONFIG, folder).values()) == {"unchanged"}
    assert [(job.id, job) for job in workspace.jobs.all()] == before


def test_a_dry_run_writes_nothing(workspace: Workspace, folder: Path) -> None:
    found = planned(workspace, CONFIG, folder)
    assert len(found.changes) == 10
    assert workspace.jobs.all() == []
    assert workspace.endpoints.all("source") == []
    assert [key.name for key in workspace.keys.list()] == ["default"]


def test_secrets_go_to_the_secret_store_and_nowhere_else(workspace: Workspace, folder: Path) -> None:
    apply(workspace, CONFIG, folder)
    shop = workspace.endpoints.get("source", "shop")
    assert shop.secret_names == ("password",)
    assert workspace.endpoints.config(shop).password.get_secret_value() == "correct horse"  # type: ignore[attr-defined]
    everything = b"".join(path.read_bytes() for path in workspace.home.root.rglob("*") if path.is_file())
    assert b"correct horse" not in everything
    assert b"hunter2" not in everything


def test_local_paths_are_relative_to_the_file(workspace: Workspace, folder: Path) -> None:
    apply(workspace, CONFIG, folder)
    assert workspace.endpoints.get("source", "files").config["path"] == str(folder / "data" / "files.db")
    assert workspace.endpoints.get("destination", "disk").config["path"] == str(folder / "backups")
    assert workspace.endpoints.get("destination", "second").config["path"] == "/mnt/second"


def test_a_file_field_that_takes_a_word_keeps_it(workspace: Workspace, folder: Path) -> None:
    text = '[[source]]\nname = "a"\nadapter = "postgresql"\n'
    text += 'config = { ssl_ca = "system", ssl_cert = "client.pem" }\n'
    apply(workspace, text, folder)
    config = workspace.endpoints.get("source", "a").config
    assert config["ssl_ca"] == "system"
    assert config["ssl_cert"] == str(folder / "client.pem")


@pytest.mark.parametrize(
    ("old", "new", "changed", "fields"),
    [
        ('"db.example"', '"db2.example"', "source shop", {"host"}),
        ('{ env = "SHOP_PASSWORD" }', '"another"', "source shop", {"password"}),
        ("read_back = false", "read_back = true", "destination second", {"read_back"}),
        ("hunter2", "hunter3", "notifier ops", {"url"}),
        ('"0 3 * * *"', '"0 4 * * *"', "job nightly", {"schedule"}),
        ("retries = 2", "retries = 3", "job nightly", {"options"}),
        ("keep = 3", "keep = 4", "job plain", {"destinations"}),
        ("enabled = false", "enabled = true", "job plain", {"enabled"}),
        ('["second", {', "[{", "job nightly", {"destinations"}),
        ('on = ["success", "failed"]', 'on = ["failed"]', "job plain", {"notifiers"}),
        ("max_concurrent_jobs = 3", "max_concurrent_jobs = 1", "settings max_concurrent_jobs", set()),
    ],
)
def test_only_what_differs_is_updated(
    workspace: Workspace, folder: Path, old: str, new: str, changed: str, fields: set[str]
) -> None:
    apply(workspace, CONFIG, folder)
    ids = {job.name: job.id for job in workspace.jobs.all()}
    assert old in CONFIG
    found = planned(workspace, CONFIG.replace(old, new), folder)
    assert {name for name, action in actions(found).items() if action != "unchanged"} == {changed}
    assert {field for change in found.changes for field in change.fields} == fields
    found.perform()
    assert set(actions(planned(workspace, CONFIG.replace(old, new), folder)).values()) == {"unchanged"}
    assert {job.name: job.id for job in workspace.jobs.all()} == ids, "a change keeps the job's backups"


def test_a_changed_policy_changes_the_jobs_of_the_file(workspace: Workspace, folder: Path) -> None:
    apply(workspace, CONFIG, folder)
    made = apply(workspace, CONFIG.replace("daily = 7", "daily = 9"), folder)
    assert {name for name, action in made.items() if action != "unchanged"} == {"policy usual", "job nightly"}
    assert dict(workspace.jobs.get("nightly").destinations[1].retention)["daily"] == 9


def test_a_secret_that_is_left_out_stays_and_an_empty_one_goes(workspace: Workspace, folder: Path) -> None:
    apply(workspace, CONFIG, folder)
    without = CONFIG.replace(' password = { env = "SHOP_PASSWORD" },', "")
    assert actions(planned(workspace, without, folder))["source shop"] == "unchanged"
    emptied = CONFIG.replace('{ env = "SHOP_PASSWORD" }', '""')
    assert apply(workspace, emptied, folder)["source shop"] == "update"
    assert workspace.endpoints.get("source", "shop").secret_names == ()


CONFIRMED = f"ssh-ed25519 SHA256:{'A' * 43}"


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (("/backups", "/other"), True),
        (("user = ", "port = 22, user = "), True),
        (("user = ", "port = 2222, user = "), False),
        (("backup.example.org", "another.example.org"), False),
        (("user = ", 'host_key = "", user = '), False),
    ],
)
def test_a_host_key_that_was_confirmed_stays_while_the_server_is_the_same(
    workspace: Workspace, folder: Path, change: tuple[str, str], kept: bool
) -> None:
    text = (
        '[[destination]]\nname = "a"\nadapter = "sftp"\n'
        'config = { host = "backup.example.org", user = "u", path = "/backups", agent = true }\n'
    )
    apply(workspace, text, folder)
    saved = workspace.endpoints.get("destination", "a")
    values = {**saved.config, "host_key": CONFIRMED}
    workspace.endpoints.save("destination", "a", "sftp", values, id=saved.id)
    assert apply(workspace, text, folder) == {"destination a": "unchanged"}
    apply(workspace, text.replace(*change), folder)
    after = workspace.endpoints.get("destination", "a").config
    assert after.get("host_key", "") == (CONFIRMED if kept else "")


def test_a_connection_url_with_a_new_password_replaces_the_stored_one(
    workspace: Workspace, folder: Path
) -> None:
    text = '[[source]]\nname = "a"\nadapter = "postgresql"\nconfig = { url = "postgresql://u:first@h/d" }\n'
    apply(workspace, text, folder)
    assert set(apply(workspace, text, folder).values()) == {"unchanged"}
    assert apply(workspace, text.replace("first", "second"), folder) == {"source a": "update"}
    config = workspace.endpoints.config(workspace.endpoints.get("source", "a"))
    assert config.password.get_secret_value() == "second"  # type: ignore[attr-defined]


def test_a_key_can_be_known_by_its_public_half(workspace: Workspace, folder: Path) -> None:
    recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
    text = f'[[key]]\nname = "vault"\nrecipient = "{recipient}"\n'
    assert apply(workspace, text, folder) == {"key vault": "create"}
    key = workspace.keys.get("vault")
    assert (key.recipient, key.has_identity) == (recipient, False)
    assert apply(workspace, text, folder) == {"key vault": "unchanged"}


@pytest.mark.parametrize(
    ("old", "new", "field", "message", "remedy"),
    [
        ('adapter = "sqlite"', 'adapter = "sqlight"', "source[files].adapter", "no source adapter", "sqlite"),
        (
            "databases =",
            "database =",
            "source[shop].config.database",
            "no such key",
            "Did you mean databases?",
        ),
        ('host = "db.example"', "port = 0", "source[shop].config.port", "greater than or equal", ""),
        ('path = "data/files.db"', "", "source[files].config.path", "key is missing", "Add path"),
        ('{ env = "SHOP_PASSWORD" }', '{ env = "NOT_SET" }', "source[shop].config.password", "not set", ""),
        ('"db.example"', '{ env = "X" }', "source[shop].config.host", "only a secret may be", ""),
        ("weekly = 4", "weekly = -4", "policy[usual].retention.weekly", "", ""),
        ("weekly = 4", "wekly = 4", "policy[usual].retention.wekly", "", ""),
        ('mode = "simple"', 'mode = "simpel"', "job[plain].destinations[disk].retention.mode", "", ""),
        (
            'source = "files"',
            'source = "fils"',
            "job[plain].source",
            "no source 'fils'",
            "Did you mean files?",
        ),
        (
            'name = "disk", policy',
            'name = "dsk", policy',
            "job[nightly].destinations[dsk]",
            "no destination",
            "disk",
        ),
        (
            'policy = "usual"',
            'policy = "usal"',
            "job[nightly].destinations[disk].policy",
            "no policy",
            "usual",
        ),
        ('notifiers = ["ops"]', 'notifiers = ["op"]', "job[nightly].notifiers[1]", "no notifier", "ops"),
        ('"0 3 * * *"', '"0 25 * * *"', "job[nightly].schedule", "", ""),
        ('"Europe/Berlin"', '"Europe/Atlantis"', "job[nightly].timezone", "", ""),
        ('"zstd:9"', '"zstd:99"', "job[nightly].compression", "", ""),
        ("{date:%Y}", "{year}", "job[nightly].naming", "", ""),
        (
            'encryption = "offsite"',
            'encryption = "gone"',
            "job[nightly].encryption",
            "no key 'gone'",
            "keys new gone",
        ),
        ('[[key]]\nname = "offsite"', '[[key]]\nname = "none"', "key[none].name", "", ""),
        (
            'name = "offsite"',
            'name = "offsite"\nrecipient = "age1x"',
            "key[offsite].recipient",
            "not the public half",
            "",
        ),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(
    workspace: Workspace, folder: Path, old: str, new: str, field: str, message: str, remedy: str
) -> None:
    assert old in CONFIG
    text = CONFIG.replace(old, new)
    with pytest.raises(ConfigError) as caught:
        planned(workspace, text, folder)
    error = caught.value
    assert error.field == field
    assert message in error.message
    assert remedy in error.remedy
    assert error.file == str(folder / "strongroom.toml")
    assert error.line is not None
    wrong = text.splitlines()[error.line - 1]
    assert new.split("\n")[0] in wrong or field.rpartition(".")[2].split("[")[0] in wrong
    assert workspace.endpoints.all("source") == []
    assert workspace.store.settings.get("maxConcurrentJobs") is None


def test_encryption_left_out_wants_the_key_default(open_workspace, folder: Path) -> None:  # type: ignore[no-untyped-def]
    text = '[[source]]\nname = "s"\nadapter = "sqlite"\nconfig = { path = "s.db" }\n'
    text += '[[destination]]\nname = "d"\nadapter = "local"\nconfig = { path = "d" }\n'
    text += '[[job]]\nname = "j"\nsource = "s"\ndestinations = ["d"]\n'
    with open_workspace() as workspace:
        with pytest.raises(ConfigError) as caught:
            planned(workspace, text, folder)
        assert caught.value.line == 9
        assert "`strongroom keys new default` makes it" in caught.value.remedy
        assert apply(workspace, text + 'encryption = "none"\n', folder)["job j"] == "create"
        assert apply(workspace, f'{text}[[key]]\nname = "default"\n', folder)["job j"] == "update"


def test_without_a_place_for_secrets_nothing_is_written(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_keyring() -> str:
        raise SecretsError("There is no keyring.")

    monkeypatch.setattr(workspace.secrets, "check", no_keyring)
    with pytest.raises(SecretsError):
        apply(workspace, CONFIG, folder)
    assert workspace.endpoints.all("source") == []
    plain = '[[source]]\nname = "s"\nadapter = "sqlite"\nconfig = { path = "s.db" }\n'
    assert apply(workspace, plain, folder) == {"source s": "create"}, (
        "where no secret is kept, none is missed"
    )


def test_an_export_applied_again_changes_nothing(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(workspace, CONFIG, folder)
    text = export(workspace)
    assert "hunter2" not in text
    assert "correct horse" not in text
    assert 'password = { env = "SHOP_PASSWORD" }' in text or "password = {env" in text
    monkeypatch.setenv("OPS_URL", "json://user:hunter2@example.invalid")
    assert set(apply(workspace, text, folder).values()) == {"unchanged"}
    assert export(workspace) == text


def test_an_export_makes_the_same_installation_elsewhere(
    workspace: Workspace,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from engine.home import Home
    from engine.secrets import VaultSecrets

    apply(workspace, CONFIG, folder)
    text = export(workspace)
    monkeypatch.setenv("OPS_URL", "json://user:hunter2@example.invalid")
    home = Home(tmp_path_factory.mktemp("other") / "home").make()
    with Workspace.open(home, secrets=VaultSecrets(home.vault, "another passphrase")) as other:
        assert set(apply(other, text, folder).values()) <= {"create", "update"}
        assert export(other) == text
        assert [key.has_identity for key in other.keys.list()] == [False, False]
        assert other.endpoints.config(other.endpoints.get("source", "shop")).password.get_secret_value() == (  # type: ignore[attr-defined]
            "correct horse"
        )


def test_an_export_holds_references_with_telling_names_that_never_collide(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["shop-db", "shop db", "42 größe"]
    for number, name in enumerate(names):
        workspace.endpoints.save(
            "source", name, "postgresql", {"host": f"h{number}", "password": f"secret {number}"}
        )
    text = export(workspace)
    variables = {its["name"]: its["config"]["password"]["env"] for its in tomllib.loads(text)["source"]}
    assert variables["shop db"] == "SHOP_DB_PASSWORD"
    assert variables["shop-db"] == "SOURCE_SHOP_DB_PASSWORD"
    assert variables["42 größe"].isascii()
    assert not variables["42 größe"][0].isdigit()
    for number, name in enumerate(names):
        assert f"#   {variables[name]}" in text, "the top of the file names them"
        monkeypatch.setenv(variables[name], f"secret {number}")
    assert set(apply(workspace, text, folder).values()) == {"unchanged"}


def test_an_empty_installation_exports_an_empty_file(open_workspace) -> None:  # type: ignore[no-untyped-def]
    with open_workspace() as workspace:
        text = export(workspace)
        assert plan(workspace, parse(text, "x.toml")).changes == []


HOSTS = """\
[[host]]
name = "shop-db"
adapter = "docker"
host = "db-server"
config = { container = "shop-db-1" }

[[host]]
name = "db-server"
adapter = "ssh"
config = { host = "db.example", user = "backup", password = { env = "SSH_PASSWORD" } }

[[source]]
name = "shop"
adapter = "postgresql"
host = "shop-db"
config = { host = "127.0.0.1", user = "backup", databases = ["shop"] }
"""


def test_hosts_are_made_before_what_is_reached_by_them_whatever_their_order(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_PASSWORD", "the way in")
    planned = plan(workspace, parse(HOSTS, tmp_path / "strongroom.toml"))
    planned.perform()

    get = workspace.endpoints.get
    assert get("host", "shop-db").host == get("host", "db-server").id
    assert get("source", "shop").host == get("host", "shop-db").id
    assert "the way in" in workspace.endpoints.secrets(get("source", "shop"))

    written = export(workspace)
    assert 'host = "shop-db"' in written
    monkeypatch.setenv("DB_SERVER_PASSWORD", "the way in")
    again = plan(workspace, parse(written, tmp_path / "strongroom.toml"))
    assert {change.action for change in again.changes} == {"unchanged"}


def test_a_source_that_moves_to_another_host_is_changed(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_PASSWORD", "the way in")
    plan(workspace, parse(HOSTS, tmp_path / "strongroom.toml")).perform()
    moved = HOSTS.replace('host = "shop-db"\nconfig', 'host = "db-server"\nconfig')
    planned = plan(workspace, parse(moved, tmp_path / "strongroom.toml"))
    change = next(its for its in planned.changes if its.kind == "source")
    assert (change.action, change.fields) == ("update", ("host",))
    planned.perform()
    get = workspace.endpoints.get
    assert get("source", "shop").host == get("host", "db-server").id


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('host = "shop-db"\nconfig', 'host = "shop-bd"\nconfig', "there is no host 'shop-bd'"),
        ('adapter = "ssh"', 'adapter = "ssh"\nhost = "shop-db"', "in a circle"),
        ('name = "db-server"', 'name = "local"', "there is no host 'db-server'"),
    ],
)
def test_a_host_that_leads_nowhere_is_said_at_its_line(
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
    message: str,
) -> None:
    monkeypatch.setenv("SSH_PASSWORD", "the way in")
    assert before in HOSTS
    with pytest.raises(ConfigError, match=message) as caught:
        plan(workspace, parse(HOSTS.replace(before, after), tmp_path / "strongroom.toml")).perform()
    assert caught.value.line
