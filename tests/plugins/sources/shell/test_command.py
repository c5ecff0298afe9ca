"""The command source: what counts as a backup, what is said, and whom the environment reaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import strongroom
from engine.contract.config import build
from engine.errors import ConfigError
from plugins.sources.command import Command
from plugins.sources.shell.answers import first_word
from plugins.sources.shell.running import parsed_environment
from strongroom import BackupFacts, LogLevel, TargetState
from strongroom.testing.laboratory import Surroundings

SECRET = "pä$$ 'w\"ord`"
FACTS = BackupFacts("thing", "command", "", "", "dump", 1)

Open = Callable[..., Command]


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


@pytest.fixture
def source(around: Surroundings) -> Open:
    def opened(dump: str = "echo hello", **values: object) -> Command:
        config = build(Command.Config, {"database": "thing", "dump": dump, **values})
        return Command(config, around.context)

    return opened


def printed(source: Command) -> bytes:
    with source.dump(source.config.database) as dump:
        return b"".join(dump)


# --------------------------------------------------------------------------------- what is a backup


def test_what_a_command_prints_is_the_backup(source: Open) -> None:
    assert printed(source("printf '%s' \"$STRONGROOM_DATABASE\"")) == b"thing"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("echo half; exit 3", strongroom.ToolFailed),
        ("true", strongroom.DumpIncomplete),
        ("echo half; kill -9 $$", strongroom.ToolFailed),
        ("no-such-tool --all", strongroom.ToolMissing),
        ("false | cat; echo more", strongroom.DumpIncomplete),
    ],
)
def test_a_dump_that_failed_or_said_nothing_is_none(
    source: Open, line: str, kind: type[strongroom.SourceError]
) -> None:
    with pytest.raises(kind) as caught:
        printed(source(line, end_mark="the end"))
    assert caught.value.remedy


def test_a_pipe_fails_with_its_first_part_under_bash_alone(source: Open) -> None:
    line = "{ echo half; exit 3; } | cat"
    with pytest.raises(strongroom.ToolFailed, match="exit status 3"):
        printed(source(line))
    by_sh = {"shell": "sh"}
    assert printed(source(line, **by_sh)) == b"half\n"
    assert any("sh runs the commands" in note for note in source(line, **by_sh).check().notes)
    assert not any("sh runs the commands" in note for note in source(line).check().notes)


def test_the_end_mark_stands_in_the_last_bytes(source: Open) -> None:
    assert printed(source("echo data; echo '-- the end ü'", end_mark="-- the end ü"))
    with pytest.raises(strongroom.DumpIncomplete, match="end mark is missing"):
        printed(source("echo the end; head -c 5000 /dev/zero", end_mark="the end"))


def test_what_a_failed_command_said_is_told(source: Open, around: Surroundings) -> None:
    lines: list[tuple[str, LogLevel, str]] = []
    context = around.context
    told = strongroom.Context(
        context.host,
        context.cancel,
        context.scratch,
        lambda m, level, _, more: lines.append((m, level, more)),
    )
    config = build(Command.Config, {"database": "thing", "dump": "echo no such tree >&2; exit 4"})
    with pytest.raises(strongroom.ToolFailed, match="exit status 4: no such tree"):
        printed(Command(config, told))
    assert lines == [("The dump command has failed.", LogLevel.ERROR, "no such tree")]


# --------------------------------------------------------------------------------- environment


def test_secrets_reach_the_command_and_nothing_else(source: Open) -> None:
    environment = f"# a comment\n\nTOKEN={SECRET}\nEMPTY=\n"
    found = source("printf '%s|%s' \"$TOKEN\" \"$EMPTY\"; tr '\\0' ' ' < /proc/$$/cmdline >&2",
                   environment=environment)  # fmt: skip
    assert printed(found) == f"{SECRET}|".encode()
    assert SECRET not in repr(found.config)

    told = source('echo "refused: $TOKEN" >&2; exit 5', environment=environment)
    with pytest.raises(strongroom.ToolFailed, match="refused: •••") as caught:
        printed(told)
    assert SECRET not in f"{caught.value!r} {caught.value.remedy}"


def test_our_own_environment_stays_with_us(source: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGROOM_VAULT_PASSPHRASE", "mine alone")
    assert b"mine alone" not in printed(source("env"))


def test_a_line_that_is_no_assignment_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Command.Config, {"database": "x", "dump": "x", "environment": "A=1\nhush hush"})
    assert "line 2" in caught.value.message
    assert "hush" not in str(caught.value)
    assert parsed_environment("A = b=c ") == {"A": " b=c "}


# ------------------------------------------------------------------------------------- checking


def test_a_check_reads_every_command_and_runs_none(source: Open, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    found = source(f"touch {touched}; echo hello", restore=f"cat > {touched}")
    report = found.check()
    assert any("all that was seen" in note and "tool is there" in note for note in report.notes)
    assert not touched.exists()
    for what in ("restore", "check", "fingerprint", "state", "drop"):
        with pytest.raises(strongroom.ConfigError, match=what):
            source(**{what: "if true; then"}).check()


def test_a_check_command_decides(source: Open) -> None:
    report = source(check="echo '2.5.13 of slapd'").check()
    assert (report.version, report.databases) == ("2.5.13", ("thing",))
    assert not any("all that was seen" in note for note in report.notes)
    with pytest.raises(strongroom.ToolFailed, match="The check command failed with exit status 1: not up"):
        source(check="echo not up >&2; false").check()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("slapcat -n 1", "slapcat"),
        ("LC_ALL=C  A='b c' /usr/sbin/slapcat", "/usr/sbin/slapcat"),
        ("'my tool' x", "my tool"),
        ('d=$(mktemp -d) && tool "$d"', None),
        ("( cd /x; tool )", None),
        ("$TOOL x", None),
        ("unclosed '", None),
        ("# nothing", None),
    ],
)
def test_the_first_word_is_found(line: str, word: str | None) -> None:
    assert first_word(line) == word


# ------------------------------------------------------------------------------------- restoring


def test_without_a_restore_command_a_restore_says_so(source: Open) -> None:
    for attempt in (
        lambda: source().preflight("thing", FACTS),
        lambda: source().restore("thing", [b"hello\n"]),
    ):
        with pytest.raises(strongroom.SourceError, match="no restore command") as caught:
            attempt()
        assert "strongroom fetch" in caught.value.remedy
    assert source().restore_command("thing") == "cat > thing.dump"


def test_a_restore_command_gets_the_backup(source: Open, tmp_path: Path) -> None:
    target = tmp_path / "target"
    found = source(restore=f"cat > {target}", end_mark="end")
    assert found.target_state("thing") is TargetState.FILLED
    assert "no state command" in " ".join(found.preflight("thing", FACTS))
    found.restore("thing", [b"all ", b"to the end"])
    assert target.read_bytes() == b"all to the end"


def test_a_restore_command_that_prints_much_is_not_held_up(source: Open) -> None:
    source(restore="tee /dev/stderr").restore("thing", [b"x" * (1 << 20)] * 8)


@pytest.mark.parametrize(
    ("line", "chunks", "kind", "said"),
    [
        ("cat > /dev/null; exit 6", [b"x"], strongroom.ToolFailed, "exit status 6"),
        ("head -c 10 > /dev/null", [b"x" * (1 << 20)] * 4, strongroom.ToolFailed, "before it had read"),
        ("cat > /dev/null", [], strongroom.DumpIncomplete, "no byte"),
        ("cat > /dev/null", [b"x" * 9000], strongroom.DumpIncomplete, "end mark is missing"),
    ],
)
def test_a_restore_that_was_not_whole_fails(
    source: Open, line: str, chunks: list[bytes], kind: type[Exception], said: str
) -> None:
    mark = "end" if "end mark" in said else ""
    with pytest.raises(kind, match=said):
        source(restore=line, end_mark=mark).restore("thing", chunks)


def test_half_a_backup_is_not_handed_over_as_a_whole_one(source: Open, tmp_path: Path) -> None:
    done = tmp_path / "done"
    found = source(restore=f"cat > /dev/null && touch {done}", end_mark="end")
    with pytest.raises(strongroom.DumpIncomplete):
        found.restore("thing", [b"half"])
    assert not done.exists()


def test_a_source_of_one_place_takes_no_other_name(source: Open, tmp_path: Path) -> None:
    found = source(restore="cat > /dev/null")
    for attempt in (
        lambda: found.target_state("other"),
        lambda: found.restore("other", [b"x"]),
        lambda: found.drop("other"),
    ):
        with pytest.raises(strongroom.DatabaseMissing, match="know 'thing' alone"):
            attempt()
    with pytest.raises(strongroom.CouldNotVerify, match="one place alone"):
        found.scratch_name("thing", "drill_1", tmp_path)
    with pytest.raises(strongroom.SourceError, match="no drop command"):
        found.drop("thing")
    assert found.restored_name("whatever") == "thing"


def test_elsewhere_takes_the_commands_that_it_needs() -> None:
    with pytest.raises(ConfigError, match="needs the commands restore and drop"):
        build(Command.Config, {"database": "x", "dump": "x", "restore": "x", "elsewhere": True})


def test_what_failed_elsewhere_is_dropped(source: Open, tmp_path: Path) -> None:
    at = f'{tmp_path}/"$STRONGROOM_DATABASE"'
    found = source(restore=f"cat > {at}; exit 1", drop=f"rm {at}", elsewhere=True)
    name = found.beside_name("thing", "r1")
    with pytest.raises(strongroom.ToolFailed):
        found.restore(name, [b"x"])
    assert list(tmp_path.glob("thing*")) == []


# --------------------------------------------------------------------------------------- counting


def test_counts_are_names_and_numbers(source: Open) -> None:
    found = source(fingerprint="printf 'customers\\t300\\nsum of keys -12\\n\\n'").fingerprint("thing")
    assert dict(found.tables) == {"customers": 300, "sum of keys": -12}
    assert found.words() == "300 customers"
    with pytest.raises(strongroom.ToolFailed, match="printed something else"):
        source(fingerprint="echo many").fingerprint("thing")
    with pytest.raises(strongroom.CouldNotVerify):
        source().fingerprint("thing")


@pytest.mark.parametrize("moves", [True, False])
def test_a_count_is_consistent_when_it_is_the_same_before_and_after(
    source: Open, tmp_path: Path, moves: bool
) -> None:
    rows = tmp_path / "rows"
    rows.write_text("a\n")
    line = f"cat {rows}" + (f"; echo b >> {rows}" if moves else "")
    found = source(line, fingerprint=f"echo rows $(grep -c . {rows})")
    with found.dump("thing") as dump:
        assert b"".join(dump) == b"a\n"
        counted = dump.fingerprint()
    assert counted is not None
    assert counted.consistent is not moves


def test_a_state_command_says_one_of_three_words(source: Open) -> None:
    assert source(state="echo ' Empty'").target_state("thing") is TargetState.EMPTY
    with pytest.raises(strongroom.ToolFailed, match="printed 'perhaps'"):
        source(state="echo perhaps").target_state("thing")


def test_each_run_has_a_folder_of_its_own(source: Open) -> None:
    folder = Path(printed(source('touch "$STRONGROOM_FOLDER/x" && printf %s "$STRONGROOM_FOLDER"')).decode())
    assert folder.is_absolute()
    assert not folder.exists()
