"""The sidecar: `<artifact>.meta.json`, written once, signed, and all that anybody needs to restore.

Its presence is what makes an artifact a backup. It holds no secret; the names of tables are sealed to
the artifact's own recipients when the artifact is encrypted. docs/formats.md describes it to strangers.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.archive.fields import Fields
from engine.clock import iso
from engine.contract.values import Fingerprint
from engine.errors import SidecarTooNew, SidecarUnreadable, StreamError
from engine.signing import Signer, Verdict, check, read_document, signed_by

SIDECAR_SUFFIX = ".meta.json"
KIND = "strongroom/backup"
VERSION = "1.0"
"""A reader takes any minor version of its own major one; what it does not know it leaves alone."""

MOST_BYTES = 64 << 20
"""A larger sidecar is not read. One of 100,000 tables takes some 5 MB."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
# Bounded, since it ends in a shell command that people copy.
_COMPRESSION = re.compile(r"[a-z0-9-]+(:\d+)?")
_DECOMPRESS = {"zstd": "zstd -d", "gzip": "gzip -d", "brotli": "brotli -d"}


@dataclass(frozen=True, slots=True)
class Encryption:
    """How an artifact is encrypted. `recipients` are public ("age1..."), `keys` their names here."""

    algorithm: str
    recipients: tuple[str, ...]
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A fingerprint that only the artifact's recipients can read: an age file, in base64."""

    data: str


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What is known of one backup. Sizes are in bytes; `created_at` is the run's start, in UTC.

    `checksum` is the SHA-256 of the artifact, lower-case hex; `databases` are those of the whole set;
    `compression` is `zstd:3` or `none`; `format` is the dump's own file name extension; `restore_command`
    is the standard tool that reads the decoded dump. `document` is what was parsed: the signature is
    checked over it, so that fields of a later minor version count too.
    """

    installation_id: str
    execution_id: str
    job_id: str
    job: str
    source: str
    engine: str
    engine_version: str
    tool_version: str
    database: str
    set_id: str
    databases: tuple[str, ...]
    artifact: str
    format: str
    created_at: datetime
    size: int
    dump_size: int
    checksum: str
    compression: str
    encryption: Encryption | None
    trigger: str
    restore_command: str
    fingerprint: Fingerprint | Sealed | None = None
    version: str = VERSION
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def compression_algorithm(self) -> str:
        """`zstd`, `gzip`, `brotli` or `none`, without the level."""
        return self.compression.partition(":")[0]

    @property
    def restore_hint(self) -> str:
        """The shell pipeline of standard tools that restores the artifact without Strongroom."""
        return restore_hint(
            self.artifact, self.compression_algorithm, self.encryption is not None, self.restore_command
        )

    @property
    def signed_by(self) -> str | None:
        """The public key that the sidecar names as its signer's; nothing is proven by it alone."""
        return signed_by(self.document)

    def check(self, trusted: Collection[str]) -> Verdict:
        """What the signature proves, for these trusted public keys."""
        return check(self.document, trusted)

    def describes(self, artifact: str) -> bool:
        """Whether this sidecar belongs to the artifact that lies under that name.

        A signed pair that was copied over another's name says what it is: its own name stands in it.
        Folders above may differ, since a whole tree can be moved to another root.
        """
        recorded, found = self.artifact.split("/"), artifact.split("/")
        length = min(len(recorded), len(found))
        return recorded[-length:] == found[-length:]

    def to_json(self, signer: Signer) -> bytes:
        """The signed sidecar as it is stored: UTF-8, indented for people."""
        document = {
            "kind": KIND,
            "version": self.version,
            "installation_id": self.installation_id,
            "execution_id": self.execution_id,
            "trigger": self.trigger,
            "job_id": self.job_id,
            "job": self.job,
            "source": self.source,
            "engine": self.engine,
            "engine_version": self.engine_version,
            "tool_version": self.tool_version,
            "database": self.database,
            "set_id": self.set_id,
            "databases": list(self.databases),
            "artifact": self.artifact,
            "format": self.format,
            "created_at": iso(self.created_at),
            "size": self.size,
            "dump_size": self.dump_size,
            "checksum": self.checksum,
            "compression": self.compression,
            "encryption": _encryption_document(self.encryption),
            "fingerprint": _fingerprint_document(self.fingerprint),
            "restore_command": self.restore_command,
            "restore": self.restore_hint,
        }
        return json.dumps(signer.sign(document), indent=2, ensure_ascii=False).encode() + b"\n"


def parse(data: bytes) -> Sidecar:
    """Read a sidecar; its signature is not checked here.

    Raises `SidecarTooNew` for a newer major version, `SidecarUnreadable` for anything else that is no
    sidecar of ours.
    """
    document = read_document(data, most=MOST_BYTES, refuse=SidecarUnreadable, what="The sidecar")
    fields = Fields(document, "The sidecar")
    version = fields.kind_and_version(KIND, VERSION, too_new=SidecarTooNew)
    checksum = fields.text("checksum")
    if not _SHA256.fullmatch(checksum):
        raise SidecarUnreadable("The sidecar's checksum is no SHA-256.")
    compression = fields.text("compression")
    if not _COMPRESSION.fullmatch(compression):
        raise SidecarUnreadable("The sidecar's compression is none.")
    databases = fields.texts("databases")
    database = fields.text("database")
    if database not in databases:
        raise SidecarUnreadable("The sidecar's database is none of its set's.")
    return Sidecar(
        version=version,
        installation_id=fields.text("installation_id"),
        execution_id=fields.text("execution_id"),
        trigger=fields.text("trigger"),
        job_id=fields.text("job_id"),
        job=fields.text("job"),
        source=fields.text("source"),
        engine=fields.text("engine"),
        engine_version=fields.text("engine_version", empty=True),
        tool_version=fields.text("tool_version", empty=True),
        database=database,
        set_id=fields.text("set_id"),
        databases=databases,
        artifact=fields.text("artifact"),
        format=fields.text("format"),
        created_at=fields.moment("created_at"),
        size=fields.count("size"),
        dump_size=fields.count("dump_size"),
        checksum=checksum,
        compression=compression,
        encryption=_read_encryption(fields),
        fingerprint=_read_fingerprint(fields),
        restore_command=fields.text("restore_command", empty=True),
        document=document,
    )


def seal_fingerprint(
    fingerprint: Fingerprint | None, recipients: Sequence[str]
) -> Fingerprint | Sealed | None:
    """The fingerprint as the sidecar may hold it: sealed to `recipients` when there are any."""
    if fingerprint is None or not recipients:
        return fingerprint
    from engine.streams.encryption import encrypt_bytes

    plain = json.dumps(_fingerprint_document(fingerprint), ensure_ascii=False).encode()
    return Sealed(base64.b64encode(encrypt_bytes(plain, recipients)).decode())


def open_fingerprint(
    fingerprint: Fingerprint | Sealed | None, identities: Sequence[str]
) -> Fingerprint | None:
    """The fingerprint in plain. Raises `KeyMissing` when no identity opens it, `StreamError` when it is
    damaged."""
    if not isinstance(fingerprint, Sealed):
        return fingerprint
    from engine.streams.encryption import decrypt_bytes

    try:
        plain = decrypt_bytes(base64.b64decode(fingerprint.data, validate=True), identities)
        document = read_document(plain, most=MOST_BYTES, refuse=SidecarUnreadable, what="It")
        return _plain_fingerprint(Fields(document, "It"))
    except (ValueError, SidecarUnreadable) as error:
        raise StreamError("The sealed fingerprint in the sidecar is damaged.") from error


def restore_hint(artifact: str, compression: str, encrypted: bool, command: str) -> str:
    """The shell pipeline that restores `artifact` with age, the decompressor and `command` alone."""
    file = shlex.quote(artifact)
    steps = [f"age -d -i KEY.txt {file}"] if encrypted else []
    if compression != "none":
        decompress = _DECOMPRESS.get(compression, f"{compression} -d")
        steps.append(decompress if steps else f"{decompress} < {file}")
    if not steps:
        return f"{command} < {file}"
    return " | ".join([*steps, *([command] if command else [])])


def _encryption_document(encryption: Encryption | None) -> dict[str, Any] | None:
    if encryption is None:
        return None
    return {
        "algorithm": encryption.algorithm,
        "recipients": list(encryption.recipients),
        "keys": list(encryption.keys),
    }


def _fingerprint_document(fingerprint: Fingerprint | Sealed | None) -> dict[str, Any] | None:
    if fingerprint is None:
        return None
    if isinstance(fingerprint, Sealed):
        return {"sealed": fingerprint.data}
    plain = {"consistent": fingerprint.consistent, "tables": dict(fingerprint.tables)}
    return plain if fingerprint.of == "rows" else {**plain, "of": fingerprint.of}


def _read_encryption(fields: Fields) -> Encryption | None:
    inner = fields.inner("encryption")
    if inner is None:
        return None
    return Encryption(inner.text("algorithm"), inner.texts("recipients"), inner.texts("keys"))


def _read_fingerprint(fields: Fields) -> Fingerprint | Sealed | None:
    inner = fields.inner("fingerprint")
    if inner is None:
        return None
    return Sealed(inner.text("sealed")) if inner.has("sealed") else _plain_fingerprint(inner)


def _plain_fingerprint(fields: Fields) -> Fingerprint:
    of = fields.text("of") if fields.has("of") else "rows"
    return Fingerprint(fields.counts("tables"), fields.flag("consistent"), of)
