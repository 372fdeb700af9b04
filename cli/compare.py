"""`burnish compare`: methods on the same tasks, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ..core.errors import BurnishError, ConfigError, Fenced
from ..core.task import Task
from ..core.text import one_line
from .advice import advise
from .engines import chosen_engine
from .errors import FAILURE, FENCED, INTERRUPTED, OK
from .options import AsJson, Concurrency, Engine, EngineArg, Model, Role, Store
from .output import count, emit, quiet_stdout, say, show, show_table
from .project import Project, load_project
from .running import opened
from .signals import Signals, drive

if TYPE_CHECKING:
    from ..compare.plan import Arm, Plan
    from ..compare.trial import Trials
    from ..traces.store import Store as OpenStore


Limits: TypeAlias = "str | Mapping[str, Any] | None"


@dataclass(frozen=True, kw_only=True)
class Order:
    """How to carry out a comparison."""

    engine: str | None
    model: str | None
    engine_args: list[str]
    roles: list[str]
    concurrency: int
    project: Project


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a comparison came to."""

    plan: Plan
    trials: Trials
    models: list[str]
    covered: dict[str, float]
    failed: int = 0
    """Runs that ended with an error, in this call."""
    elsewhere: int = 0
    """Runs that another process is at work on."""
    interrupted: bool = False


def compare(
    arms: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARM]...", help="[NAME=]GRAPH[:KEY=VALUE,...]; keys: settings, verifier, budget.LIMIT."),
    ] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", metavar="FILE", help="Tasks as JSON Lines; - reads stdin.")] = None,
    benchmark: Annotated[str | None, typer.Option("--benchmark", metavar="NAME", help="A task set instead of a file.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="FOLDER", envvar="BURNISH_DATA", help="Where the task set's files are.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="A random subset of so many tasks.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Under which it is stored; alone: show it, or go on with it.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of every arm on every task.")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", envvar="BURNISH_SEED", help="The first of the seeds, and that of the subset.")
    ] = 0,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", envvar="BURNISH_BUDGET", metavar="LIMITS", help="Limits of each run: calls=16,output_tokens=4096."
        ),
    ] = None,
    baseline: Annotated[
        str, typer.Option("--baseline", metavar="ARM", help="The arm to compare with.", show_default="the first")
    ] = "",
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="NAME", help="Replay on a stored pool of samples; generates nothing.")
    ] = None,
    orders: Annotated[int, typer.Option("--orders", min=1, help="Random orders in which a pool is drawn from.")] = 20,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Accuracy against cost, as .png or .svg.")] = None,
    engine: Engine = None,
    engine_arg: EngineArg = None,
    model: Model = None,
    role: Role = None,
    concurrency: Concurrency = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Compare graphs, settings or verifiers on the same tasks, model and seeds.

    An arm is a graph with settings: majority:n=8, best_of_n:n=8,verifier=grader. All that is done is stored; the same
    command again goes on, or shows the tables at no cost. With --pool arms are replayed on stored samples.
    With --json one envelope: data is {plan, models, arms: [{accuracy, against_baseline, cost, verification, ...}]}.

    Exit status: 0 done; 1 a run failed; 2 wrong usage; 5 no engine; 6 store; 7 another process has some of the runs;
    130 interrupted.
    """
    from ..compare.plan import Arm

    project = load_project()
    if plot:
        from ..compare.plot import check_format

        check_format(plot)
    with quiet_stdout():
        listed = [Arm.of(text) for text in arms or ()]
        url = store or project.store
        if pool is not None:
            if tasks or benchmark:
                raise ConfigError("a pool has its own tasks", hint="leave out --tasks and --benchmark")
            outcome = drive(lambda _: _replayed(url, pool, listed, orders, budget or project.budget, baseline, model))
        else:
            found = _tasks(tasks, benchmark, data, limit, seed) if tasks or benchmark else None
            settings = (tuple(range(seed, seed + seeds)), budget or project.budget, baseline)
            order = Order(
                engine=engine,
                model=model,
                engine_args=engine_arg or [],
                roles=role or [],
                concurrency=concurrency or project.concurrency or 16,
                project=project,
            )
            outcome = drive(lambda signals: _compared(url, name, listed, found, settings, order, signals))
    return _show(outcome, plot, as_json=as_json)


def _tasks(tasks: str | None, benchmark: str | None, data: str | None, limit: int | None, seed: int) -> list[Task]:
    from .task_source import listed_tasks

    return listed_tasks(tasks, benchmark, data if benchmark else None, limit, seed)  # The environment may name a folder.


async def _compared(
    url: str | None,
    name: str | None,
    arms: list[Arm],
    tasks: list[Task] | None,
    settings: tuple[tuple[int, ...], Limits, str],
    order: Order,
    signals: Signals,
) -> Outcome:
    """Plan or find the comparison, do what is left of it, and count."""
    from ..compare import carry, measure
    from ..traces.store import Store

    opened_store = await Store.open(url)
    try:
        plan = _planned(opened_store, name, arms, tasks, settings)
        carry.check(plan)
        failed, busy = 0, list[str]()
        if carry.left(opened_store.reader(), plan):
            failed, busy = await _carried_out(opened_store, plan, order, signals)
        reader = opened_store.reader()
        return Outcome(
            plan=plan,
            trials=measure.trials(reader, plan),
            models=measure.models(reader, plan),
            covered=measure.covered_seconds(reader, plan),
            failed=failed,
            elsewhere=sum(reader.run(run_id).status != "done" for run_id in busy),
            interrupted=signals.requested,
        )
    finally:
        await opened_store.close()


def _planned(
    store: OpenStore,
    name: str | None,
    arms: list[Arm],
    tasks: list[Task] | None,
    settings: tuple[tuple[int, ...], Limits, str],
) -> Plan:
    from ..compare import carry
    from ..compare.plan import Plan

    reader, (seeds, budget, baseline) = store.reader(), settings
    if not arms and tasks is None:
        known = carry.names(reader)
        hint = f"one of: {', '.join(known[:10])}" if known else "give arms and --tasks FILE, or --benchmark NAME"
        plan = carry.stored(reader, name) if name else None
        if plan is None:
            raise ConfigError(
                f"there is no comparison called {one_line(name or '')!r}" if name else "there is nothing to compare", hint=hint
            )
        return plan
    return Plan.of(name, arms, tasks or (), seeds, budget, baseline)


async def _carried_out(store: OpenStore, plan: Plan, order: Order, signals: Signals) -> tuple[int, list[str]]:
    """Run what is left; how many runs failed, and which ones another process was at work on."""
    from ..compare import carry
    from ..compare.progress import Quarters
    from ..session import Session
    from ..stats import power_sentence

    sizes = (count(len(many), one) for many, one in ((plan.arms, "arm"), (plan.tasks, "task"), (plan.seeds, "seed")))
    say(f"comparison {plan.name}: {', '.join(sizes)}")
    say(power_sentence(len(plan.tasks), runs=len(plan.seeds)))
    for arm in plan.arms:
        advise(store.reader(), arm.graph, arm.settings, arm.prepared(plan.tasks))
    made = chosen_engine(order.engine, order.model, order.engine_args, order.project, order.roles)
    session = Session(engines=made.engines, store=store, concurrency=order.concurrency, recipes=made.recipes, grade_all=True)
    async with opened(session, signals, made.name) as running:
        try:
            ended = await carry.carry_out(running, plan, Quarters(len(plan.tasks), say))
        except BurnishError as e:
            if signals.requested:
                return 0, []
            e.hint = e.hint or f"go on with it: burnish compare --name {plan.name}"
            raise
    failed = [r for r in ended if not isinstance(r.error, Fenced)]
    if failed:
        first = failed[0]
        say(f"{count(len(failed), 'run')} failed, the first {first.task_id}: {one_line(str(first.error), 300)}")
    return len(failed), [r.run_id for r in ended if isinstance(r.error, Fenced)]


async def _replayed(
    url: str | None, pool: str, arms: list[Arm], orders: int, budget: Limits, baseline: str, model: str | None
) -> Outcome:
    from ..compare.plan import Plan
    from ..compare.pool import Pool
    from ..compare.replay import replay
    from ..traces.store import Store

    reader = Store.open_reader(url)
    try:
        drawn = Pool.read(reader, pool)
    finally:
        reader.close()
    if model is not None:
        drawn.check_model(model)
    plan = Plan.of(f"pool/{pool}", arms, drawn.tasks, tuple(range(orders)), budget, baseline)
    trials = await replay(drawn, plan.arms, orders=orders, budget=plan.budget)
    return Outcome(plan=plan, trials=trials, models=[f"pool {pool}: {drawn.info.kind} {drawn.info.model}"], covered={})


def _show(outcome: Outcome, picture: Path | None, *, as_json: bool) -> int:
    from ..compare import report
    from ..compare.summary import summarise

    plan, arms = outcome.plan, summarise(outcome.plan, outcome.trials)
    if picture and arms:
        from ..compare.plot import plot

        plot(arms, picture, title=f"{plan.name}: {len(plan.tasks)} tasks; {'; '.join(outcome.models)}")
        say(f"written: {picture}")
    if as_json:
        emit(report.to_json(plan, arms, models=outcome.models, covered=outcome.covered), truncated=outcome.interrupted)
    else:
        tables = (
            report.accuracy_rows(arms),
            report.cost_rows(arms, outcome.covered),
            report.verifier_rows(arms),
            report.quality_rows(arms),
            report.pass_rows(arms),
            report.group_rows(arms),
        )
        for rows in filter(None, tables):
            show_table(rows[0], rows[1:])
            show()
        for line in report.notes(plan, arms, outcome.models):
            show(line)
    if outcome.elsewhere:
        say(f"another process is at work on {count(outcome.elsewhere, 'run')} of it")
    unfinished = len(arms) < len(plan.arms)
    if unfinished or outcome.failed or outcome.elsewhere:
        say(f"go on with it: burnish compare --name {plan.name}")
    if outcome.interrupted and unfinished:
        return INTERRUPTED
    return FAILURE if outcome.failed else FENCED if outcome.elsewhere else FAILURE if unfinished else OK
