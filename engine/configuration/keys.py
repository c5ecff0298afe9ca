"""The keys of one installation: age keys that encrypt and restore, and the Ed25519 key that signs.

Public halves and names stand in the store, secret halves in the keyring or the vault. Encrypting and
checking signatures need public halves alone, so that neither asks for a keyring.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.clock import iso
from engine.errors import NotFound, SecretMissing, UsageError
from engine.records import Key
from engine.records import Signer as TrustedSigner
from engine.secrets.base import SecretStore
from engine.signing import Signer, is_public_key

if TYPE_CHECKING:
    from engine.store.database import Store

DEFAULT = "default"
SIGNING_KEY = "signing-key"
PUBLIC_SIGNING_KEY = "signingPublicKey"
"""The setting that holds the installation's own public signing key, hex."""

LONGEST_NAME = 64

Identities = list[str]  # `Keys` has a method called list

# What `export` writes and `import_` reads, as comments that age itself passes over.
_NAME_LINE = re.compile(r"#\s*strongroom key:\s*(.+)", re.IGNORECASE)
_SIGNER_LINE = re.compile(r"#\s*signed by ed25519 (\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: the key as it is now, and the signing keys that are trusted since."""

    key: Key
    created: bool
    identity_added: bool
    trusted: tuple[str, ...] = ()


class Keys:
    """The keys of the installation that `store` and `secrets` belong to. Safe to use from several threads."""

    def __init__(self, store: Store, secrets: SecretStore) -> None:
        self._store = store
        self._secrets = secrets
        self._lock = threading.Lock()
        self._signer: Signer | None = None
        self.replaced_signer = ""
        """The public half of a signing key that `signer` found lost and replaced, hex."""

    # -- age keys ------------------------------------------------------------------------------------

    def list(self) -> list[Key]:
        """All keys, by name."""
        return self._store.keys.list()

    def get(self, name: str) -> Key:
        """The key of that name. Raises `NotFound` with the command that makes it."""
        key = next((key for key in self._store.keys.list() if key.name == name), None)
        if key is None:
            known = ", ".join(key.name for key in self._store.keys.list())
            raise NotFound(
                f"There is no key named {name!r}.",
                remedy=f"`strongroom keys new {name}` makes it."
                + (f" The keys here are: {known}." if known else ""),
            )
        return key

    def recipient(self, name: str) -> str:
        """The public half ("age1...") that encrypts to the key. Raises `NotFound`."""
        return self.get(name).recipient

    def new(self, name: str = DEFAULT) -> Key:
        """Make a key. Raises `UsageError` when the name is taken or is none, and `SecretsError`."""
        import pyrage

        self._refuse_name(name)
        identity = pyrage.x25519.Identity.generate()
        return self._keep(name, str(identity.to_public()), str(identity))

    def loss(self, key: Key) -> SecretMissing | None:
        """What to tell people when a key's secret half was here and is gone; None when all is well.

        It is well, too, where the public half alone was ever here: such a machine backs up, and does not
        restore. Raises `SecretsError` when the keyring cannot be asked.
        """
        if not key.has_identity or self._secrets.find(_secret(key.recipient)) is not None:
            return None
        what = f"The secret half of the key {key.name!r} is not in {self._secrets.title} (any more)"
        if key.exported_at is not None:
            message = f"{what}: this machine cannot restore what is encrypted to it."
            remedy = "Import it from its exported file: `strongroom keys import FILE`."
        else:
            message = (
                f"{what}, and it was never exported: nobody may be able to restore what is encrypted to it."
            )
            remedy = (
                "Bring the keyring back from a copy, if there is one. Else make another key, "
                "`strongroom keys new NAME`, let the jobs use it, and export it."
            )
        return SecretMissing(message, remedy=f"{remedy} {self._secrets.elsewhere()}".strip())

    def identities(self, recipients: Collection[str] | None = None) -> Identities:
        """The secret halves ("AGE-SECRET-KEY-1..."), of these recipients alone when they are given.

        One that the keyring has lost is left out: another may do. Raises `SecretsError` when the keyring
        cannot be asked.
        """
        found = []
        for key in self._store.keys.list():
            if key.has_identity and (recipients is None or key.recipient in recipients):
                with contextlib.suppress(SecretMissing):
                    found.append(self._secrets.get(_secret(key.recipient)))
        return found

    def export(self, name: str) -> str:
        """The key as an age identity file, with this installation's signing key as a comment.

        Whoever has the text can restore. Raises `NotFound`, `UsageError` for a key whose public half
        alone is here, and `SecretsError`.
        """
        key = self.get(name)
        if not key.has_identity:
            raise UsageError(
                f"Only the public half of the key {name!r} is here.",
                remedy="Export it on the machine that made it.",
            )
        identity = self._secrets.get(_secret(key.recipient))
        lines = [
            f"# Strongroom key: {key.name}",
            f"# created: {iso(key.created_at)}",
            f"# public key: {key.recipient}",
            f"# signed by ed25519 {self.signer().public_key}",
            identity,
        ]
        self._store.keys.mark_exported(key.id)
        return "\n".join(lines) + "\n"

    def import_(self, text: str, name: str | None = None) -> Imported:
        """Take over a key from an age identity file, or its public half ("age1...") alone.

        The name is the given one, else the file's own, else `default` when there is no such key yet. A
        signing key that the file names is trusted. A key that is here already gets its secret half if
        it had none. Raises `UsageError` for a text that is no such file, or a name that is taken by
        another key.
        """
        recipient, identity = _read_key(text)
        signers = self._signers_of(text)
        known = next((key for key in self.list() if key.recipient == recipient), None)
        if known is None:
            name = name or _name_of(text) or DEFAULT
            self._refuse_name(name)
            key = self._keep(name, recipient, identity)
        elif identity is not None and not known.has_identity:
            self._secrets.set(_secret(recipient), identity)
            key = self._store.keys.save(_with_identity(known))
        else:
            if identity is not None:
                self._secrets.set(_secret(recipient), identity)  # the keyring may have lost it
            key = known
        for public_key in signers:
            self._store.signers.add(public_key, f"the installation that exported {key.name}")
        return Imported(
            key=key,
            created=known is None,
            identity_added=identity is not None and not (known is not None and known.has_identity),
            trusted=signers,
        )

    # -- the signing key -----------------------------------------------------------------------------

    def signer(self) -> Signer:
        """This installation's signing key; made when there is none yet. Raises `SecretsError`.

        One that the keyring has lost is replaced. The lost one's public half stays trusted, so that
        what it signed still counts.
        """
        with self._lock:
            if self._signer is None:
                self._signer = self._find_signer() or self._make_signer()
            return self._signer

    def lost_signer(self) -> str:
        """The public half of this installation's signing key if its secret half is gone, else "".

        Raises `SecretsError`.
        """
        public_key = self._store.settings.get(PUBLIC_SIGNING_KEY)
        if not isinstance(public_key, str) or self._secrets.find(f"{SIGNING_KEY}/{public_key}") is not None:
            return ""
        return public_key

    def trusted(self) -> set[str]:
        """The public signing keys (hex) that prove a backup here: our own, and those trusted explicitly."""
        own = self._store.settings.get(PUBLIC_SIGNING_KEY)
        others = {signer.public_key for signer in self._store.signers.list()}
        return others | ({own} if isinstance(own, str) else set())

    def trust(self, public_key: str, name: str = "") -> TrustedSigner:
        """Trust what another installation signs. Raises `UsageError` when that is no public key."""
        public_key = public_key.strip().lower()
        if not is_public_key(public_key):
            raise UsageError(
                "That is no public signing key.",
                remedy="It is 64 hexadecimal digits, as in the sidecars (signature.public_key) and in the "
                "files that `strongroom keys export` writes.",
            )
        return self._store.signers.add(public_key, name or "another installation")

    def _find_signer(self) -> Signer | None:
        public_key = self._store.settings.get(PUBLIC_SIGNING_KEY)
        if not isinstance(public_key, str):
            return None
        secret = self._secrets.find(f"{SIGNING_KEY}/{public_key}")
        if secret is not None:
            return Signer.from_text(secret)
        self._store.signers.add(public_key, "this installation, with a key that its keyring has lost")
        self._store.settings.delete(PUBLIC_SIGNING_KEY)
        self.replaced_signer = public_key
        return None

    def _make_signer(self) -> Signer:
        """Make the key. Of two processes that do so at once, the first to name its public half wins; its
        secret half lies in the keyring before, so that no crash leaves a name without one."""
        made = Signer.generate()
        self._secrets.set(f"{SIGNING_KEY}/{made.public_key}", made.secret_text())
        public_key = self._store.settings.set_default(PUBLIC_SIGNING_KEY, made.public_key)
        if public_key == made.public_key:
            return made
        self._secrets.delete(f"{SIGNING_KEY}/{made.public_key}")
        return Signer.from_text(self._secrets.get(f"{SIGNING_KEY}/{public_key}"))

    # -- within --------------------------------------------------------------------------------------

    def _keep(self, name: str, recipient: str, identity: str | None) -> Key:
        """The secret half first: a key that is listed can be used."""
        if identity is not None:
            self._secrets.set(_secret(recipient), identity)
        try:
            return self._store.keys.add(name, recipient, has_identity=identity is not None)
        except BaseException:
            if identity is not None:
                self._secrets.delete(_secret(recipient))
            raise

    def _refuse_name(self, name: str) -> None:
        if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            raise UsageError(
                f"A key's name is 1 to {LONGEST_NAME} printable characters, without spaces at its ends.",
                remedy="The usual one is `default`.",
            )
        if name == "none":
            raise UsageError(
                'A key cannot be called "none": in a job that word means no encryption.',
                remedy="Take another name.",
            )
        if any(key.name == name for key in self.list()):
            raise UsageError(
                f"There is a key named {name!r} already.",
                remedy="Take another name; what was encrypted to the old key needs the old key.",
            )

    def _signers_of(self, text: str) -> tuple[str, ...]:
        """The signing keys that a key file names, but for our own. Raises `UsageError` for a wrong one."""
        named = [
            match[1].lower() for line in text.splitlines() if (match := _SIGNER_LINE.match(line.strip()))
        ]
        if not all(map(is_public_key, named)):
            raise UsageError(
                "The signing key that the key file names is none.",
                remedy="Export the key again, or take that line out.",
            )
        own = self._store.settings.get(PUBLIC_SIGNING_KEY)
        return tuple(dict.fromkeys(public_key for public_key in named if public_key != own))


def _read_key(text: str) -> tuple[str, str | None]:
    """The one recipient of a key file, and its identity if that is there. No message repeats the text."""
    import pyrage

    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) != 1:
        raise UsageError(
            f"One key was expected, and there are {len(lines)} lines that are no comments.",
            remedy="Give an age identity file with one key, or a public half that begins with age1.",
        )
    try:
        if lines[0].startswith("age1"):
            return str(pyrage.x25519.Recipient.from_str(lines[0])), None
        identity = pyrage.x25519.Identity.from_str(lines[0])
    except (pyrage.IdentityError, pyrage.RecipientError, ValueError):
        raise UsageError(
            "That is no age key.",
            remedy="The secret half begins with AGE-SECRET-KEY-1, the public half with age1. A file that "
            "is itself encrypted must be decrypted first (age -d).",
        ) from None
    return str(identity.to_public()), str(identity)


def _name_of(text: str) -> str | None:
    for line in text.splitlines():
        if match := _NAME_LINE.match(line.strip()):
            return match[1].strip()
    return None


def _with_identity(key: Key) -> Key:
    return Key(key.id, key.name, key.recipient, True, key.created_at, key.exported_at)


def _secret(recipient: str) -> str:
    return f"key/{recipient}"
