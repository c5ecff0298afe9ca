"""The OS keyring, for real: store, read, delete; locked; absent; and backends that are no keyring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import SecretsError
from engine.secrets.keyring import KeyringSecrets
from tests.parts.secret_service import Desktop, bare_environment, secret_service


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


def test_a_locked_keyring_is_told_as_locked_for_every_verb() -> None:
    # Its prompter needs a screen; without one the prompt counts as dismissed.
    with secret_service() as desktop:
        printed = desktop.run("""
            from contextlib import closing
            import secretstorage
            from engine.errors import KeyringLocked
            from engine.secrets.keyring import KeyringSecrets
            store = KeyringSecrets()
            store.set("key", "hidden-word")
            with closing(secretstorage.dbus_init()) as connection:
                secretstorage.get_default_collection(connection).lock()
            for call in (
                lambda: store.get("key"),
                lambda: store.set("key", "hidden-word"),
                lambda: store.delete("key"),
                lambda: store.check(),
            ):
                try:
                    print("no error:", call())
                except KeyringLocked as error:
                    print(type(error).__name__, error, error.remedy)
        """)
    lines = printed.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert line.startswith("KeyringLocked The keyring is locked")
        assert "Unlock it" in line
        assert "hidden-word" not in line


def test_a_service_that_goes_away_between_two_calls_is_told(desktop: Desktop) -> None:
    printed = desktop.run("""
        import os
        from engine.errors import SecretsError
        from engine.secrets.keyring import KeyringSecrets
        store = KeyringSecrets()
        store.set("key", "hidden-word")
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nowhere/bus"
        for call in (lambda: store.get("key"), lambda: store.set("key", "hidden-word")):
            try:
                print("no error:", call())
            except SecretsError as error:
                print(type(error).__name__, error, error.remedy)
    """)
    lines = printed.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("SecretsError Strongroom cannot")
        assert "hidden-word" not in line


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


def test_a_keyring_that_forgets_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "forgetful.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 5\n"
        "    def get_password(self, service, username): return None\n"
        "    def set_password(self, service, username, password): pass\n"
    )
    printed = Desktop(bare_environment(tmp_path)).run(
        """
        from engine.errors import NoKeyring
        from engine.secrets.keyring import KeyringSecrets
        try:
            KeyringSecrets().check()
        except NoKeyring as error:
            print(error)
        """,
        PYTHON_KEYRING_BACKEND="forgetful.Keyring",
        PYTHONPATH=str(tmp_path),
    )
    assert "does not keep what it is given" in printed


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
