"""`burnish run`: a graph on one prompt, or on a batch of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from ..core.budget import Budget
from ..core.errors import BurnishError, Cancelled
from ..core.ids import Json
from ..core.result import Result
from ..core.task import Task
from ..core.text import printable
from .errors import FAILURE, INTERRUPTED, OK
from .engines import Made, chosen_engine
from .options import AsJson, Concurrency, Engine, EngineArg, Model, Store
from .output import emit, quiet_stdout, say, short, show
from .progress import Progress
from .project import load_project
from .results import Totals, result_json, show_results, status_of, summary_lines
from .signals import Signals, drive
from .tasks import tasks_from
from .values import pairs


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


def run(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="Built-in name, module:attribute or file.py:attribute.")],
    prompt: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="The task, where no file is given.")] = None,
    tasks: Annotated[
        str | None,
        typer.Option("--tasks", envvar="BURNISH_TASKS", metavar="FILE", help="Tasks as JSON Lines; - reads stdin."),
    ] = None,
    verifier: Annotated[
        str | None,
        typer.Option(
            "--verifier",
            envvar="BURNISH_VERIFIER",
            metavar="NAME",
            help="Judges the candidates in place of the tasks' own: a name, a target, a JSON object, or none.",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", envvar="BURNISH_REFERENCE", help="The right answer to the prompt.")
    ] = None,
    engine: Engine = None,
    engine_arg: EngineArg = None,
    model: Model = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", envvar="BURNISH_BUDGET", metavar="LIMITS", help="Limits of each run: calls=16,tokens=9000,seconds=60."
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", envvar="BURNISH_SET", metavar="KEY=VALUE", help="Setting of the graph; repeatable."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", envvar="BURNISH_SEED", help="All sampling seeds derive from it.", show_default="0")
    ] = None,
    concurrency: Concurrency = None,
    store: Store = None,
    name: Annotated[str, typer.Option("--name", envvar="BURNISH_NAME", help="Name of the batch.", show_default=False)] = "",
    as_json: AsJson = False,
) -> int:
    """Run a graph on a prompt, or on a batch of tasks.

    One task: the answer on stdout, all else on stderr. A batch: a table on stdout. With --json one envelope:
    data is {run_id, outcome, verified, score, answer, grade, usage, ...}, or {batch_id, results: [...], totals} of a batch.

    Exit status: 0 done; 1 failed, or a run of the batch did; 2 wrong usage; 3 not verified although a verifier judged;
    4 budget spent before an answer; 5 no engine; 6 store; 7 another process has the run; 130 interrupted.
    """
    project = load_project()
    settings = {**project.graphs.get(graph, {}), **pairs(setting or (), "--set")}
    limits = Budget.of(budget if budget is not None else project.budget)
    with quiet_stdout():
        _check_graph(graph, settings)
        listed, many = tasks_from(prompt, tasks, verifier or project.verifier, reference)
        made = chosen_engine(engine, model, engine_arg or (), project)
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
        if not many:
            result = drive(lambda signals: _single(order, signals))
        else:
            batch = drive(lambda signals: _batch(order, signals))
    return show_single(result, as_json) if not many else batch.show(as_json)


def _check_graph(graph: str, settings: dict[str, Json]) -> None:
    """Build the graph once, so that what is wrong with it is said before an engine starts."""
    from ..graphs.registry import build_graph

    build_graph(graph, settings)
