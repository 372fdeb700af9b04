"""What the writer knows of a run that this process holds: its lease, its newest number, what is recorded of it."""

from __future__ import annotations

import time

from ..core.errors import StoreError


class RunState:
    """What the writer knows of a run that this process holds."""

    __slots__ = ("elapsed_ns", "epoch", "error", "known", "run_id", "seq", "since")

    def __init__(self, run_id: str, epoch: int, elapsed_ns: int) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.elapsed_ns = elapsed_ns
        """Active time before this lease."""
        self.since = time.monotonic_ns()
        self.seq = 0
        """Number of the newest fact."""
        self.known: dict[str, int] = {}
        """What is recorded, by kind letter and position; for calls and steps how often they were begun."""
        self.error: StoreError | None = None
        """Why nothing more of this run is written; None while all is well."""

    def active_ns(self) -> int:
        """Active time of the run so far."""
        return self.elapsed_ns + time.monotonic_ns() - self.since
