"""Moves every key from a scratch server to the target, with DUMP and RESTORE.

A script in the scratch server writes the very commands that the target is to get: the bytes go from one
client to the other, and no key is looked at here. Both clients run on the host, so that sockets, TLS and
passwords are theirs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from plugins.sources.keyvalue.client import Client
from plugins.sources.keyvalue.failures import failure, of_reply
from plugins.sources.keyvalue.scratch import Scratch
from strongroom import Context, LogLevel, LogType, Process, SourceError, ToolFailed

_BATCH = 1000  # keys
_BYTES = 1 << 20
_SAID_EVERY = 10.0  # seconds
_STEP = 0.1  # seconds

# One answer holds: how long the rest is, the next cursor, how many keys of its batch are done, how many
# commands follow and how many keys of the batch had run out of time; then the commands. The same cursor
# gives the same keys: the scratch server never changes.
#
# It is an array, whose elements the client prints with a line feed behind each: that is the second byte of
# the line end which the commands want there. To put them together here would copy every value several times,
# and take longer than to make them.
_SCRIPT = """
local found = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local keys, at, most = found[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local out, size, sent, gone, behind = {''}, 0, 0, 0, ''
while at < #keys and size < most do
  at = at + 1
  local key = keys[at]
  local left = redis.call('PTTL', key)
  local value = redis.call('DUMP', key)
  if value and left ~= -2 then
    local moment = '0'
    if left >= 0 then
      local exact = redis.pcall('PEXPIRETIME', key)
      if type(exact) ~= 'number' then exact = now + left end
      moment = string.format('%.0f', exact)
    end
    local command = behind .. '*6\\r\\n$7\\r\\nRESTORE\\r\\n$' .. #key .. '\\r\\n' .. key
      .. '\\r\\n$' .. #moment .. '\\r\\n' .. moment .. '\\r\\n$' .. #value .. '\\r'
    out[#out + 1] = command
    out[#out + 1] = value .. '\\r'
    behind = '$7\\r\\nREPLACE\\r\\n$6\\r\\nABSTTL\\r\\n'
    size = size + #command + #value + 3
    sent = sent + 1
  else
    gone = gone + 1
  end
end
if sent > 0 then
  out[#out + 1] = '$7\\r\\nREPLACE\\r\\n$6\\r\\nABSTTL\\r'
  size = size + #out[#out] + 1
end
local cursor = ARGV[1]
local more = 1
if at >= #keys then
  cursor = found[1]
  at = 0
  if cursor == '0' then more = 0 end
end
out[1] = string.format('%016.0f %20s %08d %08d %08d %d', size, cursor, at, sent, gone, more)
return out
"""
_HEAD = re.compile(rb"(\d{16}) ([ \d]{20}) (\d{8}) (\d{8}) (\d{8}) ([01])\n")
_HEAD_SIZE = 16 + 1 + 20 + 1 + 8 + 1 + 8 + 1 + 8 + 1 + 1 + 1


@dataclass
class Moved:
    """What has been moved so far."""

    keys: int = 0
    expired: int = 0
    commands: int = 0


def move(context: Context, scratch: Scratch, target: Client, keyspace: dict[int, int]) -> Moved:
    """Restore every key of `keyspace` (a count for each numbered database) into the target.

    Raises `SourceError`s: every command of the target's is acknowledged, or nothing counts.
    """
    moved = Moved()
    digest = scratch.client.text("SCRIPT", "LOAD", _SCRIPT)
    # To pack what the target unpacks at once takes longer than all else: both are on one network.
    scratch.client.ask("CONFIG", "SET", "rdbcompression", "no")
    total = sum(keyspace.values())
    said = time.monotonic()
    argv = target.argv("--pipe", "--pipe-timeout", "0")
    with (
        context.host.run(scratch.client.argv("--raw"), stdin=True) as giver,
        scratch.ending_with_it(giver),
        context.host.run(argv, env=target.env, stdin=True) as taker,
    ):
        answers = _Answers(giver, context)
        for number in sorted(keyspace):
            _give(context, taker, target, _command(b"SELECT", b"%d" % number))
            moved.commands += 1
            for body, sent, gone in answers.batches(number, digest):
                context.cancel.raise_if_cancelled()
                if body:
                    _give(context, taker, target, body)
                moved.keys += sent
                moved.expired += gone
                moved.commands += sent
                context.alive(len(body))
                if taker.stderr().strip():
                    raise _refused(target, taker)
                if time.monotonic() - said > _SAID_EVERY:
                    said = time.monotonic()
                    context.log(
                        f"{moved.keys:,} of {total:,} keys restored.", LogLevel.INFO, LogType.COMMAND, ""
                    )
        status, output = _ended(context, taker, target)
        counted = re.search(r"errors: (\d+), replies: (\d+)", output)
        if status != 0 or counted is None or taker.stderr().strip():
            raise _refused(target, taker, output)
        # The client's own last command, an ECHO, is not among the replies that it counts.
        if int(counted[1]) or int(counted[2]) != moved.commands:
            raise ToolFailed(
                f"{target.connection.place} acknowledged {counted[2]} of {moved.commands} commands.",
                remedy="Restore again.",
            )
    # What the scan did not even show has run out of time: a replica hides it.
    moved.expired = total - moved.keys
    return moved


def move_functions(context: Context, scratch: Scratch, target: Client, *, replace: bool) -> None:
    """Restore the libraries of functions as well; without `replace`, in the place of all that are there."""
    payload = scratch.client.ask("FUNCTION", "DUMP")
    how = b"REPLACE" if replace else b"FLUSH"
    _send(context, target, [_command(b"FUNCTION", b"RESTORE", payload, how)])


def move_probe(context: Context, scratch: Scratch, target: Client, key: str) -> None:
    """Restore a key of our own into the target, and remove it again. Raises what the target says."""
    name = key.encode()
    _send(context, scratch.client, [_command(b"CONFIG", b"SET", b"replica-read-only", b"no")])
    scratch.client.ask("SET", key, "1")
    value = scratch.client.ask("DUMP", key)
    scratch.client.ask("DEL", key)
    _send(
        context,
        target,
        [_command(b"SELECT", b"0"), _command(b"RESTORE", name, b"60000", value), _command(b"DEL", name)],
    )


def _send(context: Context, target: Client, commands: list[bytes]) -> None:
    """Send a few commands, whose words may be any bytes; raises unless each is acknowledged."""
    with context.host.run(target.argv("--pipe", "--pipe-timeout", "0"), env=target.env, stdin=True) as taker:
        _give(context, taker, target, b"".join(commands))
        status, output = _ended(context, taker, target)
        if status != 0 or f"errors: 0, replies: {len(commands)}" not in output:
            raise _refused(target, taker, output)


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _give(context: Context, taker: Process, target: Client, data: bytes) -> None:
    try:
        taker.write(data)
    except BrokenPipeError:
        taker.wait()
        context.cancel.raise_if_cancelled()
        raise _refused(target, taker) from None


def _ended(context: Context, taker: Process, target: Client) -> tuple[int, str]:
    """Close the client's input; return how it ended and what it printed.

    It ends with an ECHO of its own, and knows no other end than the reply. An error in its place (a user who
    may not, a server without that command) would leave it waiting for ever: what it says of an error ends it.
    """
    taker.close_stdin()
    while True:
        try:
            status = taker.wait(_STEP)
            break
        except TimeoutError:
            if taker.stderr().strip():
                raise _refused(target, taker) from None
    context.cancel.raise_if_cancelled()
    return status, b"".join(taker).decode("utf-8", "replace")


def _refused(target: Client, taker: Process, output: str = "") -> SourceError:
    taker.kill()
    said = taker.stderr()
    lines = [line for line in (said + output).splitlines() if line.strip()]
    for line in lines:
        if re.match(r"^(?:ERR: )?-?[A-Z]{2,} ", line) and "ERROR" not in line[:6]:
            return of_reply(line.removeprefix("ERR: "), target.connection)
    try:
        status = taker.wait(0)
    except TimeoutError:
        status = 1
    return failure(target.tool.name, status, said, target.connection)


class _Answers:
    """Reads the answers of the scratch server's client, which come one after the other."""

    def __init__(self, giver: Process, context: Context) -> None:
        self._giver = giver
        self._context = context
        self._data = bytearray()

    def batches(self, number: int, digest: str) -> Iterator[tuple[bytes, int, int]]:
        """Each batch of a database: the commands, how many, and how many keys had run out of time."""
        self._ask(f"SELECT {number}")
        if (answer := self._take(3)) != b"OK\n":
            raise self._lost(answer)
        asked = f"EVALSHA {digest} 0 %s {_BATCH} %d {_BYTES}"
        more = True
        self._ask(asked % ("0", 0))
        while more:
            head = self._take(_HEAD_SIZE)
            if (match := _HEAD.fullmatch(head)) is None:
                raise self._lost(head)
            body = self._take(int(match[1]))
            more = match[6] == b"1"
            if more:  # the next batch is made while the target takes this one
                self._ask(asked % (match[2].decode().strip(), int(match[3])))
            yield body, int(match[4]), int(match[5])

    def _ask(self, line: str) -> None:
        try:
            self._giver.write(f"{line}\n".encode())
        except BrokenPipeError:
            raise self._lost(b"") from None

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            chunk = self._giver.read()
            if not chunk:
                break
            self._data += chunk
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    def _lost(self, said: bytes) -> SourceError:
        self._context.cancel.raise_if_cancelled()
        self._giver.kill()
        words = (said + bytes(self._data[:300])).decode("utf-8", "replace").strip() or self._giver.stderr()
        return ToolFailed(f"The scratch server gave no keys: {words[:300]}", remedy="Restore again.")
