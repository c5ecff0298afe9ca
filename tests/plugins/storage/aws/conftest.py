"""S3 destinations on a real server, and a proxy that breaks the way there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import strongroom
from engine.streams.spool import Spool
from plugins.storage.aws.link import Link
from plugins.storage.s3 import S3
from strongroom.testing.readers import context
from tests.parts.proxy import Proxy
from tests.parts.s3 import S3Server, bucket, s3  # noqa: F401 - fixtures

Opened = Callable[..., S3]
"""`opened(cancel=, **values)`: an adapter for the test's bucket, with other values than usual."""


@pytest.fixture
def opened(s3: S3Server, bucket: str, tmp_path: Path) -> Iterator[Opened]:  # noqa: F811
    made: list[S3] = []

    def opened(cancel: strongroom.CancelToken | None = None, **values: Any) -> S3:
        config = S3.Config.model_validate({**s3.values(bucket), **values})
        made.append(S3(config, context(tmp_path, cancel)))
        return made[-1]

    yield opened
    for each in made:
        each.close()


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:  # noqa: F811
    with Proxy(s3.port, http=True) as proxy:
        yield proxy


@pytest.fixture
def through(opened: Opened, proxy: Proxy) -> Opened:
    """Opens adapters whose connections go through the proxy."""

    def through(cancel: strongroom.CancelToken | None = None, **values: Any) -> S3:
        return opened(cancel, endpoint=f"http://127.0.0.1:{proxy.port}", **values)

    return through


@pytest.fixture
def make_spool(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    """`make_spool(data)`: a spool that is whole; `make_spool()`: one to write to."""
    spools: list[Spool] = []

    def make(data: bytes | None = None) -> Spool:
        spools.append(Spool(tmp_path / f"spool-{len(spools)}", strongroom.CancelToken()))
        if data is not None:
            for start in range(0, len(data), 1 << 20):
                spools[-1].write(data[start : start + (1 << 20)])
            spools[-1].finish()
        return spools[-1]

    yield make
    for spool in spools:
        spool.close()


def without_checksums(monkeypatch: pytest.MonkeyPatch, *, echo: bool = False) -> None:
    """Make the server one that knows no checksums: none gets there, and none comes back.

    With `echo` it gives back what it was sent, without having computed anything. (A proxy cannot take them
    out on the way: they are signed.)
    """
    call = Link.call

    def deaf(self: Link, operation: str, **params: Any) -> dict[str, Any]:
        parts = params.get("MultipartUpload", {}).get("Parts", [])
        sent = params.get("ChecksumSHA256")
        if parts:
            params["MultipartUpload"] = {
                "Parts": [{key: part[key] for key in ("PartNumber", "ETag")} for part in parts]
            }
        for name in ("ChecksumSHA256", "ChecksumAlgorithm", "ChecksumMode"):
            params.pop(name, None)
        answer = call(self, operation, **params)
        answer.pop("ChecksumSHA256", None)
        return {**answer, "ChecksumSHA256": sent} if echo and sent else answer

    monkeypatch.setattr(Link, "call", deaf)
