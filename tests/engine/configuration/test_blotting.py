"""No secret of a configuration comes out in what its adapter says, whatever repeats it, and however."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from engine.configuration.blotting import Blotter
from engine.errors import StorageError, StrongroomError
from engine.events import LogLevel, LogType
from engine.workspace import Workspace
from tests.parts.faulty import FaultyFolder

SECRET = "s3cret/ü \"and\" 'more'\\+&"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"https://me:{quote(SECRET, safe='')}@host/",
        f"https://host/{quote(SECRET)}/path",
        f"token={quote_plus(SECRET)}&x=y",
        json.dumps({"password": SECRET}),
        json.dumps({"password": SECRET}, ensure_ascii=False),
        repr({"password": SECRET}),
    ],
)
def test_each_way_to_write_it_is_blotted_out(text: str) -> None:
    cleaned = Blotter([SECRET]).clean(f"before {text} after")
    assert "s3cret" not in cleaned and "more" not in cleaned
    assert cleaned.startswith("before ") and cleaned.endswith(" after") and "•••" in cleaned


def test_a_secret_that_is_part_of_another_leaves_no_rest() -> None:
    assert Blotter(["abcd", "abcd-efgh"]).clean("it was abcd-efgh, not abcd") == "it was •••, not •••"


def test_a_short_secret_is_not_looked_for_in_ordinary_words() -> None:
    assert Blotter(["the", ""]).clean("the other") == "the other"


def test_an_error_is_cleaned_with_those_that_it_came_from() -> None:
    with pytest.raises(StorageError) as caught, Blotter([SECRET]).errors():
        try:
            raise ValueError(f"400: {SECRET}", 7)
        except ValueError as error:
            raise StorageError(f"It said {SECRET}.", remedy=f"Not {SECRET}.", transient=True) from error
    error, cause = caught.value, caught.value.__cause__
    assert (str(error), error.message, error.remedy) == ("It said •••.", "It said •••.", "Not •••.")
    assert (error.transient, error.args) == (True, ("It said •••.",))
    assert cause is not None and cause.args == ("400: •••", 7)


def test_what_an_adapter_logs_is_cleaned() -> None:
    lines = []
    Blotter([SECRET]).log(lambda *line: lines.append(line))(
        f"sent {SECRET}", LogLevel.INFO, LogType.STORAGE, f"as {SECRET}"
    )
    assert lines == [("sent •••", LogLevel.INFO, LogType.STORAGE, "as •••")]


@pytest.mark.parametrize("way", ["check", "check of a form", "open", "opener"])
def test_no_way_to_an_adapter_lets_its_secret_out(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def echoes(self: FaultyFolder, *_: object) -> None:
        self.context.log(f"log: {SECRET}", LogLevel.INFO, LogType.STORAGE, "")
        raise StorageError(
            f"The server refused {self.config.token.get_secret_value() if self.config.token else ''}."
        )

    for method in ("check", "list"):
        monkeypatch.setattr(FaultyFolder, method, echoes)
    values = {"path": str(tmp_path / "disk"), "token": SECRET}
    endpoints, lines = workspace.endpoints, list[str]()
    place = endpoints.save("destination", "disk", "faulty-folder", values)
    with pytest.raises(StrongroomError, match=r"The server refused •••\."):
        if way == "check":
            endpoints.check(place)
        elif way == "check of a form":
            endpoints.check_values("destination", "faulty-folder", values)
        elif way == "open":
            with endpoints.open_storage(place, log=lambda *line: lines.append(str(line))) as storage:
                storage.list()
        else:
            opener = endpoints.storage_opener(place)
            with opener.open(log=lambda *line: lines.append(str(line))) as storage:
                storage.list()
    assert "s3cret" not in "".join(lines)
    assert bool(lines) == way.startswith("open")
