"""Groups whose producers are on event loops, and how the writer's thread speaks to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..core.records import Record
from .commit import Group, Transaction
from .rows import RunState

Loop = asyncio.AbstractEventLoop


class Ticket(Group):
    """A group whose producer is on an event loop."""

    __slots__ = ("future", "learn", "loop")

    def __init__(
        self,
        loop: Loop,
        *,
        state: RunState | None = None,
        records: Sequence[Record] = (),
        weight: int = 0,
        wait: bool = True,
        work: Callable[[Transaction], Any] | None = None,
        after: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(state, records, weight, work=work, after=after)
        self.urgent = wait
        self.loop = loop
        self.future: asyncio.Future[Any] | None = loop.create_future() if wait else None
        """Done once the group is settled; None if nobody waits for that."""
        self.learn: Callable[[], None] | None = None
        """Called on the loop before the producer goes on, if it was written."""

    def acknowledge(self) -> None:
        """Let the producer go on. Called on the loop."""
        if self.learn and self.error is None:
            self.learn()
        future = self.future
        if future is None or future.done():
            return
        if self.error is None:
            future.set_result(self.result)
        else:
            future.set_exception(self.error)


def acknowledge(loop: Loop, tickets: list[Ticket]) -> None:
    """Let the producers of settled tickets go on. May be called from any thread."""
    with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
        loop.call_soon_threadsafe(_acknowledge, tickets)


def _acknowledge(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        ticket.acknowledge()
