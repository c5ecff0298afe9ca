"""Stand-ins for docker, podman and kubectl: no container engine runs where the tests do.

Each is an executable of that name at the head of PATH. It notes its arguments, sees that they have the
form that the real client takes, and runs the command in a session of its own, as an engine does: ending
the client does not end the command.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CLIENT = """#!{python}
import json, os, signal, subprocess, sys
arguments = sys.argv[1:]
with open({notes!r}, "a") as notes:
    notes.write(json.dumps(arguments) + "\\n")
at = arguments.index("exec")
assert arguments[at + 1] == "-i", arguments
rest = arguments[at + 2:]
if rest[0] in ("--user", "-u"):
    rest = rest[2:]
name, rest = rest[0], rest[1:]
if rest[0] == "-c":
    rest = rest[2:]
if {kubectl} :
    assert rest[0] == "--", arguments
    rest = rest[1:]
if name == "gone":
    print("Error response from daemon: No such container: gone", file=sys.stderr)
    sys.exit(1)
# The engine's end: it outlives the client, as a command in a container does.
child = subprocess.Popen(rest, start_new_session=True)
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
status = child.wait()
sys.exit(status if status >= 0 else 128 - status)
"""


class Clients:
    """The stand-ins in a folder, and the arguments that each call had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._notes = folder / "notes"
        folder.mkdir()
        for name in ("docker", "podman", "kubectl"):
            path = folder / name
            text = CLIENT.format(python=sys.executable, notes=str(self._notes), kubectl=name == "kubectl")
            path.write_text(text)
            path.chmod(0o755)

    def calls(self) -> list[list[str]]:
        """The arguments of all calls so far."""
        return [json.loads(line) for line in self._notes.read_text().splitlines()]
