"""The keeper of an engine in the background: starts its server, waits until it answers, ends it when nobody uses it.

It is a process of its own with a session of its own, so that neither a closed terminal nor Ctrl-C reaches it. SIGTERM makes
it end its server and leave nothing behind. If it is killed, the server's guardian does that (`guarded.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from . import guardian, up_state
from .guarded import GuardedProcess
from .up_state import BackgroundEngine

TAKE_S = 10.0
"""How long it tries for the lock: whoever asks whether a keeper lives has it for a moment."""
POLL_S = 0.2
WATCH_S = 5.0
"""Seconds between two looks at whether the server is used; less if it ends sooner than that."""
_USED = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total")
_BUSY = ("vllm:num_requests_running", "vllm:num_requests_waiting")


class _Signals:
    """Whether a signal has asked for the end.

    It is a pipe, since a handler must not take a lock that the thread which it interrupts may hold.
    """

    def __init__(self) -> None:
        self._end, self._other = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)

    def wait(self, seconds: float) -> bool:
        """Wait for a signal, at most so long; True if one has come, ever."""
        return bool(select.select([self._end], [], [], seconds)[0])

    def _note(self, number: int, frame: object) -> None:
        if not self.wait(0):  # the pipe never fills up
            os.write(self._other, b".")


def keep(state: BackgroundEngine, command: list[str], environment: Mapping[str, str], key: str) -> int:
    """Keep an engine until it is told to end, is not used any more, or ends by itself. Returns the exit status."""
    ended = _Signals()
    lock = _locked(state.name)
    if lock is None:
        return 1
    place = up_state.folder(state.name)
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        up_state.write_private(place / "key", key)
        state = replace(state, keeper=os.getpid(), keeper_started=guardian.start_time(os.getpid()) or 0)
        up_state.write(state)
        server = GuardedProcess(command, log=Path(state.log), environment=environment)
        try:
            state = replace(state, server=server.pid, server_started=guardian.start_time(server.pid) or 0)
            up_state.write(state)
            return _serve(state, server, key, ended)
        finally:
            server.close()
    finally:
        shutil.rmtree(place, ignore_errors=True)
        lock.close()


def answers(port: int, name: str, key: str, timeout: float = 5.0) -> bool:
    """Whether a server that takes this key and has a model of this name answers at a port."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        models: Any = json.loads(_get(port, "/v1/models", key, timeout))
        return any(one["id"] == name for one in models["data"])
    return False


def usage(port: int, timeout: float = 5.0) -> tuple[float, float] | None:
    """What vLLM counts: all that it ever did, and the calls that it has at the moment; None if it does not say."""
    try:
        lines = _get(port, "/metrics", "", timeout).splitlines()
        found = {
            names: sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(names)) for names in (_USED, _BUSY)
        }
    except (OSError, ValueError, IndexError):
        return None
    return found[_USED], found[_BUSY]


def _serve(state: BackgroundEngine, server: GuardedProcess, key: str, ended: _Signals) -> int:
    while not answers(state.port, state.name, key):
        if server.poll() is not None or ended.wait(POLL_S):
            return 1
    up_state.write(replace(state, ready=True))
    used, last = usage(state.port), time.monotonic()
    pause = min(WATCH_S, state.idle_s / 4) if state.idle_s else WATCH_S
    while not ended.wait(pause):
        if server.poll() is not None:
            return 1
        if state.idle_s is None:
            continue
        found = usage(state.port)
        # A server that does not answer gives no sign of being used.
        if found is not None and (found[1] > 0 or found != used):
            used, last = found, time.monotonic()
        elif time.monotonic() - last > state.idle_s:
            _note(state, f"not used for {state.idle_s:g} s: it ends")
            return 0
    _note(state, "asked to end")
    return 0


def _note(state: BackgroundEngine, text: str) -> None:
    with contextlib.suppress(OSError), Path(state.log).open("a") as log:
        log.write(f"burnish: {text}\n")


def _get(port: int, path: str, key: str, timeout: float) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {key}"} if key else {})
    # A proxy has no business between two processes of this machine.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as answer:
        return answer.read(10_000_000).decode(errors="replace")


def _locked(name: str) -> IO[str] | None:
    until = time.monotonic() + TAKE_S
    while (lock := up_state.take(name)) is None and time.monotonic() < until:
        time.sleep(0.05)
    return lock


def main() -> int:
    """Read from standard input, where others cannot see the key, what to keep."""
    told = json.load(sys.stdin)
    environment = {**told["environment"], **os.environ, "VLLM_API_KEY": told["key"]}
    return keep(BackgroundEngine(**told["state"]), told["command"], environment, told["key"])


if __name__ == "__main__":
    sys.exit(main())
