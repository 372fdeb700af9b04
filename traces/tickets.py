"""Groups whose producers are on event loops, and how the writer's thread speaks to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from ..core.errors import BurnishError
from ..core.records import Record
from .commit import Group, Transaction
from .run_state import RunState

Loop = asyncio.AbstractEventLoop
Write: TypeAlias = tuple[int, Sequence[Record], "asyncio.Future[None]"]
"""Records that somebody waits for: where they begin among those of their bundle, and what is done once they are settled."""


class Ticket(Group):
    """A group whose producer is on an event loop: a piece of work on the database, unless a subclass says otherwise."""

    __slots__ = ("future", "loop")

    def __init__(
        self,
        loop: Loop,
        *,
        state: RunState | None = None,
        wait: bool = True,
        work: Callable[[Transaction], Any] | None = None,
        after: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(state, work=work, after=after)
        self.urgent = wait
        self.loop = loop
        self.future: asyncio.Future[Any] | None = loop.create_future() if wait else None
        """Done once the group is settled; None if nobody waits for that."""

    def acknowledge(self) -> None:
        """Let the producer go on. Called on the loop."""
        if self.future is not None:
            _end(self.future, self.error, self.result)


class Bundle(Ticket):
    """What a run records in one turn of its loop, in order. Where it cannot be stored whole, each part stands for itself."""

    __slots__ = ("learn", "parts", "writes")

    def __init__(
        self,
        loop: Loop,
        state: RunState,
        records: Sequence[Record],
        weight: int,
        writes: Sequence[Write],
        learn: Callable[[Sequence[Record]], None],
    ) -> None:
        super().__init__(loop, state=state, wait=False)
        self.records, self.weight = records, weight
        self.writes = writes
        """The records that somebody waits for; the others are queued."""
        self.learn = learn
        """Called on the loop with records that are durable, before those who wait for them go on."""
        self.urgent = bool(writes)
        self.strict = sum(len(waited) for _, waited, _ in writes) < len(records)
        self.parts: Sequence[Bundle] = ()
        """What it was split into."""

    @property
    def divisible(self) -> bool:
        """Whether it has parts that can be stored one by one."""
        return len(self.writes) + self.strict > 1

    def split(self) -> Sequence[Bundle]:
        """Its parts: each write, and what was queued before, between and after them."""
        at, parts = 0, list[Bundle]()
        for begin, waited, future in self.writes:
            parts += [self._part(self.records[at:begin]), self._part(waited, (0, waited, future))]
            at = begin + len(waited)
        self.parts = [part for part in (*parts, self._part(self.records[at:])) if part.records or part.writes]
        return self.parts

    def _part(self, records: Sequence[Record], *writes: Write) -> Bundle:
        assert self.state is not None
        part = Bundle(self.loop, self.state, records, 0, writes, self.learn)
        part.at_ns = self.at_ns
        return part

    def acknowledge(self) -> None:
        """Let those who wait go on, each with what became of its own records."""
        for part in self.parts:
            if not part.settled:
                part.error = self.error
            part.acknowledge()
        if self.parts:
            return
        for _, records, future in self.writes:
            if self.error is None:
                self.learn(records)
            _end(future, self.error)


def acknowledge(loop: Loop, tickets: list[Ticket]) -> None:
    """Let the producers of settled tickets go on. May be called from any thread."""
    with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
        loop.call_soon_threadsafe(_acknowledge, tickets)


def _acknowledge(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        ticket.acknowledge()


def _end(future: asyncio.Future[Any], error: BurnishError | None, result: Any = None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
