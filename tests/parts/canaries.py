"""Secrets that can be recognised wherever they turn up: in files, output, arguments and environments.

A canary is looked for as it is and in every dress that software gives to text on its way: base64, per cent
signs, JSON, Python's repr, hexadecimal digits, UTF-16. Watching is for Linux, which shows all processes.
"""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

AWKWARD = "/+ é'\"\\%&"
"""Characters that some dress changes, so that a canary looks another in each."""
_LEAST = 6
"""Bytes below which a find could be chance."""


def canary(name: str, awkward: str = AWKWARD) -> str:
    """A secret that is nowhere else on this machine."""
    return f"{name}{awkward}{secrets.token_hex(8)}"


def dresses(value: str) -> dict[bytes, str]:
    """Each way in which software writes a text, and what that way is called."""
    plain = value.encode()
    as_json = json.dumps(value)[1:-1]
    texts = {
        "as it is": value,
        "URL": quote(value, safe=""),
        "URL path": quote(value),
        "form": quote_plus(value),
        "URL in lower case": re.sub("%[0-9A-F]{2}", lambda its: its[0].lower(), quote(value, safe="")),
        "JSON": as_json,
        "JSON in Unicode": json.dumps(value, ensure_ascii=False)[1:-1],
        "JSON in JSON": json.dumps(as_json)[1:-1],
        "repr": repr(value)[1:-1],
        "repr in the other quotes": repr(value + "'")[1:-2],
        "shell": shlex.quote(value),
        "XML": html.escape(value),
        "hexadecimal": plain.hex(),
        "hexadecimal in upper case": plain.hex().upper(),
    }
    found = {text.encode(): name for name, text in reversed(texts.items())}
    found[value.encode("utf-16-le")] = "UTF-16"
    for encode, name in ((base64.b64encode, "base64"), (base64.urlsafe_b64encode, "base64 for URLs")):
        for shift in range(3):  # where in a group of three bytes the secret begins
            coded = encode(b"\0" * shift + plain)
            # The digits at both ends depend on what stands beside the secret.
            start, end = (shift * 8 + 5) // 6, (shift + len(plain)) * 8 // 6
            found[coded[start:end]] = name
    return {needle: name for needle, name in found.items() if len(needle) >= _LEAST}


class Canaries:
    """Secrets by name, and a search for all of them at once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self._names = {
            needle: f"{name} ({dress})"
            for name, value in values.items()
            for needle, dress in dresses(value).items()
        }
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first)))

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def found_in(self, data: bytes | str) -> list[str]:
        """Which canaries sing in it, and in what dress."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        return sorted({self._names[found] for found in self._pattern.findall(raw)})

    def leaks(self, things: Mapping[str, bytes | str]) -> list[str]:
        """Where they sing, of several things by name; for an assertion that shows all."""
        return [f"{name}: {found}" for name, data in things.items() for found in self.found_in(data)]

    def leaks_below(self, *folders: Path) -> list[str]:
        """Where they sing in the files below some folders, hidden ones included, and in their names."""
        found = []
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                found += self.leaks({f"the name {path}": str(path)})
                if path.is_file() and not path.is_symlink():
                    found += self.leaks({str(path): path.read_bytes()})
        return found


# ---------------------------------------------------------------------------------- processes


@dataclass
class Seen:
    """What was seen of other processes while a block ran."""

    arguments: set[bytes] = field(default_factory=set)
    """Of every process on the machine, as /proc/*/cmdline shows them: ended by NUL each."""
    environments: dict[bytes, bytes] = field(default_factory=dict)
    """Of every process that one of ours has started, by its arguments."""
    _looks: int = 0
    _looked: threading.Condition = field(default_factory=threading.Condition)

    def look(self) -> None:
        """Tell that all processes have been looked at once more."""
        with self._looked:
            self._looks += 1
            self._looked.notify_all()

    def wait(self) -> None:
        """Wait until all that is there now has been looked at."""
        with self._looked:
            enough = self._looks + 2  # the look that is under way may have passed it by
            self._looked.wait_for(lambda: self._looks >= enough, timeout=60)


@contextmanager
def watching(ours: Callable[[], Collection[int]]) -> Iterator[Seen]:
    """Look at all processes, again and again, while the block runs.

    `ours` gives the IDs of the processes that are Strongroom: what they start has its environment noted.
    """
    seen, stop = Seen(), threading.Event()

    def look() -> None:
        young: dict[Path, float] = {}
        while not stop.wait(_PAUSE):
            now = time.monotonic()
            there = [process for process in Path("/proc").iterdir() if process.name.isdigit()]
            young = {process: young.get(process, now) for process in there}
            for process, since in young.items():
                if now - since < _SETTLED:
                    with suppress(OSError, IndexError):
                        _look_at(process, seen, ours())
            seen.look()

    thread = threading.Thread(target=look, name="watching", daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


_PAUSE = 0.003  # seconds: a tool lives for longer, and the machine has work to do beside this
_SETTLED = 2.0
"""Seconds after which a process has become what it is to be: it was forked, and has run its program."""


def _look_at(process: Path, seen: Seen, ours: Collection[int]) -> None:
    arguments = (process / "cmdline").read_bytes()
    if not arguments:
        return  # the kernel's own, or one that has ended
    seen.arguments.add(arguments)
    if arguments in seen.environments:
        return
    parent = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
    # Between fork and exec a child shows its parent's arguments, and its parent's environment.
    if int(parent) in ours and process.with_name(parent).joinpath("cmdline").read_bytes() != arguments:
        environment = (process / "environ").read_bytes()
        if environment and (process / "cmdline").read_bytes() == arguments:
            seen.environments[arguments] = environment


SPY = """
import json, os, sys

def spy(event, given):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"):
        what, argv, *rest = given if event != "os.system" else (given[0], [given[0]])
        env = rest[-1] if rest else None
        words = [argv] if isinstance(argv, (str, bytes)) else argv
        variables = os.environ if env is None else env
        told = {
            "argv": [os.fsdecode(its) for its in words],
            "environ": {os.fsdecode(name): os.fsdecode(its) for name, its in variables.items()},
        }
        file = os.open(os.environ["SPY_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, (json.dumps(told) + "\\n").encode())
        os.close(file)

if "SPY_FILE" in os.environ:
    sys.addaudithook(spy)
"""


@dataclass(frozen=True)
class Child:
    """A process that was started, as whoever started it asked for it."""

    argv: list[str]
    environ: dict[str, str]


class Spy:
    """Notes every process that a Python program starts, from within it (sys.addaudithook)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SPY)
        self._file = folder / "children"
        self.environ = {"PYTHONPATH": str(folder), "SPY_FILE": str(self._file)}
        """What the program needs in its environment, and no child of it should have."""

    def children(self) -> list[Child]:
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [Child(**json.loads(line)) for line in lines]
