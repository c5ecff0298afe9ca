"""The conformance suites for sources. A plugin's test subclasses one and says how its laboratory is made:

    class TestShelfDatabase(SourceConformance):
        @pytest.fixture
        def lab(self, tmp_path):
            return ShelfLab(tmp_path)

The laboratory (see `SourceLab`) makes databases and reads their rows by other means than the adapter.
`PasswordConformance` and `ToolConformance` add what only sources with logins or client tools can show.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest

import strongroom
from strongroom import Source, TargetState
from strongroom.testing.laboratory import (
    SHOP,
    PasswordLab,
    SourceLab,
    Surroundings,
    ToolLab,
    bulk,
    counts,
    dumped,
)

CANCEL_WITHIN = 5.0
"""Seconds from a cancel to the end of an execution (DESIGN, section 2)."""


class SourceConformance:
    """What every source must do."""

    @pytest.fixture
    def lab(self) -> SourceLab:
        raise NotImplementedError("override the fixture `lab`")

    @pytest.fixture
    def around(self, tmp_path: Path) -> Surroundings:
        folder = tmp_path / "around"
        folder.mkdir()
        return Surroundings(folder)

    @pytest.fixture
    def open(self, lab: SourceLab, around: Surroundings) -> Iterator[Callable[[], Source]]:
        """Opens the adapter; all that were opened are closed, and nothing may be left then."""
        opened: list[Source] = []

        def opener() -> Source:
            opened.append(lab.open(around.context))
            return opened[-1]

        yield opener
        for source in opened:
            source.close()
        assert around.left() == []

    # ------------------------------------------------------------------------------- looking

    def test_a_check_tells_engine_version_and_databases(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        report = source.check()
        assert report.engine == source.engine
        assert report.version[0].isdigit()
        assert name in report.databases

    def test_databases_are_listed_sorted(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", SHOP)
        listed = open().databases()
        assert name in listed
        assert listed == sorted(listed)

    def test_a_live_database_is_counted(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", SHOP)
        counted = open().fingerprint(name)
        assert sorted(counted.tables.values()) == counts(lab.rows(name)) == [0, 300, 700]
        assert counted.consistent

    def test_a_missing_database_is_said_to_be_missing(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        lab.make("shop", SHOP)
        source = open()
        with pytest.raises(strongroom.DatabaseMissing) as caught:
            dumped(source, "gone")
        assert "gone" in caught.value.message
        assert caught.value.remedy

    def test_the_states_of_a_target(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        filled = lab.make("shop", SHOP)
        empty = lab.make("hollow", {})
        source = open()
        assert source.target_state(filled) is TargetState.FILLED
        assert source.target_state(empty) is TargetState.EMPTY
        assert source.target_state("gone") is TargetState.MISSING

    # ----------------------------------------------------------------- dumping and restoring

    def test_a_restore_gives_row_for_row_what_was_dumped(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        chunks, counted = dumped(source, name)
        assert all(chunks), "an empty chunk means the end"
        assert counted.consistent
        source.restore("copy", chunks)
        assert lab.rows("copy") == lab.rows(name)
        assert counted.differences(source.fingerprint("copy")) == []

    def test_the_fingerprint_is_of_the_dumps_snapshot_while_others_write(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("busy", {"left": [], "right": [], **bulk(4)})
        source = open()
        with lab.writing(name, "left", "right"):
            chunks, counted = dumped(source, name)
        source.restore("copy", chunks)
        restored = lab.rows("copy")
        assert restored["left"] == restored["right"], "half of a transaction is in the dump"
        assert counted.consistent
        assert counted.differences(source.fingerprint("copy")) == []

    def test_odd_names_work_everywhere(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make(lab.odd_name(), {'Tä b\'le "x"': [(1, "one")]})
        source = open()
        assert name in source.check().databases
        chunks, counted = dumped(source, name)
        target = source.beside_name(name, "copy")
        source.restore(target, chunks)
        assert lab.rows(target) == lab.rows(name)
        assert counted.differences(source.fingerprint(target)) == []
        kept = source.replace(target, name) if source.can_replace else None
        assert source.target_state(name) is TargetState.FILLED
        if kept is not None:
            assert lab.exists(kept)

    def test_an_empty_database_is_a_backup_too(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("hollow", {})
        source = open()
        chunks, counted = dumped(source, name)
        assert sum(map(len, chunks)) > 0, "an empty file could not be told from a failure"
        assert dict(counted.tables) == {}
        source.restore("copy", chunks)
        assert source.target_state("copy") is TargetState.EMPTY

    def test_large_rows_come_back(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("large", {"texts": [(1, "ü\n" * (3 << 20)), (2, "")]})
        source = open()
        source.restore("copy", dumped(source, name)[0])
        assert lab.rows("copy") == lab.rows(name)

    def test_a_dump_counts_only_when_it_was_asked_to(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("shop", SHOP)
        with open().dump(name, fingerprint=False) as dump:
            assert b"".join(dump)
            assert dump.fingerprint() is None

    def test_a_dump_can_be_left_on_its_way(
        self, lab: SourceLab, open: Callable[[], Source], around: Surroundings
    ) -> None:
        name = lab.make("bulky", bulk(8))
        dump = open().dump(name)
        next(iter(dump))
        dump.close()
        dump.close()
        assert around.left() == []

    # --------------------------------------------------------------------- what must not pass

    def test_a_filled_target_is_refused_and_stays_as_it_was(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("shop", SHOP)
        other = lab.make("other", {"mine": [(1, "precious")]})
        source = open()
        chunks, _ = dumped(source, name)
        before = lab.rows(other)
        with pytest.raises(strongroom.TargetNotEmpty):
            source.restore(other, chunks)
        assert lab.rows(other) == before

    def test_an_empty_target_is_filled(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", SHOP)
        empty = lab.make("hollow", {})
        source = open()
        source.restore(empty, dumped(source, name)[0])
        assert lab.rows(empty) == lab.rows(name)

    @pytest.mark.parametrize("part", [0.0, 0.3, 0.97])
    def test_a_cut_dump_is_refused_and_leaves_nothing(
        self, lab: SourceLab, open: Callable[[], Source], part: float
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        whole = b"".join(dumped(source, name)[0])
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
        whole = b"".join(dumped(source, name)[0])
        with pytest.raises(strongroom.SourceError):
            source.restore(empty, [whole[: int(len(whole) * part)]])
        assert source.target_state(empty) is TargetState.EMPTY

    def test_what_is_no_dump_is_refused(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        lab.make("shop", SHOP)
        with pytest.raises(strongroom.SourceError) as caught:
            open().restore("copy", [b"\\! touch /tmp/owned\n" * 1000])
        assert caught.value.remedy
        assert not lab.exists("copy")

    def test_an_error_of_the_stream_is_raised_as_it_is(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("bulky", bulk(4))
        source = open()
        whole = b"".join(dumped(source, name)[0])

        def failing() -> Iterable[bytes]:
            yield whole[: len(whole) // 2]
            raise strongroom.ChecksumMismatch("the last block was flipped")

        with pytest.raises(strongroom.ChecksumMismatch, match="the last block was flipped"):
            source.restore("copy", failing())
        assert not lab.exists("copy")

    def test_an_error_after_the_last_byte_undoes_the_restore(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("bulky", bulk(2))
        source = open()
        chunks, _ = dumped(source, name)

        def failing() -> Iterable[bytes]:
            yield from chunks
            raise strongroom.ChecksumMismatch("the end mark is missing")

        with pytest.raises(strongroom.ChecksumMismatch):
            source.restore("copy", failing())
        assert not lab.exists("copy")

    # ------------------------------------------------------------------------------ cancelling

    def test_a_cancel_ends_a_dump_at_once(
        self, lab: SourceLab, open: Callable[[], Source], around: Surroundings
    ) -> None:
        name = lab.make("bulky", bulk(16))
        with open().dump(name) as dump:
            chunks = iter(dump)
            next(chunks)
            began = time.monotonic()
            around.cancel.cancel("enough")
            with pytest.raises(strongroom.Cancelled):
                list(chunks)
        assert time.monotonic() - began < CANCEL_WITHIN

    def test_a_cancel_ends_a_restore_that_waits_for_bytes(
        self, lab: SourceLab, open: Callable[[], Source], around: Surroundings
    ) -> None:
        name = lab.make("bulky", bulk(4))
        source = open()
        whole = b"".join(dumped(source, name)[0])
        began: list[float] = []

        def stalling() -> Iterable[bytes]:
            yield whole[: len(whole) // 2]
            began.append(time.monotonic())
            threading.Thread(target=around.cancel.cancel, args=("enough",)).start()
            around.cancel.wait(60)
            around.cancel.raise_if_cancelled()

        with pytest.raises(strongroom.Cancelled):
            source.restore("copy", stalling())
        assert time.monotonic() - began[0] < CANCEL_WITHIN
        # What a cancelled source could not clear away any more, whoever asked for the restore drops.
        fresh = lab.open(Surroundings(around.folder).context)
        fresh.drop("copy")
        assert not lab.exists("copy")

    # -------------------------------------------------------------------- swapping and dropping

    def test_a_replaced_database_is_kept(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", SHOP)
        new = lab.make("newer", {"customers": [(1, "the only one")]})
        source = open()
        if not source.can_replace:
            pytest.skip(f"{source.title} cannot swap databases")
        before, wanted = lab.rows(name), lab.rows(new)
        beside = source.beside_name(name, "r1")
        source.restore(beside, dumped(source, new)[0])
        kept = source.replace(beside, name)
        assert kept is not None
        assert kept != name
        assert lab.rows(name) == wanted
        assert lab.rows(kept) == before
        assert not lab.exists(beside)

    def test_two_replacements_keep_both_old_ones(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", {"version": [(0, "zero")]})
        source = open()
        if not source.can_replace:
            pytest.skip(f"{source.title} cannot swap databases")
        chunks, _ = dumped(source, name)
        kept = []
        for label in ("r1", "r2"):
            beside = source.beside_name(name, label)
            source.restore(beside, chunks)
            kept.append(source.replace(beside, name))
        assert len({*kept, name}) == 3
        assert all(lab.exists(old) for old in kept if old is not None)

    def test_replacing_what_is_not_there_keeps_nothing(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        if not source.can_replace:
            pytest.skip(f"{source.title} cannot swap databases")
        beside = source.beside_name("fresh", "r1")
        source.restore(beside, dumped(source, name)[0])
        assert source.replace(beside, "fresh") is None
        assert lab.rows("fresh") == lab.rows(name)

    def test_a_replacement_that_is_not_there_leaves_the_old_one(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        if not source.can_replace:
            pytest.skip(f"{source.title} cannot swap databases")
        before = lab.rows(name)
        with pytest.raises(strongroom.SourceError):
            source.replace(source.beside_name(name, "r1"), name)
        assert lab.rows(name) == before

    def test_names_beside_stay_within_the_engines_limit(
        self, lab: SourceLab, open: Callable[[], Source]
    ) -> None:
        source_name = lab.make("shop", SHOP)
        source = open()
        long = "ü" * 31  # 62 bytes
        names = {source.beside_name(long, label) for label in ("r1", "r2")}
        assert len(names) == 2
        chunks, _ = dumped(source, source_name)
        for name in names:
            source.restore(name, chunks)
            assert lab.exists(name)

    def test_dropping_twice_is_fine(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        source.restore("copy", dumped(source, name)[0])
        source.drop("copy")
        assert not lab.exists("copy")
        source.drop("copy")
        assert lab.exists(name)

    def test_a_command_for_people_is_given(self, lab: SourceLab, open: Callable[[], Source]) -> None:
        name = lab.make("shop", SHOP)
        source = open()
        assert name in source.restore_command(name)
        assert source.restored_name(name)


class PasswordConformance(SourceConformance):
    """What a source with a login must do."""

    @pytest.fixture
    def lab(self) -> PasswordLab:
        raise NotImplementedError("override the fixture `lab`")

    def test_a_wrong_password_is_said_and_not_shown(self, lab: PasswordLab, around: Surroundings) -> None:
        name = lab.make("shop", SHOP)
        source = lab.open_with_password(around.context, "not-the-Password-1")
        for attempt in (source.check, lambda: dumped(source, name)):
            with pytest.raises(strongroom.ConnectionFailed) as caught:
                attempt()
            assert "password" in caught.value.message
            assert caught.value.remedy
            assert "not-the-Password-1" not in f"{caught.value!r} {caught.value.remedy}"
        assert "not-the-Password-1" not in repr(source.config)


class ToolConformance(SourceConformance):
    """What a source that is dumped by a client tool must do."""

    @pytest.fixture
    def lab(self) -> ToolLab:
        raise NotImplementedError("override the fixture `lab`")

    def test_a_missing_tool_is_named_with_a_remedy(self, lab: ToolLab, around: Surroundings) -> None:
        name = lab.make("shop", SHOP)
        source = lab.open_without_tools(around.context)
        for attempt in (source.check, lambda: dumped(source, name)):
            with pytest.raises(strongroom.ToolMissing) as caught:
                attempt()
            assert caught.value.remedy

    @pytest.mark.parametrize("how", ["killed", "late status"])
    def test_a_tool_that_fails_fails_the_dump(
        self, lab: ToolLab, around: Surroundings, how: Literal["killed", "late status"]
    ) -> None:
        name = lab.make("bulky", bulk(4))
        source = lab.open_with_failing_tool(around.context, how)
        with source.dump(name) as dump:
            chunks = iter(dump)
            assert next(chunks)
            with pytest.raises(strongroom.SourceError) as caught:
                list(chunks)
        assert caught.value.remedy
