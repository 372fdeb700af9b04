"""What benchmarks with a model share: which tasks, a pool or a comparison carried out where it is not done yet, and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compare.plan import Plan
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.text import one_line
from .report import say

if TYPE_CHECKING:
    from ..compare.pool import Pool
    from ..compare.trial import Trials
    from ..core.engine import Engine
    from ..core.result import Result
    from ..core.task import Task
    from ..stats import Interval

ENGINE_ARGS: dict[str, Any] = {"max_model_len": 1024, "max_num_seqs": 64}


async def carried_out(
    store: str,
    plan: Plan,
    engine: Engine | None = None,
    *,
    model: str | None = None,
    engine_args: Mapping[str, Any] = ENGINE_ARGS,
    recipes: Mapping[str, Json] | None = None,
    concurrency: int = 64,
    keep_engine: bool = False,
) -> Trials:
    """The trials of a comparison. No engine is started if nothing is left to do; without one given it is vLLM's.

    `recipes` say how a given engine was made, `concurrency` is the most runs at once.

    Raises:
        BurnishError: no engine, no store, or the session was stopped; calling again goes on.
    """
    from ..compare import carry, measure
    from ..compare.progress import Quarters
    from ..engine.registry import make_engine, recipe
    from ..session import Session
    from ..traces.store import Store

    opened = await Store.open(store)
    try:
        if carry.left(opened.reader(), plan):
            say(f"{plan.name}: {len(plan.arms)} arms, {len(plan.tasks)} tasks")
            if engine is None:
                say("starting the engine (about half a minute with vLLM on a CPU)")
            made = {"default": recipe("vllm", model, engine_args)} if engine is None else recipes
            session = Session(
                engine or make_engine("vllm", model, engine_args),
                store=opened,
                concurrency=concurrency,
                recipes=made,
                keep_engines=keep_engine,
                grade_all=True,
            )
            async with session:
                failed = await carry.carry_out(session, plan, Quarters(len(plan.tasks), say))
            if failed:
                say(f"{len(failed)} runs failed, the first {failed[0].task_id}: {one_line(str(failed[0].error), 300)}")
        return measure.trials(opened.reader(), plan)
    finally:
        await opened.close()


async def drawn_pool(
    store: str, name: str, tasks: Sequence[Task], k: int, engine: Engine, recipe: Json = None, *, keep_engine: bool = False
) -> Pool:
    """A pool of k samples of each task; what the store has of it is not drawn again, and a whole one starts no engine.

    `recipe` says how the engine was made; None where it was given in code.

    Raises:
        BurnishError: another pool has this name, no engine, no store, or the session was stopped; calling again goes on.
    """
    from ..compare import draw
    from ..compare.pool import Pool
    from ..session import Session
    from ..traces.store import Store

    opened, wanted = await Store.open(store), draw.Order(name=name, tasks=tasks, k=k)
    try:
        before = draw.begun(opened.reader(), wanted, recipe)
        if before is None or opened.reader().unfinished(before.id):
            say(f"{name}: {k} samples of each of {len(tasks)} tasks (vLLM takes half a minute to start)")
            recipes = {"default": recipe} if recipe is not None else {}
            session = Session(engine, store=opened, concurrency=8, recipes=recipes, keep_engines=keep_engine, grade_all=True)
            async with session:
                await all_of(draw.draw(session, wanted, before, lambda _: None), name)
        return Pool.read(opened.reader(), name)
    finally:
        await opened.close()


async def all_of(results: AsyncIterator[Result], name: str) -> None:
    """Wait for all runs of a batch, telling of every tenth; the first error ends it.

    Raises:
        BurnishError: a run failed.
    """
    done = 0
    async for result in results:
        if result.error is not None:
            raise result.error
        done += 1
        if done % 10 == 0:
            say(f"{name}: {done} tasks")


def against(what: Plan, trials: Trials, base: str) -> dict[str, Interval]:
    """Each arm's difference from one of them with the paired bootstrap's interval; arms that are not through are left out."""
    from ..stats import paired_bootstrap

    scores = {arm: [float(t.right is True) for t in found] for arm, found in trials.items() if len(found) == len(what.tasks)}
    return {arm: paired_bootstrap(own, scores[base]) for arm, own in scores.items() if base in scores and arm != base}


def chosen_tasks(name: str, data: Path | None, family: str | None, limit: int, max_tokens: int | None = None) -> list[Task]:
    """`limit` tasks of a set, or of one family of it; with `max_tokens` their answers are no longer than that.

    Raises:
        ConfigError: there is no such set or family, or its files are missing.
    """
    from .sets.registry import load_tasks

    tasks = load_tasks(name, data, limit=None if family else limit)
    if max_tokens is not None:
        tasks = [replace(t, sampling={**t.sampling, "max_tokens": max_tokens}) for t in tasks]
    if family is None:
        return tasks
    own = [t for t in tasks if t.metadata.get("family") == family]
    if not own:
        known = ", ".join(sorted({str(t.metadata["family"]) for t in tasks if "family" in t.metadata})) or "none"
        raise ConfigError(f"{name} has no family {one_line(family)!r}", hint=f"its families: {known}")
    return own[:limit]
