"""The journal protocol: the durable record of one run, which is also its checkpoint.

Everything is keyed by position. What is recorded is answered from the record; what is not is done and then recorded.
Records are committed in the order in which they were written, so that what is durable is always a beginning of
what happened: a record that is durable implies all that were written before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .budget import Spend
from .ids import Json
from .policy import Selection
from .records import Record, RecordedCall
from .runs import RunEnd, RunSpec, Usage
from .verdict import Verdict


class Journal(Protocol):
    """The record of one run, held under a lease."""

    @property
    def run_id(self) -> str: ...

    def call(self, position: str) -> RecordedCall | None:
        """The call recorded at a position; its state is `intent` if no result is known."""
        ...

    def verdict(self, position: str) -> Verdict | None:
        """The verdict recorded at a position."""
        ...

    def decision(self, position: str) -> Selection | None:
        """The choice recorded at a search's scope."""
        ...

    def told(self, scope: str) -> Sequence[str]:
        """Ids told within a search, in their order."""
        ...

    def step_done(self, position: str) -> bool:
        """Whether the node at a position is recorded as finished."""
        ...

    def unclaimed(self, step: str, used: Callable[[str], bool]) -> str | None:
        """A finished call recorded within the node that was not `used`, or None: the code no longer asks for it.

        With an empty `step` the whole run is looked through. Refused and cancelled calls do not count.
        """
        ...

    async def shared(self, kind: str) -> list[Json]:
        """Values of the finished effects of a kind in all runs of this run's batch, this run's included, in no order.

        What tasks of a batch learn for each other: what one run recorded, the others can ask for. Asking is an effect
        itself (`ctx.effect`), so that a resumed run gets what it got before.
        """
        ...

    async def write(self, *records: Record) -> None:
        """Put records into one transaction; return once it is durable. Waits for room while the queue is full.

        Raises:
            StoreError: the storage failed; nothing more of this process is written.
            Fenced: the run's lease went to another process.
        """
        ...

    def queue(self, *records: Record) -> None:
        """Put records behind all that was written before, without waiting.

        If they are lost the run ends: no later `write` succeeds. Whoever queues must come to a `write` now and then, which
        is what holds him back while the storage is slow.

        Raises:
            StoreError, Fenced: as `write`, for records before these.
        """
        ...


class RunRecord(Journal, Protocol):
    """A journal with what belongs to the run as a whole: what it is to do, how it ends."""

    spec: RunSpec
    """What the run is to do."""
    resumed: bool
    """Whether anything was recorded before."""
    elapsed: float
    """Seconds that the run was active before."""
    spent: Spend
    """What was spent before, by its recorded calls and verdicts."""

    async def finish(self, end: RunEnd, elapsed: float) -> None:
        """Record how the run ended, `elapsed` active seconds after its beginning, and give the lease back."""
        ...

    async def usage(self) -> Usage:
        """What the run used: sums over its recorded calls and verdicts."""
        ...
