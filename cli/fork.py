"""`burnish runs fork`: a new run that begins with the record of an old one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.ids import Json
from . import completion
from .lookup import reader
from .options import AsJson, Store
from .output import quiet_stdout, say, short
from .project import load_project
from .resume import check_graph
from .running import one, opened, show_one
from .signals import Signals, drive
from .stored_engines import EngineFlags, Group, grouped
from .tasks import check_task
from .values import pairs, verifier_of

if TYPE_CHECKING:
    from ..core.result import Result
    from ..core.runs import RunSpec


def fork(
    run: Annotated[str, typer.Argument(metavar="ID", help="The run to begin with.", autocompletion=completion.runs)],
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="POINT", help="Where to go on anew: a node, a position or SEQ of burnish runs calls, or end."
        ),
    ],
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Setting of the graph to change; repeatable.")
    ] = None,
    verifier: Annotated[
        str | None, typer.Option("--verifier", metavar="NAME", help="Judges in place of the task's own; none for nobody.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="LIMITS", help="Limits instead of the old ones.", show_default="as stored")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of what is done anew.", show_default="as stored")] = None,
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="TARGET", help="The graph, where it was given as an object.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="NAME", help="The engine to go on with.", show_default="as stored")
    ] = None,
    engine_arg: Annotated[
        list[str] | None, typer.Option("--engine-arg", metavar="KEY=VALUE", help="Argument of --engine; repeatable.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="The model to go on with.", show_default="as stored")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role", metavar="ROLE=ENGINE", help="The engine of a role to go on with; repeatable.", show_default="as stored"
        ),
    ] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Begin a new run with the record of an old one up to a point, and go on anew from there.

    What was recorded before the point is read and not done again, so what is changed may only matter after it. The old run
    stays as it is; burnish runs diff OLD NEW shows where they part. Output and exit status are those of burnish run.
    """
    with reader(store) as found:
        spec = found.spec(found.resolve(run))
    changes: dict[str, Any] = {"settings": pairs(setting or (), "--set"), "budget": budget, "seed": seed, "graph": graph}
    if verifier is not None:
        changes["verifier"] = judge = None if verifier == "none" else verifier_of(verifier)
        check_task(replace(spec.task, verifier=judge))
    with quiet_stdout():
        check_graph(spec, graph)
        (group,) = grouped([spec], EngineFlags(engine=engine, model=model, args=engine_arg or (), roles=role or ()))
        ended = drive(lambda signals: _forked(spec, at, group, changes, store, signals))
    return show_one(ended, as_json=as_json, store=store)


async def _forked(spec: RunSpec, at: str, group: Group, changes: dict[str, Json], store: str | None, signals: Signals) -> Result:
    from ..session import Session

    session = Session(engines=group.made.engines, store=store or load_project().store, recipes=group.made.recipes)
    wanted: dict[str, Any] = changes
    async with opened(session, signals, group.made.name) as running:
        work = running.fork(spec.id, at, on_start=lambda run_id: say(f"run {run_id}, forked from {short(spec.id)}"), **wanted)
        return await one(running, work)
