"""The worker's side of the pool: a program of two processes, started by `worker.py`.

The first process is the supervisor: it runs no foreign code, and ends everything below it once its standard input
closes (its parent is gone, or wants the end) or the second process dies. The second one serves calls. Both need the
standard library only; what a call needs is imported when it comes.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Fork into supervisor and server."""
    channel, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    _prctl(_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, _noted)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    supervisor, child = os.getpid(), os.fork()
    if child:
        channel.close()
        _supervise(child, wake)
    else:
        _serve(channel, supervisor)


def _noted(*_: object) -> None:
    """A signal's handler: the wake-up descriptor says the rest."""


def _supervise(child: int, wake: int) -> None:
    stdin = sys.stdin.fileno()
    ended = False
    while not ended:
        ready, _, _ = select.select([stdin, wake], [], [])
        ended = stdin in ready
        if wake in ready:
            ended = ended or signal.SIGTERM in os.read(wake, 512)
            ended = child in _reap() or ended
    for _ in range(200):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        for orphan in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(orphan, signal.SIGKILL)
        if None in _reap():
            break
        time.sleep(0.01)
    os._exit(0)


def _reap() -> set[int | None]:
    """Ids of children that have ended; None among them if no child is left."""
    ended: set[int | None] = set()
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended | {None}
        if pid == 0:
            return ended
        ended.add(pid)


def _children() -> list[int]:
    """Direct children, orphans that were adopted included; empty where the system does not tell."""
    me, found = str(os.getpid()), list[int]()
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as f:
                if f.read().rpartition(")")[2].split()[1] == me:
                    found.append(int(entry))
    return found


def _serve(channel: socket.socket, supervisor: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    me = os.getpid()
    while (request := receive(channel)) is not None:
        reply = _answer(request, lambda id=request["id"]: send(channel, {"id": id, "started": True}))
        if os.getpid() != me:
            os._exit(0)
        try:
            send(channel, {"id": request["id"], **reply})
        except (TypeError, ValueError, RecursionError):
            message = f"a {type(reply.get('value')).__name__} that JSON cannot carry was returned"
            send(channel, {"id": request["id"], "error": "bad_return", "message": message})
    os._exit(0)


def _answer(request: dict[str, Any], started: Callable[[], None]) -> dict[str, Any]:
    sys.path[:] = request["path"]
    try:
        load: Callable[..., Any] = importlib.import_module(request["loader"]).load_target
        for ref in request["load"]:
            load(ref, what="function")
        target = load(request["target"], what="function")
        started()
        _limit(request["seconds"], request["memory_mb"])
        return {"value": target(*request["args"])}
    except MemoryError:
        return {"error": "memory_limit", "message": f"more than {request['memory_mb']} MB were needed"}
    except BaseException as e:
        errors = sys.modules.get("burnish.core.errors")
        ours = errors is not None and isinstance(e, errors.BurnishError)
        code, text = (e.code, e.message) if ours else ("verifier_error", f"{type(e).__name__}: {e}")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
        return {"error": code, "message": text[:2000], "raised": type(e).__name__}
    finally:
        _limit(None, None)


def _limit(seconds: float | None, memory_mb: int | None) -> None:
    """Limits for one call, on top of what earlier calls have used; None for none."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _soft(resource.RLIMIT_CPU, seconds and math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1)
    size = 0
    with contextlib.suppress(OSError), open("/proc/self/statm") as f:
        size = int(f.read().split()[0]) * resource.getpagesize()
    _soft(resource.RLIMIT_AS, memory_mb and size + memory_mb * 2**20)


def _soft(kind: int, limit: float | None) -> None:
    hard = resource.getrlimit(kind)[1]
    soft = hard if limit is None or (hard != resource.RLIM_INFINITY and limit > hard) else int(limit)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def _prctl(option: int, value: int) -> None:
    """Linux's prctl; elsewhere closed pipes alone end the processes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Write one message: its length, then JSON."""
    data = json.dumps(message, allow_nan=False).encode()
    channel.sendall(struct.pack("!I", len(data)) + data)


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """Read one message; None at the end."""
    head = _exactly(channel, 4)
    data = head and _exactly(channel, struct.unpack("!I", head)[0])
    return json.loads(data) if data else None


def _exactly(channel: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        piece = channel.recv(min(count - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return bytes(data)


if __name__ == "__main__":
    main()
