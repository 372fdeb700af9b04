"""`burnish pool`: samples drawn once, on which methods are compared without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import EngineUnavailable
from ..core.result import Result
from ..core.text import one_line
from .engines import chosen_engine
from .errors import FAILURE, INTERRUPTED, OK
from .groups import ListByDefault
from .lookup import moment, reader
from .options import AsJson, Concurrency, Engine, EngineArg, Model, Store
from .output import count, emit, quiet_stdout, say, show, show_table
from .project import load_project
from .running import Batch, opened
from .signals import Signals, drive
from .values import pairs

if TYPE_CHECKING:
    from ..compare.draw import Order
    from ..compare.pool import Pool
    from ..compare.pool_summary import PoolSummary
    from .engines import Made

app = typer.Typer(cls=ListByDefault, help="Stored pools of samples: draw, list, show.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the pool.")]


@app.command("draw")
def draw_pool(
    name: Name,
    tasks: Annotated[str | None, typer.Option("--tasks", metavar="FILE", help="Tasks as JSON Lines; - reads stdin.")] = None,
    benchmark: Annotated[str | None, typer.Option("--benchmark", metavar="NAME", help="A task set instead of a file.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="FOLDER", envvar="BURNISH_DATA", help="Where the task set's files are.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="A random subset of so many tasks.")] = None,
    k: Annotated[int, typer.Option("-k", "--samples", min=1, help="Samples of each task.")] = 16,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", envvar="BURNISH_SET", metavar="KEY=VALUE", help="Setting of the graph draw; repeatable."),
    ] = None,
    engine: Engine = None,
    engine_arg: EngineArg = None,
    model: Model = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", envvar="BURNISH_SEED", help="Of the samples, and of the subset.", show_default="0"),
    ] = None,
    concurrency: Concurrency = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Draw k samples of each task, with log-probabilities, and keep them.

    The same command again goes on where it was cut short; a finished pool costs nothing. With --json, data is
    {name, batch_id, tasks, drawn, failed: [{task_id, error}], finished}; drawn counts this command's tasks.

    Exit status: 0 done; 1 a task failed; 2 wrong usage, or a pool of this name with other tasks, k, settings or model; 5 no
    engine; 6 store, or another process has just begun a pool of this name; 130 interrupted.
    """
    from ..compare.draw import Order
    from .task_source import listed_tasks

    project = load_project()
    seed = project.seed or 0 if seed is None else seed
    with quiet_stdout():
        settings = {**project.graphs.get("draw", {}), **pairs(setting or (), "--set")}
        listed = listed_tasks(tasks, benchmark, data, limit, seed)
        order = Order(name=name, tasks=listed, k=k, seed=seed, settings=settings)
        made = chosen_engine(engine, model, engine_arg or (), project)
        url, width = store or project.store, concurrency or project.concurrency or 16
        batch = drive(lambda signals: _drawn(order, made, url, width, signals))
    return _show_drawn(order, batch, as_json=as_json)


@app.command("list")
def list_pools(store: Store = None, as_json: AsJson = False) -> int:
    """List the stored pools, the newest first.

    With --json, data is [{name, batch_id, tasks, done, k, seed, created_ns}].
    """
    from ..compare.pool import PREFIX, pool_batches

    with reader(store) as found:
        batches = pool_batches(found)
    settings = [b.config["settings"] for b in batches]
    ks = [s.get("n") if isinstance(s, dict) else None for s in settings]
    names = [b.name.removeprefix(PREFIX) for b in batches]
    if as_json:
        emit(
            [
                {
                    "name": name,
                    "batch_id": b.id,
                    "tasks": b.runs,
                    "done": b.done,
                    "k": k,
                    "seed": b.config.get("seed"),
                    "created_ns": b.created_ns,
                }
                for name, b, k in zip(names, batches, ks, strict=True)
            ]
        )
        return OK
    rows = [[name, moment(b.created_ns), f"{b.done} of {b.runs}", str(k)] for name, b, k in zip(names, batches, ks, strict=True)]
    show_table(["POOL", "BEGUN", "TASKS DRAWN", "K"], rows)
    return OK


@app.command("show")
def show_pool(name: Name, store: Store = None, as_json: AsJson = False) -> int:
    """Show what is in a pool, and what its samples say of every smaller k.

    With --json, data is {name, batch_id, engine, k, seed, settings, tasks, samples, lost, prompt_tokens, output_tokens,
    truncated, mean_logprob, ungraded, pass_at, majority_at, logprob_auroc}.
    """
    from ..compare.pool import Pool
    from ..compare.pool_summary import PoolSummary

    with reader(store) as found:
        pool = Pool.read(found, name)
    summary = PoolSummary.of(pool)
    if as_json:
        about = {"name": pool.name, "batch_id": pool.batch_id, "engine": pool.info.to_json(), "k": pool.k, "seed": pool.seed}
        emit({**about, "settings": pool.settings, **summary.to_json()})
        return OK
    _print(pool, summary)
    return OK


async def _drawn(order: Order, made: Made, url: str | None, concurrency: int, signals: Signals) -> Batch:
    """Draw what is left; a finished pool starts no engine."""
    from ..compare.draw import begun, draw
    from ..session import Session
    from ..traces.store import Store

    batch = Batch()
    store = await Store.open(url)
    try:
        before = begun(store.reader(), order, made.recipe)
        if before is not None:
            batch.id = before.id
            if before.done == before.runs:
                return batch
        session = Session(made.engine, store=store, concurrency=concurrency, recipes={"default": made.recipe}, grade_all=True)

        def started(batch_id: str) -> None:
            batch.id = batch_id
            say(f"pool {one_line(order.name)}: batch {batch_id}")

        async with opened(session, signals, made.name) as running:
            left = len(order.tasks) - (before.done if before else 0)
            try:
                await batch.collect(draw(running, order, before, started), left, signals)
            except EngineUnavailable as e:
                if "logprobs" in e.message:
                    e.hint += "; without them: --set logprobs=false"
                raise
        return batch
    finally:
        await store.close()


def _show_drawn(order: Order, batch: Batch, *, as_json: bool) -> int:
    failed = [r for r in batch.results if r.error is not None]
    finished = not failed and not batch.interrupted
    if as_json:
        data = {"name": order.name, "batch_id": batch.id, "tasks": len(order.tasks), "drawn": len(batch.results) - len(failed)}
        errors = [{"task_id": r.task_id, "error": str(r.error)} for r in failed]
        emit({**data, "failed": errors, "finished": finished}, truncated=batch.interrupted)
    elif finished:
        _say_finished(order, batch.results)
    else:
        for error in [e for r in failed if (e := r.error) and e.code != "cancelled"][:3]:
            say(f"failed: {one_line(str(error), 300)}")
        say("the pool is unfinished; go on with it: the same command again")
    return INTERRUPTED if batch.interrupted else FAILURE if failed else OK


def _say_finished(order: Order, results: list[Result]) -> None:
    what = f"the pool {one_line(order.name)!r} has {order.k} samples of each of {count(len(order.tasks), 'task')}"
    show(f"{what}; look: burnish pool show {one_line(order.name)}")
    say(f"drawn by this command: {count(len(results), 'task')}" if results else "it was finished before: nothing was drawn")
    lost = sum(r.usage.failed_calls for r in results)
    if lost:
        say(f"{count(lost, 'call')} failed: so many samples are missing")


def _print(pool: Pool, summary: PoolSummary) -> None:
    how = ", ".join(f"{k}={v}" for k, v in pool.settings.items() if k not in ("n", "width", "extract") and v not in ("", None))
    show(f"pool {one_line(pool.name)}: {pool.info.kind} {one_line(pool.info.model)}, seed {pool.seed}")
    show(f"drawn with: {one_line(how, 200)}")
    missing = f", {summary.lost} missing" if summary.lost else ""
    show(f"{count(summary.tasks, 'task')}, {count(summary.samples, 'sample')} (k = {pool.k}{missing})")
    show(f"tokens: {summary.prompt_tokens:,} of prompts, {summary.output_tokens:,} generated")
    show(f"cut at the token limit: {summary.truncated:.1%}")
    show(f"mean log-probability of a token: {'-' if summary.mean_logprob is None else f'{summary.mean_logprob:.3f}'}")
    if not summary.pass_at:
        graded = all(s.grade is not None for d in pool.drawn for s in d.samples)
        show(f"no pass@k: {'a task has no sample' if graded else 'not all samples were graded'}")
        return
    if summary.ungraded:
        show(f"the grader could not judge {count(summary.ungraded, 'sample')}; counted as not right")
    show()
    rows = [[str(k), str(summary.pass_at[k]), str(summary.majority_at[k])] for k in summary.pass_at]
    show_table(["K", "PASS@K", "VOTE OF K"], rows)
    if summary.logprob_auroc:
        auroc = summary.logprob_auroc
        says = "tells" if auroc.informative else "does not tell"
        show()
        show(f"the mean log-probability {says} right from wrong within a task: AUROC {auroc.interval}, {auroc.questions} tasks")
