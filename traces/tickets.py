"""Groups whose producers are on event loops, and how the writer's thread speaks to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..core.errors import BurnishError
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
        learn: Callable[[Ticket], None] | None = None,
        work: Callable[[Transaction], Any] | None = None,
        after: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(state, records, weight, strict=not wait, work=work, after=after)
        self.loop = loop
        self.future: asyncio.Future[Any] | None = loop.create_future() if wait else None
        """What the producer waits for; None if he does not."""
        self.learn = learn
        """Called on the loop before the producer goes on."""

    def acknowledge(self) -> None:
        """Let the producer go on. Called on the loop."""
        if self.learn:
            self.learn(self)
        future = self.future
        if future is None or future.done():
            return
        if self.error is None:
            future.set_result(self.result)
        else:
            future.set_exception(self.error)


def call(loop: Loop, function: Callable[[list[Any]], None], items: list[Any]) -> None:
    """Have a function called on a loop, from any thread."""
    with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
        loop.call_soon_threadsafe(function, items)


def acknowledge(tickets: list[Ticket]) -> None:
    """Let the producers of settled tickets go on. Called on their loop."""
    for ticket in tickets:
        ticket.acknowledge()


def admit(rooms: list[asyncio.Future[None]]) -> None:
    """Tell producers that their tickets are queued. Called on their loop."""
    for room in rooms:
        if not room.done():
            room.set_result(None)


def refuse(rooms: list[tuple[asyncio.Future[None], BurnishError]]) -> None:
    """Tell producers that their tickets will not be queued. Called on their loop."""
    for room, error in rooms:
        if not room.done():
            room.set_exception(error)
