"""Retries of failed calls: the one place where burnish sends a model call again.

Only failures that say they are worth it (`GenerationFailed` with `retryable`) are tried again, after a random
wait up to a bound that doubles (full jitter), or after what the failure's `retry_after` asks for, if that is longer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from ..core.completion import Completion, Scores, Watch
from ..core.engine import Engine, Reward
from ..core.errors import Cancelled, ConfigError, GenerationFailed
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .layer import NOTHING, Layer, rewarding

T = TypeVar("T")


class Retrying(Layer):
    """An engine whose passing failures are tried again.

    A watcher sees an attempt that is repeated from its beginning.
    """

    def __init__(
        self, engine: Engine, *, attempts: int = 4, wait: float = 0.5, longest_wait: float = 30.0, deadline: float = 120.0
    ) -> None:
        """Wrap an engine.

        `attempts` counts the first one. `wait` is the bound of the first wait in seconds, `longest_wait` that of any.
        No attempt begins later than `deadline` seconds after the first: a failure that asks for a longer wait is final.

        Raises:
            ConfigError: a number out of range.
        """
        super().__init__(engine)
        if attempts < 1:
            raise ConfigError(f"the number of attempts is {attempts}", hint="at least 1")
        for name, value in (("wait", wait), ("longest_wait", longest_wait), ("deadline", deadline)):
            if not value >= 0:
                raise ConfigError(f"{name} is {value}", hint="give seconds, 0 or more")
        self.attempts = attempts
        """Most attempts for one call."""
        self.retries = 0
        """Attempts after a first one, over all calls."""
        self._jitter = wait_random_exponential(multiplier=wait, max=longest_wait)
        self._deadline = deadline

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """One sample, by as many attempts as are allowed. Stopped between two of them, it is empty and `aborted`."""
        try:
            return await self._repeat(lambda: self.engine.generate(prompt, sampling, watch=watch, stop=stop), stop)
        except Cancelled:
            if stop is not None and stop.requested:
                return NOTHING
            raise

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Scores, by as many attempts as are allowed."""
        return await self._repeat(lambda: self.engine.score(prompt, continuations), None)

    async def reward(self, prompt: Prompt, answer: str, *, raw: bool) -> Reward:
        """A reward, by as many attempts as are allowed."""
        engine = rewarding(self.engine)
        return await self._repeat(lambda: engine.reward(prompt, answer, raw=raw), None)

    async def _repeat(self, send: Callable[[], Awaitable[T]], stop: Stop | None) -> T:
        began = time.monotonic()
        try:
            return await send()
        except GenerationFailed as e:
            if not e.retryable or self.attempts == 1:
                raise
            return await self._again(send, stop, e, began)

    async def _again(self, send: Callable[[], Awaitable[T]], stop: Stop | None, first: GenerationFailed, began: float) -> T:
        """Go on after a first failure. Apart, so that a call that succeeds does not pay for the machinery."""
        tries = 0

        async def attempt() -> T:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise first
            self.retries += 1
            return await send()

        async def sleep(seconds: float) -> None:
            await (stop.race(asyncio.sleep(seconds)) if stop is not None else asyncio.sleep(seconds))

        left = self._deadline - (time.monotonic() - began)
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, GenerationFailed) and e.retryable),
            wait=self._wait,
            stop=stop_after_attempt(self.attempts) | stop_before_delay(left),
            sleep=sleep,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except GenerationFailed as e:
            raise GenerationFailed(
                f"{e.message} (attempt {tries} of {self.attempts})", hint=e.hint, code=e.code, retryable=e.retryable
            ) from e

    def _wait(self, state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        return max(self._jitter(state), _asked_for(failure))


def _asked_for(error: BaseException | None) -> float:
    """Seconds that a failure asks to be left alone for (its `retry_after`); 0 if it does not say."""
    value = error.retry_after if isinstance(error, GenerationFailed) else None
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else 0.0
