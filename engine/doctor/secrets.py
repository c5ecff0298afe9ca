"""The doctor on secrets and keys: whether they can be kept, and whether all that were kept are there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from engine.configuration.endpoints import Endpoints
from engine.configuration.keys import Keys
from engine.contract.registry import KIND_NAMES, Registry
from engine.doctor.finding import Finding, State
from engine.doctor.paths import is_there
from engine.errors import StrongroomError
from engine.home import Home
from engine.secrets import KeyringSecrets, open_secrets, passphrase_file
from engine.store.database import Store


def check_secrets(home: Home, environ: Mapping[str, str], store: Store | None) -> Iterator[Finding]:
    """Where secrets lie, and which of those that were kept are gone."""
    try:
        secrets = open_secrets(home, environ)
        where = secrets.look()
    except StrongroomError as error:
        # Where nothing is configured yet, nothing is lost yet either.
        state = State.ERROR if store is not None and _has_secrets(store) else State.WARNING
        yield Finding("secrets", state, str(error), error.remedy)
        return
    yield Finding("secrets", State.OK, where)
    yield from _passphrase_file(home, environ)
    if isinstance(secrets, KeyringSecrets) and is_there(home.vault):
        yield Finding(
            "secrets",
            State.NOTE,
            f"{home.vault} is not used, for the OS keyring is chosen",
            "If the secrets lie in that file, set STRONGROOM_VAULT=file; if they do not, delete it.",
        )
    if store is None:
        return
    scoped = secrets.scoped(store.installation_id)
    endpoints = Endpoints(home, store, scoped, Registry.load)
    for kind in KIND_NAMES:
        for endpoint in endpoints.all(kind):
            for field in endpoints.missing_secrets(endpoint):
                yield Finding(
                    "secrets",
                    State.ERROR,
                    f"the {field.replace('_', ' ')} of the {kind} {endpoint.name} is not in {scoped.title}",
                    f"Enter it again: edit the {kind}, or apply its configuration file. "
                    f"{scoped.elsewhere()}".strip(),
                )


def _passphrase_file(home: Home, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with where the vault's passphrase lies."""
    path = passphrase_file(environ)
    if path is None:
        return
    # The group may read it: systemd's credentials show so, by their access-control list.
    if os.name == "posix" and path.stat().st_mode & 0o007:
        yield Finding(
            "secrets",
            State.WARNING,
            f"every user of this machine may read the passphrase in {path}",
            f"`chmod 600 {path}` closes it.",
        )
    if path.resolve().is_relative_to(home.root.resolve()):
        yield Finding(
            "secrets",
            State.WARNING,
            f"the passphrase in {path} lies beside the vault that it opens: a copy of the folder holds both",
            "Move it elsewhere, and change STRONGROOM_VAULT_PASSPHRASE_FILE.",
        )


def check_keys(home: Home, environ: Mapping[str, str], store: Store) -> Iterator[Finding]:
    """What the jobs' keys lack, and which keys this machine could not restore with."""
    keys = store.keys.list()
    needed = {job.encryption for job in store.jobs.list()} - {"none"}
    for name in sorted(needed - {key.name for key in keys}):
        yield Finding(
            "keys",
            State.ERROR,
            f"jobs use the key {name}, which is not there",
            f"`strongroom keys new {name}` makes it.",
        )
    lost = set()
    with suppress(StrongroomError):  # told under `secrets`
        secrets = open_secrets(home, environ).scoped(store.installation_id)
        ours = Keys(store, secrets)
        for key in keys:
            if (loss := ours.loss(key)) is not None:
                lost.add(key.id)
                state = State.ERROR if key.exported_at is None else State.WARNING
                yield Finding("keys", state, str(loss), loss.remedy)
        if signer := ours.lost_signer():
            yield Finding(
                "keys",
                State.WARNING,
                f"the signing key {signer} is not in {secrets.title} (any more)",
                "The next run makes a new one; what this one has signed still counts. "
                f"{secrets.elsewhere()}".strip(),
            )
    for key in keys:
        if key.id in lost:
            continue
        if key.has_identity and key.exported_at is None:
            yield Finding(
                "keys",
                State.WARNING,
                f"{key.name} was never exported: without this machine its backups cannot be read",
                f"`strongroom keys export {key.name} -o FILE`, and keep the file in a safe place.",
            )
        else:
            what = "" if key.has_identity else ", the public half alone: this machine cannot restore with it"
            yield Finding("keys", State.OK, f"{key.name}{what}")
    if not keys and not needed:
        yield Finding("keys", State.NOTE, "no key yet", "`strongroom keys new default` makes the usual one.")


def _has_secrets(store: Store) -> bool:
    return any(key.has_identity for key in store.keys.list()) or any(
        endpoint.secret_names for kind in KIND_NAMES for endpoint in store.endpoints.list(kind)
    )
