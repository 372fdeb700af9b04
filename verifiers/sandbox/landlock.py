"""Landlock: the part of the file tree that a process may see, without any privilege of its own."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from . import kernel

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = (1 << n for n in (1, 2, 3, 4, 5, 7, 8))
_TRUNCATE = 1 << 14
_KNOWN = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 4: 1 << 15, 5: 1 << 16}
"""One more than all rights on files that a version knows; later versions have those of 5."""
_NET_BIND_CONNECT, _SCOPE_SOCKETS_SIGNALS = 3, 3


def restrict(readable: Sequence[str], devices: Sequence[str], scratch: str, *, folders: bool) -> None:
    """Confine this process: reading beneath `readable`, using `devices`, reading and writing in `scratch`.

    `folders` allows folders in the scratch folder. TCP, and signals and abstract sockets across the border, are
    refused as well where the kernel's version can.
    """
    version = kernel.landlock_version()
    known = _KNOWN[min(version, 5)] - 1
    attributes = struct.pack("=Q", known)
    attributes += struct.pack("=Q", _NET_BIND_CONNECT) if version >= 4 else b""
    attributes += struct.pack("=Q", _SCOPE_SOCKETS_SIGNALS) if version >= 6 else b""
    ruleset = kernel.landlock_ruleset(attributes)
    write = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
    if folders:
        write |= _MAKE_DIR | _REMOVE_DIR
    try:
        for path in readable:
            _allow(ruleset, path, (_READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE) & known)
        for path in devices:
            _allow(ruleset, path, _READ_FILE | _WRITE_FILE)
        _allow(ruleset, scratch, write & known)
        kernel.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        kernel.landlock_allow(ruleset, struct.pack("=Qi", rights, place))
    finally:
        os.close(place)
