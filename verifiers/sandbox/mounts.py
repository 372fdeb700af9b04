"""A file tree of one's own: the interpreter's libraries read-only, a scratch folder in memory, and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from . import kernel

SCRATCH = "/scratch"
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_BASE = "/proc"
"""Where the new tree is put together: a folder that every Linux has, and that nothing of the tree comes from."""


def readable() -> list[str]:
    """What an interpreter reads: the standard library, and the libraries that its extension modules load."""
    prefix = os.path.join(sys.base_prefix, "lib")
    wanted = dict.fromkeys([*_LIBRARIES, prefix, *(p for p in sys.path if os.path.isabs(p))])
    found: list[str] = []
    for path in sorted(wanted, key=len):
        if os.path.lexists(path) and not any(path.startswith(f"{above}/") and not os.path.islink(above) for above in found):
            found.append(path)
    return found


def build(paths: Sequence[str], *, megabytes: int, files: int, group: int | None) -> None:
    """Make the file tree and enter it, its scratch folder as the current folder, open to `group` if one is given."""
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _BASE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m,nr_inodes=1024")
    for path in (*paths, *DEVICES):
        _show(path)
    os.makedirs(_BASE + SCRATCH)
    if not os.path.lexists(f"{_BASE}/tmp"):
        os.symlink(SCRATCH, f"{_BASE}/tmp")
    kernel.make_read_only(_BASE)
    options = f"mode=700,size={megabytes}m,nr_inodes={files}"
    kernel.mount("tmpfs", _BASE + SCRATCH, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, options)
    if group is not None:
        os.chown(_BASE + SCRATCH, -1, group)
        os.chmod(_BASE + SCRATCH, 0o770)
    kernel.enter_root(_BASE)
    os.chdir(SCRATCH)


def _show(path: str) -> None:
    target = _BASE + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path) and path in _LIBRARIES:
        os.symlink(os.readlink(path), target)  # /lib on most systems, whose target is in the list as well
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    elif os.path.exists(path):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    else:
        return
    kernel.mount(path, target, flags=kernel.MS_BIND | kernel.MS_REC)
