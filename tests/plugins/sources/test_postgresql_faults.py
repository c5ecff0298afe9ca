"""What goes wrong with a PostgreSQL: it is killed, cannot be found, loses a database, changes its TLS."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import strongroom
from engine.contract.config import build
from plugins.sources.postgresql import PostgreSQL
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import dumped
from tests.parts.postgres import Server, running

LARGE = (
    "CREATE TABLE bulk AS SELECT g AS number, repeat(md5(g::text), 100) AS words"
    " FROM generate_series(1, 15000) g"
)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server of this module's own, which its tests may kill; Debian's, for it can do TLS."""
    with running(15) as server:
        server.create_database("shop", LARGE)
        yield server


@pytest.fixture
def server(mortal: Server) -> Iterator[Server]:
    yield mortal
    if not mortal.is_running:
        mortal.start()
    for name in set(mortal.databases()) - {"postgres", "shop"}:
        mortal.drop_database(name)


def source_of(server: Server, around: Surroundings, **values: object) -> PostgreSQL:
    return PostgreSQL(build(PostgreSQL.Config, server.values(**values)), around.context)


def test_a_server_that_is_killed_fails_the_dump(server: Server, around: Surroundings) -> None:
    with source_of(server, around).dump("shop") as dump:
        chunks = iter(dump)
        assert next(chunks)
        server.kill()
        with pytest.raises(strongroom.ConnectionFailed, match="went away") as caught:
            list(chunks)
        assert "log" in caught.value.remedy
        assert dump.fingerprint() is None


def test_a_server_that_is_killed_fails_the_restore(server: Server, around: Surroundings) -> None:
    source = source_of(server, around)
    whole = b"".join(dumped(source, "shop")[0])

    def with_a_crash() -> Iterator[bytes]:
        yield whole[: len(whole) // 2]
        server.kill()
        for start in range(len(whole) // 2, len(whole), 1 << 16):
            yield whole[start : start + (1 << 16)]

    with pytest.raises(strongroom.ConnectionFailed, match="went away"):
        source.restore("copy", with_a_crash())


def test_a_server_that_is_down_is_said_to_be(server: Server, around: Surroundings) -> None:
    server.kill()
    with pytest.raises(strongroom.ConnectionFailed, match=f"No server answers at 127.0.0.1:{server.port}"):
        source_of(server, around).check()


def test_an_unknown_host_is_named(server: Server, around: Surroundings) -> None:
    with pytest.raises(strongroom.ConnectionFailed, match=r"no host named 'db\.invalid'") as caught:
        source_of(server, around, host="db.invalid").check()
    assert "host" in caught.value.remedy


def test_a_database_that_vanishes_after_the_check(server: Server, around: Surroundings) -> None:
    server.create_database("fleeting", "CREATE TABLE t (a int)")
    source = source_of(server, around, databases=["fleeting"])
    assert source.check().databases == ("fleeting",)
    server.drop_database("fleeting")
    with pytest.raises(strongroom.DatabaseMissing, match="'fleeting'") as caught:
        dumped(source, "fleeting")
    assert caught.value.remedy


def test_a_table_that_is_dropped_while_it_is_dumped_makes_no_difference(
    server: Server, around: Surroundings
) -> None:
    server.create_database("busy", LARGE + "; CREATE TABLE small AS SELECT 1 AS a")
    source = source_of(server, around)
    with source.dump("busy") as dump:
        chunks = iter(dump)
        first = next(chunks)
        # pg_dump holds a lock on every table: who wants to drop one waits, here for a moment only.
        with pytest.raises(RuntimeError, match="lock timeout"):
            server.sql("busy", "SET lock_timeout = '200ms'; DROP TABLE small")
        rest = list(chunks)
        counted = dump.fingerprint()
    source.restore("copy", [first, *rest])
    assert counted is not None
    assert counted.differences(source.fingerprint("copy")) == []


@pytest.mark.parametrize("words", ["", "no version at all"])
def test_a_tool_that_does_not_answer_as_postgresqls_is_none(
    server: Server, around: Surroundings, tmp_path: Path, words: str
) -> None:
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("psql", "pg_dump", "pg_restore"):
        (folder / tool).write_text(f"#!/bin/sh\necho '{words}'\n")
        (folder / tool).chmod(0o755)
    with pytest.raises(strongroom.ToolMissing, match="psql"):
        source_of(server, around, tools=str(folder)).check()


def test_a_tool_that_writes_something_else_and_ends_well_fails_the_dump(
    server: Server, around: Surroundings, tmp_path: Path
) -> None:
    folder = tmp_path / "tools"
    shutil.copytree(server.binaries, folder, symlinks=False, ignore=lambda _, names: set(names) - {"psql"})
    (folder / "pg_dump").write_text(
        '#!/bin/sh\ncase "$1" in --version) echo "pg_dump (PostgreSQL) 15.1";; *) echo "all is well";; esac\n'
    )
    (folder / "pg_dump").chmod(0o755)
    with pytest.raises(strongroom.DumpIncomplete, match="is no dump"):
        dumped(source_of(server, around, tools=str(folder)), "shop")


# ------------------------------------------------------------------------------------------ TLS


class Authority:
    """A certificate authority, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of the tests")])
        self.certificate = self._write("ca.crt", self._sign(self._name, self._key, authority=True))

    def issue(self, name: str, addresses: tuple[str, ...] = ()) -> tuple[Path, Path]:
        """A certificate and its key (mode 0600)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._write(f"{name}.crt", self._sign(subject, key, addresses=addresses))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return certificate, self._write(f"{name}.key", key.private_bytes(*form))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        addresses: tuple[str, ...] = (),
        authority: bool = False,
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if addresses:
            names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path


@pytest.fixture
def authority(tmp_path: Path, server: Server) -> Iterator[Authority]:
    """The server speaks TLS with a certificate of this authority, and a user logs in by certificate."""
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("server", ("127.0.0.1",))
    owner = server.data.stat()
    for source, name in ((certificate, "server.crt"), (key, "server.key"), (authority.certificate, "ca.crt")):
        shutil.copy(source, server.data / name)
        os.chown(server.data / name, owner.st_uid, owner.st_gid)
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"hostssl all bearer all cert\nhostnossl all bearer all reject\n{before}")
    server.sql("postgres", "ALTER SYSTEM SET ssl = on")
    server.sql("postgres", "ALTER SYSTEM SET ssl_ca_file = 'ca.crt'")
    server.sql("postgres", "CREATE ROLE bearer LOGIN; GRANT pg_read_all_data TO bearer")
    server.restart()
    yield authority
    rules.write_text(before)
    server.sql("postgres", "ALTER SYSTEM RESET ALL")
    server.sql("postgres", "DROP ROLE bearer")
    server.restart()


def test_a_server_is_known_by_its_certificate(
    server: Server, around: Surroundings, authority: Authority, tmp_path: Path
) -> None:
    known = {"ssl_mode": "verify-full", "ssl_ca": str(authority.certificate), "databases": ["shop"]}
    assert source_of(server, around, **known).check().databases == ("shop",)
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(strongroom.ConnectionFailed, match="TLS with") as caught:
        source_of(server, around, **{**known, "ssl_ca": str(stranger.certificate)}).check()
    assert "CA" in caught.value.remedy
    with pytest.raises(strongroom.ConnectionFailed, match="TLS with"):  # its certificate has the address only
        source_of(server, around, **{**known, "host": "localhost"}).check()


def test_a_user_logs_in_by_certificate(server: Server, around: Surroundings, authority: Authority) -> None:
    certificate, key = authority.issue("bearer")
    login = {"user": "bearer", "password": None, "ssl_mode": "verify-full", "databases": ["shop"]}
    source = source_of(
        server,
        around,
        **login,
        ssl_ca=str(authority.certificate),
        ssl_cert=str(certificate),
        ssl_key=str(key),
    )
    assert dumped(source, "shop")[1].tables == {"public.bulk": 15000}
    with pytest.raises(strongroom.ConnectionFailed):
        source_of(server, around, **login, ssl_ca=str(authority.certificate)).check()
