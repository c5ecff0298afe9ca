"""An object on its way to its name: from the first byte to the proof, and back again when that fails.

An upload marks its object by a random word in the metadata. So, when the answer to its last request was
lost, it can tell whether the object that is there is its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import strongroom
from plugins.storage.aws import errors, messages, proof
from plugins.storage.aws.link import TRIES, Link, for_at_most
from plugins.storage.aws.upload import Multipart, Stopped, abort, abort_all

_CLEANING = 1.8
"""Seconds that cleaning up after a failure may take: a cancel has to be through within two."""
_ENDS = 5
"""Times that the end of an upload is asked for while no answer comes."""
_MARK = "strongroom"

Begun = Callable[[strongroom.Leftover], None]
ReadBack = Callable[[str, int, str], None]
"""`read_back(name, size, sha256)` raises `ChecksumMismatch`."""


@dataclass
class Known:
    """What one adapter has learned of its server."""

    computes: bool | None = None
    """Whether it computes the checksums that it is sent; None as long as nobody asked."""
    checksums: bool = True
    """Whether it bears to be sent any."""
    conditions: bool = True
    """Whether it bears If-None-Match."""


class Publication:
    """One object, its key, and what is done to give it its name. Made for one `put`."""

    def __init__(
        self,
        link: Link,
        context: strongroom.Context,
        known: Known,
        key: str,
        name: str,
        *,
        overwrite: bool,
        read_back: ReadBack,
    ) -> None:
        self._link = link
        self._context = context
        self._known = known
        self._key = key
        self._name = name
        self._overwrite = overwrite
        self._read_back = read_back
        self._mark = secrets.token_hex(8)
        self._options: dict[str, Any] = {"Metadata": {_MARK: self._mark}}
        if link.settings.storage_class is not None:
            self._options["StorageClass"] = link.settings.storage_class

    def raise_if_taken(self) -> None:
        """Raise `AlreadyExists` when the name is in use and not to be overwritten.

        The server is asked before anything goes out, so that nothing is sent in vain, and again, by
        If-None-Match, at the end; one that does not know that is asked here alone.
        """
        if self._overwrite:
            return
        try:
            self._link.call("head_object", Key=self._key)
        except errors.RAW as error:
            if errors.status(error) in (403, 404):
                return  # nothing there; or these keys may not know, and the upload will say so
            raise
        raise messages.taken(self._name)

    # ------------------------------------------------------------------------------ in one request

    def small(self, reader: strongroom.Reader, begun: Begun) -> str:
        """Publish what fits into one request; return the proof."""
        begun(strongroom.Leftover(self._name))
        data = b"".join(iter(reader.read, b""))
        digest = hashlib.sha256(data)
        if digest.hexdigest() != reader.sha256():
            raise strongroom.ChecksumMismatch(
                f"What was read for {self._name} is not what was written: it has another SHA-256.",
                remedy="Check the disk that holds the spool.",
            )
        with self._taken_back(None):
            checksum = proof.base64_of(digest.digest())
            try:
                answer = self._put_object(data, checksum)
            except errors.RAW as error:
                if errors.code(error) not in errors.TAKEN or not self._is_ours(self._link):
                    raise
                answer = {}  # the first try went through, and its answer was lost
            if self._known.computes and answer.get("ChecksumSHA256") == checksum:
                return proof.CONFIRMED_WHOLE
            self._read_back(self._name, len(data), digest.hexdigest())
        return proof.READ_BACK

    def _put_object(self, data: bytes, checksum: str) -> dict[str, Any]:
        while True:
            its: dict[str, Any] = {"ChecksumSHA256": checksum} if self._known.checksums else {}
            try:
                return self._link.call(
                    "put_object", Key=self._key, Body=data, **self._options, **its, **self._condition
                )
            except errors.RAW as error:
                if not self._learns_from(error):
                    raise

    # -------------------------------------------------------------------------------- in many parts

    def large(self, reader: strongroom.Reader, begun: Begun) -> str:
        """Publish what comes in parts, following the reader; return the proof."""
        # The answer that brings the ID may get lost: then the upload is found by its key.
        begun(strongroom.Leftover(self._name))
        link = self._link.another()
        upload = Multipart(link, self._key, parallel=link.settings.parallel_parts, options=self._options)
        with self._taken_back(upload):
            self._begin(upload)
            begun(strongroom.Leftover(self._name, upload.upload_id))
            if self._known.computes is None:
                self._known.computes = upload.ask_for_proof()
            upload.confirmed = self._known.computes
            upload.send(reader)
            upload.end_threads()
            answer = self._complete(upload)
            head = self._link.call("head_object", Key=self._key, ChecksumMode="ENABLED")
            if not self._is_marked(head, answer.get("ETag")):
                # If-None-Match let two through: SeaweedFS looks first and writes then. The last one won.
                raise messages.taken(self._name)
            found = answer.get("ChecksumSHA256") or head.get("ChecksumSHA256")
            if not upload.confirmed or found is None:
                self._read_back(self._name, upload.size, reader.sha256())
                return proof.READ_BACK
            if found != upload.composite:
                raise strongroom.ChecksumMismatch(
                    f"{self._name} in {link.settings.place} has the checksum {found} instead of "
                    f"{upload.composite}."
                )
        return proof.CONFIRMED

    def _begin(self, upload: Multipart) -> None:
        """Ask for the upload; those of which the server never told are removed once it has told of one."""
        failures = 0
        while not upload.upload_id:
            try:
                upload.begin(checksums=self._known.checksums)
            except errors.RAW as error:
                if self._known.checksums and errors.refuses_checksums(error):
                    self._known.checksums = False
                    continue
                failures += 1
                if failures == TRIES or not errors.is_passing(error):
                    raise
                self._link.wait(failures)
        if failures:
            abort_all(self._link, self._key, but=upload.upload_id)

    def _complete(self, upload: Multipart) -> dict[str, Any]:
        """Give the object its name; return the server's answer, empty if that was lost."""
        unanswered = False
        for attempt in range(1, _ENDS + 1):
            self._context.alive(0)
            try:
                return upload.complete(condition=self._condition)
            except errors.RAW as error:
                self._context.cancel.raise_if_cancelled()
                if self._condition and errors.refuses_conditions(error):
                    self._known.conditions = False
                    self.raise_if_taken()
                    continue
                settled = errors.code(error) in errors.TAKEN or (
                    unanswered and errors.code(error) == "NoSuchUpload"
                )
                if settled and self._is_ours(self._link):
                    return {}
                unanswered = unanswered or errors.is_unanswered(error)
                if attempt == _ENDS or settled or not errors.is_passing(error):
                    raise
            self._link.wait(min(attempt, 2))
        raise AssertionError("the loop returns or raises")

    # ---------------------------------------------------------------------------------------- both

    @property
    def _condition(self) -> dict[str, Any]:
        return {} if self._overwrite or not self._known.conditions else {"IfNoneMatch": "*"}

    def _learns_from(self, error: BaseException) -> bool:
        """Whether the server refused something that it can be asked without; it is, from now on."""
        if self._condition and errors.refuses_conditions(error):
            self._known.conditions = False
        elif self._known.checksums and errors.refuses_checksums(error):
            self._known.checksums = False
        else:
            return False
        return True

    def _is_ours(self, link: Link) -> bool:
        """Whether the object of that name is the one that this upload has made."""
        return self._mine(link) is not None

    def _mine(self, link: Link) -> dict[str, Any] | None:
        try:
            head = link.call("head_object", Key=self._key)
        except errors.RAW as error:
            if errors.status(error) in (403, 404):
                return None
            raise
        return head if self._is_marked(head) else None

    def _is_marked(self, head: dict[str, Any], etag: str | None = None) -> bool:
        """Whether an object is this upload's; `etag` tells it where a server keeps no metadata."""
        marks = {name.lower(): value for name, value in head.get("Metadata", {}).items()}
        if _MARK in marks:
            return bool(marks[_MARK] == self._mark)
        return etag is not None and head.get("ETag") == etag

    @contextmanager
    def _taken_back(self, upload: Multipart | None) -> Iterator[None]:
        """Remove what was written when the block fails, as far as that goes within two seconds."""
        try:
            yield
        except BaseException:
            link = self._link.for_cleaning(_CLEANING)
            with for_at_most(_CLEANING, link.close), suppress(strongroom.StrongroomError, *errors.RAW):
                if upload is not None:
                    upload.fail(Stopped())
                    upload.hang_up()
                    upload.end_threads()
                    abort(link, self._key, upload.upload_id)
                if not self._overwrite and (head := self._mine(link)) is not None:
                    version = head.get("VersionId")
                    its = {"VersionId": version} if version not in (None, "null") else {}
                    link.call("delete_object", Key=self._key, **its)
            link.close()
            raise
        finally:
            if upload is not None:
                upload.close()
