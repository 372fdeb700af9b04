"""What one run may use at most, in the kernel's own limits."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from dataclasses import asdict, dataclass

_PYTHON_MB = 64
"""Memory for what every interpreter needs to judge a failure, beyond what the code may use."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one run. Code and tests are a process each; those on memory and time hold for each of them."""

    seconds: float = 10.0
    """Wall clock, from when the interpreter is ready. Processor time is limited to about the same."""
    memory_mb: int = 512
    """Memory that the code may use on top of the bare interpreter, as address space."""
    scratch_mb: int = 16
    """All files in the scratch folder together, and so the longest file."""
    scratch_files: int = 512
    """Files and folders in the scratch folder."""
    threads: int = 32
    """Threads at once."""
    open_files: int = 64
    """File descriptors at once."""
    output_kb: int = 1024
    """What the code may print."""
    reply_mb: int = 16
    """One value that the code hands to the tests, in transport."""

    def to_json(self) -> dict[str, float]:
        """Plain form."""
        return asdict(self)


def apply(limits: Limits, *, address_space: int, threads: int) -> None:
    """Limit this process for good, on top of what the bare interpreter has mapped."""
    seconds = math.ceil(limits.seconds) + 1
    _hard(resource.RLIMIT_CPU, seconds, seconds + 1)
    _hard(resource.RLIMIT_AS, address_space + (limits.memory_mb + _PYTHON_MB) * 2**20)
    _hard(resource.RLIMIT_FSIZE, limits.scratch_mb * 2**20)
    _hard(resource.RLIMIT_NOFILE, limits.open_files)
    _hard(resource.RLIMIT_NPROC, threads)
    _hard(resource.RLIMIT_CORE, 0)
    _hard(resource.RLIMIT_MEMLOCK, 0)
    _hard(resource.RLIMIT_STACK, 8 * 2**20)
    for kind in ("RLIMIT_MSGQUEUE", "RLIMIT_RTPRIO", "RLIMIT_NICE"):
        if hasattr(resource, kind):
            _hard(getattr(resource, kind), 0)


def _hard(kind: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit as far as asked; one that is lower already stays."""
    most = resource.getrlimit(kind)[1]
    hard = soft if hard is None else hard
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def address_space() -> int:
    """Bytes that this process has mapped."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[0]) * resource.getpagesize()


def threads_of(uid: int) -> int:
    """Threads that a user has at the moment, as far as can be seen."""
    count = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{entry}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{entry}/task"))
    return count
