"""The conformance suite for storages. A plugin's test subclasses it and says how its storage is opened:

    class TestShelf(StorageConformance):
        @pytest.fixture
        def opener(self, tmp_path):
            return lambda context: Shelf(Shelf.Config(path=tmp_path), context)

Every call of `opener` gives a new adapter over one place, which is empty when a test begins.
"""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

import strongroom
from strongroom.testing.readers import HookedReader, StreamReader, contents, context

MIB = 1 << 20
Opener = Callable[[strongroom.Context], strongroom.Storage]

ODD_NAMES = (
    "shop/shop_2026-11-24_03-00-00.dump.zst.age",
    "plain",
    "with space/ two  spaces .dump",
    "Zürich/数据库 🗄.sqlite",
    'quotes/it\'s "so".dump',
    "signs/100%25 #1 ?a=b&c+d;e,f!~^{}[]*$`.dump",
    "-rf/--delete.dump",
    ".hidden/.file",
    "a/b/c/d/e/f/g.dump",
    "long/" + "n" * 200 + ".dump",
)
CLIMBING_NAMES = ("../out", "a/../../out", "..", "/out", "a/../b", "a/\0b", "")


class _Broken(strongroom.StrongroomError):
    """What the reader of a dump raises that failed."""


class StorageConformance:
    """What the engine relies on, whatever the storage. See `strongroom.Storage` for the rules in words."""

    large: ClassVar[int] = 96 * MIB
    """Bytes of the file that the memory is watched with."""
    memory: ClassVar[int] = 48 * MIB
    """Bytes of Python's memory that moving it may take."""
    told_apart: ClassVar[bool] = True
    """Whether of two uploads racing for one name exactly one wins."""

    # ---------------------------------------------------------------------- what a subclass provides

    @pytest.fixture
    def opener(self) -> Opener:
        """How to open the storage; a subclass must give it."""
        raise NotImplementedError("give a fixture `opener` (see the module's docstring)")

    @pytest.fixture
    def everything(self, storage: strongroom.Storage) -> Callable[[], set[str]]:
        """All that lies there, temporary files and empty folders too; better when asked behind its back."""
        return lambda: {file.name for file in storage.list()}

    @pytest.fixture
    def damage(self) -> Callable[[str], None] | None:
        """Flips one byte of a stored file behind the storage's back, without changing its size."""
        return None

    # ------------------------------------------------------------------------------------- beginnings

    @pytest.fixture
    def cancel(self) -> strongroom.CancelToken:
        return strongroom.CancelToken()

    @pytest.fixture
    def open_another(
        self, opener: Opener, cancel: strongroom.CancelToken, tmp_path: Path
    ) -> Iterator[Callable[[], strongroom.Storage]]:
        opened: list[strongroom.Storage] = []

        def another() -> strongroom.Storage:
            opened.append(opener(context(tmp_path, cancel)))
            return opened[-1]

        yield another
        for storage in opened:
            storage.close()

    @pytest.fixture
    def storage(self, open_another: Callable[[], strongroom.Storage]) -> strongroom.Storage:
        return open_another()

    # ------------------------------------------------------------------------------------------ check

    def test_check_leaves_nothing(
        self, storage: strongroom.Storage, everything: Callable[[], set[str]]
    ) -> None:
        _put(storage, "kept.dump", b"kept")
        before = everything()
        report = storage.check()
        assert isinstance(report, strongroom.StorageReport)
        assert report.detail
        assert everything() == before
        assert contents(storage, "kept.dump") == b"kept"

    # --------------------------------------------------------------------------------- put, get, stat

    @pytest.mark.parametrize("size", [0, 1, 4096, MIB - 1, MIB, 3 * MIB + 17])
    def test_what_was_put_is_got_back(self, storage: strongroom.Storage, size: int) -> None:
        reader = StreamReader(size, known=storage.needs_length)
        published = storage.put("job/file.dump", reader, begun=_ignore)
        assert published.proof
        digest = hashlib.sha256()
        for chunk in storage.get("job/file.dump"):
            assert 0 < len(chunk) <= 16 * MIB
            digest.update(chunk)
        assert digest.hexdigest() == reader.sha256()
        assert storage.stat("job/file.dump").size == size

    def test_get_begins_at_an_offset(self, storage: strongroom.Storage) -> None:
        data = bytes(range(256)) * 8192
        _put(storage, "file.dump", data)
        for offset in (1, 255, MIB, MIB + 1, len(data) - 1, len(data)):
            assert b"".join(storage.get("file.dump", offset)) == data[offset:]

    def test_stat_tells_size_and_time(self, storage: strongroom.Storage) -> None:
        _put(storage, "file.dump", b"four")
        stored = storage.stat("file.dump")
        assert (stored.name, stored.size) == ("file.dump", 4)
        assert abs(datetime.now(UTC) - stored.modified) < timedelta(hours=1)

    def test_what_is_missing_is_said_to_be_missing(self, storage: strongroom.Storage) -> None:
        _put(storage, "there/file.dump", b"x")
        for name in ("file.dump", "there/other.dump", "nowhere/file.dump", "there"):
            with pytest.raises(strongroom.StorageError):
                contents(storage, name)
        for name in ("file.dump", "nowhere/file.dump"):
            with pytest.raises(strongroom.StorageMissing):
                contents(storage, name)
            with pytest.raises(strongroom.StorageMissing):
                storage.stat(name)
            with pytest.raises(strongroom.StorageMissing):
                storage.verify(name, 1, hashlib.sha256(b"x").hexdigest())

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names_are_kept_as_they_are(self, storage: strongroom.Storage, name: str) -> None:
        _put(storage, name, name.encode())
        assert [file.name for file in storage.list()] == [name]
        assert contents(storage, name) == name.encode()
        assert storage.stat(name).name == name
        assert storage.verify(name, len(name.encode()), hashlib.sha256(name.encode()).hexdigest())
        storage.delete(name)
        assert list(storage.list()) == []

    @pytest.mark.parametrize("name", CLIMBING_NAMES)
    def test_a_name_that_climbs_is_refused(
        self, storage: strongroom.Storage, everything: Callable[[], set[str]], name: str
    ) -> None:
        _put(storage, "b", b"inside")
        before = everything()
        with pytest.raises(strongroom.StorageError):
            _put(storage, name, b"outside")
        with pytest.raises(strongroom.StorageError):
            contents(storage, name)
        with pytest.raises(strongroom.StorageError):
            storage.stat(name)
        with pytest.raises(strongroom.StorageError):
            storage.delete(name)
        assert everything() == before
        assert contents(storage, "b") == b"inside"

    def test_small_files_stand_beside_an_artifact(self, storage: strongroom.Storage) -> None:
        for suffix in ("", ".meta.json", ".lock.json", ".proof.json"):
            _put(storage, f"shop/a.dump{suffix}", suffix.encode())
        _put(storage, "shop/a.dump.proof.json", b"newer", overwrite=True)
        assert contents(storage, "shop/a.dump.proof.json") == b"newer"
        assert contents(storage, "shop/a.dump.meta.json") == b".meta.json"

    def test_memory_does_not_grow_with_the_file(self, storage: strongroom.Storage) -> None:
        reader = StreamReader(self.large, known=storage.needs_length)
        tracemalloc.start()
        try:
            storage.put("large.dump", reader, begun=_ignore)
            size = sum(len(chunk) for chunk in storage.get("large.dump"))
            storage.verify("large.dump", self.large, reader.sha256())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size == self.large
        assert peak < self.memory

    # ------------------------------------------------------------------------------------------- list

    def test_a_listing_of_nothing_is_empty(self, storage: strongroom.Storage) -> None:
        _put(storage, "a.dump", b"")
        storage.delete("a.dump")
        assert list(storage.list()) == []
        assert list(storage.list("nowhere/")) == []

    def test_a_prefix_is_a_prefix_of_the_name(self, storage: strongroom.Storage) -> None:
        for name in ("a/b/1", "a/b/c/2", "a/bc/3", "a/bc.dump", "ab", "b/a/b"):
            _put(storage, name, b"x")

        def found(prefix: str) -> set[str]:
            return {file.name for file in storage.list(prefix)}

        assert found("a/b") == {"a/b/1", "a/b/c/2", "a/bc/3", "a/bc.dump"}
        assert found("a/b/") == {"a/b/1", "a/b/c/2"}
        assert found("a/bc") == {"a/bc/3", "a/bc.dump"}
        assert found("a") == {"a/b/1", "a/b/c/2", "a/bc/3", "a/bc.dump", "ab"}
        assert found("a/b/1") == {"a/b/1"}
        assert found("a/b/1/") == set()
        assert len(found("")) == 6

    def test_a_listing_tells_sizes_and_times(self, storage: strongroom.Storage) -> None:
        _put(storage, "a/one", b"1")
        _put(storage, "a/three", b"333")
        files = {file.name: file for file in storage.list("a/")}
        assert {name: file.size for name, file in files.items()} == {"a/one": 1, "a/three": 3}
        for file in files.values():
            assert abs(datetime.now(UTC) - file.modified) < timedelta(hours=1)

    # --------------------------------------------------------------------------- overwriting, deleting

    def test_an_existing_file_stays_as_it_is(
        self, storage: strongroom.Storage, everything: Callable[[], set[str]]
    ) -> None:
        _put(storage, "a.dump", b"old")
        before = everything()
        with pytest.raises(strongroom.AlreadyExists):
            _put(storage, "a.dump", b"newer")
        assert contents(storage, "a.dump") == b"old"
        assert everything() == before

    def test_overwriting_replaces_it(
        self, storage: strongroom.Storage, everything: Callable[[], set[str]]
    ) -> None:
        _put(storage, "a.dump", b"old")
        before = everything()
        _put(storage, "a.dump", b"newer", overwrite=True)
        _put(storage, "b.dump", b"first", overwrite=True)
        assert contents(storage, "a.dump") == b"newer"
        storage.delete("b.dump")
        assert everything() == before

    def test_a_failed_overwrite_keeps_the_old(self, storage: strongroom.Storage) -> None:
        _put(storage, "a.dump", b"old")
        with pytest.raises(_Broken):
            storage.put("a.dump", _breaking(storage, 2 * MIB), begun=_ignore, overwrite=True)
        assert contents(storage, "a.dump") == b"old"

    def test_deleting_deletes_that_file_alone(self, storage: strongroom.Storage) -> None:
        for name in ("a/b", "a/bc", "a/b.meta.json"):
            _put(storage, name, b"x")
        storage.delete("a/b")
        assert {file.name for file in storage.list()} == {"a/bc", "a/b.meta.json"}

    def test_deleting_what_is_missing_is_fine(self, storage: strongroom.Storage) -> None:
        storage.delete("nothing.dump")
        storage.delete("no/folder/nothing.dump")

    # ----------------------------------------------------------------------------------------- verify

    def test_verify_says_how_it_proved(self, storage: strongroom.Storage) -> None:
        _put(storage, "a.dump", b"whole")
        assert storage.verify("a.dump", 5, hashlib.sha256(b"whole").hexdigest())

    def test_verify_finds_a_wrong_size_and_a_wrong_checksum(self, storage: strongroom.Storage) -> None:
        _put(storage, "a.dump", b"whole")
        with pytest.raises(strongroom.ChecksumMismatch):
            storage.verify("a.dump", 4, hashlib.sha256(b"whole").hexdigest())
        with pytest.raises(strongroom.ChecksumMismatch):
            storage.verify("a.dump", 5, hashlib.sha256(b"other").hexdigest())

    def test_verify_finds_a_flipped_byte(
        self, storage: strongroom.Storage, damage: Callable[[str], None] | None
    ) -> None:
        if damage is None:
            pytest.skip("this suite was given no `damage` fixture")
        data = bytes(range(256)) * 4096
        _put(storage, "a.dump", data)
        damage("a.dump")
        with pytest.raises(strongroom.ChecksumMismatch):
            storage.verify("a.dump", len(data), hashlib.sha256(data).hexdigest())

    # ------------------------------------------------------------------------------ an upload under way

    def test_begun_is_told_before_the_first_byte(self, storage: strongroom.Storage) -> None:
        order: list[str] = []
        reader = HookedReader(MIB, lambda position: order.append("read"), known=storage.needs_length)
        leftovers: list[strongroom.Leftover] = []

        def begun(leftover: strongroom.Leftover) -> None:
            order.append("begun")
            leftovers.append(leftover)

        storage.put("job/a.dump", reader, begun=begun)
        assert order[0] == "begun"
        assert "begun" not in order[order.index("read") :]
        assert all(its.temporary_name or its.upload_id for its in leftovers)

    def test_nothing_is_read_or_left_when_begun_raises(
        self, storage: strongroom.Storage, everything: Callable[[], set[str]]
    ) -> None:
        before = everything()
        read: list[int] = []
        reader = HookedReader(MIB, read.append, known=storage.needs_length)

        def begun(leftover: strongroom.Leftover) -> None:
            raise _Broken("the store is locked")

        with pytest.raises(_Broken):
            storage.put("job/a.dump", reader, begun=begun)
        assert read == []
        assert everything() == before

    def test_nothing_is_visible_before_it_is_whole(
        self, storage: strongroom.Storage, open_another: Callable[[], strongroom.Storage]
    ) -> None:
        watcher = open_another()
        seen: list[str] = []

        def look(position: int) -> None:
            seen.extend(file.name for file in watcher.list())
            with pytest.raises(strongroom.StorageMissing):
                watcher.stat("job/a.dump")

        storage.put("job/a.dump", HookedReader(3 * MIB, look, known=storage.needs_length), begun=_ignore)
        assert seen == []
        assert watcher.stat("job/a.dump").size == 3 * MIB

    @pytest.mark.parametrize("after", [0, 1, MIB, 20 * MIB])
    def test_a_reader_that_fails_leaves_nothing(
        self, storage: strongroom.Storage, everything: Callable[[], set[str]], after: int
    ) -> None:
        before = everything()
        with pytest.raises(_Broken, match="the dump failed"):
            storage.put("job/new/a.dump", _breaking(storage, after), begun=_ignore)
        assert everything() == before
        assert list(storage.list()) == []

    @pytest.mark.parametrize("after", [0, 20 * MIB])
    def test_a_cancel_leaves_nothing_and_stays_a_cancel(
        self,
        storage: strongroom.Storage,
        everything: Callable[[], set[str]],
        cancel: strongroom.CancelToken,
        after: int,
    ) -> None:
        before = everything()

        def stop(position: int) -> None:
            if position >= after:
                cancel.cancel("somebody pressed cancel")
                cancel.raise_if_cancelled()

        reader = HookedReader(after + MIB, stop, known=storage.needs_length)
        with pytest.raises(strongroom.Cancelled):
            storage.put("job/a.dump", reader, begun=_ignore)
        assert everything() == before

    def test_what_a_dead_upload_left_is_discarded_by_its_record(
        self,
        storage: strongroom.Storage,
        open_another: Callable[[], strongroom.Storage],
        everything: Callable[[], set[str]],
    ) -> None:
        _put(storage, "job/kept.dump", b"kept")
        before = everything()
        told: list[strongroom.Leftover] = []
        hanging, go_on = threading.Event(), threading.Event()

        def hang(position: int) -> None:
            if position >= 10 * MIB:
                hanging.set()
                assert go_on.wait(60)

        raised: list[BaseException] = []

        def upload() -> None:
            reader = HookedReader(12 * MIB, hang, known=storage.needs_length)
            try:
                storage.put("job/a.dump", reader, begun=told.append)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=upload)
        thread.start()
        try:
            assert hanging.wait(60)
            open_another().discard(told[0])
            assert everything() == before
        finally:
            go_on.set()
            thread.join(60)
        assert raised, "an upload whose temporary file was taken away cannot have succeeded"
        assert everything() == before

    def test_discarding_what_is_gone_is_fine(self, storage: strongroom.Storage) -> None:
        told: list[strongroom.Leftover] = []
        storage.put("job/a.dump", StreamReader(MIB, known=storage.needs_length), begun=told.append)
        storage.discard(told[0])
        storage.discard(told[0])
        assert storage.stat("job/a.dump").size == MIB

    def test_two_uploads_at_once_do_not_meet(
        self,
        open_another: Callable[[], strongroom.Storage],
        everything: Callable[[], set[str]],
    ) -> None:
        outcomes = _together(open_another, ["job/new/a.dump", "job/new/b.dump"])
        assert outcomes == [None, None]
        watcher = open_another()
        assert {file.name for file in watcher.list()} == {"job/new/a.dump", "job/new/b.dump"}
        for name, seed in (("job/new/a.dump", 0), ("job/new/b.dump", 1)):
            digest = hashlib.sha256(contents(watcher, name)).hexdigest()
            assert digest == StreamReader.digest(4 * MIB, seed)

    def test_of_two_uploads_of_one_name_one_wins(
        self,
        open_another: Callable[[], strongroom.Storage],
        everything: Callable[[], set[str]],
    ) -> None:
        if not self.told_apart:
            pytest.skip("this storage cannot tell racing uploads of one name apart, and says so")
        outcomes = _together(open_another, ["job/a.dump", "job/a.dump"])
        assert sorted(type(error).__name__ for error in outcomes) == ["AlreadyExists", "NoneType"]
        winner = outcomes.index(None)
        stored = contents(open_another(), "job/a.dump")
        assert hashlib.sha256(stored).hexdigest() == StreamReader.digest(4 * MIB, winner)
        assert {name for name in everything() if "a.dump" in name} == {"job/a.dump"}

    def test_closing_twice_is_fine(self, storage: strongroom.Storage) -> None:
        storage.close()
        storage.close()


def _ignore(leftover: strongroom.Leftover) -> None:
    """The `begun` of a test that does not listen."""


def _put(storage: strongroom.Storage, name: str, data: bytes, *, overwrite: bool = False) -> None:
    storage.put(name, strongroom.BytesReader(data), begun=_ignore, overwrite=overwrite)


def _breaking(storage: strongroom.Storage, after: int) -> HookedReader:
    def fail(position: int) -> None:
        if position >= after:
            raise _Broken("the dump failed")

    return HookedReader(after + MIB, fail, known=storage.needs_length)


def _together(open_another: Callable[[], strongroom.Storage], names: list[str]) -> list[BaseException | None]:
    """Upload different bytes to `names` so that none ends before all have begun; return how each ended."""
    barrier = threading.Barrier(len(names), timeout=60)
    outcomes: list[BaseException | None] = [None] * len(names)
    storages = [open_another() for _ in names]

    def upload(index: int) -> None:
        def wait(position: int) -> None:
            if position == 2 * MIB:
                barrier.wait()

        storage = storages[index]
        reader = HookedReader(4 * MIB, wait, known=storage.needs_length, seed=index)
        try:
            storage.put(names[index], reader, begun=_ignore)
        except BaseException as error:
            outcomes[index] = error

    threads = [threading.Thread(target=upload, args=(index,)) for index in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return outcomes
