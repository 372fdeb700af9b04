"""`burnish runs resume`: going on with runs, each with the engine that it began with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import BurnishError, ConfigError, Fenced, Waiting
from ..core.ids import Json, canonical_json
from ..core.result import Result
from .engines import chosen_engine
from .lookup import batch_id, is_running, reader
from .output import count, quiet_stdout, say, short
from .project import load_project
from .running import Batch, one, opened, show_one
from .signals import Signals, drive

if TYPE_CHECKING:
    from ..core.engine import Engine
    from ..core.runs import RunSpec
    from ..session import Session


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to go on, and with what."""

    run: str | None
    batch: str | None
    every: bool
    graph: str | None
    store: str | None
    concurrency: int | None
    engine: str | None
    engine_args: list[str]
    model: str | None


@dataclass
class Group:
    """Runs that share their engines."""

    engines: dict[str, Engine]
    recipes: dict[str, Json]
    specs: list[RunSpec]

    @property
    def name(self) -> str:
        """What the engines are called."""
        kinds = {str(cast("dict[str, Any]", recipe).get("engine")) for recipe in self.recipes.values()}
        return ", ".join(sorted(kinds))


def resume_runs(wanted: Wanted, *, as_json: bool) -> int:
    """Go on with one run or several. Returns the exit status.

    Raises:
        BurnishError: what is asked for cannot be done; of several runs one that fails is a result.
    """
    if sum((wanted.run is not None, wanted.batch is not None, wanted.every)) != 1:
        raise ConfigError("say which runs are to go on", hint="one of: ID, --batch ID, --all")
    if wanted.engine is None and (wanted.engine_args or wanted.model):
        raise ConfigError("--model and --engine-arg go with --engine", hint="without it the engine is made as stored")
    specs, batch = _found(wanted)
    if not specs:
        say("nothing to go on with: all runs are done, running or waiting for answers")
        if as_json:
            Batch(id=batch).show(as_json=True)
        return 0
    with quiet_stdout():
        for spec in specs:
            check_graph(spec, wanted.graph)
        groups = _grouped(specs, wanted)
        ended = drive(
            lambda signals: _single(groups[0], wanted, signals) if wanted.run else _several(groups, wanted, batch, signals)
        )
    return ended.show(as_json=as_json) if isinstance(ended, Batch) else show_one(ended, as_json=as_json)


def _found(wanted: Wanted) -> tuple[list[RunSpec], str | None]:
    """The runs to go on with, the oldest first; those that another process is at work on are left out of several."""
    with reader(wanted.store) as found:
        if wanted.run is not None:
            row = found.run(wanted.run)
            if row.status == "done":
                raise ConfigError(f"the run {short(row.id)} is done", hint=f"look at it: burnish runs show {short(row.id)}")
            if is_running(row):
                raise Fenced(f"the run {short(row.id)} is running in another process", hint="wait for it, or stop that process")
            if row.status == "waiting":
                raise Waiting(f"the run {short(row.id)} {row.error}", hint=f"burnish runs answer {short(row.id)}")
            return [found.spec(row.id)], None
        batch = batch_id(found, wanted.batch) if wanted.batch is not None else None
        ids = found.unfinished(batch)
        busy = {run.id for run in found.runs(status="running", batch=batch, limit=len(ids) + 1) if is_running(run)}
        asking = {run.id for run in found.runs(status="waiting", batch=batch, limit=len(ids) + 1)}
        free = [run_id for run_id in ids if run_id not in busy | asking]
        if busy:
            say(f"left alone, as other processes run them: {count(len(busy), 'run')}")
        if asking:
            say(f"left alone, as they wait for answers: {count(len(asking), 'run')}: burnish runs list --status waiting")
        return [found.spec(run_id) for run_id in free], batch


def check_graph(spec: RunSpec, target: str | None) -> None:
    """Say so if nobody can tell which graph a run is of.

    Raises:
        ConfigError: it was given as an object, and no target is named.
    """
    from ..graphs.registry import is_graph

    if target is None and not is_graph(spec.graph):
        what = f"the graph {spec.graph!r} of the run {short(spec.id)} was given as an object"
        raise ConfigError(what, hint="say where it is: --graph module:attribute or file.py:attribute")


def _grouped(specs: list[RunSpec], wanted: Wanted) -> list[Group]:
    if wanted.engine is None:
        return grouped(specs)
    made = chosen_engine(wanted.engine, wanted.model, wanted.engine_args, load_project())
    return [Group({"default": made.engine}, {"default": made.recipe}, specs)]


def grouped(specs: list[RunSpec]) -> list[Group]:
    """Runs by their engines, each made as it was made for them.

    Raises:
        ConfigError: how an engine was made is not stored, or it cannot be made again.
    """
    from ..engine.registry import from_recipe

    groups: dict[str, Group] = {}
    for spec in specs:
        recipes = {role: _recipe(spec, role, stored) for role, stored in (spec.engines or {"default": None}).items()}
        key = canonical_json(recipes)
        if key not in groups:
            # Roles that had one engine get one engine again.
            made = {text: from_recipe(recipe) for text, recipe in {canonical_json(r): r for r in recipes.values()}.items()}
            engines = {role: made[canonical_json(recipe)] for role, recipe in recipes.items()}
            groups[key] = Group(engines, dict(recipes), [])
        groups[key].specs.append(spec)
    return list(groups.values())


def _recipe(spec: RunSpec, role: str, stored: Json) -> dict[str, Any]:
    recipe = cast("dict[str, Any]", stored).get("recipe") if isinstance(stored, dict) else None
    if not isinstance(recipe, dict):
        what = f"how the engine of the run {short(spec.id)} was made is not stored"
        raise ConfigError(what, hint=f"name the engine for the role {role!r}: --engine NAME")
    return cast("dict[str, Any]", recipe)


def _session(group: Group, wanted: Wanted) -> Session:
    from ..session import Session

    project = load_project()
    concurrency = wanted.concurrency or project.concurrency or 16
    store = wanted.store or project.store
    return Session(engines=group.engines, store=store, concurrency=concurrency, recipes=group.recipes)


def _graph_of(spec: RunSpec, wanted: Wanted) -> object | None:
    """The graph that `--graph` names, made with the run's settings; None leaves it to the name that is stored."""
    if wanted.graph is None:
        return None
    from ..graphs.registry import build_graph

    return build_graph(wanted.graph, spec.settings)


async def _single(group: Group, wanted: Wanted, signals: Signals) -> Result:
    spec = group.specs[0]
    async with opened(_session(group, wanted), signals, group.name) as session:
        say(f"run {spec.id}")
        return await one(session.resume(spec.id, _graph_of(spec, wanted)))


async def _several(groups: list[Group], wanted: Wanted, batch: str | None, signals: Signals) -> Batch:
    ended = Batch(id=batch)
    for group in groups:
        if signals.requested:
            ended.skip(len(group.specs))
            continue
        async with opened(_session(group, wanted), signals, group.name) as session:
            say(f"batch {batch}" if batch else count(len(group.specs), "run"))
            await ended.collect(_resumed(session, group, wanted), len(group.specs), signals)
        signals.session = None
    return ended


async def _resumed(session: Session, group: Group, wanted: Wanted) -> AsyncIterator[Result]:
    if wanted.graph is None:
        async for result in session.resume_all([spec.id for spec in group.specs]):
            yield result
        return

    async def with_graph(spec: RunSpec) -> Result:
        try:
            return await session.resume(spec.id, _graph_of(spec, wanted))
        except BurnishError as e:
            return Result(run_id=spec.id, task_id=spec.task.id, error=e)

    for done in asyncio.as_completed([with_graph(spec) for spec in group.specs]):
        yield await done
