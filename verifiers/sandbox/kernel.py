"""The few system calls of Linux that Python has no names for. Each raises OSError where the kernel refuses."""

from __future__ import annotations

import contextlib
import ctypes
import os

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 1, 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR, _LANDLOCK = 442, 444
_AT_FDCWD, _AT_RECURSIVE, _MNT_DETACH = -100, 0x8000, 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *arguments: object) -> int:
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), what)


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    """`prctl(2)` with plain numbers."""
    numbers = [ctypes.c_ulong(n) for n in (value, third, 0, 0)]
    return _checked(_libc.prctl(option, *numbers), f"prctl {option}")


def unshare(flags: int) -> None:
    """Move into namespaces of one's own."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount a file system."""
    texts = [os.fsencode(t) if t else None for t in (source, target, kind)]
    _checked(_libc.mount(*texts, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def make_read_only(target: str) -> None:
    """Make a mount and all below it read-only, without set-user-id programs."""
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _syscall("mount_setattr", _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, attributes, size)


def enter_root(folder: str) -> None:
    """Make a mounted folder the root, and let the old root go."""
    os.chdir(folder)
    # The old root is stacked on the same place, from where it can be taken away: pivot_root(2), "pivot_root(".", ".")".
    _syscall("pivot_root", _PIVOT_ROOT[os.uname().machine], b".", b".")
    _checked(_libc.umount2(b".", _MNT_DETACH), "umount the old root")
    os.chdir("/")


def bound_capabilities() -> None:
    """Have no program that is executed from here on gain any capability."""
    for capability in range(64):
        with contextlib.suppress(OSError):  # Beyond the last one, or not ours to drop.
            prctl(PR_CAPBSET_DROP, capability)
    with contextlib.suppress(OSError):
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def drop_capabilities() -> None:
    """Give up every capability."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def install_filter(program: bytes) -> None:
    """Have system calls pass through a program of Berkeley Packet Filter instructions from here on."""
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filter = Program(len(program) // 8, ctypes.addressof(buffer))
    _checked(
        _libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(filter), ctypes.c_ulong(0), ctypes.c_ulong(0)), "seccomp"
    )


def landlock_version() -> int:
    """The version of the kernel's Landlock; 0 without it."""
    try:
        return _syscall("landlock", _LANDLOCK, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def landlock_ruleset(attributes: bytes) -> int:
    """A new ruleset, as a file descriptor."""
    return _syscall("landlock", _LANDLOCK, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))


def landlock_allow(ruleset: int, rule: bytes) -> None:
    """Add a rule on what lies beneath a path."""
    _syscall("landlock rule", _LANDLOCK + 1, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint32(0))


def landlock_restrict(ruleset: int) -> None:
    """Confine this thread, and all that it starts, to a ruleset."""
    _syscall("landlock restrict", _LANDLOCK + 2, ctypes.c_int(ruleset), ctypes.c_uint32(0))
