"""What benchmarks that compare methods share: which tasks, a comparison carried out where it is not done yet, and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compare.plan import Plan
from ..core.errors import ConfigError
from ..core.text import one_line
from .report import say

if TYPE_CHECKING:
    from ..compare.trial import Trials
    from ..core.engine import Engine
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
    keep_engine: bool = False,
) -> Trials:
    """The trials of a comparison. No engine is started if nothing is left to do; without one given it is vLLM's.

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
            recipes = {"default": recipe("vllm", model, engine_args)} if engine is None else {}
            session = Session(
                engine or make_engine("vllm", model, engine_args),
                store=opened,
                concurrency=64,
                recipes=recipes,
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
