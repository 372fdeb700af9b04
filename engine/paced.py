"""Time in scripted engines: how long the tokens of a call take, and how calls share one machine.

Without a shared capacity the tokens of a call are spread evenly over its latency. With one, calls wait for a place, and
those that have one share the tokens per second evenly. The sharing is computed in continuous time, not by ticking, so
that the time it takes measures the caller (its overhead, its barriers) and not the timers.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..core.errors import ConfigError
from ..core.stop import Stop

_GLANCE = 0.002
"""Seconds between two looks at what has arrived, for those who watch."""


class Decoding(Protocol):
    """One call whose tokens arrive in time."""

    end: asyncio.Future[None]
    """Done once all tokens are there, or the call was given up."""

    def arrived(self) -> int:
        """Tokens that are there."""
        ...

    def leave(self) -> None:
        """Free what the call holds. Called again, or after the end, it does nothing."""
        ...


async def follow(decoding: Decoding, stop: Stop | None, watch: Callable[[int], bool] | None) -> int:
    """Wait for the end of a call. Returns how many tokens there are then.

    `watch` is told the number of tokens whenever it has grown; where it returns True the call ends. Nobody looks
    at a call that has no `watch`, so that thousands may run at once.
    """
    detach = stop.when_requested(lambda: _finish(decoding.end)) if stop else None
    try:
        if watch is None:
            await decoding.end
        else:
            seen = 0
            while not decoding.end.done():
                await asyncio.wait((decoding.end,), timeout=_GLANCE)
                now = decoding.arrived()
                if now > seen and watch(now):
                    break
                seen = now
        return decoding.arrived()
    finally:
        if detach:
            detach()
        decoding.leave()


class Timed:
    """A call that takes a fixed time, whatever else runs."""

    def __init__(self, tokens: int, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._tokens, self._seconds, self._began = tokens, seconds, self._loop.time()
        self.end: asyncio.Future[None] = self._loop.create_future()
        self._full = False
        self._timer = self._loop.call_later(seconds, self._finished)

    def _finished(self) -> None:
        self._full = True
        _finish(self.end)

    def arrived(self) -> int:
        """Tokens that are there."""
        if self._full:
            return self._tokens
        return min(self._tokens, int(self._tokens * (self._loop.time() - self._began) / self._seconds))

    def leave(self) -> None:
        """Stop the clock."""
        self._timer.cancel()


class Capacity:
    """A machine that calls share, each getting the same part of it (processor sharing).

    All numbers may be infinite. `each` is the most tokens per second that one call gets however few others run, as
    on a GPU, where a batch of one is hardly faster than a full one; with it the last, longest calls show in the end.
    """

    def __init__(self, tokens_per_second: float, max_running: float = math.inf, each: float = math.inf) -> None:
        for name, value in (("tokens_per_second", tokens_per_second), ("max_running", max_running), ("each", each)):
            if not value > 0:
                raise ConfigError(f"{name} is {value}", hint="give a number above 0")
        self._total, self._max, self._each = tokens_per_second, max_running, each
        self._served = 0.0
        """Tokens that a call running from the beginning would have got."""
        self._at = 0.0
        """Time up to which all is accounted for."""
        self._queue: list[tuple[float, int, Seat]] = []
        """Calls that run, by what `_served` will be when they end."""
        self._waiting: deque[Seat] = deque()
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self.running = 0
        """Calls that have a place."""

    def enter(self, tokens: int) -> Seat:
        """A place for one call, or one in the queue for it."""
        self.account()
        seat = Seat(self, tokens)
        self._waiting.append(seat)
        self._admit()
        return seat

    def served(self) -> float:
        """Tokens that a call running from the beginning would have got by the time accounted for."""
        return self._served

    def give_up(self, seat: Seat) -> None:
        """Take back the place of a call that has not ended."""
        if seat.began is not None:
            self.running -= 1
        self._admit()

    def account(self) -> None:
        """Compute all that happened until now: ends in their order, each at its own time."""
        now = asyncio.get_running_loop().time()
        while self._queue:
            served, _, seat = self._queue[0]
            due = self._at if seat.left else self._due(served)
            if due > now:
                break
            heapq.heappop(self._queue)
            if not seat.left:
                self._at, self._served = max(due, self._at), served
                self.running -= 1
                seat.ended()
                self._fill()
        if self.running:
            self._served += (now - self._at) * self._rate()
        self._at = now

    def _rate(self) -> float:
        return min(self._each, self._total / self.running)

    def _due(self, served: float) -> float:
        return self._at + (served - self._served) / self._rate()

    def _fill(self) -> None:
        while self._waiting and self.running < self._max:
            seat = self._waiting.popleft()
            if seat.left:
                continue
            self.running += 1
            self._number += 1
            seat.began = self._served
            heapq.heappush(self._queue, (self._served + seat.tokens, self._number, seat))

    def _admit(self) -> None:
        self._fill()
        while self._queue and self._queue[0][2].left:
            heapq.heappop(self._queue)
        if not self._queue:
            return
        due = self._due(self._queue[0][0])
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.account()
        self._admit()


class Seat:
    """A call on a shared machine."""

    def __init__(self, capacity: Capacity, tokens: int) -> None:
        self._capacity = capacity
        self.tokens = tokens
        self.began: float | None = None
        """What the machine had served when the call got its place; None while it waits."""
        self.left = False
        """Whether it has no place any more: it has ended, or was given up."""
        self._arrived = 0
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ended(self) -> None:
        """All tokens are there."""
        self.left, self._arrived = True, self.tokens
        _finish(self.end)

    def arrived(self) -> int:
        """Tokens that are there."""
        if not self.left:
            self._capacity.account()
        if not self.left and self.began is not None:
            self._arrived = min(self.tokens, int(self._capacity.served() - self.began))
        return self._arrived

    def leave(self) -> None:
        """Give the place up."""
        self.arrived()
        if not self.left:
            self.left = True
            self._capacity.give_up(self)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
