"""Replay: methods run on a stored pool instead of a model, over many random orders of its samples.

Each run is a live run in all but two things: its engine answers from the pool, at once, and its record is in memory. So
decisions, budgets, token counts and verifiers' spending are those of a live run that would have drawn these samples.
What a run asked for that the pool does not hold is counted and never made up. Of time a replay says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..core.budget import Budget
from ..core.completion import Completion
from ..core.errors import BurnishError, ConfigError, EngineUnavailable
from ..core.ids import Json, derived_seed, text_hash
from ..core.result import Result
from ..core.runs import RunSpec
from ..core.stop import Stop
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Outcome
from ..engine.recorded import RecordedEngine
from ..execution import execute
from ..graphs.registry import BUILTIN, build_graph
from ..traces.memory import MemoryJournal
from .plan import Arm
from .pool import Drawn, Pool
from .remember import Judges
from .trial import Trial, Trials

_HOW = ("system", "max_tokens", "temperature", "top_p")
"""Settings that decide which request a sample answers; an arm that leaves them open has the pool's."""


async def replay(pool: Pool, arms: Sequence[Arm], *, orders: int = 20, budget: Budget | None = None, seed: int = 0) -> Trials:
    """One trial for each arm, order and task. Within one order number all arms draw the same samples in the same order.

    Args:
        pool: the samples.
        arms: what is compared. Where an arm leaves open how it samples, it samples as the pool was drawn.
        orders: random orders in which the samples of each task are given out.
        budget: of each run, for arms that have none of their own; None for no limit.
        seed: what random choices of policies derive from.

    Raises:
        ConfigError: there is nothing to replay; a graph, setting or verifier does not exist; or an arm asks for nothing
            that the pool holds.
        EngineUnavailable: an arm needs what the pool was drawn without, such as log-probabilities.
        BurnishError: all runs of an arm failed.
    """
    if orders < 1 or not arms:
        raise ConfigError(f"{len(arms)} arms in {orders} orders are nothing to replay", hint="at least one of each")
    judges = Judges()
    players = [_Player(pool, arm, arm.budget or budget or Budget(), judges) for arm in arms]
    await _judge_samples(pool, players)
    trials: dict[str, list[Trial]] = {}
    for player in players:
        made = trials[player.arm.name] = list[Trial]()
        for order in range(orders):
            for task, drawn in zip(player.tasks, pool.drawn, strict=True):
                made.append(await player.play(task, drawn, order, derived_seed(seed, order, task.id)))
                await asyncio.sleep(0)  # For signals.
        player.check()
    return trials


class _Player:
    """One arm, ready to be played on the tasks of a pool."""

    def __init__(self, pool: Pool, arm: Arm, budget: Budget, judges: Judges) -> None:
        self.arm = arm
        self._pool = pool
        self._budget = budget
        self._served = self._beyond = 0
        self._errors: list[BurnishError | None] = []
        settings, tasks = dict(arm.settings), arm.prepared(pool.tasks)
        if arm.graph in BUILTIN:
            fields = BUILTIN[arm.graph].settings.model_fields
            settings = _sampling(pool) | settings
            own: Any = settings.pop("verifier", "task") if "verifier" in fields else "task"
            if own != "task":
                tasks = [replace(t, verifier=own) for t in tasks]
        self._settings = settings
        self._graph = build_graph(arm.graph, settings)
        self.tasks = [judges.prepared(t, d.samples) for t, d in zip(tasks, pool.drawn, strict=True)]
        """As the arm sees them, with verifiers that remember."""

    async def play(self, task: Task, drawn: Drawn, order: int, seed: int) -> Trial:
        """One run."""
        spec = RunSpec(
            id=text_hash(f"{self.arm.name}\0{task.id}\0{order}"),
            task=task,
            graph=self.arm.graph,
            settings=self._settings,
            seed=seed,
            budget=self._budget,
        )
        engine, journal = RecordedEngine(_table(drawn), info=self._pool.info, order=order), MemoryJournal(spec)
        result = await execute(self._graph, journal, {"default": engine}, Stop(), grade_all=True)
        if isinstance(result.error, ConfigError | EngineUnavailable):
            raise self._refused(result.error)
        self._errors.append(result.error)
        self._served += engine.served
        self._beyond += engine.beyond
        return _trial(result, journal, order, engine.beyond)

    def check(self) -> None:
        """Say so if nothing came of the arm, once all its runs are through.

        Raises:
            ConfigError: the pool held nothing of what it asked for.
            BurnishError: all of its runs failed, the first of them like this.
        """
        if self._errors[0] is not None and all(self._errors):
            raise self._errors[0]
        if self._beyond and not self._served:
            how = ", ".join(f"{k}={one_line(str(self._pool.settings[k]), 40)}" for k in _HOW if self._pool.settings.get(k))
            raise ConfigError(
                f"the arm {one_line(self.arm.name)} asks for nothing that the pool {one_line(self._pool.name)!r} holds",
                hint=f"it was drawn with {how}; an arm has to sample in the same way",
            )

    def _refused(self, error: ConfigError | EngineUnavailable) -> BurnishError:
        hint = (
            "the pool was drawn without it; draw another, or compare live" if isinstance(error, EngineUnavailable) else error.hint
        )
        return type(error)(f"the arm {one_line(self.arm.name)}: {error.message}", hint=hint, code=error.code)


async def _judge_samples(pool: Pool, players: Sequence[_Player]) -> None:
    """Have every sample judged by whoever will be asked about it, so that no replay has to wait for a verdict."""
    done: set[tuple[int, int]] = set()
    for player in players:
        for task, drawn in zip(player.tasks, pool.drawn, strict=True):
            judges = id(task.verifier), id(task.grader)
            if judges in done or not drawn.samples or (task.verifier is None and task.grader is None):
                continue
            done.add(judges)
            settings: dict[str, Json] = {**_sampling(pool), "n": len(drawn.samples), "stop_at_pass": False}
            journal = MemoryJournal(RunSpec(id=text_hash(task.id), task=task, graph="best_of_n", settings=settings))
            engine = RecordedEngine(_table(drawn), info=pool.info)
            await execute(build_graph("best_of_n", settings), journal, {"default": engine}, Stop(), grade_all=True)


def _sampling(pool: Pool) -> dict[str, Json]:
    return {k: v for k, v in pool.settings.items() if k in _HOW}


def _table(drawn: Drawn) -> Mapping[str, Sequence[Completion]]:
    return {drawn.key: [s.completion for s in drawn.samples]} if drawn.samples else {}


def _trial(result: Result, journal: MemoryJournal, order: int, beyond: int) -> Trial:
    said, right = dict[str, Outcome](), dict[str, Outcome]()
    for judged in journal.judged:
        (right if judged.grading else said)[judged.candidate_id] = judged.verdict.outcome
    return Trial.of(
        [(c.id, c.answer, c.kind) for c in journal.candidates.values() if not c.partial],
        said,
        right,
        result.candidate_id if result.error is None else None,
        task_id=result.task_id,
        seed=order,
        outcome=result.outcome or "failed",
        usage=replace(result.usage, seconds=0.0),
        beyond=beyond,
    )
