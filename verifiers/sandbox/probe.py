"""Finds out which layers of isolation work on this machine: each is put on in a process of its own, and then tried."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable

from . import isolation, kernel, landlock, mounts, seccomp
from .isolation import Layers, Namespaces
from .limits import Limits

_FORBIDDEN = "/etc/passwd"
"""A file that every system has and every user may read."""


def main(folder: str) -> None:
    """Print the layers that work, as JSON; `folder` is one in which this process may write."""
    print(json.dumps(found(folder).to_json()))


def found(folder: str) -> Layers:
    """The layers that work."""
    version = kernel.landlock_version() if _works(lambda: _landlock(folder)) else 0
    kinds: list[Namespaces] = ["root", "user"] if os.geteuid() == 0 else ["user"]
    working: list[Namespaces] = [kind for kind in kinds if _works(lambda kind=kind: _namespaces(kind))]
    return Layers(
        seccomp=_works(_seccomp),
        landlock=version,
        namespaces=working[0] if working else "",
        uids=os.geteuid() == 0 and _works(_uids),
    )


def _works(attempt: Callable[[], bool]) -> bool:
    """Whether an attempt, made by a child, succeeds."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    status = 1
    try:
        status = 0 if attempt() else 1
    finally:
        os._exit(status)


def _refused(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError:
        return True
    return False


def _files_are_confined(folder: str) -> bool:
    name = os.path.join(folder, f"burnish-{os.getpid()}")
    return _refused(lambda: open(_FORBIDDEN)) and _refused(lambda: os.open(name, os.O_CREAT | os.O_WRONLY))


def _landlock(folder: str) -> bool:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(mounts.readable(), mounts.DEVICES, os.path.join(folder, "none"), folders=False)
    return _files_are_confined(folder)


def _seccomp() -> bool:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(guard_metadata=True, threads=False)
    return _refused(socket.socket) and _refused(os.fork) and _refused(lambda: os.kill(os.getppid(), 0))


def _namespaces(kind: Namespaces) -> bool:
    layers = Layers(namespaces=kind)
    place = isolation.place(layers, Limits(), "")
    isolation.split(layers)

    def within() -> bool:
        isolation.enter(place)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            alone = _refused(lambda: s.connect(("192.0.2.1", 9)))
        return alone and os.getpid() == 1 and _files_are_confined("/")

    return _works(within)


def _uids() -> bool:
    place = isolation.place(Layers(uids=True, namespaces="root"), Limits(), "")
    isolation.change_user(place, 1)
    return os.getuid() != 0 and _refused(lambda: os.setuid(0))
