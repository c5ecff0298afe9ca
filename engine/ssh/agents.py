"""The keys of a running SSH agent, which signs with them and never gives them away."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack, suppress
from typing import Any

from engine.cancellation import CancelToken
from engine.ssh.dialing import apart
from engine.ssh.library import paramiko

_LIST = 10.0
"""Seconds in which an agent lists its keys; it asks nobody for that."""


class NoAgent(Exception):
    """There is no agent that could be asked; says why."""


def keys(cancel: CancelToken, held: ExitStack) -> list[Any]:
    """The agent's keys; they sign until `held` is closed. Raises `NoAgent`, and `Cancelled`."""
    library = paramiko()
    try:
        agent = _windows(cancel, held) if sys.platform == "win32" else _unix(cancel, held)
    except (library.SSHException, OSError, TimeoutError) as error:
        cancel.raise_if_cancelled()
        raise NoAgent(f"the SSH agent does not answer ({error or 'not in time'})") from error
    found = list(agent.get_keys())
    if not found:
        raise NoAgent("the SSH agent holds no keys (ssh-add adds them)")
    return found


def _unix(cancel: CancelToken, held: ExitStack) -> Any:
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise NoAgent("no SSH agent was found (SSH_AUTH_SOCK is not set)")
    made = socket.socket(socket.AF_UNIX)
    held.callback(_hang_up, made)
    # An agent may wait for somebody to touch a token; a cancel does not wait with it.
    held.enter_context(cancel.calling(lambda: _hang_up(made)))
    made.settimeout(_LIST)
    try:
        made.connect(path)
    except OSError as error:
        cancel.raise_if_cancelled()
        raise NoAgent(f"no SSH agent answers at {path} ({error.strerror or error})") from error
    # paramiko's own Agent connects by itself, and then nobody could hang up.
    agent = paramiko().agent.AgentSSH()
    agent._connect(made)
    made.settimeout(None)  # the time for signing is the login's to limit
    return agent


def _windows(cancel: CancelToken, held: ExitStack) -> Any:
    agent = apart(paramiko().Agent, cancel, _LIST)
    held.callback(agent.close)
    return agent


def _hang_up(made: socket.socket) -> None:
    """End the connection to the agent; whoever waits for its answer is woken."""
    with suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)
    made.close()
