"""Which system calls confined code may not make: all that reach beyond its own process and its files.

There is no new process, no program to execute, no socket but a pair to oneself, no signal to others. A denied call
fails with EPERM, which Python raises as PermissionError, so that honest code reads what happened. Calls newer than
this table fail as if the kernel did not have them.
"""

from __future__ import annotations

import os
import struct

from . import kernel

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_EPERM, _ENOSYS = 1, 38
_KILL, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _GREATER, _AND, _RETURN = 0x20, 0x15, 0x25, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_NEWEST = 451
"""The last call that the tables know of (cachestat, Linux 6.5)."""
_CLONE_THREAD, _O_ACCMODE, _O_TRUNC = 0x10000, 3, 0o1000

_ABSENT = {"clone3": (435, 435), "openat2": (437, 437)}
"""Their arguments cannot be looked into. The C library goes on with the older call, whose can."""
_DENIED = {
    # name: number on x86_64, on aarch64; None where there is no such call
    "socket": (41, 198),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "personality": (135, 92),
    "vhangup": (153, 58),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "uselib": (134, None),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
}
_METADATA = {
    # Changes that Landlock does not watch, to files that it only keeps from being written.
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}
_OPEN = {"open": (2, None, 1), "openat": (257, 56, 2)}
"""Calls with the argument that holds the flags."""
_SIGNALS = {"kill": (62, 129), "tgkill": (234, 131)}
_LIMITS, _CLONE = (302, 261), (56, 220)
_OWNERS = {
    # A file can be told to send any signal to any process: F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE; FIOSETOWN, SIOCSPGRP.
    "fcntl": ((72, 25), (8, 10, 15, 1024)),
    "ioctl": ((16, 29), (0x8901, 0x8902)),
}


def install(*, guard_metadata: bool, threads: bool) -> None:
    """Filter the system calls of this process from here on.

    With `guard_metadata` modes, owners, times and lengths of files are guarded too, for where the mounts do not. Without
    `threads` there are none but the first.
    """
    kernel.install_filter(program(os.uname().machine, os.getpid(), guard_metadata=guard_metadata, threads=threads))


def program(machine: str, pid: int, *, guard_metadata: bool, threads: bool) -> bytes:
    """The filter for a process.

    Raises:
        OSError: there is no table for this kind of machine.
    """
    if machine not in _ARCHITECTURES:
        raise OSError(_ENOSYS, f"no table of system calls for {machine}")
    column = list(_ARCHITECTURES).index(machine)
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, _ARCHITECTURES[machine], 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_GREATER, _NEWEST, 0, 1),
        _step(_RETURN, _ERROR | _ENOSYS),
    ]
    denied = {**_DENIED, **_METADATA} if guard_metadata else _DENIED
    for calls, error in ((_ABSENT, _ENOSYS), (denied, _EPERM)):
        for numbers in calls.values():
            number = numbers[column]
            if number is not None:
                code += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _ERROR | error)]
    code += _unless(_CLONE[column], 0, _CLONE_THREAD, *([_CLONE_THREAD] if threads else []))
    code += [step for numbers in _SIGNALS.values() for step in _unless(numbers[column], 0, 0xFFFFFFFF, pid)]
    code += _unless(_LIMITS[column], 0, 0xFFFFFFFF, 0, pid)
    for pair, commands in _OWNERS.values():
        code += _unless(pair[column], 1, 0xFFFFFFFF, *commands, negated=True)
    for *numbers, argument in _OPEN.values() if guard_metadata else ():
        number = numbers[column]
        if number is not None:  # Reading and truncating at once would need no right to write.
            code += _unless(number, argument, _O_TRUNC | _O_ACCMODE, _O_TRUNC, negated=True)
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def _unless(number: int, argument: int, mask: int, *wanted: int, negated: bool = False) -> list[bytes]:
    """Deny a call unless (or, negated, if) an argument under a mask has one of the values."""
    verdicts = [_step(_RETURN, _ERROR | _EPERM), _step(_RETURN, _ALLOW)]
    if negated:
        verdicts.reverse()
    tests = [_step(_EQUAL, value, len(wanted) - i, 0) for i, value in enumerate(wanted)]
    body = [_step(_LOAD, _ARGUMENTS + 8 * argument), _step(_AND, mask), *tests, *verdicts]
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
