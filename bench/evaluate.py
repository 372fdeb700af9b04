"""A comparison by the default model: carried out where it is not done yet, and counted from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..compare.plan import Plan
from ..core.text import one_line
from .report import say

if TYPE_CHECKING:
    from ..compare.trial import Trials
    from ..core.engine import Engine

ENGINE_ARGS: dict[str, Any] = {"max_model_len": 1024, "max_num_seqs": 64}


async def carried_out(
    store: str, plan: Plan, engine: Engine | None = None, *, model: str | None = None, keep_engine: bool = False
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
            recipes = {"default": recipe("vllm", model, ENGINE_ARGS)} if engine is None else {}
            session = Session(
                engine or make_engine("vllm", model, ENGINE_ARGS),
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
