"""What the command line says: one document or words for people, and the exit codes of the contract."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from engine.cli.output import Column, ExitCode, Output, exit_code_of, with_output
from engine.errors import Cancelled, ConfigError, CouldNotVerify, NotFound, StorageFull
from engine.events import Status


def ended_by(error: BaseException, *arguments: str) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a command that raises `error`."""

    @click.command()
    @with_output
    def command(out: Output) -> None:
        out.log("on the way")
        raise error

    def run() -> None:
        raise SystemExit(command.main(list(arguments), standalone_mode=False))

    result = CliRunner().invoke(click.Command("outer", callback=run))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("error", "code", "kind", "message"),
    [
        (StorageFull("The disk is full."), 1, "StorageFull", "The disk is full."),
        (NotFound("There is no job 'x'."), 2, "NotFound", "There is no job 'x'."),
        (
            ConfigError("this is wrong", file="a.toml", line=3, field="job"),
            2,
            "ConfigError",
            "a.toml:3: job: this",
        ),
        (CouldNotVerify("neither"), 5, "CouldNotVerify", "neither"),
        (Cancelled("nothing was deleted"), 4, "Cancelled", "Cancelled: nothing was deleted."),
        (Cancelled("cancelled"), 4, "Cancelled", "Cancelled."),
        (KeyboardInterrupt(), 4, "Cancelled", "Cancelled."),
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError", "Something unexpected went wrong: by zero"),
    ],
)
def test_an_error_is_one_document_with_its_exit_code(
    error: BaseException, code: int, kind: str, message: str
) -> None:
    status, stdout, stderr = ended_by(error, "--json")
    told = json.loads(stdout)["error"]
    assert status == code
    assert told["kind"] == kind
    assert told["message"].startswith(message)
    assert isinstance(told["remedy"], str)
    assert "on the way" in stderr
    assert "Traceback" not in stderr


def test_an_error_is_told_to_people_with_its_remedy() -> None:
    status, stdout, stderr = ended_by(StorageFull("The disk is full.", remedy="Make room."))
    assert status == 1
    assert stdout == "on the way\n"
    assert stderr == "strongroom: The disk is full.\n  Make room.\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "Cancelled.\n"),
        (Cancelled("nothing was deleted"), "Cancelled: nothing was deleted.\n"),
    ],
)
def test_a_cancel_is_one_plain_sentence(error: BaseException, said: str) -> None:
    assert ended_by(error) == (4, "on the way\n", said)


def test_no_control_character_reaches_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What a tool or a hook has printed: a backspace could hide what stands before it."""
    every = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x2028, 0x202E, 0xFEFF]))
    out = Output()
    out.line(f"a{every}b", color="red")
    out.log(f"a{every}b")
    out.warn(f"a{every}b")
    out.table(["x"], [[f"a{every}b"]], empty="")
    out.error(Cancelled(f"a{every}b"))
    told = "".join(capsys.readouterr())
    assert {char for char in told if not char.isprintable()} == {"\n"}


def test_the_place_of_a_configuration_error_stands_in_fields_too() -> None:
    _, stdout, _ = ended_by(ConfigError("wrong", file="a.toml", line=3, field="job[x].source"), "--json")
    told = json.loads(stdout)["error"]
    assert (told["file"], told["line"], told["field"]) == ("a.toml", 3, "job[x].source")


def test_a_traceback_is_shown_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_DEBUG", "1")
    status, stdout, stderr = ended_by(ZeroDivisionError("by zero"), "--json")
    assert status == 1
    assert json.loads(stdout)["error"]["kind"] == "ZeroDivisionError"
    assert "Traceback" in stderr
    monkeypatch.delenv("STRONGROOM_DEBUG")
    assert "Traceback" not in ended_by(ZeroDivisionError("by zero"))[2]


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.SUCCESS, 0), (Status.FAILED, 1), (Status.PARTIAL, 3), (Status.CANCELLED, 4)],
)
def test_the_exit_code_of_a_status(status: Status, code: int) -> None:
    assert exit_code_of(status) == code


def spoken(speak: Callable[[Output], object], *, as_json: bool = False) -> str:
    def run() -> None:
        speak(Output(json=as_json))

    result = CliRunner().invoke(click.Command("outer", callback=run))
    assert result.exception is None, result.exception
    return result.stdout


def test_a_table_is_aligned_and_never_cut_where_nobody_looks() -> None:
    rows = [["short", 7, "x" * 300], ["a much longer name", 1234, "[red]not markup[/red] :smile:"]]
    lines = spoken(
        lambda out: out.table(["Name", Column("Size", right=True), "Note"], rows, empty="-")
    ).splitlines()
    assert lines[0].split() == ["Name", "Size", "Note"]
    assert lines[1] == f"{'short':<18}  {7:>4}  {'x' * 300}"
    assert lines[2] == "a much longer name  1234  [red]not markup[/red] :smile:"
    assert len(lines) == 3


def test_an_empty_table_says_so() -> None:
    assert (
        spoken(lambda out: out.table(["Name"], [], empty="There is no job yet.")) == "There is no job yet.\n"
    )


def test_what_others_wrote_cannot_play_with_the_terminal() -> None:
    text = spoken(lambda out: out.line("evil \x1b[2Jname\r\u202egnp.exe\x07\tend"))
    assert text == "evil \ufffd[2Jname\ufffd\ufffdgnp.exe\ufffd end\n"
    row = spoken(lambda out: out.table(["Name"], [["evil \x1b[31mred"]], empty="-"))
    assert "\x1b" not in row


def test_people_get_no_document_and_scripts_no_words() -> None:
    def speak(out: Output) -> None:
        out.line("for people")
        out.table(["Name"], [["x"]], empty="-")
        out.document({"name": "Größe 🗄"})

    assert json.loads(spoken(speak, as_json=True)) == {"name": "Größe 🗄"}
    assert "Größe" in spoken(speak, as_json=True), "readable, not escaped"
    assert spoken(speak) == "for people\nName\nx\n"


def test_a_second_document_is_a_fault_of_the_program() -> None:
    out = Output(json=True)
    with CliRunner().isolation():
        out.document([])
        with pytest.raises(RuntimeError):
            out.document([])


def test_an_exit_code_is_a_number_of_the_contract() -> None:
    assert {code.value for code in ExitCode} == {0, 1, 2, 3, 4, 5}
