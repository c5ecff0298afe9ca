"""The S3 storage against the suite that any plugin's storage is held to, on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import strongroom
from plugins.storage.s3 import S3
from strongroom.testing import StorageConformance
from tests.parts.s3 import S3Server, bucket, s3  # noqa: F401 - fixtures


class TestS3(StorageConformance):
    @pytest.fixture
    def values(self, s3: S3Server, bucket: str) -> dict[str, object]:  # noqa: F811
        return s3.values(bucket)

    @pytest.fixture
    def opener(self, values: dict[str, object]) -> Callable[[strongroom.Context], strongroom.Storage]:
        return lambda context: S3(S3.Config.model_validate(values), context)

    @pytest.fixture
    def everything(self, s3: S3Server, bucket: str) -> Callable[[], set[str]]:  # noqa: F811
        return lambda: s3.everything(bucket)

    @pytest.fixture
    def damage(self, s3: S3Server, bucket: str) -> Callable[[str], None]:  # noqa: F811
        return lambda name: s3.flip(bucket, name)
