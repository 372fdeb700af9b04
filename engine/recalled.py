"""An engine that answers the calls of a run that is replayed from those that an old run recorded.

A call with the prompt, sampling and seed of a recorded one gets its result; one with another seed gets the first result for
its prompt and sampling that nobody has had. Results come in the order in which they came before, each when the one before it is
judged, so that a policy which acts on the first of them acts as it did. What was never generated, or not to its end, fails
and is counted.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count

from ..core.completion import Completion, Delta, Watch
from ..core.engine import EngineInfo, require
from ..core.errors import GenerationFailed
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .layer import NOTHING
from .recorded import RecordedEngine, pool_key

NOT_RECORDED = "not_recorded"
"""Code of a call that the record holds no result of."""
_PAUSE = 8
"""Turns of the event loop between two results: enough for a search to hear of one and to stop the next."""

_within: ContextVar[bool] = ContextVar("judging", default=False)


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """One recorded call."""

    key: str
    """Of its prompt and sampling (`recorded.stored_key`)."""
    seed: int | None
    number: int
    """Among all results of its run, in the order in which they came."""
    completion: Completion | None
    """None if the call failed, or has no result (with the code `not_recorded`)."""
    error_code: str = ""
    error: str = ""
    judging: bool = False
    """Whether a verifier made it."""


class Turns:
    """Lets calls that wait at the same time go on in the order of their numbers."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._counter = count()
        self._calling: asyncio.Task[None] | None = None
        self._judging = 0
        self._judged = asyncio.Event()

    @contextmanager
    def judging(self) -> Generator[None]:
        """Within, a candidate is judged: who waits for a turn waits for that too. The judge's own calls wait for nobody."""
        self._judging += 1
        self._judged.clear()
        token = _within.set(True)
        try:
            yield
        finally:
            _within.reset(token)
            self._judging -= 1
            if not self._judging:
                self._judged.set()

    async def mine(self, number: float) -> None:
        """Wait for one's turn."""
        if _within.get():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, next(self._counter), future))
        if self._calling is None:
            self._calling = asyncio.create_task(self._call())
        await future

    async def _call(self) -> None:
        while self._waiting:
            await self._quiet()
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
        self._calling = None

    async def _quiet(self) -> None:
        """Wait until what went on last has been judged and heard of."""
        while True:
            for _ in range(_PAUSE):
                await asyncio.sleep(0)
            if not self._judging:
                return
            await self._judged.wait()


class RecalledEngine(RecordedEngine):
    """Answers from the calls of one recorded run. A result is given out once."""

    def __init__(self, calls: Sequence[Recalled], *, info: EngineInfo, turns: Turns) -> None:
        """Make an engine.

        Args:
            calls: those that this engine was asked for, failed and unfinished ones included.
            info: what the engine was.
            turns: shared by all engines of the run.
        """
        samples: dict[str, list[Completion]] = {}
        self._unfinished = {(call.key, call.seed) for call in calls if call.error_code == NOT_RECORDED}
        self._open: dict[str, dict[int | None, Recalled]] = {}
        """Results that nobody has had, by key and seed, in their order."""
        finished = [call for call in calls if call.error_code != NOT_RECORDED]
        for number, call in enumerate(sorted(finished, key=lambda call: call.number)):
            if call.completion is not None:
                samples.setdefault(call.key, []).append(call.completion)
            by_seed = self._open.setdefault(call.key, {})
            by_seed[call.seed if call.seed not in by_seed else -1 - number] = call
        super().__init__(samples, info=info)
        self.info = replace(self.info, kind=info.kind, settings=info.settings)
        self._turns = turns

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """The recorded result of this call.

        Raises:
            GenerationFailed: it failed when it was recorded, or there is none (`not_recorded`).
            EngineUnavailable: the recorded engine could not do what is asked.
        """
        if stop is not None and stop.requested:
            return NOTHING
        require(self, (*sampling.needs, *prompt.needs), why="the call")
        call = self._taken(pool_key(prompt, sampling), sampling.seed)
        await self._turns.mine(call.number if call else math.inf)
        if stop is not None and stop.requested:
            if call is not None:
                self._open[call.key][call.seed] = call
            return NOTHING
        if call is None:
            raise self._lacking("the run recorded no such call", NOT_RECORDED)
        self.served += 1
        if call.completion is None:
            raise GenerationFailed(call.error, code=call.error_code)
        completion = self._as_asked(call.completion, sampling.logprobs)
        if watch is not None and watch(Delta(completion.text, completion.text, completion.tokens.completion)):
            return replace(completion, finish_reason="aborted")
        return completion

    def _taken(self, key: str, seed: int | None) -> Recalled | None:
        left = self._open.get(key)
        if not left or (key, seed) in self._unfinished:
            return None
        return left.pop(seed if seed in left else next(iter(left)))

    def _lacking(self, message: str, code: str) -> GenerationFailed:
        self.beyond += 1
        return GenerationFailed(message, code=NOT_RECORDED, hint="fork the run to generate it")


def by_role(calls: Mapping[str, Sequence[Recalled]], infos: Mapping[str, EngineInfo], turns: Turns) -> dict[str, RecalledEngine]:
    """Engines for all roles of a run. Calls of a role without an engine of its own belong to the default one."""
    served: dict[str, list[Recalled]] = {role: [] for role in infos}
    for role, made in calls.items():
        served.setdefault(role if role in infos else "default", []).extend(made)
    return {role: RecalledEngine(served[role], info=info, turns=turns) for role, info in infos.items()}
