"""Databases that are open in this process: one writer for each, however often it is opened.

Two writers of one process would wait for each other's transactions; one puts all that is queued into the same commit.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from sqlalchemy import Engine

from .connect import Synchronous, read_engine, store_url, write_engine
from .migrate import migrate
from .writer import Writer


@dataclass
class Shared:
    """One database, open in this process."""

    pid: int
    """The process that opened it; a forked child opens it anew."""
    writer: Writer
    reads: Engine
    """Connections for looking."""
    users: int = 0
    """How many stores are open on it."""


_open: dict[str, Shared] = {}
_lock = threading.Lock()


def share(url: str, synchronous: Synchronous) -> Shared:
    """The open database, or it newly opened. The first opening decides on `synchronous`."""
    with _lock:
        shared = _open.get(url)
        if shared is None or shared.pid != os.getpid() or shared.writer.failure:
            parsed = store_url(url)
            engine = write_engine(parsed, synchronous)
            try:
                migrate(engine, parsed)
            finally:
                engine.dispose()
            shared = _open[url] = Shared(os.getpid(), Writer(engine), read_engine(parsed))
        shared.users += 1
        return shared


def unshare(url: str, shared: Shared) -> None:
    """One user less; the last one closes the database, once all that is queued is written."""
    with _lock:
        shared.users -= 1
        if shared.users:
            return
        if _open.get(url) is shared:
            del _open[url]
    if shared.pid == os.getpid():
        # The writer's connection closes last, since only one that may write can remove SQLite's log.
        shared.reads.dispose()
        shared.writer.close()


def _forget_all() -> None:
    """In a forked child: connections belong to the parent, and must not even be closed."""
    global _lock
    _lock = threading.Lock()
    for shared in _open.values():
        shared.reads.dispose(close=False)
    _open.clear()


os.register_at_fork(after_in_child=_forget_all)
