"""`burnish runs`: what was run, how it went, and going on with what was cut short."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from . import answer, calls, completion, diff, export, export_config, fork, replay, stuck
from .groups import ListByDefault
from .lookup import batch_id, ended, graph_label, is_running, moment, reader
from .options import AsJson, Concurrency, Store
from .output import emit, number, say, short, show, show_table
from .results import COLOURS
from .times import since_ns

app = typer.Typer(
    cls=ListByDefault,
    help="Stored runs: list, show, tree, calls, stuck, diff, fork, replay, export, export-config, answer, resume.",
    rich_markup_mode=None,
)

RunId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="A run, by some digits from the beginning or end of its id.", autocompletion=completion.runs
    ),
]
Content = Annotated[bool, typer.Option("--content", help="Whole texts, not only their beginnings.")]
Status = Literal["queued", "running", "waiting", "done", "failed", "interrupted"]


@app.command("list")
def list_runs(
    status: Annotated[Status | None, typer.Option("--status", help="Only runs with this status.")] = None,
    graph: Annotated[str | None, typer.Option("--graph", metavar="GRAPH", help="Only runs of this graph.")] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="Only runs of this batch, by id or name.")] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="ID", help="Only runs of this task.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only runs since then: 2h or 30d ago, or a date.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most runs to list.")] = 50,
    before: Annotated[str | None, typer.Option("--before", metavar="ID", help="Only runs older than this one.")] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """List runs, the newest first.

    With --json, data is [{id, status, live, outcome, score, task_id, graph, answer, created_ns, ...}]; truncated says that
    there are more, older than the last one.
    """
    from ..core.target import absolute

    with reader(store) as found:
        rows = found.runs(
            status=status,
            graph=absolute(graph) if graph else None,
            batch=batch_id(found, batch) if batch else None,
            task=task,
            since_ns=since_ns(since, "--since") if since else None,
            limit=limit + 1,
            before=found.resolve(before) if before else None,
        )
    more, rows = len(rows) > limit, rows[:limit]
    if as_json:
        emit([{**vars(row), "live": is_running(row)} for row in rows], truncated=more)
        return 0
    lines: list[list[str]] = []
    for row in rows:
        text = row.answer if row.answer is not None else row.error.removeprefix("waits for an answer: ")
        lines.append(
            [short(row.id), moment(row.created_ns), ended(row), number(row.score), graph_label(row.graph), row.task_id, text]
        )
    show_table(["RUN", "CREATED", "ENDED", "SCORE", "GRAPH", "TASK", "ANSWER"], lines, COLOURS)
    if more:
        say(f"there are more; the next ones: --before {short(rows[-1].id)}")
    return 0


@app.command("show")
def show_run(run: RunId, content: Content = False, store: Store = None, as_json: AsJson = False) -> int:
    """Show a run: its facts, what it asks, steps, use, candidates with verdicts, and choices.

    With --json, data is {run, task, settings, budget, engines, usage, questions, steps, candidates, decisions, failed_calls}.
    """
    from .show import print_run, run_json

    with reader(store) as found:
        run_id = found.resolve(run)
        if as_json:
            emit(run_json(found, run_id, content=content))
        else:
            print_run(found, run_id, content=content)
    return 0


@app.command("tree")
def tree(run: RunId, store: Store = None, as_json: AsJson = False) -> int:
    """Show the candidates of a run as a tree, with scores and verdicts; the chosen one is marked.

    With --json, data is {run_id, chosen, candidates: [{id, parents, scope, depth, kind, verdicts, chosen, ...}]}, parents
    before their children.
    """
    from .tree import load_tree

    with reader(store) as found:
        loaded = load_tree(found, found.run(run))
    if as_json:
        emit(loaded.to_json())
        return 0
    for line in loaded.lines():
        show(line)
    return 0


@app.command("resume")
def resume(
    run: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The run to go on with.", autocompletion=completion.runs)
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="All unfinished runs of a batch.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All unfinished runs of the store.")] = False,
    graph: Annotated[
        str | None,
        typer.Option("--graph", metavar="TARGET", help="The graph, where it was given as an object."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", metavar="NAME", help="Another way to the same engine.", show_default="as stored")
    ] = None,
    engine_arg: Annotated[
        list[str] | None, typer.Option("--engine-arg", metavar="KEY=VALUE", help="Argument of --engine; repeatable.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="Model of --engine.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE=ENGINE", help="The same for a role that has an engine of its own; repeatable."),
    ] = None,
    concurrency: Concurrency = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Go on with runs that were cut short. What is recorded is read, not done again.

    The engine is made as it was made for the run, unless flags name another way to the same engine. Output and exit status
    are those of burnish run; with --batch or --all, those of a batch, and data.left_alone is [{run_id, kind, message, hint}]:
    runs that cannot go on, which hold up no others.
    """
    from .resume import Wanted, resume_runs
    from .stored_engines import EngineFlags

    flags = EngineFlags(engine=engine, model=model, args=engine_arg or (), roles=role or ())
    wanted = Wanted(run=run, batch=batch, every=every, graph=graph, store=store, concurrency=concurrency, engines=flags)
    return resume_runs(wanted, as_json=as_json)


app.command("answer")(answer.answer)
app.command("calls")(calls.calls)
app.command("stuck")(stuck.stuck)
app.command("diff")(diff.diff)
app.command("fork")(fork.fork)
app.command("replay")(replay.replay)
app.command("export")(export.export)
app.command("export-config")(export_config.export_config)
