"""S3 storage: Amazon's, and the many servers that speak its language.

A large file goes out as a multipart upload that follows the spool; it appears under its name only when the
server has all of it and has confirmed the checksums, or has been read back. Nothing of an unfinished one is
ever listed, and it is removed by its ID.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import strongroom
from plugins.storage.aws import keys
from plugins.storage.aws.settings import Settings

if TYPE_CHECKING:
    from plugins.storage.aws.link import Link
    from plugins.storage.aws.publishing import Known


class S3(strongroom.Storage):
    """Artifacts as objects of one bucket, below one prefix."""

    name = "s3"
    title = "S3 storage"
    icon = "cloud"
    verifies = "SHA-256 computed by the server; read back where it computes none"

    Config = Settings
    config: Settings

    def __init__(self, config: Settings, context: strongroom.Context) -> None:
        super().__init__(config, context)
        self._made: Link | None = None
        self._closed = False
        self._learned: Known | None = None
        self._versioning: str | None = None

    @property
    def _link(self) -> Link:
        if self._made is None:
            from plugins.storage.aws.link import Link

            self._made = Link(self.config, self.context.cancel)
            if self._closed:
                self._made.close()
        return self._made

    @property
    def _known(self) -> Known:
        if self._learned is None:
            from plugins.storage.aws.publishing import Known

            self._learned = Known()
        return self._learned

    def close(self) -> None:
        self._closed = True
        if self._made is not None:
            self._made.close()

    # ------------------------------------------------------------------------------------- looking

    def check(self) -> strongroom.StorageReport:
        from plugins.storage.aws import checking, messages

        name, probe = checking.probe_name(), secrets.token_bytes(4096)
        key = keys.key(self.config.prefix, name)
        self.list(name)
        with self._link.reporting(""):
            notes, locked = checking.lock_notes(self._link)
            notes.append(checking.proof_note(self._link, key))
        if not locked:
            self.put(name, strongroom.BytesReader(probe), begun=lambda leftover: None)
            try:
                if b"".join(self.get(name)) != probe:
                    raise checking.different_bytes(self.config)
                with self._link.reporting(""):
                    if not self._known.conditions or not checking.tells_names_apart(self._link, key, probe):
                        notes.append(
                            "The server does not know If-None-Match: two uploads of one name at the same "
                            "moment are not told apart. Let no two machines write to the same folder."
                        )
            finally:
                self.delete(name)
        notes += checking.plain_http_note(self.config)
        return strongroom.StorageReport(
            f"{messages.capital(self.config.place)} can be written", notes=tuple(notes)
        )

    def list(self, prefix: str = "") -> Iterable[strongroom.StoredFile]:
        from plugins.storage.aws import messages

        found, more = [], dict[str, Any]()
        with self._link.reporting(""):
            while True:
                page = self._link.call(
                    "list_objects_v2", Prefix=keys.beginning(self.config.prefix, prefix), **more
                )
                if page.keys().isdisjoint({"Name", "KeyCount", "IsTruncated"}):
                    raise messages.no_s3(self.config)
                for item in page.get("Contents", []):
                    if (name := keys.name(self.config.prefix, item["Key"])) is not None:
                        found.append(_stored(name, item["Size"], item["LastModified"]))
                if not page.get("IsTruncated"):
                    return found
                token = page.get("NextContinuationToken")
                if not token or token == more.get("ContinuationToken"):
                    raise strongroom.StorageError(f"The list of {self.config.place} does not go on.")
                more = {"ContinuationToken": token}

    def stat(self, name: str) -> strongroom.StoredFile:
        from plugins.storage.aws import messages

        key = keys.key(self.config.prefix, name)
        with self._link.reporting(name):
            head = self._head(key)
            if "LastModified" not in head:
                raise messages.no_s3(self.config)
            return _stored(name, head["ContentLength"], head["LastModified"])

    def get(self, name: str, offset: int = 0) -> Iterator[bytes]:
        from plugins.storage.aws import reading

        key = keys.key(self.config.prefix, name)
        with self._link.reporting(name):
            for chunk in reading.read(self._link, key, name, offset):
                self.context.cancel.raise_if_cancelled()
                yield chunk

    def verify(self, name: str, size: int, sha256: str) -> str:
        from plugins.storage.aws import proof

        there = self.stat(name).size
        if there != size:
            raise strongroom.ChecksumMismatch(
                f"{name} in {self.config.place} has {there} bytes instead of {size}."
            )
        self._read_back(name, size, sha256)
        return proof.READ_BACK

    def _read_back(self, name: str, size: int, sha256: str) -> None:
        digest, read = hashlib.sha256(), 0
        for chunk in self.get(name):
            digest.update(chunk)
            read += len(chunk)
            self.context.alive(len(chunk))
        if (read, digest.hexdigest()) != (size, sha256):
            raise strongroom.ChecksumMismatch(
                f"{name} in {self.config.place} has the SHA-256 {digest.hexdigest()} and {read} bytes "
                f"instead of {sha256} and {size}."
            )

    def _head(self, key: str, **wanted: Any) -> dict[str, Any]:
        from plugins.storage.aws import errors

        try:
            return self._link.call("head_object", Key=key, **wanted)
        except errors.RAW as error:
            if errors.status(error) in (400, 403, 404):
                # The answer to a HEAD has no body, which would say what is wrong: a missing bucket, say.
                self._link.call("list_objects_v2", Prefix=key, MaxKeys=1)
            raise

    # ------------------------------------------------------------------------------------ removing

    def delete(self, name: str) -> None:
        from plugins.storage.aws import versions

        key = keys.key(self.config.prefix, name)
        with self._link.reporting(name):
            if self._versioning is None:
                self._versioning = versions.versioning(self._link)
            versions.delete(self._link, key, name, self._versioning)

    def discard(self, leftover: strongroom.Leftover) -> None:
        from plugins.storage.aws import upload

        key = keys.key(self.config.prefix, leftover.temporary_name)
        with self._link.reporting(leftover.temporary_name):
            upload.abort(self._link, key, leftover.upload_id)

    # ----------------------------------------------------------------------------------- uploading

    def put(
        self,
        name: str,
        reader: strongroom.Reader,
        *,
        begun: Callable[[strongroom.Leftover], None],
        overwrite: bool = False,
    ) -> strongroom.Published:
        from plugins.storage.aws import parts
        from plugins.storage.aws.publishing import Publication

        key = keys.key(self.config.prefix, name)
        with self._link.reporting(name):
            publication = Publication(
                self._link,
                self.context,
                self._known,
                key,
                name,
                overwrite=overwrite,
                read_back=self._read_back,
            )
            publication.raise_if_taken()
            if reader.path is not None:
                reader.wait_for(parts.FIRST)  # what ends before needs no multipart upload
            is_small = reader.size is not None and reader.size < parts.FIRST
            publish = publication.small if is_small else publication.large
            return strongroom.Published(publish(reader, begun))


def _stored(name: str, size: int, modified: datetime) -> strongroom.StoredFile:
    return strongroom.StoredFile(name, size, modified.astimezone(UTC))


@strongroom.hookimpl
def strongroom_storages() -> list[type[strongroom.Storage]]:
    return [S3]
