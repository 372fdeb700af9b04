"""The journal of one run: `core.journal.Journal` over the database.

What is recorded is held in memory, so that it answers at once; what is written is learned when it is durable, so that a
node which is run again in the same process finds its finished calls as one that is resumed does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ..core.budget import Spend
from ..core.errors import StoreError
from ..core.policy import Selection
from ..core.records import Record, RecordedCall
from ..core.runs import RunEnd, RunSpec, Usage
from ..core.text import storable
from ..core.verdict import Verdict
from .load import Recorded
from .rows import RunState
from .tickets import Ticket
from .weights import weight
from .writer import Writer

Finish = Callable[[RunState, RunEnd, float], Awaitable[None]]
Measure = Callable[[str], Awaitable[Usage]]


class RunJournal:
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
        self._recorded = recorded
        self._writer = writer
        self._finish = finish
        self._measure = measure
        self._finished = False

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._state.run_id

    def call(self, position: str) -> RecordedCall | None:
        """The call recorded at a position; its state is `intent` if no result is known."""
        return self._recorded.call(storable(position))

    def verdict(self, position: str) -> Verdict | None:
        """The verdict recorded at a position."""
        return self._recorded.verdicts.get(storable(position))

    def decision(self, position: str) -> Selection | None:
        """The choice recorded at a search's scope."""
        return self._recorded.decisions.get(storable(position))

    def told(self, scope: str) -> Sequence[str]:
        """Ids told within a search, in their order, as of now."""
        return tuple(self._recorded.tells.get(storable(scope), ()))

    def step_done(self, position: str) -> bool:
        """Whether the node at a position is recorded as finished."""
        return storable(position) in self._recorded.steps_done

    def unclaimed(self, step: str, used: Callable[[str], bool]) -> str | None:
        """A finished call recorded within a step, or with an empty `step` within the run, that was not `used`; or None.

        Refused and cancelled calls do not count: whether they were made depends on what landed first.
        """
        steps = self._recorded.call_steps
        for positions in steps.values() if not step else [steps.get(storable(step), ())]:
            for position in positions:
                if not used(position) and self._recorded.state(position) in ("ok", "error"):
                    return position
        return None

    async def write(self, *records: Record, wait: bool = True) -> None:
        """Put records into one transaction; with `wait`, return once it is durable.

        Raises:
            StoreError: the storage failed, or a record cannot be stored.
            Fenced: the run's lease went to another process.
        """
        if self._state.error:
            raise self._state.error
        if self._finished:
            raise StoreError(f"the run {self.run_id} is finished", hint="acquire it again", code="finished")
        ticket = Ticket(
            asyncio.get_running_loop(),
            state=self._state,
            records=records,
            weight=weight(records),
            wait=wait,
            learn=self._learn,
        )
        if not self._writer.put_now(ticket):
            await self._writer.put(ticket)
        if ticket.future:
            await ticket.future

    async def finish(self, end: RunEnd, elapsed: float) -> None:
        """Store how the run ended and give the lease back.

        `elapsed` are the seconds that it was active in all.

        Raises:
            StoreError: the storage failed.
            Fenced: the run's lease went to another process.
        """
        self._finished = True
        await self._finish(self._state, end, elapsed)
        self._recorded.clear()
        self._state.known.clear()

    async def usage(self) -> Usage:
        """What the run used: sums over its stored calls and verdicts."""
        return await self._measure(self.run_id)

    def _learn(self, ticket: Ticket) -> None:
        if ticket.error is None and not self._finished:
            for record in ticket.records:
                self._recorded.learn(record)
