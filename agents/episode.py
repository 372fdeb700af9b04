"""An episode under a run's record: what was observed once is never asked of the world again.

Each step is an effect at a position of its own. On resume the recorded observations are used, and no environment is touched
while they last; only when a step without a record is needed is the environment brought back to where it was (by `restore`,
or else by doing the recorded actions again), and what it then shows must be what the record holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

from ..core.context import Context
from ..core.environment import Environment, Maker, Observation
from ..core.errors import BurnishError, GenerationFailed, RetrievalFailed, VerifierFailed
from ..core.ids import Json, derived_seed
from ..core.text import one_line, storable

T = TypeVar("T")


def cut(text: str, longest: int) -> str:
    """A text of at most about `longest` characters: head and tail, with a mark that says how much is left out."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    head = longest - tail
    return f"{text[:head]}\n[{len(text) - longest} of {len(text)} characters left out]\n{text[-tail:] if tail else ''}"


class Episode:
    """One episode of an environment. A context manager: it closes the environment."""

    def __init__(self, ctx: Context, make: Maker, *, longest: int = 2000, seconds: float = 300.0) -> None:
        """Take up an episode at the position of `ctx`, which should be a scope of its own.

        `longest` is the most characters of an observation, `seconds` what the environment may take for one step.
        """
        self.environment: Environment = make()
        self.turns: list[tuple[str, Observation]] = []
        """Actions and what was seen after each."""
        self.first = Observation(text="")
        """What was seen at the beginning."""
        self._ctx, self._longest, self._seconds = ctx, longest, seconds
        self._seed = derived_seed(ctx.run.seed, "environment")
        self._live = False

    async def __aenter__(self) -> Episode:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # What the episode came to is known by now.
            await asyncio.wait_for(self.environment.close(), self._seconds)

    async def reset(self) -> Observation:
        """The first observation. The seed is the same for all episodes of a run, so that they begin alike.

        Raises:
            GenerationFailed: the environment failed; the episode is lost, others go on.
            ConfigError: the task lacks what the environment needs.
        """
        environment = self.environment
        environment.check(self._ctx.task)

        async def perform() -> Json:
            seen = await self._guarded(environment.reset(self._ctx.task, self._seed))
            self._live = True
            return seen.to_json()

        request = {**self._named(), "seed": self._seed}
        self.first = _observation(await self._ctx.effect("reset", request, perform, key="reset"))
        return self.first

    async def step(self, action: str) -> Observation:
        """Do one action. What it showed is recorded and not asked for again; one that was under way at a kill is done again.

        Raises:
            GenerationFailed: the environment failed; the episode is lost, others go on.
        """

        async def perform() -> Json:
            await self._catch_up()
            return (await self._guarded(self.environment.step(action))).to_json()

        request = {**self._named(), "action": action}
        seen = _observation(await self._ctx.effect("step", request, perform, key=f"step{len(self.turns)}"))
        self.turns.append((action, seen))
        return seen

    async def _catch_up(self) -> None:
        """Bring the environment to where the record ends."""
        if self._live:
            return
        actions = [action for action, _ in self.turns]
        restore = getattr(self.environment, "restore", None)
        if restore is not None:
            await self._within(restore(self._ctx.task, self._seed, actions))
        else:
            self._same(self.first, await self._guarded(self.environment.reset(self._ctx.task, self._seed)))
            for action, seen in self.turns:
                self._same(seen, await self._guarded(self.environment.step(action)))
        self._live = True

    def _same(self, recorded: Observation, seen: Observation) -> None:
        if recorded != seen:
            raise GenerationFailed(
                f"the environment {self.environment.name} shows something else than what is recorded: "
                f"{one_line(seen.text, 60)!r}, before: {one_line(recorded.text, 60)!r}",
                code="environment_changed",
                hint="it depends on more than task, seed and actions: give it a method restore",
            )

    async def _guarded(self, work: Awaitable[object]) -> Observation:
        seen = await self._within(work)
        if not isinstance(seen, Observation):
            raise GenerationFailed(
                f"the environment {self.environment.name} returned a {type(seen).__name__}", code="environment_error"
            )
        text = cut(storable(seen.text), self._longest)
        return Observation(text=text, refused=seen.refused, done=seen.done, answer=storable(seen.answer) if seen.done else "")

    async def _within(self, work: Awaitable[T]) -> T:
        """The result; a crash or a time-out as the failure of this episode."""
        name, limit = self.environment.name, asyncio.timeout(self._seconds)
        try:
            async with limit:
                return await work
        except (VerifierFailed, RetrievalFailed) as e:
            raise GenerationFailed(e.message, code=e.code) from e
        except BurnishError:
            raise
        except Exception as e:
            if limit.expired():
                raise GenerationFailed(f"no answer from {name} within {self._seconds:g} s", code="environment_timeout") from e
            error = f"the environment {name} raised {type(e).__name__}: {one_line(str(e), 300)}"
            raise GenerationFailed(error, code="environment_error") from e

    def _named(self) -> dict[str, Json]:
        return {"environment": self.environment.name, "version": self.environment.version}


def _observation(value: object) -> Observation:
    return Observation(**cast("dict[str, Any]", value))
