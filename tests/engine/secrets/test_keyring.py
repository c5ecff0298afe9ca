"""The OS keyring, for real: store, read, delete; absent; and backends that are no keyring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import SecretsError
from engine.secrets.keyring import KeyringSecrets
from tests.parts.secret_service import Desktop, bare_environment


def test_keeps_reads_and_deletes_in_the_secret_service(desktop: Desktop) -> None:
    printed = desktop.run("""
        from engine.errors import SecretMissing
        from engine.secrets.keyring import KeyringSecrets
        store = KeyringSecrets()
        store.set("source/shop/password", "gé heim ✓")
        print(store.get("source/shop/password"))
        store.set("source/shop/password", "another")
        print(store.get("source/shop/password"))
        store.delete("source/shop/password")
        store.delete("source/shop/password")
        try:
            store.get("source/shop/password")
        except SecretMissing as error:
            print(error)
    """)
    assert printed.splitlines() == [
        "gé heim ✓",
        "another",
        "The OS keyring holds no secret named source/shop/password.",
    ]


def test_a_secret_outlives_the_process_that_kept_it(desktop: Desktop) -> None:
    start = "from engine.secrets.keyring import KeyringSecrets; store = KeyringSecrets().scoped('a1b2')\n"
    desktop.run(start + "store.set('signing-key', 'kept')")
    assert desktop.run(start + "print(store.get('signing-key'))") == "kept"


def test_the_secret_service_holds_it_under_our_name(desktop: Desktop) -> None:
    printed = desktop.run("""
        from contextlib import closing
        import secretstorage
        from engine.secrets.keyring import KeyringSecrets
        KeyringSecrets().set("where", "seen from outside")
        with closing(secretstorage.dbus_init()) as connection:
            (item,) = secretstorage.search_items(connection, {"service": "strongroom", "username": "where"})
            print(item.get_secret().decode())
    """)
    assert printed == "seen from outside"


def test_the_check_names_the_keyring_and_leaves_nothing(desktop: Desktop) -> None:
    printed = desktop.run("""
        from contextlib import closing
        import secretstorage
        from engine.secrets.keyring import KeyringSecrets
        with closing(secretstorage.dbus_init()) as connection:
            ours = lambda: len(list(secretstorage.search_items(connection, {"service": "strongroom"})))
            before = ours()
            print(KeyringSecrets().check())
            print(ours() - before)
    """)
    assert printed.splitlines() == ["the OS keyring (SecretService Keyring)", "0"]


def test_without_any_keyring_it_is_refused_with_the_way_out(tmp_path: Path) -> None:
    printed = Desktop(bare_environment(tmp_path)).run("""
        from engine.errors import NoKeyring
        from engine.secrets.keyring import KeyringSecrets
        store = KeyringSecrets()
        for call in (
            lambda: store.get("k"),
            lambda: store.set("k", "v"),
            lambda: store.delete("k"),
            lambda: store.check(),
        ):
            try:
                print("no error:", call())
            except NoKeyring as error:
                print(error, error.remedy)
    """)
    lines = printed.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert line.startswith("There is no OS keyring here.")
        assert "STRONGROOM_VAULT=file" in line


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("keyring.backends.null.Keyring", "throws secrets away"),
        ("keyring.backends.fail.Keyring", "no OS keyring here"),
        ("loose_backends.PlaintextKeyring", "loose_backends.PlaintextKeyring is not one of the system's"),
        ("loose_backends.Lowly", "loose_backends.Lowly is not one of the system's"),
        ("loose_backends.NotThere", "does not load"),
        ("no_such_module.Keyring", "does not load"),
    ],
)
def test_a_backend_that_is_no_keyring_is_refused(tmp_path: Path, backend: str, said: str) -> None:
    (tmp_path / "loose_backends.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class PlaintextKeyring(KeyringBackend):\n"
        "    priority = 9\n"
        "    def get_password(self, service, username): return None\n"
        "    def set_password(self, service, username, password): open('leak', 'w').write(password)\n"
        "class Lowly(PlaintextKeyring):\n"
        "    priority = 0.5\n"
    )
    printed = Desktop(bare_environment(tmp_path)).run(
        """
        from engine.errors import NoKeyring
        from engine.secrets.keyring import KeyringSecrets
        try:
            KeyringSecrets().set("key", "hidden-word")
        except NoKeyring as error:
            print(error, error.remedy)
        """,
        PYTHON_KEYRING_BACKEND=backend,
        PYTHONPATH=str(tmp_path),
    )
    assert said in printed
    assert "STRONGROOM_VAULT=file" in printed
    assert "hidden-word" not in printed


LOOSE = """
from keyring.backend import KeyringBackend
class Keyring(KeyringBackend):
    priority = 5
    name = "loose"
    kept = {}
    def get_password(self, service, username): return self.kept.get(username)
    def set_password(self, service, username, password): ...
    def delete_password(self, service, username): self.kept.pop(username, None)
"""
"""A keyring of a third party, with a fault to be filled in."""


@pytest.mark.parametrize(
    "fault",
    ["pass", "self.kept[username] = password.strip()", "self.kept[username] = password[:20]"],
    ids=["forgets", "strips", "cuts"],
)
def test_a_keyring_that_forgets_or_alters_is_told_when_it_is_given_a_secret(
    tmp_path: Path, fault: str
) -> None:
    (tmp_path / "loose.py").write_text(LOOSE.replace("...", fault))
    printed = Desktop(bare_environment(tmp_path)).run(
        """
        import loose
        from engine.errors import NoKeyring
        from engine.secrets.keyring import KeyringSecrets
        store = KeyringSecrets()
        for call in (lambda: store.set("key", "hidden-word of some length "), store.check):
            try:
                print("no error:", call())
            except NoKeyring as error:
                print(error, error.remedy)
        print(loose.Keyring.kept)
        """,
        PYTHON_KEYRING_BACKEND="loose.Keyring",
        PYTHONPATH=str(tmp_path),
    )
    lines = printed.splitlines()
    for line in lines[:2]:
        assert line.startswith("The keyring loose does not keep what it is given"), line
        assert "STRONGROOM_VAULT=file" in line
    assert lines[2] == "{}", "what it kept wrongly was taken back"
    assert "hidden-word" not in printed


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        # What keyring's KWallet backend raises when somebody presses Cancel.
        ("PasswordSetError('Cancelled by user')", "KeyringLocked The keyring is locked"),
        ("KeyringLocked('hidden-word')", "KeyringLocked The keyring is locked"),
        ("PasswordSetError('hidden-word')", "SecretsError The OS keyring failed (PasswordSetError)"),
        ("RuntimeError('hidden-word')", "SecretsError The OS keyring failed (RuntimeError)"),
        ("NoKeyringError('hidden-word')", "NoKeyring The service of the OS keyring is gone"),
    ],
)
def test_what_a_backend_raises_is_told_in_our_words(tmp_path: Path, raised: str, said: str) -> None:
    (tmp_path / "loose.py").write_text(
        "from keyring.errors import *\n" + LOOSE.replace("...", f"raise {raised}")
    )
    printed = Desktop(bare_environment(tmp_path)).run(
        """
        from engine.errors import SecretsError
        from engine.secrets.keyring import KeyringSecrets
        try:
            KeyringSecrets().set("key", "hidden-word")
        except SecretsError as error:
            print(type(error).__name__, error, error.remedy)
        """,
        PYTHON_KEYRING_BACKEND="loose.Keyring",
        PYTHONPATH=str(tmp_path),
    )
    assert printed.startswith(said)
    assert "hidden-word" not in printed


def test_of_several_keyrings_the_secret_service_is_the_one_wherever_we_run(
    desktop: Desktop, tmp_path: Path
) -> None:
    # Under KDE its wallet comes before the Secret Service, elsewhere behind it; a readable file never counts.
    (tmp_path / "loose.py").write_text(
        LOOSE.replace("priority = 5", "priority = 5.1").replace("class Keyring", "class Wallet")
        + LOOSE.replace("priority = 5", "priority = 9").replace("class Keyring", "class PlaintextKeyring")
    )
    printed = desktop.run(
        """
        import keyring
        import loose
        from engine.secrets.keyring import KeyringSecrets
        print(keyring.get_keyring().name, [type(its).__name__ for its in keyring.get_keyring().backends])
        print(KeyringSecrets().check())
        """,
        PYTHONPATH=str(tmp_path),
    )
    assert printed.splitlines() == [
        "chainer ChainerBackend ['PlaintextKeyring', 'Wallet', 'Keyring']",
        "the OS keyring (SecretService Keyring)",
    ]


def test_an_empty_secret_is_refused_before_any_keyring_is_asked() -> None:
    with pytest.raises(SecretsError, match="empty"):
        KeyringSecrets().set("key", "")


def test_the_keyring_library_is_not_loaded_before_it_is_needed() -> None:
    program = (
        "import sys; from pathlib import Path; from engine.home import Home; "
        "from engine.secrets import open_secrets; "
        "open_secrets(Home(Path('x')), {}); open_secrets(Home(Path('x')), {'STRONGROOM_VAULT': 'file'}); "
        "print(sorted({'keyring', 'cryptography', 'filelock'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
