"""How the benchmarks measure: ways side by side in alternating rounds, and the medians of paired ratios.

It is no benchmark. A ratio is of one round, so that what else the machine does at that time falls on both
sides; the order turns round each time, and a first round that warms the caches is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Clock = Literal["wall", "processor"]
_PACKAGES = {
    "node": "nodejs",
    "sha256sum": "coreutils",
    "sftp": "openssh-client",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
_SETTLE = 0.2  # seconds until servers have counted their ended connections


class Missing(Exception):
    """A benchmark cannot run here; its text says what is missing."""


def need(*tools: str) -> None:
    """Raise `Missing` unless these programs are on PATH."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise Missing(f"the program {tool} is missing (Debian: {_PACKAGES.get(tool, tool)})")


def emptied(folder: Path) -> None:
    """Remove what lies in a folder; the folder itself stays, for a destination that is gone is missed."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def peak() -> float:
    """This process's highest resident memory, in MiB, since its start or the last `begin_anew`."""
    status = Path("/proc/self/status")
    if status.exists():  # the other, below, begins with what the process was forked from
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def begin_anew() -> None:
    """Let the highest be that from now on, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


# ----------------------------------------------------------------------------------- the command line


def arguments(description: str | None, *, size: float, rounds: int, of: str) -> argparse.ArgumentParser:
    """What every benchmark can be told; `of` says what has that size in GB."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=float, default=size, help=f"GB of {of} (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds counted (default: %(default)d)")
    common(parser)
    return parser


def common(parser: argparse.ArgumentParser) -> None:
    """What has nothing to do with sizes and rounds."""
    parser.add_argument("--folder", type=Path, help="a folder on a real disk (default: the system's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there as JSON, too")


def main(measure: Callable[[argparse.Namespace], dict[str, Any]], parser: argparse.ArgumentParser) -> None:
    """Run a benchmark. One that lacks a tool says so and has not failed."""
    chosen = parser.parse_args()
    found: dict[str, Any] = {"benchmark": Path(sys.argv[0]).stem.removeprefix("bench_")}
    try:
        found |= measure(chosen)
    except Missing as missing:
        print(f"skipped: {missing}.", flush=True)
        found["skipped"] = str(missing)
    found["machine"] = {"processors": os.cpu_count(), "load": os.getloadavg()[0]}
    print(f"processors: {os.cpu_count()}, load at the end: {os.getloadavg()[0]:.1f}", flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


# -------------------------------------------------------------------------------------------- rounds


@dataclass
class Comparison:
    """Ways to do one thing, timed side by side. `before` prepares each, untimed, and is told which."""

    ways: Mapping[str, Callable[[], object]]
    against: str
    before: Callable[[str], None]
    taken: dict[Clock, dict[str, list[float]]] = field(init=False)
    others: list[float] = field(default_factory=list)
    """What part of the processors' time other processes took meanwhile, 0 to 1: the figures' noise."""

    def __post_init__(self) -> None:
        self.taken = {"wall": {way: [] for way in self.ways}, "processor": {way: [] for way in self.ways}}

    def run(self, rounds: int) -> Comparison:
        """Time every way in every round, the order turned round each time; return itself."""
        for number in range(rounds + 1):  # the first is not counted
            order = list(self.ways)
            for way in reversed(order) if number % 2 else order:
                self.before(way)
                os.sync()
                wall, processor, others = self._time(self.ways[way])
                if number:
                    self.taken["wall"][way].append(wall)
                    self.taken["processor"][way].append(processor)
                    self.others.append(others)
            if number:
                self._line(f"round {number}", "wall", lambda taken: taken[-1])
        clocks: tuple[Clock, ...] = ("wall", "processor")
        for clock in clocks:
            self._line("median", clock, statistics.median)
        print(f"other processes took {statistics.median(self.others):.0%} of the processors meanwhile")
        return self

    def _time(self, work: Callable[[], object]) -> tuple[float, float, float]:
        """Seconds of the clock, of our processors' time, and the others' part of all there was."""
        busy, worked, begun = busy_seconds(), processor_seconds(), time.perf_counter()
        work()
        wall = time.perf_counter() - begun
        time.sleep(_SETTLE)
        processor, all_work = processor_seconds() - worked, busy_seconds() - busy
        others = (all_work - processor) / (wall + _SETTLE) / (os.cpu_count() or 1)
        return wall, processor, min(max(others, 0.0), 1.0)

    def median(self, way: str, clock: Clock = "wall") -> float:
        """The median of a way's seconds."""
        return statistics.median(self.taken[clock][way])

    def ratio(self, way: str, to: str = "", clock: Clock = "wall") -> float:
        """The median of the rounds' own ratios of one way to another (by default the one compared with)."""
        pairs = zip(self.taken[clock][way], self.taken[clock][to or self.against], strict=True)
        return statistics.median(one / other for one, other in pairs)

    def wanted(self, way: str, to: str, text: str) -> None:
        """Print the ratio that was asked for."""
        for clock in ("wall", "processor"):
            print(f"median of the paired ratios, {clock}: {self.ratio(way, to, clock):.3f}  ({way} / {to})")
        print(f"wanted for the wall: {text}", flush=True)

    def document(self) -> dict[str, Any]:
        """All of it as JSON values: seconds of every round, medians, ratios to what is compared with."""
        return {
            "seconds": self.taken,
            "medians": {
                clock: {way: statistics.median(of) for way, of in ways.items()}
                for clock, ways in self.taken.items()
            },
            "ratios": {
                clock: {way: self.ratio(way, clock=clock) for way in ways}
                for clock, ways in self.taken.items()
            },
            "against": self.against,
            "others": self.others,
        }

    def _line(self, title: str, clock: Clock, of: Callable[[Sequence[float]], float]) -> None:
        base = of(self.taken[clock][self.against])
        cells = []
        for way, taken in self.taken[clock].items():
            cells.append(f"{way} {of(taken):6.2f} s ({of(taken) / base if base else 0:.3f})")
        print(f"{title:>8} {clock:>9}:  {'   '.join(cells)}", flush=True)


def both_ways(up: Comparison, down: Comparison, way: str, tool: str, size: float) -> dict[str, Any]:
    """Print the speeds of a transfer both ways, and return all of it as JSON values."""
    found: dict[str, Any] = {"size_mb": size * 1000, "wanted": {"at least": 1.0}}
    print()
    for name, compared in (("up", up), ("down", down)):
        speeds = {each: size * 1000 / compared.median(each) for each in compared.ways}
        faster = 1 / compared.ratio(way, tool)
        print(f"{name:>5}:  {'   '.join(f'{each} {speed:.0f} MB/s' for each, speed in speeds.items())}")
        print(f"        median of the paired ratios: {faster:.2f} times {tool}'s speed (wanted: at least 1)")
        found[name] = {**compared.document(), "mb_a_second": speeds, "ratio": faster}
    return found


# ------------------------------------------------------------------------------------ processor time


def busy_seconds() -> float:
    """Processor time of the whole machine since its start; 0 where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _idle, _waiting, interrupt, soft, stolen = map(
        int, stat.read_text().partition("\n")[0].split()[1:9]
    )
    return (user + nice + system + interrupt + soft + stolen) / os.sysconf("SC_CLK_TCK")


def processor_seconds() -> float:
    """Processor time so far of this process, of all that it started, and of what these started."""
    ours, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ours.ru_utime + ours.ru_stime + ended.ru_utime + ended.ru_stime
    parents, ticks = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        pid = int(entry.name)
        parents[pid] = int(fields[1])
        ticks[pid] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    below = {os.getpid()}
    for _ in range(8):  # generations; what we start is no deeper
        below |= {pid for pid, parent in parents.items() if parent in below}
    return total + sum(ticks[pid] for pid in below - {os.getpid()}) / os.sysconf("SC_CLK_TCK")
