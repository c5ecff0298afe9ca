"""A configuration file, read and checked for its form: what it says, and where it says it.

Whether its names, adapters and values fit together is for `apply`; secrets are resolved here, relative
to the file.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NoReturn, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.declarative import lines
from engine.errors import ConfigError
from engine.records import JobOptions


def _as_table(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _check_name(value: Any) -> Any:
    if isinstance(value, str) and (not value.strip() or value != value.strip() or len(value) > 200):
        raise ValueError("a name has 1 to 200 characters, and no spaces at its ends")
    if isinstance(value, str) and any(ord(char) < 32 for char in value):
        raise ValueError("a name holds no control characters")
    return value


Name = Annotated[str, BeforeValidator(_check_name)]


class Section(BaseModel):
    """The base of every table of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class EndpointSection(Section):
    """A `[[destination]]` or a `[[notifier]]`."""

    name: Name
    adapter: str
    config: dict[str, Any] = Field(default_factory=dict)


class HostedSection(EndpointSection):
    """A `[[host]]` or a `[[source]]`: `host` names the host by whose way it is reached, if it is another."""

    host: Name = "local"


class PolicySection(Section):
    """A `[[policy]]`: a retention by name, for several jobs to share."""

    name: Name
    retention: dict[str, Any]


class KeySection(Section):
    """A `[[key]]`: made when there is none of that name; with `recipient`, known by its public half."""

    name: Name
    recipient: str | None = None


class JobDestinationSection(Section):
    """One destination of a job: its retention in place, or a policy's; a lower priority comes first."""

    name: Name
    retention: dict[str, Any] | None = None
    policy: str | None = None
    priority: int | None = None


class JobNotifierSection(Section):
    """One notifier of a job, and what it hears of."""

    name: Name
    on: Annotated[list[Literal["success", "partial", "failed", "cancelled"]], Field(min_length=1)] | None = (
        None
    )


class OptionsSection(Section):
    """A job's options; those of `engine.records.JobOptions`, with `engine.configuration.jobs`'s bounds."""

    parallel_uploads: int | None = Field(None, ge=1, le=64)
    fingerprint: bool = True
    time_limit: int | None = Field(None, ge=1, le=30 * 86400)
    retries: int = Field(0, ge=0, le=20)
    retry_wait: int = Field(60, ge=0, le=86400)
    upload_attempts: int = Field(5, ge=1, le=50)
    stall_after: int = Field(300, ge=1, le=86400)
    collapse_ratio: float = Field(0.5, ge=0, le=1)
    parallel_dumps: int = Field(1, ge=1, le=16)
    before: str = ""
    after: str = ""
    hooks_on: Literal["source", "local"] = "source"
    hook_time_limit: int = Field(300, ge=1, le=86400)

    def record(self) -> JobOptions:
        """The value that the engine works with."""
        return JobOptions(**{field.name: getattr(self, field.name) for field in fields(JobOptions)})


class JobSection(Section):
    """A `[[job]]`."""

    name: Name
    source: str
    destinations: Annotated[
        list[Annotated[JobDestinationSection, BeforeValidator(_as_table)]], Field(min_length=1)
    ]
    notifiers: list[Annotated[JobNotifierSection, BeforeValidator(_as_table)]] = Field(default_factory=list)
    enabled: bool = True
    schedule: str | None = None
    timezone: str | None = None
    compression: str = "zstd"
    encryption: str = "default"
    naming: str | None = None
    options: OptionsSection = Field(default_factory=OptionsSection)


class SettingsSection(Section):
    """The `[settings]` of the installation; what is left out stays as it is."""

    max_concurrent_jobs: int | None = Field(None, ge=1, le=64)


class Sections(Section):
    """The whole file."""

    settings: SettingsSection = Field(default_factory=SettingsSection)
    key: list[KeySection] = Field(default_factory=list)
    host: list[HostedSection] = Field(default_factory=list)
    source: list[HostedSection] = Field(default_factory=list)
    destination: list[EndpointSection] = Field(default_factory=list)
    notifier: list[EndpointSection] = Field(default_factory=list)
    policy: list[PolicySection] = Field(default_factory=list)
    job: list[JobSection] = Field(default_factory=list)


@dataclass(frozen=True)
class Places:
    """What an error needs to say where: the file, the lines of its keys, and its plain values."""

    file: str
    lines: dict[lines.Path, int]
    values: Mapping[str, Any]

    def error(self, path: Sequence[str | int], message: str, remedy: str = "") -> ConfigError:
        """The error for what stands at `path`."""
        line = lines.line_of(self.lines, path)
        return ConfigError(message, remedy=remedy, file=self.file, line=line, field=self.field(path))

    def field(self, path: Sequence[str | int]) -> str:
        """A path as people read it, a list's tables by name: `job[nightly].destinations[nas].policy`."""
        text, here = "", self.values
        for part in path:
            try:
                here = here[part]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                here = {}
            if isinstance(part, int):
                name = here.get("name") if isinstance(here, dict) else None
                text += f"[{name}]" if isinstance(name, str) and name else f"[{part + 1}]"
            else:
                text += f".{part}" if text else part
        return text


@dataclass(frozen=True)
class Document:
    """A file that was read. `fail` raises an error with its file, line and field."""

    sections: Sections
    places: Places

    def fail(self, path: Sequence[str | int], message: str, remedy: str = "") -> NoReturn:
        """Raise `ConfigError` for what stands at `path`."""
        raise self.places.error(path, message, remedy)

    @contextmanager
    def at(self, path: Sequence[str | int]) -> Iterator[None]:
        """Give a `ConfigError` of the block, which knows at most a field, its file, line and whole field."""
        try:
            yield
        except ConfigError as error:
            inner: list[str | int] = [
                int(its) if its.isdigit() else its for its in error.field.split(".") if its
            ]
            if inner and path and inner[0] == path[-1]:
                inner = inner[1:]
            raise self.places.error((*path, *inner), error.message, error.remedy) from None

    def secret(
        self, value: Any, path: Sequence[str | int], environ: Mapping[str, str] = os.environ
    ) -> str | None:
        """The secret that `value` is, or refers to: text, `{ env = "NAME" }` or `{ file = "PATH" }`.

        A path is relative to the file's folder; a line end at the very end is no part of a secret.
        Raises `ConfigError`, which never repeats a value.
        """
        if value is None or isinstance(value, str):
            return value
        if not isinstance(value, dict) or len(value) != 1 or not isinstance(next(iter(value.values())), str):
            self.fail(path, 'a secret is text, { env = "NAME" } or { file = "PATH" }')
        ((way, where),) = value.items()
        if way == "env":
            if where not in environ:
                self.fail(
                    path,
                    f"the environment variable {where} is not set",
                    f"Set {where} to the secret, then apply again.",
                )
            return environ[where] or self.fail(path, f"the environment variable {where} is empty")
        if way == "file":
            secret = Path(self.places.file).absolute().parent / Path(where).expanduser()
            try:
                text = re.sub(r"\r?\n\Z", "", secret.read_text(encoding="utf-8"))
            except OSError as error:
                self.fail(path, f"the file {secret} cannot be read: {error.strerror or error}")
            except UnicodeDecodeError:
                self.fail(path, f"the file {secret} is not text in UTF-8")
            return text or self.fail(path, f"the file {secret} is empty")
        self.fail(path, f"a secret cannot come from {way!r}", "Use env or file.")


def read(path: Path) -> Document:
    """Read a configuration file. Raises `ConfigError` with file, line and field."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"This file cannot be read: {error.strerror or error}.",
            file=str(path),
            remedy="Give the path of a configuration file in TOML.",
        ) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError("this is not text in UTF-8", file=str(path), line=line) from None
    return parse(text.removeprefix("\N{BYTE ORDER MARK}"), str(path))


def parse(text: str, file: str) -> Document:
    """Parse the text of a configuration file; `file` is for the errors and for relative paths."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*?)(?: \(at (?:line (\d+), column (\d+)|end of document)\))?", str(error))
        message, line = (place[1], place[2]) if place else (str(error), None)
        raise ConfigError(
            f"this is not valid TOML: {message[:1].lower()}{message[1:]}",
            file=file,
            line=int(line) if line else text.count("\n") + 1,
        ) from None
    places = Places(file, lines.key_lines(text), values)
    try:
        sections = Sections.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # A key that is misspelt is also one that is missing; the misspelling says more.
        first = next((its for its in found if its["type"] == "extra_forbidden"), found[0])
        raise places.error(first["loc"], *_words(first)) from None
    document = Document(sections, places)
    _refuse_doubles(document)
    return document


def _words(error: Any) -> tuple[str, str]:
    """Pydantic's message in words of ours, and the remedy."""
    kind, message, path = error["type"], str(error["msg"]), error["loc"]
    if kind == "extra_forbidden":
        known = sorted(_section_at(path[:-1]).model_fields)
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        return "there is no such key", (
            f"Did you mean {near[0]}?" if near else f"The keys are: {', '.join(known)}."
        )
    if kind == "missing":
        return "this key is missing", f"Add {path[-1]}."
    if kind == "value_error":
        return message.removeprefix("Value error, "), ""
    if kind in ("model_type", "dict_type"):
        return "this must be a table", ""
    message = message.replace("Input should be", "this must be")
    return message[:1].lower() + message[1:], ""


def _section_at(path: Sequence[str | int]) -> type[BaseModel]:
    """The model of the table at `path`."""
    model: type[BaseModel] = Sections
    for part in path:
        if isinstance(part, int):
            continue
        inner = _model_in(model.model_fields[part].annotation)
        if inner is None:
            return model
        model = inner
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if not (get_args(annotation) or isinstance(annotation, UnionType)):
        return None
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)


def _refuse_doubles(document: Document) -> None:
    for kind in ("key", "host", "source", "destination", "notifier", "policy", "job"):
        seen: dict[str, int] = {}
        for index, section in enumerate(getattr(document.sections, kind)):
            if section.name in seen:
                first = lines.line_of(document.places.lines, (kind, seen[section.name]))
                document.fail(
                    (kind, index, "name"),
                    f"there are two {kind} tables named {section.name!r}; the first begins at line {first}",
                    "Give each a name of its own.",
                )
            seen[section.name] = index
    for index, job in enumerate(document.sections.job):
        for part in ("destinations", "notifiers"):
            names = [item.name for item in getattr(job, part)]
            for position, name in enumerate(names):
                if name in names[:position]:
                    document.fail(("job", index, part, position), f"{name!r} is named twice")
