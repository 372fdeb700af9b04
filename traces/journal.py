"""The journal of one run: `core.journal.Journal` over the database.

What is recorded is held in memory, so that it answers at once. What is written is learned too, so that a node which is
run again in the same process finds its finished calls as one that is resumed does: when it is durable, or, if nobody
waits for that, at once, since its loss ends the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ..core.budget import Spend
from ..core.errors import StoreError
from ..core.ids import Json
from ..core.records import Record
from ..core.runs import RunEnd, RunSpec, Usage
from .load import Recorded
from .recall import Recall
from .run_state import RunState
from .tickets import Bundle, Write
from .weights import weight
from .writer import Writer

_TURN_RECORDS, _TURN_BYTES = 64, 1 << 20
"""What is handed over even before the loop comes round, so that the writer is at work meanwhile."""

Finish = Callable[[RunState, RunEnd, float], Awaitable[None]]
Measure = Callable[[str], Awaitable[Usage]]
Share = Callable[[str, str], Awaitable[list[Json]]]


class RunJournal(Recall):
    """The record of one run whose lease this process holds. Made by `Store.acquire`."""

    def __init__(
        self,
        spec: RunSpec,
        state: RunState,
        recorded: Recorded,
        *,
        spent: Spend,
        writer: Writer,
        finish: Finish,
        measure: Measure,
        share: Share,
    ) -> None:
        self.spec = spec
        """What the run is to do, as stored."""
        self.resumed = state.seq > 0
        """Whether anything was recorded before."""
        self.elapsed = state.elapsed_ns / 1e9
        """Seconds that the run was active before."""
        self.spent = spent
        """What was spent before, by its recorded calls and verdicts."""
        self._state = state
        super().__init__(recorded)
        self._writer = writer
        self._finish = finish
        self._measure = measure
        self._share = share
        self._finished = False
        self._queued: list[Record] = []
        """Not handed over yet, those that somebody waits for among them."""
        self._queued_weight = 0
        self._writes: list[Write] = []
        self._flushing: asyncio.AbstractEventLoop | None = None
        """The loop that hands them over when it comes round; a forked child, or a second loop, is another one."""

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._state.run_id

    async def shared(self, kind: str) -> list[Json]:
        """Values of the finished effects of a kind in all runs of this run's batch, this run's included, in no order."""
        return await self._share(kind, self.run_id)

    async def write(self, *records: Record) -> None:
        """Put records into one transaction, behind all that were given before; return once it is durable.

        Raises:
            StoreError: the storage failed, or a record cannot be stored.
            Fenced: the run's lease went to another process.
        """
        self._check()
        size = weight(records)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writes.append((len(self._queued), records, done))
        self._put(records, size)
        await done

    def queue(self, *records: Record) -> None:
        """Put records behind all that were given before, without waiting.

        Raises:
            StoreError, Fenced: as `write`, for records before these.
        """
        self._check()
        size = weight(records)
        for record in records:
            self._recorded.learn(record)
        self._put(records, size)

    def _check(self) -> None:
        if self._state.error:
            raise self._state.error
        if self._finished:
            raise StoreError(f"the run {self.run_id} is finished", hint="acquire it again", code="finished")

    def _put(self, records: Sequence[Record], size: int) -> None:
        """Keep records until the loop comes round: what many calls record in one turn is one group, and one commit."""
        self._queued += records
        self._queued_weight += size
        if len(self._queued) >= _TURN_RECORDS or self._queued_weight >= _TURN_BYTES:
            self._flush()
        elif self._flushing is not (loop := asyncio.get_running_loop()):
            self._flushing = loop
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Hand what is kept over to the writer."""
        self._flushing = None
        if not self._queued and not self._writes:
            return
        loop = asyncio.get_running_loop()
        bundle = Bundle(loop, self._state, self._queued, self._queued_weight, self._writes, self._learn)
        self._queued, self._queued_weight, self._writes = [], 0, []
        try:
            if self._state.error:
                raise self._state.error
            self._writer.put(bundle)
        except StoreError as e:
            self._state.error = bundle.error = e
            bundle.acknowledge()

    async def finish(self, end: RunEnd, elapsed: float) -> None:
        """Store how the run ended and give the lease back.

        `elapsed` are the seconds that it was active in all.

        Raises:
            StoreError: the storage failed.
            Fenced: the run's lease went to another process.
        """
        self._flush()
        self._finished = True
        await self._finish(self._state, end, elapsed)
        self._recorded.clear()
        self._state.known.clear()

    async def usage(self) -> Usage:
        """What the run used: sums over its stored calls and verdicts."""
        return await self._measure(self.run_id)

    def _learn(self, records: Sequence[Record]) -> None:
        if not self._finished:
            for record in records:
                self._recorded.learn(record)
