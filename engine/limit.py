"""A limit on how many calls an engine gets at once.

The others wait, first come first served. A call that is stopped while it waits is never sent and comes back empty, as
`aborted`. Put the limit inside of retries, so that a call waiting to be repeated keeps no place:
`Retrying(Limited(engine, 64))`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..core.completion import Completion, Scores, Watch
from ..core.engine import Engine, Reward
from ..core.errors import ConfigError
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .layer import NOTHING, Layer, rewarding


class Limited(Layer):
    """An engine that gets at most `limit` calls at once."""

    def __init__(self, engine: Engine, limit: int) -> None:
        """Wrap an engine.

        Raises:
            ConfigError: the limit is below 1.
        """
        super().__init__(engine)
        if limit < 1:
            raise ConfigError(f"the concurrency limit is {limit}", hint="at least 1")
        self.limit = limit
        self.running = 0
        """Calls that the engine has."""
        self.peak = 0
        """Most calls that it had at once."""
        self._queue: dict[asyncio.Future[bool], None] = {}

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        return len(self._queue)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """One sample, once there is a place."""
        if not await self._enter(stop):
            return NOTHING
        try:
            return await self.engine.generate(prompt, sampling, watch=watch, stop=stop)
        finally:
            self._leave()

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Scores, once there is a place."""
        await self._enter(None)
        try:
            return await self.engine.score(prompt, continuations)
        finally:
            self._leave()

    async def reward(self, prompt: Prompt, answer: str, *, raw: bool) -> Reward:
        """A reward, once there is a place."""
        await self._enter(None)
        try:
            return await rewarding(self.engine).reward(prompt, answer, raw=raw)
        finally:
            self._leave()

    async def _enter(self, stop: Stop | None) -> bool:
        """Wait for a place; False if the call was stopped meanwhile."""
        if stop is not None and stop.requested:
            return False
        if self.running < self.limit:
            self._take()
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue[place] = None
        detach = stop.when_requested(lambda: self._drop(place)) if stop is not None else None
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self._leave()  # the place was handed over in the same moment
            raise
        finally:
            self._queue.pop(place, None)
            if detach is not None:
                detach()

    def _drop(self, place: asyncio.Future[bool]) -> None:
        self._queue.pop(place, None)
        if not place.done():
            place.set_result(False)

    def _take(self) -> None:
        self.running += 1
        self.peak = max(self.peak, self.running)

    def _leave(self) -> None:
        """Free a place, or hand it over, so that no newcomer can overtake those who wait."""
        self.running -= 1
        while self._queue:
            place = next(iter(self._queue))
            del self._queue[place]
            if not place.done():
                self._take()
                place.set_result(True)
                return
