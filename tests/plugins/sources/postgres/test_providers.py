"""What the consoles of managed databases show, pasted as it is; and the poolers that some of them show."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.contract.config import build
from engine.errors import ConfigError
from plugins.sources.postgres.poolers import known_pooler, notes
from plugins.sources.postgresql import PostgreSQL
from tests.parts.postgres import Server, missing_part

Open = Callable[..., PostgreSQL]

NEON = "ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech"
CASES = {
    "RDS": (
        "postgresql://admin:p%21w@shop.c9akciq32.eu-west-1.rds.amazonaws.com:5432/shop?sslmode=verify-full"
        "&sslrootcert=/etc/global-bundle.pem",
        {
            "PGHOST": "shop.c9akciq32.eu-west-1.rds.amazonaws.com",
            "PGUSER": "admin",
            "PGPASSWORD": "p!w",
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": "/etc/global-bundle.pem",
        },
        "shop",
    ),
    "RDS's psql line": (
        "psql --host=shop.c9akciq32.eu-west-1.rds.amazonaws.com --port=5433 --username=admin --dbname=shop",
        {"PGHOST": "shop.c9akciq32.eu-west-1.rds.amazonaws.com", "PGPORT": "5433", "PGUSER": "admin"},
        "shop",
    ),
    "Cloud SQL": (
        'psql "sslmode=verify-ca sslrootcert=server-ca.pem sslcert=client-cert.pem sslkey=client-key.pem'
        ' hostaddr=203.0.113.7 port=5432 user=postgres dbname=shop"',
        {
            "PGHOST": "203.0.113.7",
            "PGSSLMODE": "verify-ca",
            "PGSSLROOTCERT": "server-ca.pem",
            "PGSSLCERT": "client-cert.pem",
            "PGSSLKEY": "client-key.pem",
        },
        "shop",
    ),
    "Cloud SQL's proxy": (
        "postgresql://postgres:pw@/shop?host=/cloudsql/project:europe-west1:shop",
        {"PGHOST": "/cloudsql/project:europe-west1:shop", "PGPASSWORD": "pw"},
        "shop",
    ),
    "Azure": (
        "host=shop.postgres.database.azure.com port=5432 dbname=shop user=me password={your_password}"
        " sslmode=require",
        {"PGHOST": "shop.postgres.database.azure.com", "PGUSER": "me", "PGSSLMODE": "require"},
        "shop",
    ),
    "Azure's single server": (
        "postgresql://me%40shop:{your-password}@shop.postgres.database.azure.com:5432/shop?sslmode=require",
        {"PGUSER": "me@shop", "PGSSLMODE": "require"},
        "shop",
    ),
    "Azure's JDBC": (
        "jdbc:postgresql://shop.postgres.database.azure.com:5432/shop?user=me&password=a%20b&sslmode=require",
        {"PGUSER": "me", "PGPASSWORD": "a b"},
        "shop",
    ),
    "Supabase": (
        "postgresql://postgres:[YOUR-PASSWORD]@db.abcdefghijklmnop.supabase.co:5432/postgres",
        {"PGHOST": "db.abcdefghijklmnop.supabase.co", "PGPORT": "5432"},
        "postgres",
    ),
    "Supabase's session pooler": (
        "postgresql://postgres.abcdefgh:pw@aws-0-eu-central-1.pooler.supabase.com:5432/postgres?pgbouncer=true",
        {"PGHOST": "aws-0-eu-central-1.pooler.supabase.com", "PGUSER": "postgres.abcdefgh"},
        "postgres",
    ),
    "Supabase's psql line": (
        "psql -h aws-0-eu-central-1.pooler.supabase.com -p 6543 -d postgres -U postgres.abcdefgh",
        {"PGPORT": "6543", "PGUSER": "postgres.abcdefgh"},
        "postgres",
    ),
    "Neon": (
        f"psql 'postgresql://neondb_owner:npg_x1@{NEON}/neondb?sslmode=require&channel_binding=require'",
        {"PGHOST": NEON, "PGSSLMODE": "require", "PGCHANNELBINDING": "require", "PGPASSWORD": "npg_x1"},
        "neondb",
    ),
    "Neon with its endpoint": (
        "postgresql://me:****************@ep-a.neon.tech/neondb?options=endpoint%3Dep-a",
        {"PGHOST": "ep-a.neon.tech", "PGOPTIONS": "endpoint=ep-a"},
        "neondb",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_console_shows_is_understood(case: str) -> None:
    pasted, environment, database = CASES[case]
    config = build(PostgreSQL.Config, {"url": pasted})
    found = config.connection.environment()
    assert {name: found.get(name) for name in environment} == environment
    assert config.databases == [database]
    if "pw" not in pasted and "PGPASSWORD" not in environment:
        assert "PGPASSWORD" not in found
    given = build(PostgreSQL.Config, {"url": pasted, "password": "mine"})
    assert given.connection.environment()["PGPASSWORD"] == "mine"


@pytest.mark.parametrize(
    "pasted",
    [
        "psql 'postgresql://a:secret@b/c",
        "psql -h a --file=secret",
        "host=a password='secret",
        "host=a secret",
    ],
)
def test_what_is_not_understood_is_not_repeated(pasted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(PostgreSQL.Config, {"url": pasted})
    assert "secret" not in str(caught.value).replace("--file", "")


@pytest.mark.parametrize(
    ("host", "port", "provider"),
    [
        ("aws-0-eu-central-1.pooler.supabase.com", 6543, "Supabase"),
        ("db.abcdefgh.supabase.co", 6543, "Supabase"),
        ("aws-0-eu-central-1.pooler.supabase.com", 5432, ""),
        (NEON, 5432, "Neon"),
        (NEON.replace("-pooler", ""), 5432, ""),
        ("db.example.org", 6543, ""),
    ],
)
def test_the_providers_transaction_poolers_are_known(host: str, port: int, provider: str) -> None:
    assert known_pooler(build(PostgreSQL.Config, {"host": host, "port": port}).connection) == provider


def test_what_may_be_a_pooler_is_noted() -> None:
    for host, port, word in (
        ("shop.postgres.database.azure.com", 6432, "6432"),
        ("p.proxy-c9akciq32.eu-west-1.rds.amazonaws.com", 5432, "RDS Proxy"),
    ):
        (note,) = notes(build(PostgreSQL.Config, {"host": host, "port": port}).connection)
        assert word in note
    assert notes(build(PostgreSQL.Config, {"host": "db.example.org"}).connection) == []


@pytest.fixture
def pgbouncer(new: Server) -> Iterator[Callable[[str], int]]:
    """Starts a real PgBouncer before the server, in a mode, and gives its port."""
    program = shutil.which("pgbouncer")
    if program is None:
        missing_part("pgbouncer (Debian's package of that name)")
    assert program is not None
    new.sql("postgres", "CREATE ROLE pooled LOGIN SUPERUSER PASSWORD 'pooled'")
    folder = Path(tempfile.mkdtemp(prefix="pgb-", dir="/tmp"))
    started: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={new.port} user=pooled password=pooled\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {mode}\n",
            encoding="utf-8",
        )
        owner = new.data.stat()  # it refuses to run as root, as the server does
        account = (
            {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if not os.geteuid() else {}
        )
        folder.chmod(0o755)
        child = subprocess.Popen(
            [program, "-q", str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account,  # type: ignore[call-overload]
        )
        started.append(child)
        end = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            assert child.poll() is None and time.monotonic() < end
            time.sleep(0.02)  # it tells nobody that it is ready

    yield start
    for child in started:
        child.kill()
        child.wait()
    shutil.rmtree(folder)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_shows_by_what_it_does(
    pgbouncer: Callable[[str], int], new: Server, open_on: Open, mode: str
) -> None:
    new.create_database("shop", "CREATE TABLE t AS SELECT 1 AS a")
    port = pgbouncer(mode)
    source = open_on(new, port=port, databases=["shop"])
    if mode == "transaction":
        with pytest.raises(ConfigError, match="a transaction pooler") as caught:
            source.check()
        assert "server's own address" in caught.value.remedy
    else:
        assert source.check().databases == ("shop",)
        assert source.fingerprint("shop").tables == {"public.t": 1}
    source.close()
