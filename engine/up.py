"""Engines that stay in the background between runs: started once, found by name, ended without a trace.

Starting is idempotent and done by one process at a time for a name; all else is decided by the keeper's lock (`up_state.py`).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..core import lock
from ..core.errors import ConfigError, EngineUnavailable
from . import guardian, up_keeper, up_state
from .models import home
from .up_state import BackgroundEngine

START_S = 900.0
"""Longest wait for a server to answer; a big model takes minutes to load."""
END_S = 45.0
"""Longest wait for a keeper that was asked to end, before it is killed; its server gets a third of that."""
POLL_S = 0.1
_PORTS = range(20_000, 32_000)
"""Below those that systems give out by themselves."""

Command = Callable[[int], tuple[list[str], dict[str, str]]]
"""From a port to the command of a server, and what its environment has besides."""
Say = Callable[[str], None]


def up(
    name: str, model: str, command: Command, *, args: dict[str, str] | None = None, idle_s: float | None, say: Say
) -> tuple[BackgroundEngine, bool]:
    """An engine that is ready, and whether it was started: one of that name that is there already is returned.

    Raises:
        ConfigError: one of that name is there, with another model or other arguments.
        EngineUnavailable: it does not start.
    """
    wanted = BackgroundEngine(name=name, model=model, args=args or {}, port=0, idle_s=idle_s, log=str(up_state.log_of(name)))
    path = up_state.engines_folder() / f".up-{name}"
    with lock.locked(path, lambda: say(f"waiting: another process starts the engine {name}")):
        if up_state.kept(name):
            return _same(_ready(name, None), wanted), False
        _end_leftovers(name)
        port = _free_port(name)
        words, environment = command(port)
        say(f"starting {name} on port {port}; its log is {wanted.log}")
        keeper = _start_keeper(replace(wanted, port=port), words, environment)
        try:
            found = _ready(name, keeper)
        except BaseException:
            keeper.terminate()
            keeper.wait(END_S)
            raise
        # It is this process's child for as long as both live, and somebody has to take note of its end.
        threading.Thread(target=keeper.wait, daemon=True).start()
        return found, True


def down(name: str) -> bool:
    """End an engine with all its processes and remove what was written down of it; False if nothing was there.

    Raises:
        EngineUnavailable: its keeper cannot be ended.
    """
    there = up_state.folder(name).exists() or up_state.kept(name)
    begun, state = time.monotonic(), None
    while up_state.kept(name) or (state and _keeper_lives(state)):
        state = up_state.read(name) or state
        waited = time.monotonic() - begun
        if waited > 2 * END_S:
            raise EngineUnavailable(f"the engine {name} does not end", hint=f"its log is {up_state.log_of(name)}")
        if state and _keeper_lives(state):
            with suppress(ProcessLookupError):
                os.kill(state.keeper, signal.SIGTERM if waited < END_S else signal.SIGKILL)
        time.sleep(POLL_S)
    _end_leftovers(name)
    return there


def engine(name: str) -> BackgroundEngine | None:
    """The engine of this name, if its keeper lives."""
    return up_state.read(name) if up_state.kept(name) else None


def condition(name: str) -> str:
    """How an engine is: `ready`, `starting`, `silent` (its server does not answer), or `dead` (its keeper was killed)."""
    state = up_state.read(name)
    if not up_state.kept(name):
        return "dead"
    if state is None or not state.ready:
        return "starting"
    try:
        key = state.key_file.read_text()
    except OSError:
        return "silent"
    return "ready" if up_keeper.answers(state.port, name, key, timeout=2) else "silent"


def _start_keeper(state: BackgroundEngine, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    log = up_state.log_of(state.name)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        up_state.write_private(log, "")
        out = log.open("ab")
    except OSError as e:
        raise EngineUnavailable(f"cannot write {log}: {e.strerror}", hint="set BURNISH_HOME") from None
    told = {"state": state.to_json(), "command": command, "environment": environment, "key": secrets.token_urlsafe(32)}
    with out:
        keeper = subprocess.Popen(
            [sys.executable, "-m", up_keeper.__name__],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=home(),  # it must not keep the user's folder busy
            env={**os.environ, "BURNISH_HOME": str(home())},
        )
    assert keeper.stdin is not None
    with suppress(BrokenPipeError), keeper.stdin:
        keeper.stdin.write(json.dumps(told).encode())
    return keeper


def _ready(name: str, keeper: subprocess.Popen[bytes] | None) -> BackgroundEngine:
    """The engine's state once it answers."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and (keeper.poll() is None if keeper else up_state.kept(name)):
        state = up_state.read(name)
        if state and state.ready and (keeper is None or state.keeper == keeper.pid):
            return state
        time.sleep(POLL_S)
    hint = f"burnish engine logs {name}"
    raise EngineUnavailable(f"the engine {name} ended, or did not answer, before it was ready", hint=hint)


def _same(found: BackgroundEngine, wanted: BackgroundEngine) -> BackgroundEngine:
    if (found.model, found.args) != (wanted.model, wanted.args):
        given = " ".join(f"{k}={v}" for k, v in found.args.items())
        raise ConfigError(
            f"an engine {found.name} is there already, with the model {found.model} {given}".rstrip(),
            hint=f"give this one another name, or end that one: burnish engine down {found.name}",
        )
    return found


def _keeper_lives(state: BackgroundEngine) -> bool:
    return guardian.start_time(state.keeper) == state.keeper_started


def _end_leftovers(name: str) -> None:
    """End the server of a keeper that was killed, if its guardian has not; then remove what is written down."""
    state = up_state.read(name)
    if state and state.server_started and guardian.start_time(state.server) == state.server_started and not up_state.kept(name):
        with tempfile.TemporaryDirectory() as place:
            guardian.enrol_session(Path(place), state.server)
            guardian.end_processes(Path(place))
    up_state.clear(name)


def _free_port(name: str) -> int:
    """A port that is free, for a name the same one if it can be: other programs find it there again."""
    first = zlib.crc32(name.encode()) % len(_PORTS)
    for port in (*_PORTS[first:], *_PORTS[:first]):
        with suppress(OSError), socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            return port
    raise EngineUnavailable("no port is free", hint="see what listens on this machine")
