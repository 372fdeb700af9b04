"""What of a search is in flight: begun as there is room, cancelled at a word, landed one by one.

One that fails lands as a result like any other; only an event of the run itself is raised, and ends the search.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

from ..core.context import Context
from ..core.errors import BudgetExhausted, BurnishError, Cancelled, GenerationFailed
from ..core.policy import Expansion, Probe, Scored
from ..core.stop import Stop
from .maker import Flight, Maker


class Flights:
    """The expansions and probes of one search that are on their way, by their ids."""

    def __init__(self, ctx: Context, maker: Maker, width: int | None) -> None:
        self.ctx = ctx
        self.maker = maker
        self.width = width or sys.maxsize
        self.open: dict[str, Flight] = {}
        """Launched and neither told nor cancelled: on their way, or landed."""
        self.early: dict[str, Scored] = {}
        """Results that landed and were not taken yet, in the order of landing."""
        self._flying = 0
        self._waiting: deque[tuple[Expansion | Probe, Flight]] = deque()
        """Launched, but without room while `width` others fly."""
        self._ending: set[asyncio.Task[None]] = set()
        """Tasks of cancelled flights that are still handing over what they have."""
        self._landed: asyncio.Queue[tuple[str, Scored | BaseException]] = asyncio.Queue()

    def launch(self, move: Expansion | Probe) -> None:
        """Let one begin, at once or when there is room."""
        flight = self.open[move.id] = Flight(Stop(self.ctx.stop))
        self._waiting.append((move, flight))
        self._take_off()

    def _take_off(self) -> None:
        while self._waiting and self._flying < self.width:
            move, flight = self._waiting.popleft()
            if not flight.stop.requested or self.ctx.stop.requested:
                self._flying += 1
                flight.task = asyncio.create_task(self._fly(move, flight))

    def cancel(self, name: str) -> None:
        """Nobody wants one any more: whatever comes of it is not told. One that is not open is left alone."""
        self.early.pop(name, None)
        flight = self.open.pop(name, None)
        if flight is None:
            return
        flight.stop.request()
        if flight.task is None:
            flight.stop.close()
            return
        if flight.judging:
            flight.task.cancel()
        self._ending.add(flight.task)
        flight.task.add_done_callback(self._ending.discard)

    def take(self, name: str) -> Scored:
        """A result that has landed; it is told now."""
        self.open.pop(name, None)
        return self.early.pop(name)

    def give_up_waiting(self) -> None:
        """Cancel what has not begun."""
        for name in [name for name, flight in self.open.items() if flight.task is None]:
            self.cancel(name)

    async def end(self) -> None:
        """Cancel all, and wait until each has handed over what it has."""
        for name in list(self.open):
            self.cancel(name)
        if self._ending:
            await asyncio.wait(self._ending)

    async def land(self, *, deadline: bool = False) -> bool:
        """Wait for the next result, which is then `early`; with `deadline` no longer than the budget allows.

        Returns:
            False once the deadline has passed.

        Raises:
            BurnishError: an event of the run, such as the loss of its engine.
        """
        left = self.ctx.run.ledger.seconds_left if deadline else None
        try:
            name, result = await (self._landed.get() if left is None else asyncio.wait_for(self._landed.get(), left))
        except TimeoutError:
            self.ctx.run.limit = "seconds"
            return False
        if isinstance(result, BaseException):
            raise result
        if name in self.open:
            self.early[name] = result
        return True

    async def _fly(self, move: Expansion | Probe, flight: Flight) -> None:
        try:
            if isinstance(move, Probe):
                result: Scored | BaseException = await self.maker.probe(move, flight)
            else:
                result = await self.maker.expand(move, flight)
        except Cancelled as e:
            if flight.stop.requested and not self.ctx.stop.requested:
                return
            result = e
        except BudgetExhausted as e:
            self.ctx.run.limit = e.limit
            result = Scored(id=move.id, error=e.code)
        except GenerationFailed as e:
            self.maker.errors[move.id] = e.message
            result = Scored(id=move.id, error=e.code)
        except BurnishError as e:
            result = e
        except Exception as e:
            self.maker.errors[move.id] = f"{type(e).__name__}: {e}"
            result = Scored(id=move.id, error="proposer_error")
        finally:
            flight.stop.close()
            self._flying -= 1
            self._take_off()
        self._landed.put_nowait((move.id, result))

    async def abandon(self) -> None:
        """End all, whatever state they are in, and wait until they are over."""
        self._waiting.clear()
        tasks = [f.task for f in self.open.values() if f.task] + list(self._ending)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
