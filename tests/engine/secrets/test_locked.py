"""A real keyring on a bad day: locked, its prompt refused or left alone, hanging, dead, not there yet.

Each program is one long-lived process, as the window and the agent are: it works again without a restart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.parts.prompter import prompter
from tests.parts.secret_service import PASSWORD, Session, secret_service, session

pytestmark = pytest.mark.xdist_group("secret-service")

START = """
from engine.cancellation import CancelToken
from engine.errors import Cancelled, SecretsError
from engine.secrets import keyring, secret_service
from engine.secrets.keyring import KeyringSecrets
store = KeyringSecrets()

def tried(call):
    try:
        return f"did: {call()}"
    except (SecretsError, Cancelled) as error:
        return f"{type(error).__name__}: {error} {getattr(error, 'remedy', '')}"
"""
TURNS = """
store.set("key", "hidden-word")
print("kept")
while (word := input()) != "end":
    keyring.PATIENCE = float(word or 60)
    print(tried(lambda: store.get("key")))
"""
GOT = "did: hidden-word"


@pytest.fixture
def desktop() -> Iterator[Session]:
    """A session of the test's own, which may be locked, held or killed."""
    with secret_service() as its:
        yield its


def test_a_locked_keyring_is_told_for_every_verb_and_works_once_it_is_unlocked(
    desktop: Session,
) -> None:
    program = START + (
        "store.set('key', 'hidden-word')\n"
        "for word in iter(input, 'end'):\n"
        "    for call in (lambda: store.get('key'), lambda: store.set('key', 'hidden-word'),\n"
        "                 lambda: store.delete('another'), store.check):\n"
        "        print(tried(call))\n"
    )
    with desktop.dialogue(program) as process:
        process.say()
        assert [process.hear() for _ in range(4)] == [
            GOT,
            "did: None",
            "did: None",
            "did: the OS keyring (SecretService Keyring)",
        ]
        desktop.lock()
        process.say()
        for _ in range(4):
            line = process.hear()
            assert line.startswith("KeyringLocked: The keyring is locked, so Strongroom cannot"), line
            assert "Unlock it" in line and "STRONGROOM_VAULT=file" in line
            assert "hidden-word" not in line
        desktop.unlock()
        process.say()
        assert process.hear() == GOT


def test_a_session_that_begins_locked_works_once_somebody_logs_in(desktop: Session) -> None:
    desktop.run(START + "store.set('key', 'hidden-word')")
    desktop.restart_keyring(password=None)
    with desktop.dialogue(
        START + "while input() != 'end': print(tried(lambda: store.get('key')))"
    ) as process:
        process.say()
        assert process.hear().startswith("KeyringLocked: The keyring is locked")
        desktop.unlock()
        process.say()
        assert process.hear() == GOT


def test_a_prompt_that_is_answered_lets_the_call_through(desktop: Session) -> None:
    with desktop.dialogue(START + TURNS) as process, prompter(desktop.address, PASSWORD) as person:
        assert process.hear() == "kept"
        desktop.lock()
        process.say()
        assert process.hear() == GOT
        assert person.prompts == 1


def test_one_refusal_counts_for_a_moment_and_then_the_person_is_asked_again(desktop: Session) -> None:
    program = START + (
        "secret_service.QUIET = 30.0\n"
        "store.set('key', 'hidden-word')\n"
        "for word in iter(input, 'end'):\n"
        "    if word == 'later': secret_service.QUIET = 0.0\n"
        "    print(tried(lambda: store.get('key')))\n"
    )
    with desktop.dialogue(program) as process, prompter(desktop.address, password=None) as person:
        process.say()
        assert process.hear() == GOT
        desktop.lock()
        for word, prompts in (("now", 1), ("at once", 1), ("later", 2)):
            process.say(word)
            assert process.hear().startswith("KeyringLocked: The keyring is locked")
            assert person.prompts == prompts
        desktop.unlock()
        process.say("now")
        assert process.hear() == GOT, "who was refused still looks whether it is open by now"


def test_a_prompt_that_nobody_answers_is_not_waited_for_without_an_end(desktop: Session) -> None:
    with (
        desktop.dialogue(START + TURNS) as process,
        prompter(desktop.address, silent=True) as person,
    ):
        assert process.hear() == "kept"
        desktop.lock()
        process.say("2")
        line = process.hear()
        assert line.startswith("KeyringLocked: The keyring has not answered for 2 s"), line
        assert "waits for its password" in line and "Unlock it" in line
        assert person.prompts == 1
        desktop.unlock()
        process.say()
        assert process.hear() == GOT


def test_a_cancel_ends_the_wait_for_a_prompt(desktop: Session) -> None:
    program = START + (
        "import threading, time\n"
        "store.set('key', 'hidden-word')\n"
        "print('kept')\n"
        "input()\n"
        "token = CancelToken()\n"
        "ctrl_c = lambda: (input(), token.cancel('somebody pressed Ctrl-C'))\n"
        "threading.Thread(target=ctrl_c, daemon=True).start()\n"
        "print(tried(lambda: store.scoped('a').until(token).get('key')))\n"
    )
    with desktop.dialogue(program) as process, prompter(desktop.address, silent=True) as person:
        assert process.hear() == "kept"
        desktop.lock()
        process.say()
        assert person.asked.wait(30)
        begun = time.monotonic()
        process.say()
        assert process.hear().startswith("Cancelled: somebody pressed Ctrl-C")
        assert time.monotonic() - begun < 1


def test_a_keyring_that_hangs_is_not_waited_for_without_an_end(desktop: Session) -> None:
    with desktop.dialogue(START + TURNS) as process:
        assert process.hear() == "kept"
        with desktop.held():
            process.say("0.5")
            assert process.hear().startswith("KeyringLocked: The keyring has not answered")
        process.say()
        assert process.hear() == GOT


def test_a_keyring_that_dies_is_told_and_works_again_when_it_is_back(desktop: Session) -> None:
    with desktop.dialogue(START + TURNS) as process:
        assert process.hear() == "kept"
        desktop.stop_keyring()
        process.say()
        line = process.hear()
        assert line.startswith("NoKeyring: The service of the OS keyring is gone"), line
        assert "STRONGROOM_VAULT=file" in line
        desktop.start_keyring()
        process.say()
        assert process.hear() == GOT


def test_a_keyring_that_comes_up_later_is_found_without_a_restart() -> None:
    with (
        session() as desktop,
        desktop.dialogue(START + "while input() != 'end': print(tried(store.check))") as process,
    ):
        process.say()
        line = process.hear()
        assert line.startswith("NoKeyring: There is no OS keyring here."), line
        assert "STRONGROOM_VAULT=file" in line
        desktop.start_keyring()
        process.say()
        assert process.hear() == "did: the OS keyring (SecretService Keyring)"


def test_a_secret_service_without_any_keyring_makes_one_or_says_so() -> None:
    with session() as desktop:
        desktop.start_keyring(password=None)
        with desktop.dialogue(START + "while input() != 'end': print(tried(store.check))") as process:
            process.say()
            line = process.hear()
            assert line.startswith("NoKeyring: The Secret Service has no keyring yet"), line
            assert "STRONGROOM_VAULT=file" in line
        with prompter(desktop.address, "new password"):
            printed = desktop.run(START + "print(tried(store.check))")
        assert printed == "did: the OS keyring (SecretService Keyring)"
