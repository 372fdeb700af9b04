"""A tiny process that outlives burnish for a moment and ends the engine's processes, however burnish ended.

burnish holds the write end of a pipe whose read end is the guardian's standard input; the kernel closes it when burnish
dies, kill -9 included. Each engine process has left its id and start time in a folder (`vllm_child.py`), so that a
process that merely got the same id later is never touched. Runs as a script on the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

TERM_SECONDS = 5.0
"""Seconds between asking a process to end and killing it."""
_SESSION = "session-"
BECOME = "--become"
"""First argument of the script that is to enrol itself and become a program."""


def start_time(pid: int) -> int | None:
    """When a living process started, in ticks since boot; None if there is none (a zombie is none)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def enrol(folder: Path, pid: int) -> None:
    """Leave a process's id and start time in the folder.

    Raises:
        OSError: the folder is gone, which means that its owner is.
    """
    started = start_time(pid)
    if started is not None:
        partial = folder / f".{pid}"
        partial.write_text(str(started))
        partial.rename(folder / str(pid))


def enrolled(folder: Path) -> dict[int, int]:
    """Ids and start times of the enrolled processes that live."""
    found: dict[int, int] = {}
    for entry in _entries(folder):
        with contextlib.suppress(OSError, ValueError):
            pid, started = int(entry.name), int(entry.read_text())
            if start_time(pid) == started:
                found[pid] = started
    return found


def enrol_session(folder: Path, leader: int) -> None:
    """Leave a session in the folder: its processes are ended even when its leader is gone and nobody descends from it.

    Raises:
        OSError: the folder is gone, which means that its owner is.
    """
    enrol(folder, leader)
    (folder / f"{_SESSION}{leader}").write_text(str(start_time(leader)))


def in_sessions(folder: Path) -> dict[int, int]:
    """Ids and start times of the living processes of the enrolled sessions."""
    sessions: set[int] = set()
    for entry in _entries(folder):
        with contextlib.suppress(OSError, ValueError):
            if entry.name.startswith(_SESSION):
                leader, started = int(entry.name.removeprefix(_SESSION)), int(entry.read_text())
                # An id is not given out anew while its session has members, so only its own processes are in it.
                if start_time(leader) in (None, started):
                    sessions.add(leader)
    found: dict[int, int] = {}
    for pid, fields in _processes() if sessions else ():
        if int(fields[3]) in sessions and fields[0] not in "ZX":
            found[pid] = int(fields[19])
    return found


def shared_memory(pid: int) -> set[str]:
    """Names of the shared memory of Python's making that a process has mapped."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {line.rpartition("/dev/shm/")[2] for line in lines if "/dev/shm/psm_" in line and not line.endswith(" (deleted)")}


def end_processes(folder: Path, grace: float = TERM_SECONDS) -> set[str]:
    """End the enrolled processes and all that descend from them; returns once none is left.

    Returns the names of the shared memory that they had mapped: one that is killed cannot free it.
    """
    deadline = time.monotonic() + grace
    targets: dict[int, int] = {}
    asked: set[int] = set()
    shared: set[str] = set()
    while True:
        targets |= enrolled(folder) | in_sessions(folder)
        targets |= _descendants(targets)
        targets = {pid: started for pid, started in targets.items() if start_time(pid) == started}
        if not targets:
            return shared
        kill = time.monotonic() > deadline
        for pid in targets:
            if pid not in asked:
                shared |= shared_memory(pid)
            if kill or pid not in asked:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if kill else signal.SIGTERM)
                asked.add(pid)
        time.sleep(0.05)


def sweep(folder: Path) -> None:
    """End everything and remove the folder, so that a process that is only just starting finds no place to enrol."""
    while folder.exists():
        for name in end_processes(folder):
            Path("/dev/shm", name).unlink(missing_ok=True)
        for entry in _entries(folder):
            entry.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a process has enrolled in between: once more
            folder.rmdir()


def main(folder: str) -> None:
    """Wait for the pipe to close, then clean up below `folder`."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    sweep(Path(folder) / "pids")
    shutil.rmtree(folder, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Ids of all processes, and what `/proc` says of each behind its name: state, parent, group, session, ..."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                stat = (entry / "stat").read_text()
                yield int(entry.name), stat[stat.rindex(")") + 2 :].split()


def _descendants(pids: Iterable[int]) -> dict[int, int]:
    children: dict[int, list[int]] = {}
    for pid, fields in _processes():
        children.setdefault(int(fields[1]), []).append(pid)
    found: dict[int, int] = {}
    waiting = list(pids)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            started = start_time(child)
            if started is not None and child not in found:
                found[child] = started
                waiting.append(child)
    return found


def become(folder: str, command: list[str]) -> None:
    """Enrol this process with its session, then become a program that knows nothing of burnish."""
    enrol_session(Path(folder), os.getpid())
    os.execvp(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == BECOME:
        become(sys.argv[2], sys.argv[3:])
    main(sys.argv[1])
