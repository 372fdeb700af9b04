"""`burnish run`: a graph on one prompt, or on a batch of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.budget import Budget
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.result import Result
from ..core.task import Task
from .advice import advise_run
from .engines import Made, engine_for_run
from .options import AsJson, Concurrency, Engine, EngineArg, Graph, Limits, Model, Role, Seed, Setting, Store, Verifier
from .output import quiet_stdout, say
from .project import load_project
from .running import Batch, one, opened, show_one
from .signals import Signals, drive
from .tasks import tasks_from
from .values import pairs

if TYPE_CHECKING:
    from ..session import Session


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run, and with what."""

    graph: str
    tasks: list[Task]
    settings: dict[str, Json]
    budget: Budget
    seed: int
    made: Made
    store: str | None
    concurrency: int
    name: str

    def session(self) -> Session:
        """A session for it, not open yet."""
        from ..session import Session

        return Session(engines=self.made.engines, store=self.store, concurrency=self.concurrency, recipes=self.made.recipes)


def run(
    graph: Graph,
    prompt: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="The task, where no file is given.")] = None,
    tasks: Annotated[
        str | None,
        typer.Option("--tasks", metavar="FILE", help="Tasks as JSON Lines; - reads stdin."),
    ] = None,
    verifier: Verifier = None,
    reference: Annotated[str | None, typer.Option("--reference", help="The right answer to the prompt.")] = None,
    engine: Engine = None,
    engine_arg: EngineArg = None,
    model: Model = None,
    role: Role = None,
    budget: Limits = None,
    setting: Setting = None,
    seed: Seed = None,
    concurrency: Concurrency = None,
    store: Store = None,
    name: Annotated[str, typer.Option("--name", help="Name of the batch.", show_default=False)] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, and the most that it may use; run nothing.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Run a graph on a prompt, or on a batch of tasks; or with FILE.json as GRAPH what burnish runs export-config wrote.

    One task: the answer on stdout, all else on stderr. A batch: a table on stdout. With --json one envelope:
    data is {run_id, outcome, verified, score, answer, grade, usage, ...}, or {batch_id, results: [...], totals} of a batch, or
    with --dry-run {graph, settings, engine, roles, verifiers, tasks, seed, concurrency, budget, bounds: {run, all}}.

    Exit status: 0 done; 1 failed, or a run of the batch did; 2 wrong usage; 3 not verified although a verifier judged;
    4 budget spent before an answer; 5 no engine; 6 store; 7 another process has the run; 8 waits for an answer; 130 interrupted.
    """
    if graph.endswith(".json"):
        from .rerun import Flags, rerun
        from .stored_engines import EngineFlags

        if prompt is not None or tasks is not None or reference is not None or dry_run:
            raise ConfigError(
                f"{graph} says itself what is to be run", hint="leave the prompt, --tasks, --reference and --dry-run out"
            )
        engines = EngineFlags(engine=engine, model=model, args=engine_arg or (), roles=role or ())
        how: dict[str, Any] = {"verifier": verifier, "budget": budget, "seed": seed, "engines": engines, "store": store}
        return rerun(graph, Flags(settings=setting or (), **how), as_json=as_json)
    project = load_project()
    settings = {**project.graphs.get(graph, {}), **pairs(setting or (), "--set")}
    limits = Budget.of(budget if budget is not None else project.budget)
    ended: Batch | Result | None = None
    with quiet_stdout():
        _check_graph(graph, settings)
        listed, many = tasks_from(prompt, tasks, verifier or project.verifier, reference)
        asked = [settings, *(part for task in listed for part in (task.verifier, task.grader))]
        made = engine_for_run(engine, model, engine_arg or (), project, role or (), asked)
        order = Order(
            graph=graph,
            tasks=listed,
            settings=settings,
            budget=limits,
            seed=project.seed or 0 if seed is None else seed,
            made=made,
            store=store or project.store,
            concurrency=concurrency or project.concurrency or 16,
            name=name,
        )
        if not dry_run:
            advise_run(order.store, graph, settings, listed)
            ended = drive(lambda signals: (_batch if many else _single)(order, signals))
    if ended is None:
        from .dry_run import dry_run as show_plan

        return show_plan(order, as_json=as_json)
    if isinstance(ended, Batch):
        return ended.show(as_json=as_json, store=order.store)
    return show_one(ended, as_json=as_json, store=order.store)


def _check_graph(graph: str, settings: dict[str, Json]) -> None:
    """Build the graph once, so that what is wrong with it is said before an engine starts."""
    from ..graphs.registry import build_graph

    build_graph(graph, settings)


async def _single(order: Order, signals: Signals) -> Result:
    async with opened(order.session(), signals, order.made.name) as session:
        return await one(
            session,
            session.run(
                order.graph,
                order.tasks[0],
                settings=order.settings,
                budget=order.budget,
                seed=order.seed,
                on_start=lambda run_id: say(f"run {run_id}"),
            ),
        )


async def _batch(order: Order, signals: Signals) -> Batch:
    batch = Batch()

    def started(batch_id: str) -> None:
        batch.id = batch_id
        say(f"batch {batch_id}")

    async with opened(order.session(), signals, order.made.name) as session:
        results = session.batch(
            order.graph,
            order.tasks,
            settings=order.settings,
            budget=order.budget,
            seed=order.seed,
            name=order.name,
            on_start=started,
        )
        await batch.collect(results, len(order.tasks), signals)
    batch.sort([task.id for task in order.tasks])
    return batch
