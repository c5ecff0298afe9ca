"""Redis and MongoDB at the other end of a real SSH connection: the whole way of a backup, once each.

Their suites pass there as a whole, too; each question of a client's is a command of its own over SSH, which
makes them too slow for every day. Passwords are as odd as there.
"""

from __future__ import annotations

from pathlib import Path

from strongroom import BackupFacts, TargetState
from strongroom.testing import Surroundings
from strongroom.testing.laboratory import SHOP, dumped
from tests.conformance.test_keyvalue_sources import KeyValueLab
from tests.conformance.test_mongodb import MongoLab
from tests.conformance.test_over_ssh import OverSsh
from tests.parts.mongodb import Server as MongoServer
from tests.parts.mongodb import mongodb  # noqa: F401 - a fixture
from tests.parts.redis import Server, redis  # noqa: F401 - a fixture
from tests.parts.sshd import sshd  # noqa: F401 - a fixture

FACTS = BackupFacts("redis", "redis", "7.0.15", "redis-cli 7.0.15", "rdb", 1)


class TestOverSsh(OverSsh):
    def test_redis_is_dumped_drilled_and_restored(
        self,
        around: Surroundings,
        redis: Server,  # noqa: F811
        tmp_path: Path,
    ) -> None:
        from plugins.sources.redis import Redis

        lab = KeyValueLab(Redis, redis, tmp_path)
        name = lab.make('odd "näme" $x', SHOP)
        source = lab.open(around.context)
        assert source.check().databases == (name,)
        chunks, counted = dumped(source, name)
        before = lab.rows(name)
        drilled = source.scratch_name(name, f"drill_{tmp_path.name}", tmp_path)
        assert drilled.startswith("/tmp/strongroom_")
        assert source.target_state(drilled) is TargetState.MISSING
        source.restore(drilled, chunks)
        try:
            assert counted.differences(source.fingerprint(drilled)) == []
        finally:
            source.drop(drilled)
        assert source.target_state(drilled) is TargetState.MISSING
        with redis.client() as client:
            client.flushall()
        source.preflight(name, FACTS)
        source.restore(name, chunks)
        assert lab.rows(name) == before
        assert counted.differences(source.fingerprint(name)) == []

    def test_mongodb_is_dumped_and_restored(self, around: Surroundings, mongodb: MongoServer) -> None:  # noqa: F811
        lab = MongoLab(mongodb)
        name = lab.make("shop", SHOP)
        source = lab.open(around.context)
        try:
            chunks, counted = dumped(source, name)
            source.restore("copy", chunks)
            assert lab.rows("copy") == lab.rows(name)
            assert counted.differences(source.fingerprint("copy")) == []
        finally:
            source.close()
            with mongodb.client() as client:
                client.drop_database("shop")
                client.drop_database("copy")
