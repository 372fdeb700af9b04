"""Carrying out a comparison: each arm and seed is a batch, done once. What the store has is not done again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..admission import engines_differ
from ..core.errors import ConfigError, StoreError
from ..core.ids import Json, canonical_json
from ..core.redact import redact
from ..core.result import Result
from ..core.task import Task
from ..core.text import one_line
from ..graphs.registry import BUILTIN, build_graph, check_settings
from .plan import Arm, Plan

if TYPE_CHECKING:
    from ..core.engine import Engine
    from ..session import Session
    from ..traces.reader import Reader
    from ..traces.views import BatchRow

Progress: TypeAlias = Callable[[Arm, int, Result], object]
"""Told the arm, the seed and each result as it comes."""

_ABOUT = "comparison"
"""Key of a batch's configuration that holds the plan."""
_TASKS = "tasks"
"""Key of the first batch's configuration that holds the tasks."""


def check(plan: Plan) -> None:
    """Say what is wrong with a plan before an engine is started.

    Raises:
        ConfigError: a graph or a setting that does not exist, a task that a verifier or grader cannot judge, a graph
            given as an object instead of by its name.
    """
    from ..verifiers.registry import check_task, make_verifier

    for arm in plan.arms:
        build_graph(arm.graph, arm.settings)
        for task in arm.prepared(plan.tasks):
            for what, spec in (("verifier", task.verifier), ("grader", task.grader)):
                try:
                    if spec is not None:
                        check_task(make_verifier(spec), task)
                except ConfigError as e:
                    raise ConfigError(f"the arm {arm.name}, task {task.id}: {what}: {e.message}", hint=e.hint) from None


def stored(reader: Reader, name: str) -> Plan | None:
    """The plan of a stored comparison with its tasks; None if there is none of this name."""
    for batch in reader.batches():
        about, tasks = batch.config.get(_ABOUT), batch.config.get(_TASKS)
        if isinstance(about, Mapping) and about.get("name") == name and isinstance(tasks, Sequence):
            read = [Task.from_json(cast("Mapping[str, Any]", t)) for t in tasks]
            return Plan.from_json(cast("Mapping[str, Any]", about), read)
    return None


def names(reader: Reader) -> list[str]:
    """Names of the stored comparisons, the newest first."""
    plans = (b.config.get(_ABOUT) for b in reader.batches())
    return list(dict.fromkeys(str(cast("Mapping[str, Any]", p)["name"]) for p in plans if isinstance(p, Mapping)))


def left(reader: Reader, plan: Plan) -> list[tuple[Arm, int]]:
    """The arms and seeds that are not done.

    Raises:
        ConfigError: a comparison of this name is stored, and it is another one.
    """
    before = stored(reader, plan.name)
    if before is not None and canonical_json(redact(before.to_json())) != canonical_json(redact(plan.to_json())):
        raise ConfigError(
            f"there is another comparison called {one_line(plan.name)!r}", hint="give this one another name: --name NAME"
        )
    batches = batches_of(reader, plan)
    done = {key for key, batch in batches.items() if batch.done == batch.runs}
    return [(arm, seed) for arm in plan.arms for seed in plan.seeds if (arm.name, seed) not in done]


def check_budgets(plan: Plan, engine: Engine) -> None:
    """Say before any run that an arm's budget does not allow one call on any task. The engine counts the prompts.

    Only of built-in graphs is it known what their first call asks for.

    Raises:
        ConfigError: naming the arm, what its cheapest first call may cost, and its limit.
    """
    for arm in plan.arms:
        limits = plan.budget_of(arm)
        if arm.graph not in BUILTIN or (limits.tokens is None and limits.output_tokens is None):
            continue
        settings = check_settings(BUILTIN[arm.graph], arm.settings)
        most = {t.id: int(cast("int", t.sampling.get("max_tokens", settings.max_tokens))) for t in plan.tasks}
        needs = {"output_tokens": min(most.values())}
        if limits.tokens is not None:
            needs["tokens"] = min(most[t.id] + engine.count_tokens(t.chat(settings.system)) for t in plan.tasks)
        for name, need in needs.items():
            limit = getattr(limits, name)
            if limit is not None and need > limit:
                raise ConfigError(
                    f"the arm {arm.name} cannot start on any task: its first call may take {need} {name}, the budget has {limit}",
                    hint="raise the budget, or lower max_tokens",
                )


def check_engines(reader: Reader, plan: Plan, engines: Mapping[str, Engine]) -> None:
    """Refuse to go on with a comparison by other models than those that it was begun with, in any role.

    Raises:
        ConfigError: saying how two engines differ.
    """
    for batch in batches_of(reader, plan).values():
        for row in reader.runs(batch=batch.id, limit=1):
            if differ := engines_differ(reader.spec(row.id).engines, engines):
                raise ConfigError(
                    f"the comparison {one_line(plan.name)} was begun by another engine: {differ}",
                    hint="go on with that one, or give this comparison another name: --name NAME",
                )


async def carry_out(session: Session, plan: Plan, progress: Progress | None = None) -> list[Result]:
    """Do what is not done yet. Runs that fail do not end it; they are returned, and done again by the next call.

    Raises:
        BurnishError: the session was stopped, or the engine or the storage failed; the same call goes on from there.
        ConfigError: as `left`, `check_engines` and `check_budgets`.
    """
    reader, failed = session.store.reader(), list[Result]()
    engine = session.engines.get("proposer") or session.engines["default"]
    check_engines(reader, plan, session.engines)
    check_budgets(plan, engine)
    for arm, seed in left(reader, plan):
        async with aclosing(_ended(session, plan, arm, seed)) as results:
            async for result in results:
                if progress:
                    progress(arm, seed, result)
                if result.error is not None:
                    if result.error.code == "cancelled" or session.stop.requested:
                        raise result.error
                    failed.append(result)
        if session.stop.requested:
            return failed
    return failed


async def _ended(session: Session, plan: Plan, arm: Arm, seed: int) -> AsyncGenerator[Result]:
    """Begin the batch of an arm and seed, or go on with it, whoever began it; gives results as they come."""
    reader, name = session.store.reader(), plan.batch_name(arm, seed)
    known = begun_batches(reader, name)
    begun = batches_of(reader, plan).get((arm.name, seed))
    if begun is None:
        about: dict[str, Json] = {_ABOUT: plan.to_json()}
        if stored(reader, plan.name) is None:
            # Once is enough: an arm may change the verifiers of its tasks, so they cannot be read from its runs.
            about[_TASKS] = [t.to_json() for t in plan.tasks]
        batch = session.batch(
            arm.graph,
            arm.prepared(plan.tasks),
            settings=arm.settings,
            budget=plan.budget_of(arm),
            seed=seed,
            name=name,
            about=about,
            known=known,
        )
        try:
            async with aclosing(cast("AsyncGenerator[Result]", batch)) as results:
                async for result in results:
                    yield result
            return
        except StoreError as e:
            if e.code != "name_taken":
                raise
            left(reader, plan)  # Somebody else's comparison of this name may be another one.
            begun = batches_of(reader, plan).get((arm.name, seed))
            if begun is None:
                raise
    rest = session.resume_all(reader.unfinished(begun.id))
    async with aclosing(cast("AsyncGenerator[Result]", rest)) as results:
        async for result in results:
            yield result


def begun_batches(reader: Reader, name: str) -> int:
    """How many batches of a name have runs, for `Session.batch(known=)`.

    To be counted before one looks for the batch to go on with: what is stored between the two looks is then seen by one of
    them, or by the store.
    """
    return sum(b.name == name and b.runs > 0 for b in reader.batches())


def batches_of(reader: Reader, plan: Plan) -> dict[tuple[str, int], BatchRow]:
    """The newest whole batch of each arm and seed."""
    by_name: dict[str, BatchRow] = {}
    for batch in reversed(reader.batches()):
        if _ABOUT in batch.config and batch.runs == len(plan.tasks):
            by_name[batch.name] = batch
    wanted = {(arm.name, seed): plan.batch_name(arm, seed) for arm in plan.arms for seed in plan.seeds}
    return {key: by_name[name] for key, name in wanted.items() if name in by_name}
