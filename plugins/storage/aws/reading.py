"""Reading an object as one stream, which goes on where it broke off.

What comes after a break has to be of the same object: it is asked for by the first one's ETag, so that no
two versions of a file ever mix. One stream, for it costs a quarter of the processor's time of several
(0.2 s against 0.9 s for 1 GiB), and a restore reads no faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import strongroom
from plugins.storage.aws import errors
from plugins.storage.aws.link import Link

_AT_ONCE = 256 << 10
"""Bytes asked of the connection at a time: little enough to stay in the processor's cache until written."""

_RESUMES = 3
"""Times that a download goes on after its connection broke."""


def read(link: Link, key: str, name: str, offset: int) -> Iterator[bytes]:
    """The object's bytes from `offset` on. Raises one of `errors.RAW`, and `StorageError`."""
    stream = _Stream(link, key, name, offset)
    breaks = 0
    while True:
        try:
            yield from stream.chunks()
            return
        except errors.RAW as error:
            link.cancel.raise_if_cancelled()
            if errors.code(error) in errors.TAKEN:
                raise stream.replaced() from error
            breaks += 1
            # Without an ETag the first answer has not come; `call` has tried for it more than once.
            if not stream.etag or breaks > _RESUMES or not errors.is_passing(error):
                raise
        link.wait(1)


class _Stream:
    """An object that is read, from a position that moves on."""

    def __init__(self, link: Link, key: str, name: str, position: int) -> None:
        self._link, self._key, self._name = link, key, name
        self._position = position
        self.etag = ""

    def chunks(self) -> Iterator[bytes]:
        """The bytes from the position on, as far as this connection brings them."""
        wanted: dict[str, Any] = {"IfMatch": self.etag} if self.etag else {}
        if self._position:
            wanted["Range"] = f"bytes={self._position}-"
        try:
            answer = self._link.call("get_object", Key=self._key, **wanted)
        except errors.RAW as error:
            if errors.code(error) in ("InvalidRange", "416"):
                return  # it ends there, or before
            raise
        with closing(answer["Body"]) as body:
            if self._position and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                raise strongroom.StorageError(
                    f"The server of {self._link.settings.place} gives no part of {self._name} when it is "
                    "asked for one."
                )
            etag = str(answer.get("ETag", ""))
            if self.etag and etag != self.etag:
                raise self.replaced()
            self.etag = etag
            while chunk := body.read(_AT_ONCE):
                self._link.cancel.raise_if_cancelled()
                self._position += len(chunk)
                yield chunk

    def replaced(self) -> strongroom.StorageError:
        return strongroom.StorageError(
            f"{self._name} in {self._link.settings.place} was replaced while it was read.", transient=True
        )
