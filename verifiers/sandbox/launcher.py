"""The first process of a run: starts the other two and sees to it that nothing of them is left.

It reads where and within which limits to run, makes the namespaces, and forks. Its child becomes the process of the
tests, once that has forked the process of the code. Only then are the tests read, so that they were never in the
memory that the code's process has a copy of. The launcher itself runs no foreign code. It ends all when its standard
input closes, that is when burnish has what it wants or has gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from . import child, isolation, kernel, tester, wire
from .isolation import Layers, Place
from .limits import Limits

FRAME = 64 * 2**20
"""Longest job that is read."""
_WATCH_SECONDS = 0.05
_START_SECONDS = 30
_READ, _WRITE = 3, 4


def main(verdicts: int) -> None:
    """Run what standard input tells; what comes of it goes to the file descriptor `verdicts`."""
    sys.dont_write_bytecode = True
    try:
        job = wire.read(0, most=FRAME)
        layers, bounds = Layers(**job["layers"]), Limits(**job["limits"])
        where = isolation.place(layers, bounds, job["scratch"])
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        isolation.split(layers)
        first = os.fork()
    except OSError as e:
        wire.write(verdicts, {"unable": str(e)})
        os._exit(1)
    if not first:
        _first(where, job, verdicts)
    _supervise(first, where, verdicts)
    os._exit(0)


def _first(where: Place, job: Mapping[str, Any], verdicts: int) -> None:
    """The life of the first process in the namespaces: it forks the code's, then it runs the tests."""
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        isolation.enter(where)
        (from_code, to_tests), (from_tests, to_code) = os.pipe(), os.pipe()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        code = os.fork()
        if not code:
            _code(where, job, from_tests, to_tests)
        os.close(from_tests)
        os.close(to_tests)
        _silence(1, 2)
        isolation.confine(where, "tests")
        match wire.read(from_code, most=2**16, deadline=time.monotonic() + _START_SECONDS):
            case "ready":
                private = wire.read(0, most=FRAME)
            case problem:
                raise OSError(str(problem))
        wire.write(verdicts, {"ready": True})
        found = tester.Tester((from_code, to_code), code, {**private, **job}, job["limits"]["reply_mb"] * 2**20).verdict()
        wire.write(verdicts, {"nonce": private["nonce"], **found})
    except BaseException as e:
        with contextlib.suppress(wire.Closed):
            wire.write(verdicts, {"unable": f"{type(e).__name__}: {e}"})
    os._exit(0)


def _code(where: Place, job: Mapping[str, Any], from_tests: int, to_tests: int) -> None:
    """The life of the code's process."""
    try:
        from_tests, to_tests = os.dup(from_tests), os.dup(to_tests)  # Out of the way of the places that they go to.
        os.dup2(from_tests, _READ)
        os.dup2(to_tests, _WRITE)
        os.closerange(_WRITE + 1, 4096)
        _silence(0)
        os.environ.clear()
        os.environ.update({"HOME": where.scratch, "TMPDIR": where.scratch, "LANG": "C.UTF-8"})
        sys.argv[:] = [""]
        isolation.confine(where, "code")
    except BaseException as e:
        wire.write(_WRITE, f"{type(e).__name__}: {e}")
        os._exit(1)
    try:
        wire.write(_WRITE, "ready")
        child.serve((_READ, _WRITE), job["prelude"], job["code"], job["limits"]["reply_mb"] * 2**20)
    finally:
        os._exit(0)


def _silence(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in descriptors:
        os.dup2(null, fd)
    if null not in descriptors:
        os.close(null)


def _supervise(first: int, where: Place, verdicts: int) -> None:
    """Wait until the tests are through or nobody wants them any more, then end all."""
    poll = select.poll()
    poll.register(0, 0)  # Nothing but the news that the other end is closed.
    poll.register(os.pidfd_open(first), select.POLLIN)
    own_files = bool(where.layers.namespaces)
    while not poll.poll(None if own_files else _WATCH_SECONDS * 1000):
        if not own_files and _too_much(where.scratch, where.bounds):
            wire.write(verdicts, {"full": True})
            break
    for _ in range(200):
        for pid in [first] if own_files else [first, *_children()]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _too_much(folder: str, bounds: Limits) -> bool:
    """Whether the scratch folder holds more than it may; for where no file system of its own bounds it."""
    size, count, folders = 0, 0, [folder]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                count += 1
                if count > bounds.scratch_files:
                    return True
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size > bounds.scratch_mb * 2**20


def _children() -> list[int]:
    """Direct children, orphans that were adopted included."""
    me, found = str(os.getpid()), list[int]()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as f:
                if f.read().rpartition(")")[2].split()[1] == me:
                    found.append(int(entry))
    return found
