"""age files that Debian's own age reads and writes; errors that say what happened, never a secret."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from engine.cancellation import CancelToken
from engine.errors import Cancelled, ConfigError, KeyMissing, StreamError
from engine.streams.encryption import decrypt, decrypt_bytes, encrypt, encrypt_bytes
from tests.engine.streams.samples import (
    IDENTITY,
    OTHER_IDENTITY,
    OTHER_RECIPIENT,
    RECIPIENT,
    joined,
    mixed,
    pieces,
)
from tests.parts.programs import required_program

PLAIN = mixed(1_500_000)


def key_file(folder: Path) -> Path:
    path = folder / "key.txt"
    path.write_text(f"# a key\n{IDENTITY}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("chunk", [1 << 20, 65_536, 777])
def test_debians_age_reads_what_is_written(chunk: int, tmp_path: Path) -> None:
    age = required_program("age", package="age")
    written = joined(encrypt(pieces(PLAIN, chunk), [RECIPIENT]))
    ended = subprocess.run(
        [age, "-d", "-i", str(key_file(tmp_path))], input=written, capture_output=True, check=True
    )
    assert ended.stdout == PLAIN


@pytest.mark.parametrize("chunk", [1 << 20, 65_536, 777])
def test_what_debians_age_wrote_is_read(chunk: int) -> None:
    age = required_program("age", package="age")
    written = subprocess.run([age, "-r", RECIPIENT], input=PLAIN, capture_output=True, check=True).stdout
    assert joined(decrypt(pieces(written, chunk), [IDENTITY])) == PLAIN


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072])
def test_sizes_around_ages_own_chunks_come_back(size: int) -> None:
    written = encrypt_bytes(PLAIN[:size], [RECIPIENT])
    assert PLAIN[:64] not in written
    assert decrypt_bytes(written, [IDENTITY]) == PLAIN[:size]


def test_each_of_several_recipients_opens_it() -> None:
    written = encrypt_bytes(b"secret", [RECIPIENT, OTHER_RECIPIENT])
    assert decrypt_bytes(written, [IDENTITY]) == b"secret"
    assert decrypt_bytes(written, [OTHER_IDENTITY]) == b"secret"


def test_any_of_several_identities_opens_it() -> None:
    assert decrypt_bytes(encrypt_bytes(b"secret", [RECIPIENT]), [OTHER_IDENTITY, IDENTITY]) == b"secret"


@pytest.mark.parametrize("identities", [[], [OTHER_IDENTITY]])
def test_without_the_right_key_it_says_so(identities: list[str]) -> None:
    with pytest.raises(KeyMissing) as raised:
        decrypt_bytes(encrypt_bytes(b"secret", [RECIPIENT]), identities)
    assert "keys import" in raised.value.remedy


def test_a_damaged_identity_is_never_shown() -> None:
    damaged = IDENTITY[:-4] + "AAAA"
    with pytest.raises(KeyMissing) as raised:
        decrypt_bytes(encrypt_bytes(b"x", [RECIPIENT]), [damaged])
    assert raised.value.__cause__ is None
    shown = repr(raised.value) + str(raised.value) + raised.value.remedy
    assert damaged[20:40] not in shown


@pytest.mark.parametrize("recipients", [[], ["age1nonsense"], [RECIPIENT, ""]])
def test_a_recipient_that_is_none_is_a_wrong_configuration(recipients: list[str]) -> None:
    with pytest.raises(ConfigError):
        encrypt(iter([b"x"]), recipients)


def test_a_file_that_is_cut_anywhere_is_refused() -> None:
    written = encrypt_bytes(PLAIN[:200_000], [RECIPIENT])
    cuts = {*range(0, len(written), 7919), 1, 65_536 * 2, len(written) - 1, len(written) - 16}
    # The places where one of age's chunks ends are those where a reader could take it for the end.
    body = len(written) - 200_000 - 16 * 4
    cuts |= {body + (65_536 + 16) * number for number in range(1, 4)}
    for cut in cuts:
        with pytest.raises(StreamError):
            joined(decrypt([written[:cut]], [IDENTITY]))


def test_what_follows_the_end_is_refused() -> None:
    with pytest.raises(StreamError):
        decrypt_bytes(encrypt_bytes(PLAIN, [RECIPIENT]) + b"x", [IDENTITY])


def test_what_is_no_age_file_is_refused() -> None:
    with pytest.raises(StreamError):
        decrypt_bytes(PLAIN, [IDENTITY])


class _Broken(Exception):
    """Raised by what is being encrypted; it must arrive as it is."""


@pytest.mark.parametrize("way", ["encrypt", "decrypt"])
@pytest.mark.parametrize("good", [0, 1, 1_000_000])
def test_the_original_error_of_the_input_is_raised(way: str, good: int) -> None:
    error = _Broken("the dump broke")
    whole = PLAIN if way == "encrypt" else encrypt_bytes(PLAIN, [RECIPIENT])

    def broken() -> Iterator[bytes]:
        yield whole[:good]
        raise error

    with pytest.raises(_Broken) as raised:
        joined(encrypt(broken(), [RECIPIENT]) if way == "encrypt" else decrypt(broken(), [IDENTITY]))
    assert raised.value is error


def test_an_error_of_the_library_itself_is_a_stream_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(source: object, sink: object, recipients: object) -> None:
        raise pyrage.EncryptError("a fault")

    monkeypatch.setattr(pyrage, "encrypt_io", fails)
    with pytest.raises(StreamError, match="encryption failed"):
        encrypt_bytes(b"x", [RECIPIENT])


@pytest.mark.parametrize("way", ["encrypt", "decrypt"])
def test_leaving_early_ends_the_thread(way: str) -> None:
    endless = pieces(encrypt_bytes(mixed(12_000_000), [RECIPIENT]), 1 << 16)
    stream = encrypt(endless, [RECIPIENT]) if way == "encrypt" else decrypt(endless, [IDENTITY])
    assert next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("age-")]


def test_a_cancel_wakes_whoever_waits_for_the_next_piece() -> None:
    cancel, reached, over = CancelToken(), threading.Event(), threading.Event()

    def stalled() -> Iterator[bytes]:
        yield PLAIN
        reached.set()
        over.wait(60)

    with cancel.calling(over.set):
        threading.Thread(target=lambda: reached.wait(60) and cancel.cancel("stop")).start()
        with pytest.raises(Cancelled, match="stop"):
            joined(encrypt(stalled(), [RECIPIENT], cancel))
