"""Who owns a run, and whether that owner still lives.

A run is leased to one process at a time. The lease is renewed every five seconds; one that is thirty seconds old may be
taken, and one whose process is known to be dead at once. Every taking raises the lease's epoch, and every transaction
checks it, so that an owner who was only asleep cannot write any more when it wakes.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

HEARTBEAT_SECONDS = 5.0
TAKEOVER_SECONDS = 30.0


def this_process() -> str:
    """The owner's name of this process: host, boot, process id, and when the process started."""
    return _name(os.getpid())


def is_live(owner: str | None, heartbeat_ns: int | None, now_ns: int) -> bool:
    """Whether a lease still holds at `now_ns`."""
    if not owner or heartbeat_ns is None or _is_dead(owner):
        return False
    return abs(now_ns - heartbeat_ns) < TAKEOVER_SECONDS * 1e9


def pid_of(owner: str | None) -> str:
    """Process id and host of an owner, for messages."""
    host, _, pid, _ = (owner or "||?|").split("|")
    return f"process {pid} on {host}"


def _is_dead(owner: str) -> bool:
    """Whether the process has certainly ended; of another machine nothing is certain."""
    parts = owner.split("|")
    if len(parts) != 4 or not parts[2].isdigit() or parts[:2] != [_host(), _boot()]:
        return False
    pid = int(parts[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _started(pid) != parts[3]


@cache
def _name(pid: int) -> str:
    return f"{_host()}|{_boot()}|{pid}|{_started(pid)}"


def _host() -> str:
    return socket.gethostname().replace("|", "-")


@cache
def _boot() -> str:
    """Identifies this boot of the machine and, for containers, the space that process ids are counted in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    # A zombie runs no more.
    return "ended" if fields[0] in "ZX" else fields[19]
