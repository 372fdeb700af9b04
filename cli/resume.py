"""`burnish runs resume`: going on with runs, each with the engine that it began with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import BurnishError, ConfigError, Fenced, StoreError, Waiting
from ..core.result import Result
from ..core.text import one_line, printable
from .errors import OK
from .lookup import batch_id, is_running, reader
from .output import count, quiet_stdout, say, short
from .project import load_project
from .questions import name_questions
from .running import Batch, one, opened, show_one
from .signals import Signals, drive
from .stored_engines import EngineFlags, Group, grouped

if TYPE_CHECKING:
    from ..core.runs import RunSpec
    from ..session import Session
    from ..traces.reader import Reader


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to go on, and with what."""

    run: str | None
    batch: str | None
    every: bool
    graph: str | None
    store: str | None
    concurrency: int | None
    engines: EngineFlags
    """Another way to the engines that the runs began with."""


def resume_runs(wanted: Wanted, *, as_json: bool) -> int:
    """Go on with one run or several. Returns the exit status.

    Raises:
        BurnishError: what is asked for cannot be done; of several runs one that fails is a result.
    """
    if sum((wanted.run is not None, wanted.batch is not None, wanted.every)) != 1:
        raise ConfigError("say which runs are to go on", hint="one of: ID, --batch ID, --all")
    if wanted.engines.engine is None and (wanted.engines.args or wanted.engines.model):
        raise ConfigError("--model and --engine-arg go with --engine", hint="without it the engine is made as stored")
    if wanted.run is not None:
        with quiet_stdout():
            group = _able(_named(wanted.run, wanted.store), wanted)
            ended = drive(lambda signals: _single(group, wanted, signals))
        return show_one(ended, as_json=as_json, store=wanted.store)
    return _resume_several(wanted, as_json=as_json)


def _resume_several(wanted: Wanted, *, as_json: bool) -> int:
    with quiet_stdout():
        specs, ended = _found(wanted)
        groups = _able_of_several(specs, wanted, ended.left_alone)
        if groups:
            drive(lambda signals: _several(groups, ended, wanted, signals))
    if groups or as_json:
        return ended.show(as_json=as_json, store=wanted.store)
    say("nothing to go on with: all runs are done, running or waiting for answers")
    return OK


def _named(run_id: str, store: str | None) -> RunSpec:
    """The one run to go on with.

    Raises:
        BurnishError: it is done, or waits, or another process is at work on it, or it cannot be read.
    """
    with reader(store) as found:
        row = found.run(run_id)
        if row.status == "done":
            raise ConfigError(f"the run {short(row.id)} is done", hint=f"look at it: burnish runs show {short(row.id)}")
        if is_running(row):
            raise Fenced(f"the run {short(row.id)} is running in another process", hint="wait for it, or stop that process")
        if row.status == "waiting":
            waiting = Waiting(f"the run {short(row.id)} {row.error}")
            name_questions(waiting, found, row.id)
            raise waiting
        return _spec(found, row.id)


def _found(wanted: Wanted) -> tuple[list[RunSpec], Batch]:
    """The runs to go on with, the oldest first, without those that other processes are at work on.

    What cannot be read is in the batch's `left_alone`.
    """
    with reader(wanted.store) as found:
        batch = batch_id(found, wanted.batch) if wanted.batch is not None else None
        ids, ended = found.unfinished(batch), Batch(id=batch)
        specs: list[RunSpec] = []
        busy = {run.id for run in found.runs(status="running", batch=batch, limit=len(ids) + 1) if is_running(run)}
        asking = {run.id for run in found.runs(status="waiting", batch=batch, limit=len(ids) + 1)}
        if busy:
            say(f"left alone, as other processes run them: {count(len(busy), 'run')}")
        if asking:
            say(f"left alone, as they wait for answers: {count(len(asking), 'run')}: burnish runs list --status waiting")
        for run_id in (i for i in ids if i not in busy | asking):
            try:
                specs.append(_spec(found, run_id))
            except BurnishError as e:
                ended.left_alone[run_id] = e
        return specs, ended


def _spec(found: Reader, run_id: str) -> RunSpec:
    try:
        return found.spec(run_id)
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        what = f"what the run {short(run_id)} is to do cannot be read: {type(e).__name__}: {one_line(str(e), 100)}"
        raise StoreError(what, hint="look with: burnish db check", code="unreadable") from e


def _able(spec: RunSpec, wanted: Wanted) -> Group:
    """A run with its engines.

    Raises:
        BurnishError: it cannot go on.
    """
    check_graph(spec, wanted.graph)
    _check_roles(spec, wanted.engines)
    (group,) = grouped([spec], wanted.engines)
    return group


def _able_of_several(specs: list[RunSpec], wanted: Wanted, refused: dict[str, BurnishError]) -> list[Group]:
    """The runs that can go on, by their engines. Of the others it is said why they do not.

    Raises:
        BurnishError: none can go on; this is the first one's reason.
    """
    able: list[RunSpec] = []
    for spec in specs:
        try:
            check_graph(spec, wanted.graph)
            _check_roles(spec, wanted.engines)
            able.append(spec)
        except ConfigError as e:
            refused[spec.id] = e
    groups = grouped(able, wanted.engines, refused)
    first = next(iter(refused.values()), None)
    for run_id, error in refused.items():
        # A reason that all have in common is told once, as the error.
        if groups or str(error) != str(first):
            say(f"left alone: {short(run_id)}: {printable(str(error))}")
    if first is not None and not groups:
        raise first
    return groups


def check_graph(spec: RunSpec, target: str | None) -> None:
    """Say so if nobody can tell which graph a run is of.

    Raises:
        ConfigError: it was given as an object, and no target is named.
    """
    from ..graphs.registry import is_graph

    if target is None and not is_graph(spec.graph):
        what = f"the graph {spec.graph!r} of the run {short(spec.id)} was given as an object"
        raise ConfigError(what, hint="say where it is: --graph module:attribute or file.py:attribute")


def _check_roles(spec: RunSpec, flags: EngineFlags) -> None:
    """A run goes on with the roles that it began with.

    Raises:
        ConfigError: a flag is for another one.
    """
    for role in (text.partition("=")[0].strip() for text in flags.roles):
        if role not in spec.engines:
            known = ", ".join(sorted(spec.engines.keys() - {"default"})) or "none"
            what = f"the run {short(spec.id)} has no engine of its own for the role {one_line(role)!r}"
            raise ConfigError(what, hint=f"roles that have one: {known}")


def _session(group: Group, wanted: Wanted) -> Session:
    from ..session import Session

    project = load_project()
    concurrency = wanted.concurrency or project.concurrency or 16
    store = wanted.store or project.store
    return Session(engines=group.made.engines, store=store, concurrency=concurrency, recipes=group.made.recipes)


def _graph_of(spec: RunSpec, wanted: Wanted) -> object | None:
    """The graph that `--graph` names, made with the run's settings; None leaves it to the name that is stored."""
    if wanted.graph is None:
        return None
    from ..graphs.registry import build_graph

    return build_graph(wanted.graph, spec.settings)


async def _single(group: Group, wanted: Wanted, signals: Signals) -> Result:
    spec = group.specs[0]
    async with opened(_session(group, wanted), signals, group.made.name) as session:
        say(f"run {spec.id}")
        return await one(session, session.resume(spec.id, _graph_of(spec, wanted)))


async def _several(groups: list[Group], ended: Batch, wanted: Wanted, signals: Signals) -> None:
    for group in groups:
        if signals.requested:
            ended.skip(len(group.specs))
            continue
        async with opened(_session(group, wanted), signals, group.made.name) as session:
            say(f"batch {ended.id}" if ended.id else count(len(group.specs), "run"))
            await ended.collect(_resumed(session, group, wanted), len(group.specs), signals)
        signals.session = None


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
