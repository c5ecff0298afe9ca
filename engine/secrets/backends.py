"""Which of the library keyring's backends is used, and which are refused.

A backend that would drop secrets or keep them readable is refused, never used silently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import NoKeyring

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SECRET_SERVICE = "keyring.backends.SecretService"  # noqa: S105 - a module's name

NO_KEYRING = "There is no OS keyring here."
REMEDY = (
    "Log in to a desktop session whose keyring runs (GNOME Keyring, KWallet), or choose the vault file: "
    "set STRONGROOM_VAULT=file and STRONGROOM_VAULT_PASSPHRASE."
)


def choose() -> KeyringBackend:
    """The backend that `keyring` chooses here, unless it is no keyring at all. Raises `NoKeyring`."""
    import keyring
    from keyring.backends.chainer import ChainerBackend

    try:
        backend = keyring.get_keyring()
    except Exception as error:  # a configured backend that does not load raises anything
        raise NoKeyring(
            f"The keyring chosen by PYTHON_KEYRING_BACKEND or keyringrc.cfg does not load: {error}.",
            remedy=f"Mend that setting. {REMEDY}",
        ) from error
    if isinstance(backend, ChainerBackend):
        # Where there are several, it asks each in turn, and a write goes to whichever takes it first.
        links: list[KeyringBackend] = [link for link in backend.backends if _why_not(link) is None]
        if links:
            return min(links, key=_rank)
    why = _why_not(backend)
    if why is not None:
        late = _late()
        if late is None:
            raise NoKeyring(why, remedy=REMEDY)
        return late
    return backend


def _late() -> KeyringBackend | None:
    """A Secret Service that came up after the library had looked for one, which it does once a process.

    A window or an agent that lives for weeks must not need a restart for it. What somebody chose by
    PYTHON_KEYRING_BACKEND or keyringrc.cfg stays chosen.
    """
    from keyring import core
    from keyring.backends import SecretService

    if core.load_env() is not None or core.load_config() is not None or not SecretService.Keyring.viable:
        return None
    made: KeyringBackend = SecretService.Keyring()  # type: ignore[no-untyped-call]
    return made


def _rank(backend: KeyringBackend) -> tuple[bool, float]:
    """The Secret Service before all others, then by the library's priority.

    KWallet's priority depends on XDG_CURRENT_DESKTOP, which a window has and an agent started by systemd
    has not: both must find the same secrets. KDE's own wallet is a Secret Service, too.
    """
    return type(backend).__module__ != SECRET_SERVICE, -float(type(backend).priority)


def _why_not(backend: KeyringBackend) -> str | None:
    """Why a backend is no keyring, in words; None for a real one."""
    kind = type(backend)
    module = kind.__module__
    if module == "keyring.backends.fail":
        return NO_KEYRING
    if module == "keyring.backends.null":
        return "The keyring was disabled (keyring.backends.null throws secrets away)."
    # keyring's own line between what it recommends and what it does not: a priority of 1.
    if module.startswith("keyrings.alt") or "plaintext" in kind.__name__.lower() or kind.priority < 1:
        return f"The keyring {kind.__module__}.{kind.__name__} is not one of the system's."
    return None
