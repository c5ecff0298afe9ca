"""A multipart upload that follows the growing spool: begun, its parts sent, completed or taken back.

Until it is completed nothing of it is visible under its name, and aborting it by its ID removes all of it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import strongroom
from plugins.storage.aws import errors, messages, proof
from plugins.storage.aws.link import TRIES, Link
from plugins.storage.aws.parts import BLOCK, MOST, Section, open_file, part_size

_GONE = ("NoSuchUpload", "NoSuchKey", "404")

JOIN = 1.0
"""Seconds that threads get to notice that all is over; what the system holds longer is left behind."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One part to send, from the spool's file or from memory."""

    number: int
    start: int
    length: int
    data: BytesIO | None = None


class Stopped(Exception):
    """The upload has ended by another part's failure or a cancel."""


class Multipart:
    """One upload under way. `begin`, `send`, `complete`; `end_threads` in every outcome."""

    def __init__(self, link: Link, key: str, *, parallel: int, options: dict[str, Any]) -> None:
        """`options` are parameters of CreateMultipartUpload, such as the storage class."""
        self._link = link
        self._key = key
        self._parallel = parallel
        self._options = options
        self._tasks: queue.Queue[_Task | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._open = 0
        self._failure: BaseException | None = None
        self._done: dict[int, dict[str, Any]] = {}
        self._digests: dict[int, bytes] = {}
        self.checksums = True
        self.confirmed = False
        self.upload_id = ""
        self.size = 0

    # ----------------------------------------------------------------------------------- beginning

    def begin(self, *, checksums: bool) -> None:
        """Ask for the upload; nothing of the file goes out yet."""
        self.checksums = checksums
        wanted: dict[str, Any] = {"ChecksumAlgorithm": "SHA256"} if checksums else {}
        # Once: each call that the server has heard makes another upload, whether or not its answer arrives.
        answer = self._link.call(
            "create_multipart_upload", once=True, Key=self._key, **self._options, **wanted
        )
        if "UploadId" not in answer:
            raise messages.no_s3(self._link.settings)
        self.upload_id = answer["UploadId"]

    def ask_for_proof(self) -> bool:
        """Find out whether the server computes checksums: it must refuse a part with a wrong one.

        That part has number 1, which is overwritten by the first real one where it was taken.
        """
        if not self.checksums:
            return False
        for attempt in range(1, TRIES + 1):
            try:
                self._link.call(
                    "upload_part",
                    Key=self._key,
                    UploadId=self.upload_id,
                    PartNumber=1,
                    Body=proof.WRONG_BODY,
                    ChecksumSHA256=proof.WRONG_CHECKSUM,
                    once=True,  # for what it is to answer is what would be tried again
                )
                return False
            except errors.RAW as error:
                if errors.code(error) in proof.REFUSALS:
                    return True
                if not errors.is_passing(error) and errors.status(error) == 400:
                    return False
                if attempt == TRIES or not errors.is_passing(error):
                    raise
            self._link.wait(attempt)
        raise AssertionError("the loop returns or raises")

    # --------------------------------------------------------------------------------------- parts

    def send(self, reader: strongroom.Reader) -> None:
        """Send all that the reader gives, while it grows. Raises what ended the reader, or a part."""
        progress = _Progress(reader if reader.path is not None else None)
        for task in self._sections(reader) if reader.path is not None else self._buffers(reader):
            if task.number > MOST:
                raise strongroom.StorageError(
                    f"{self._key} is too large for S3: it has more than {MOST:,} parts."
                )
            self.size += task.length
            self._give(task, reader, progress)
        with self._changed:
            self._wait_until(lambda: self._open == 0)

    def _sections(self, reader: strongroom.Reader) -> Iterator[_Task]:
        number, start = 1, 0
        while True:
            wanted = part_size(number)
            length = min(reader.wait_for(start + wanted) - start, wanted)
            self._raise_failure()
            if length or number == 1:  # an empty object has one empty part
                yield _Task(number, start, length)
            if length < wanted:
                return
            number, start = number + 1, start + length

    def _buffers(self, reader: strongroom.Reader) -> Iterator[_Task]:
        number, ended = 1, False
        while not ended:
            wanted, data = part_size(number), BytesIO()
            while data.tell() < wanted and not ended:
                chunk = reader.read(min(strongroom.CHUNK, wanted - data.tell()))
                self._raise_failure()
                data.write(chunk)
                ended = not chunk
            if data.tell() or number == 1:
                yield _Task(number, 0, data.tell(), data)
            number += 1

    def _give(self, task: _Task, reader: strongroom.Reader, progress: _Progress) -> None:
        with self._changed:
            # Parts in memory: one is sent while the next fills. Sections cost nothing to queue, but who
            # waits here, and not for the reader, can be seen to have stalled.
            most = 1 if task.data is not None else 2 * self._parallel
            self._wait_until(lambda: self._open < most)
            self._open += 1
            busy = self._open
        self._tasks.put(task)
        if len(self._threads) < min(self._parallel, busy):
            thread = threading.Thread(target=self._work, args=(reader, progress), name="s3-part", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self, reader: strongroom.Reader, progress: _Progress) -> None:
        """What each thread does: send one part after another, by a handle and a buffer of its own."""
        file: BinaryIO | None = None
        buffer = memoryview(bytearray(BLOCK))
        try:
            while (task := self._tasks.get()) is not None and self._failure is None:
                if task.data is not None:
                    self._send_part(task, task.data, buffer, progress)
                elif reader.path is not None:
                    file = file or open_file(reader.path)
                    self._send_part(task, file, buffer, progress)
                del task
                with self._changed:
                    self._open -= 1
                    self._changed.notify_all()
        except BaseException as error:
            self.fail(error)
        finally:
            if file is not None:
                file.close()

    def _send_part(self, task: _Task, source: BinaryIO, buffer: memoryview, progress: _Progress) -> None:
        def go_on() -> None:
            if self._failure is not None:
                raise Stopped
            self._link.cancel.raise_if_cancelled()

        def told(position: int) -> None:
            progress.moved(task.number, position)

        section = Section(source, buffer, task.start, task.length, told, go_on)
        digest = section.hash()
        checksum: dict[str, Any] = {"ChecksumSHA256": proof.base64_of(digest)} if self.checksums else {}
        answer = self._link.call(
            "upload_part",
            Key=self._key,
            UploadId=self.upload_id,
            PartNumber=task.number,
            Body=section,
            ContentLength=task.length,
            **checksum,
        )
        if "ETag" not in answer:
            raise messages.no_s3(self._link.settings)
        echoed = answer.get("ChecksumSHA256")
        if checksum and echoed is not None and echoed != checksum["ChecksumSHA256"]:
            raise strongroom.StorageError(
                f"The server has another SHA-256 for part {task.number} of {self._key} than was sent.",
                transient=True,
            )
        progress.moved(task.number, task.length, ended=True)
        self._digests[task.number] = digest
        self._done[task.number] = {"PartNumber": task.number, "ETag": answer["ETag"], **checksum}

    def fail(self, error: BaseException) -> None:
        """Make every thread stop; the first error stays."""
        with self._changed:
            if self._failure is None:
                self._failure = error
            self._changed.notify_all()

    def _wait_until(self, done: Callable[[], bool]) -> None:
        """Wait, with `_changed` held; raises what ended the upload meanwhile."""
        cancel = self._link.cancel
        with cancel.calling(self._wake):
            self._changed.wait_for(lambda: done() or self._failure is not None or cancel.cancelled)
        cancel.raise_if_cancelled()
        self._raise_failure()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def end_threads(self) -> None:
        """Let the threads end, and wait for them for a second at most."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(JOIN / len(self._threads))

    # --------------------------------------------------------------------------------- the two ends

    @property
    def composite(self) -> str:
        """The checksum that the whole has to have."""
        return proof.composite(self._digests[number] for number in sorted(self._digests))

    def complete(self, *, condition: dict[str, Any]) -> dict[str, Any]:
        """Give the object its name; `condition` is If-None-Match, or empty."""
        parts = [self._done[number] for number in sorted(self._done)]
        checksum: dict[str, Any] = {"ChecksumSHA256": self.composite} if self.confirmed else {}
        return self._link.call(
            "complete_multipart_upload",
            Key=self._key,
            UploadId=self.upload_id,
            MultipartUpload={"Parts": parts},
            once=True,
            **checksum,
            **condition,
        )

    def hang_up(self) -> None:
        """Break the connections of all threads."""
        self._link.hang_up()

    def close(self) -> None:
        """Let go of the connections."""
        self._link.close()


def abort(link: Link, key: str, upload_id: str) -> None:
    """Remove an upload and all its parts, and see that it is gone. Nothing there is fine.

    Without an ID, because its answer never came, all uploads of that key are removed.
    """
    if not upload_id:
        return abort_all(link, key)
    for _ in range(3):  # a part that was under way may come in after an abort
        try:
            link.call("abort_multipart_upload", Key=key, UploadId=upload_id)
        except errors.RAW as error:
            if errors.code(error) not in _GONE:
                raise
        if upload_id not in _under_way(link, key):
            return None
    raise strongroom.StorageError(
        f"The unfinished upload of {key} is still there after it was aborted.", transient=True
    )


def abort_all(link: Link, key: str, *, but: str = "") -> None:
    """Remove every upload of exactly that key, except for one.

    An artifact's name is unique by construction, so they are all its own.
    """
    for upload_id in _under_way(link, key):
        if upload_id != but:
            abort(link, key, upload_id)


def _under_way(link: Link, key: str) -> list[str]:
    """The IDs of a key's uploads; none where nobody tells us."""
    # ListParts would tell of one, too; SeaweedFS takes two seconds to find none.
    found: list[str] = []
    more: dict[str, Any] = {}
    while True:
        try:
            page = link.call("list_multipart_uploads", Prefix=key, **more)
        except errors.RAW as error:
            if errors.status(error) in (403, 405, 501):
                return []
            raise
        found += [its["UploadId"] for its in page.get("Uploads", []) if its["Key"] == key]
        if not page.get("IsTruncated") or page.get("NextKeyMarker") != key:
            return found
        more = {"KeyMarker": key, "UploadIdMarker": page.get("NextUploadIdMarker", "")}


class _Progress:
    """Adds up what the threads have sent, and tells the reader, which never hears of less than before."""

    def __init__(self, reader: strongroom.Reader | None) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._under_way: dict[int, int] = {}
        self._ended = 0
        self._most = 0

    def moved(self, number: int, position: int, *, ended: bool = False) -> None:
        if self._reader is None:
            return
        with self._lock:
            if ended:
                self._under_way.pop(number, None)
                self._ended += position
            else:
                self._under_way[number] = position
            self._most = max(self._most, self._ended + sum(self._under_way.values()))
            self._reader.taken(self._most)
