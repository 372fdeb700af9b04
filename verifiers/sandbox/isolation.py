"""The layers of isolation, and how a process is put behind them.

Each layer closes a way out by itself. What is strong enough: system calls are filtered (no network, no other
processes), and files are confined by mounts or by Landlock (no writing but in the scratch folder, no reading of the
user's files). All others stand behind those as a second wall.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from . import kernel, landlock, limits, mounts, seccomp
from .limits import Limits

Namespaces = Literal["", "root", "user"]

_FIRST_UID = 1_879_048_192
"""Ids from here on are nobody's by convention, so that each run has some of its own (uid ranges of systemd)."""
_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
_NOBODY = 65534


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Which layers are on. Limits, a session of one's own, an empty environment and no new privileges always are."""

    seccomp: bool = False
    """System calls are filtered: no sockets, no processes or programs, no signals, no reading of other processes."""
    landlock: int = 0
    """Version of Landlock that confines what can be read and written; 0 for none."""
    namespaces: Namespaces = ""
    """Own mounts, processes, network, IPC: made as `root`, or within a `user` namespace; empty for none."""
    uids: bool = False
    """Code and tests have user ids of their own."""

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the code could do that it should not."""
        found: list[str] = []
        if not self.seccomp:
            found.append("start processes that outlive it and use what sockets it can get (no seccomp)")
        if not self.namespaces and not self.landlock:
            found.append("read the user's files and write outside its folder (neither namespaces nor Landlock)")
        return tuple(found)

    @property
    def strong(self) -> bool:
        """Whether nothing essential is missing."""
        return not self.gaps

    @property
    def names(self) -> list[str]:
        """The layers that are on, for people."""
        found = ["limits", "own session", "empty environment", "no new privileges"]
        found += ["seccomp"] if self.seccomp else []
        found += [f"landlock {self.landlock}"] if self.landlock else []
        found += [f"{self.namespaces} namespaces"] if self.namespaces else []
        return found + (["own user ids"] if self.uids else [])

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)


@dataclass(frozen=True)
class Place:
    """Where and as whom the code runs, found out before anything is given up."""

    layers: Layers
    bounds: Limits
    readable: Sequence[str]
    scratch: str
    """The scratch folder."""
    uid: int | None
    """First of the ids of this run: of the group, then of the users of tests and code. None keeps the user."""
    address_space: int
    """Bytes that the bare interpreter has mapped."""
    threads: int
    """Threads that the user may have, those of other processes included where they count; 0 if they cannot be limited, and
    so are not allowed."""


def place(layers: Layers, bounds: Limits, scratch: str) -> Place:
    """Look at this process and at the machine; `scratch` is where there are no mounts of one's own."""
    readable = mounts.readable()
    own = layers.uids and (bool(layers.namespaces) or all(map(_open_to_all, readable)))
    uid = _FIRST_UID + 4 * os.getpid() if own else None
    if own or (layers.namespaces and os.getuid()):
        threads = bounds.threads
    else:  # The kernel counts all of the user's, and root's not at all.
        threads = bounds.threads + limits.threads_of(os.getuid()) if os.getuid() else 0
    where = mounts.SCRATCH if layers.namespaces else scratch
    return Place(layers, bounds, readable, where, uid, limits.address_space(), threads)


def split(layers: Layers) -> None:
    """Have the processes that this one starts live in a process namespace of their own."""
    if not layers.namespaces:
        return
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWPID | (kernel.CLONE_NEWUSER if layers.namespaces == "user" else 0))
    if layers.namespaces == "user":
        for name, text in (("setgroups", "deny"), ("uid_map", f"{_NOBODY} {uid} 1"), ("gid_map", f"{_NOBODY} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as f:
                f.write(text)


def enter(place: Place) -> None:
    """Move this process to where the run takes place."""
    if place.layers.namespaces:
        kernel.unshare(_NAMESPACES)
        bounds = place.bounds
        mounts.build(place.readable, megabytes=bounds.scratch_mb, files=bounds.scratch_files, group=place.uid)
        return
    if place.uid is not None:
        os.chown(place.scratch, -1, place.uid)
        os.chmod(place.scratch, 0o770)
    os.chdir(place.scratch)


def confine(place: Place, role: Literal["tests", "code"]) -> None:
    """Give up, for good, all that this process does not need."""
    layers = place.layers
    parent = os.getppid()
    os.umask(0o022)
    limits.apply(place.bounds, address_space=place.address_space, threads=place.threads)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.bound_capabilities()  # The change of user takes away the right to.
    change_user(place, ("tests", "code").index(role) + 1)
    kernel.drop_capabilities()
    # The change of user clears both: who may look into this process, and that it dies with its parent.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    if layers.landlock:
        landlock.restrict(place.readable, mounts.DEVICES, place.scratch, folders=bool(layers.namespaces))
    if layers.seccomp:
        seccomp.install(guard_metadata=not layers.namespaces, threads=place.threads > 0)


def change_user(place: Place, number: int) -> None:
    """Become one of the users of the run, if it has users of its own."""
    if place.uid is not None:
        uid = place.uid + number
        os.setgroups([])
        os.setresgid(place.uid, place.uid, place.uid)
        os.setresuid(uid, uid, uid)


def _open_to_all(path: str) -> bool:
    """Whether a user without any right of its own can read what lies at a path."""
    path = os.path.realpath(path)
    if not os.stat(path).st_mode & 0o004:
        return False
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            return False
    return True
