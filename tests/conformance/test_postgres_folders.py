"""PostgreSQL with several workers against the suite: the directory format as a tar, and parallel restores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import strongroom
from strongroom import Context, Source, TargetState
from strongroom.testing import SourceConformance
from strongroom.testing.laboratory import SHOP, SourceLab, dumped
from tests.conformance.test_sources import PostgresLab
from tests.parts.postgres import Server, postgres18  # noqa: F401 - a fixture


class FolderLab(PostgresLab):
    def _open(self, context: Context, **values: object) -> Source:
        return super()._open(context, parallel=2, restore_jobs=2, **values)


class TestPostgres18InFolders(SourceConformance):
    @pytest.fixture
    def lab(self, postgres18: Server, tmp_path: Path) -> Iterator[PostgresLab]:  # noqa: F811
        before = set(postgres18.databases())
        yield FolderLab(postgres18, tmp_path)
        for name in set(postgres18.databases()) - before:
            postgres18.drop_database(name)

    # A tar ends with zeros that only fill a record up: a cut within them loses nothing. So these two cut
    # what comes before.

    @pytest.mark.parametrize("part", [0.0, 0.3, 0.97])
    def test_a_cut_dump_is_refused_and_leaves_nothing(
        self, lab: SourceLab, open: Callable[[], Source], part: float
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        whole = b"".join(dumped(source, name)[0]).rstrip(b"\0")
        with pytest.raises(strongroom.SourceError):
            source.restore("copy", [whole[: int(len(whole) * part)]])
        assert not lab.exists("copy")

    @pytest.mark.parametrize("part", [0.3, 0.97])
    def test_a_cut_dump_leaves_an_empty_target_empty(
        self, lab: SourceLab, open: Callable[[], Source], part: float
    ) -> None:
        name = lab.make("shop", SHOP)
        empty = lab.make("hollow", {})
        source = open()
        whole = b"".join(dumped(source, name)[0]).rstrip(b"\0")
        with pytest.raises(strongroom.SourceError):
            source.restore(empty, [whole[: int(len(whole) * part)]])
        assert source.target_state(empty) is TargetState.EMPTY
