"""No secret lies where it does not belong: canaries of every kind, every command, good runs and bad ones.

One scene is played by the real command against real servers; each test then looks at another place.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import pytest

from plugins.sources.postgres.connection import literal
from tests.faults.servers import toml
from tests.parts.canaries import Canaries, Child, Seen, Spy, canary, watching
from tests.parts.commands import Ended, Installation
from tests.parts.echo import Echo, echoing
from tests.parts.postgres import Server, postgres, tools_folder  # noqa: F401 - a fixture
from tests.parts.queues import eventually
from tests.parts.s3 import READER_KEY, S3Server, s3  # noqa: F401 - a fixture
from tests.parts.sshd import SshServer, running
from tests.parts.webhook import Server as Webhook
from tests.parts.webhook import webhook

pytestmark = [
    pytest.mark.xdist_group("e2e-postgres"),
    pytest.mark.timeout(600),  # the scene is some forty commands
]

USER = "canary"
ACCESS_KEY = "CANARYACCESSKEY"
DATABASE = "birds"


# Each stand-in notes its own arguments and environment, as the kernel has them, and then is the real tool.
RECORDING = (
    "cat /proc/$$/cmdline > {folder}/$$.{tool}.argv; cat /proc/$$/environ > {folder}/$$.{tool}.environ; "
    'case "$1" in --version) exec @REAL@ "$@";; esac; {then}'
)
REAL = 'exec @REAL@ "$@"'
ECHOING = (
    'echo "{tool}: error: connection to server at 127.0.0.1 failed: bad password $PGPASSWORD" >&2; exit 2'
)


def variable(name: str) -> str:
    """The environment variable that the configuration takes a secret from."""
    return "GIVEN_" + name.upper().replace(" ", "_")


def given(name: str) -> dict[str, str]:
    """A secret, as a configuration file refers to it."""
    return {"env": variable(name)}


VALUES = {
    "PostgreSQL password": canary("pg"),
    "wrong PostgreSQL password": canary("wrong"),
    "vault passphrase": canary("vault"),
    "S3 secret": canary("s3-right", "/+="),
    "wrong S3 secret": canary("s3", "/+="),
    "S3 session token": canary("token", "/+=&"),
    "AWS key of the environment": canary("aws", "/+="),
    "SFTP passphrase": canary("sftp-passphrase"),
    "SFTP password": canary("sftp-password"),
    "webhook password": canary("webhook", "/+ &"),
    "webhook token": canary("hooktoken", ""),
}


@dataclass
class Scene:
    """The parts, what was played with them, and what was seen of it."""

    folder: Path
    postgres: Server
    s3: S3Server
    bucket: str
    sshd: SshServer
    hook: Webhook
    echo: Echo
    seen: Seen = field(default_factory=Seen)
    said: dict[str, Ended] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=lambda: dict(VALUES))

    def __post_init__(self) -> None:
        self.key = self.sshd.key(passphrase=VALUES["SFTP passphrase"])  # by ssh-keygen, which shows it to all
        self.spy = Spy(self.folder / "spy")
        self.recorded = self.folder / "recorded"
        self.work = self.folder / "work"
        for folder in (self.recorded, self.work, self.work / "temporary", self.work / "user"):
            folder.mkdir()
        self.installation = Installation(
            self.work,
            environ={
                **self.spy.environ,
                "HOME": str(self.work / "user"),
                "TMPDIR": str(self.work / "temporary"),
                "XDG_RUNTIME_DIR": str(self.work / "temporary"),
                "STRONGROOM_DEBUG": "1",
                "STRONGROOM_VAULT_PASSPHRASE": VALUES["vault passphrase"],
                "AWS_SECRET_ACCESS_KEY": VALUES["AWS key of the environment"],
                **{variable(name): value for name, value in VALUES.items()},
                **{variable(f"hook {port}"): self._hook(port) for port in self._ports},
            },
        )

    @property
    def _ports(self) -> tuple[int, int]:
        return self.hook.server_port, self.echo.server_port

    def _hook(self, port: int) -> str:
        password = quote(VALUES["webhook password"], safe="")
        return f"json://user:{password}@127.0.0.1:{port}/{VALUES['webhook token']}"

    def run(self, *arguments: str, code: int = 0) -> Ended:
        """Run a command as a process of its own."""
        ended = self.installation.start(*arguments).ended()
        assert ended.code == code, f"{arguments}: {ended.code} is not {code}:\n{ended.stdout}\n{ended.stderr}"
        return self._keep(arguments, ended)

    def here(self, *arguments: str, code: int = 0) -> Ended:
        """Run a command in the test's own process: quicker, and as good where only its words count."""
        return self._keep(arguments, self.installation.here(*arguments, code=code))

    def _keep(self, arguments: Sequence[str], ended: Ended) -> Ended:
        self.said[f"{len(self.said)}: strongroom {' '.join(arguments)}"] = ended
        return ended

    def tools(self, **then: str) -> str:
        """A folder of client tools that are noted, and then do something else than their work."""
        path = self.folder / f"tools-{'-'.join(then) or 'real'}"
        scripts = {
            tool: RECORDING.format(
                folder=shlex.quote(str(self.recorded)),
                tool=tool,
                then=then.get(tool, REAL).format(tool=tool),
            )
            for tool in ("psql", "pg_dump", "pg_restore")
        }
        return str(path if path.exists() else tools_folder(path, self.postgres.binaries, scripts))

    def configuration(self) -> str:
        """Everything that can hold a secret, right and wrong."""

        def section(kind: str, name: str, adapter: str, config: Mapping[str, object]) -> str:
            return f"[[{kind}]]\nname = {toml(name)}\nadapter = {toml(adapter)}\nconfig = {toml(config)}\n"

        def source(name: str, secret: str, **then: str) -> str:
            values = {"user": USER, "password": given(secret), "databases": [DATABASE]}
            values = self.postgres.values(**values, tools=self.tools(**then))
            return section("source", name, "postgresql", values)

        def job(name: str, source: str, *destinations: str, **more: object) -> str:
            values = {"name": name, "source": source, "destinations": list(destinations), **more}
            values |= {"notifiers": ["hook", "echoing hook"], "options": {"upload_attempts": 1}}
            return "\n".join(["[[job]]", *(f"{key} = {toml(its)}" for key, its in values.items()), ""])

        bucket = self.s3.values(self.bucket, access_key_id=ACCESS_KEY, secret_access_key=given("S3 secret"))
        wrong = {"access_key_id": READER_KEY, "secret_access_key": given("wrong S3 secret")}
        echo = {
            "endpoint": f"http://127.0.0.1:{self.echo.server_port}",
            "session_token": given("S3 session token"),
        }
        sftp = self.sshd.values(private_key=str(self.key), passphrase=given("SFTP passphrase"))
        no_key = {name: its for name, its in sftp.items() if name not in ("private_key", "passphrase")}
        hook, echoing_hook = ({"url": given(f"hook {port}")} for port in self._ports)
        return "\n".join(
            [
                '[[key]]\nname = "default"',
                source("shop", "PostgreSQL password"),
                source("wrong", "wrong PostgreSQL password"),
                source("echoing server", "PostgreSQL password", psql=ECHOING),
                source("echoing dump", "PostgreSQL password", pg_dump=ECHOING),
                section("destination", "disk", "local", {"path": "disk"}),
                section("destination", "bucket", "s3", bucket),
                section("destination", "wrong bucket", "s3", bucket | wrong),
                section("destination", "echoing bucket", "s3", bucket | echo),
                section("destination", "server", "sftp", sftp),
                section(
                    "destination", "closed server", "sftp", no_key | {"password": given("SFTP password")}
                ),
                section("destination", "locked key", "sftp", sftp | {"passphrase": given("SFTP password")}),
                section("notifier", "hook", "apprise", hook),
                section("notifier", "echoing hook", "apprise", echoing_hook),
                job("nightly", "shop", "disk", "bucket", "server"),
                job("plain", "shop", "disk", encryption="none", compression="none"),
                job(
                    "partial", "shop", "disk", "wrong bucket", "echoing bucket", "closed server", "locked key"
                ),
                *(job(f"of {name}", name, "disk") for name in ("wrong", "echoing server", "echoing dump")),
            ]
        )

    def play(self) -> None:
        """Each command that meets a secret: with --json and without, and so that it succeeds and fails."""
        config = self.work / "strongroom.toml"
        config.write_text(self.configuration(), encoding="utf-8")
        self.run("apply", str(config))
        self.here("apply", str(config), "--dry-run", "--json")
        self.here("check", "source", "shop")
        for kind, name in (("destination", "bucket"), ("destination", "server"), ("notifier", "hook")):
            self.here("check", kind, name, "--json")
        (backup,) = self.run("run", "nightly", "--json").document["backups"]
        self.here("run", "plain", "--verbose")
        self.here("run", "partial", "--verbose", code=3)
        self.here("run", "of wrong", "--json", code=1)
        self.here("run", "of echoing server", code=1)
        self.run("run", "of echoing dump", "--json", code=1)
        for kind, names in {
            "source": ("wrong", "echoing server"),
            "destination": ("wrong bucket", "echoing bucket", "closed server", "locked key"),
            "notifier": ("echoing hook",),
        }.items():
            for name in names:
                self.here("check", kind, name, code=1)
        self.here("check", "destination", "echoing bucket", "--json", code=1)
        self.here("restore", backup["id"], "--to", "shop", "--as", "restored")
        self.here("restore", backup["id"], "--to", "wrong", "--as", "again", "--json", code=1)
        self.here("drill", backup["id"], "--json")
        self.here("verify", backup["id"], "--json")
        self.here("fetch", backup["id"], "-o", str(self.work / "fetched"), "--decrypt")
        self.here("backups", code=3)
        self.here("doctor", "--json")
        self.here("retention", "nightly", "--dry-run")
        for words in ("export", "jobs", "keys list", "history"):
            self.here(*words.split())
            self.here(*words.split(), "--json")
        for execution in self.here("history", "--json").document:
            self.here("show", execution["execution"])
            self.here("show", execution["execution"], "--json")
        # Beside those that were given, those that Strongroom made.
        with self.installation.workspace() as workspace:
            (self.values["age identity"],) = workspace.keys.identities()
            self.values["signing key"] = workspace.keys.signer().secret_text()

    @cached_property
    def canaries(self) -> Canaries:
        return Canaries(self.values)

    @cached_property
    def children(self) -> list[Child]:
        """Every process that Strongroom started: as it asked for it, as the tools saw themselves, and as
        /proc showed them."""

        def split(data: bytes) -> list[str]:
            return data.decode("utf-8", "surrogateescape").removesuffix("\0").split("\0")

        def child(argv: bytes, environment: bytes) -> Child:
            pairs = (variable.partition("=") for variable in split(environment))
            return Child(split(argv), {name: value for name, _, value in pairs})

        found = self.spy.children()
        found += [child(argv, its) for argv, its in self.seen.environments.items()]
        for path in self.recorded.glob("*.argv"):
            found.append(child(path.read_bytes(), path.with_suffix(".environ").read_bytes()))
        return found


def let_in(s3: S3Server, key: str, secret: str) -> None:  # noqa: F811
    """Give the server a user of this key; it keeps it, which harms nobody."""
    document = json.loads(s3.users.read_text())
    user = {"name": USER, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin"]}
    document["identities"].append(user)
    s3.users.write_text(json.dumps(document))
    s3.read_users()
    eventually(lambda: _is_let_in(s3, key, secret), "the server has read its users anew")


def _is_let_in(s3: S3Server, key: str, secret: str) -> bool:  # noqa: F811
    with closing(s3.client(access_key=key, secret_key=secret)) as client:
        try:
            client.list_buckets()
        except client.exceptions.ClientError:
            return False
    return True


@pytest.fixture(scope="module")
def scene(
    postgres: Server,  # noqa: F811
    s3: S3Server,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """The scene, played."""
    postgres.clean()
    postgres.create_database(DATABASE, "CREATE TABLE birds AS SELECT g AS a FROM generate_series(1, 500) g")
    password = literal(VALUES["PostgreSQL password"])
    postgres.sql("postgres", f"CREATE ROLE {USER} SUPERUSER LOGIN PASSWORD {password}")
    with ExitStack() as stack:
        stack.callback(postgres.sql, "postgres", f"DROP ROLE {USER}")
        stack.callback(postgres.clean)
        # It takes passwords, and none is right: what was given is sent, and refused.
        sshd = stack.enter_context(running(options=["PasswordAuthentication yes"]))
        hook = stack.enter_context(webhook())
        echo = stack.enter_context(echoing())
        folder = tmp_path_factory.mktemp("leaks")
        let_in(s3, ACCESS_KEY, VALUES["S3 secret"])
        its = Scene(folder, postgres, s3, s3.make_bucket(), sshd, hook, echo)
        stack.callback(its.installation.close)
        with watching(lambda: [command.pid for command in its.installation.commands]) as its.seen:
            its.play()
        yield its


def test_the_scene_was_played_as_it_was_meant(scene: Scene) -> None:
    said = {name.partition("strongroom ")[2]: its.stdout + its.stderr for name, its in scene.said.items()}
    assert "refused the password" in said["check source wrong"]
    assert "bad password" in said["check source echoing server"]
    assert "refused the secret access key" in said["check destination wrong bucket"]
    assert "You sent" in said["check destination echoing bucket"]
    assert "was not let in" in said["check destination closed server"]
    assert "does not open the private key" in said["check destination locked key"]
    heard = Canaries(
        {name: scene.values[name] for name in ("S3 session token", "webhook password", "webhook token")}
    )
    assert {its.partition(" (")[0] for its in heard.found_in("".join(scene.echo.heard))} == set(heard.values)
    assert len(scene.hook.got) == 5
    tools = {Path(word).name for child in scene.children for word in child.argv[:2]}
    assert {"psql", "pg_dump", "pg_restore"} <= tools
    assert any(b"nightly" in its for its in scene.seen.arguments)
    assert any(b"pg_dump" in its for its in scene.seen.environments)


def test_no_output_holds_a_secret(scene: Scene) -> None:
    assert scene.canaries.leaks({name: its.stdout + its.stderr for name, its in scene.said.items()}) == []


def test_no_file_holds_a_secret(scene: Scene) -> None:
    for there in ("home/strongroom.db", "home/vault.json", "disk", "temporary", "fetched"):
        assert (scene.work / there).exists()
    assert scene.canaries.leaks_below(scene.work, scene.sshd.root) == []


def test_no_object_holds_a_secret(scene: Scene) -> None:
    objects = {key: scene.s3.read(scene.bucket, key) for key in scene.s3.objects(scene.bucket)}
    assert any(key.endswith(".meta.json") for key in objects)
    assert scene.canaries.leaks(objects) == []
    assert scene.canaries.leaks({key: key for key in objects}) == []


def test_no_message_to_people_holds_a_secret(scene: Scene) -> None:
    assert scene.canaries.leaks({f"message {n}": str(its) for n, its in enumerate(scene.hook.got)}) == []


def test_no_process_shows_a_secret_in_its_arguments(scene: Scene) -> None:
    shown = {repr(its): its for its in scene.seen.arguments}
    shown |= {repr(child.argv): "\0".join(child.argv) for child in scene.children}
    assert scene.canaries.leaks(shown) == []


def test_a_child_is_given_what_it_needs_and_nothing_else(scene: Scene) -> None:
    for child in scene.children:
        its = dict(child.environ)
        if its.pop("PGPASSWORD", None) is not None:
            assert any(Path(word).name in ("psql", "pg_dump", "pg_restore") for word in child.argv[:2]), child
        assert scene.canaries.leaks({f"{name} of {child.argv}": value for name, value in its.items()}) == []
        foreign = [name for name in its if name.startswith(("STRONGROOM", "AWS", "GIVEN", "PYTHON", "SPY"))]
        assert foreign == [], child.argv
