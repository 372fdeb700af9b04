"""A lock on a file, held by one process at a time; the system gives it back when its holder is killed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Within, no other process holds the lock on this file, which is made if need be.

    Args:
        path: the file; its folder is there.
        waiting: called once if another process has the lock, before waiting for it.

    Raises:
        OSError: the file cannot be written.
    """
    import fcntl

    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
