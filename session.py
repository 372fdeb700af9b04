"""The session: runs graphs on tasks, with engines, a store, budgets and a limit on how much runs at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from .admission import capable, distinct, nothing_withheld, priced, same_engines
from .core.budget import Budget
from .core.engine import Engine
from .core.errors import BurnishError, Cancelled, ConfigError, Fenced, ReplayMismatch, StoreError
from .core.human import Asker
from .core.ids import Json, as_json, derived_seed, new_run_id
from .core.redact import redact
from .core.result import Result
from .core.runs import RunEnd, RunSpec
from .core.stop import Stop
from .core.task import Task
from .forking import store_fork
from .graphs.registry import build_graph, graph_name

if TYPE_CHECKING:
    from .traces.journal import RunJournal
    from .traces.store import Store

_NEW_OBJECTS = 10_000
"""Between two young rounds of the garbage collector."""


class Session:
    """Engines and a store, and the runs that use them. To be used with `async with`, within one event loop."""

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        engines: Mapping[str, Engine] | None = None,
        store: str | Store | None = None,
        concurrency: int = 16,
        calls: int = 256,
        attempts: int = 4,
        recipes: Mapping[str, Json] | None = None,
        keep_engines: bool = False,
        grade_all: bool = False,
        ask: Asker | None = None,
    ) -> None:
        """Prepare a session; nothing is started yet.

        Args:
            engine: serves every role that `engines` does not name.
            engines: engines by role: `proposer`, `judge`, ...
            store: URL of the database; None for `BURNISH_STORE` or `sqlite:///burnish.db`.
            concurrency: most runs at once.
            calls: most model calls at once, for each engine.
            attempts: how often a call is sent that fails in a way worth trying again.
            recipes: for each role how to make its engine again, stored with the runs.
            keep_engines: leave the engines running when the session closes.
            grade_all: have the tasks' graders judge every candidate, not only the answer: what measures verifiers.
            ask: asks a person what runs ask; without it, or where it returns None, they wait for the answer.
        """
        given = {**({"default": engine} if engine else {}), **(engines or {})}
        if not given:
            raise ConfigError("the session has no engine", hint="Session(engine=...)")
        for name, number in (("concurrency", concurrency), ("calls", calls), ("attempts", attempts)):
            if number < 1:
                raise ConfigError(f"{name} is {number}", hint="at least 1")
        self.stop = Stop()
        """Ends all runs of the session; they can be resumed."""
        self._given, self._recipes, self._keep = given, dict(recipes or {}), keep_engines
        self._grade_all = grade_all
        self._ask = ask
        self._calls, self._attempts = calls, attempts
        self._url = store
        self._store: Store | None = None
        self._withheld: dict[str, Task] = {}
        """By run, tasks whose verifiers hold secrets, which are not stored."""
        self._slots = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._stack = AsyncExitStack()
        self.running = 0
        """How many runs are being worked on."""
        self.engines: dict[str, Engine] = {}
        """Engines by role, with their limits around them."""

    async def __aenter__(self) -> Session:
        _settle_memory()
        from .engine.limit import Limited
        from .engine.retry import Retrying
        from .traces.store import Store

        try:
            wrapped: dict[int, Engine] = {}
            for role, engine in self._given.items():
                if id(engine) not in wrapped:
                    await engine.start()
                    if not self._keep:
                        self._stack.push_async_callback(engine.close)
                    wrapped[id(engine)] = Limited(Retrying(engine, attempts=self._attempts), self._calls)
                self.engines[role] = wrapped[id(engine)]
            if isinstance(self._url, Store):
                self._store = self._url
            else:
                self._store = await Store.open(self._url)
                self._stack.push_async_callback(self._store.close)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def store(self) -> Store:
        """The open store.

        Raises:
            ConfigError: the session is not open.
        """
        if self._store is None:
            raise ConfigError("the session is not open", hint="async with Session(...) as session:")
        return self._store

    async def run(
        self,
        graph: object,
        task: Task | str | Mapping[str, Any],
        *,
        settings: Mapping[str, Json] | None = None,
        budget: Budget | str | Mapping[str, Any] | None = None,
        seed: int = 0,
        on_start: Callable[[str], None] | None = None,
    ) -> Result:
        """Run a graph on one task.

        Args:
            graph: a built-in's name, a target, a LangGraph graph, or a function that makes one from the settings.
            task: the task, its prompt, or its JSON form.
            settings: the graph's settings.
            budget: limits of this run.
            seed: what all sampling seeds of the run derive from.
            on_start: told the run's id once it is stored, before any work.

        Raises:
            BurnishError: the run failed or was stopped; it is stored and can be resumed. The error's `run_id` names it.
            Waiting: it waits for a person's answer.
        """
        built = build_graph(graph, settings)
        spec = self._spec(graph, Task.of(task), settings, Budget.of(budget), seed, None)
        await self.store.create_run(spec)
        if on_start:
            on_start(spec.id)
        return _returned(await self._execute(spec.id, built))

    async def batch(
        self,
        graph: object,
        tasks: Iterable[Task | str | Mapping[str, Any]],
        *,
        settings: Mapping[str, Json] | None = None,
        budget: Budget | str | Mapping[str, Any] | None = None,
        seed: int = 0,
        name: str = "",
        about: Mapping[str, Json] | None = None,
        known: int | None = None,
        on_start: Callable[[str], None] | None = None,
    ) -> AsyncIterator[Result]:
        """Run a graph on many tasks at once, each with the budget; gives results as they come.

        A run that fails is a result with an error; the others go on. Each run's seed derives from `seed` and its task's id.
        `about` is stored with the batch, `on_start` is told its id. With `known` it is to be the only one of its name, but for
        so many that the caller has seen.

        Raises:
            ConfigError: two tasks have one id, or the graph or its settings are wrong; nothing has started then.
            StoreError: the storage failed; or somebody else has begun a batch of this name, with the code `name_taken`.
        """
        listed = [Task.of(t) for t in tasks]
        distinct(listed)
        built = build_graph(graph, settings)
        limits = Budget.of(budget)
        config: dict[str, Json] = {
            "graph": graph_name(graph),
            "settings": as_json(settings or {}),
            "budget": limits.to_json(),
            "seed": seed,
            **(about or {}),
        }
        batch_id = new_run_id() if known is not None else await self.store.create_batch(config, name)
        # Tasks that sampled with one seed would have their luck in common.
        specs = [self._spec(graph, t, settings, limits, derived_seed(seed, t.id), batch_id) for t in listed]
        if known is None:
            await self.store.create_runs(specs)
        else:
            await self.store.create_only_batch(batch_id, config, name, specs, known)
        if on_start:
            on_start(batch_id)
        async for result in self._all([s.id for s in specs], built):
            yield result

    async def resume(self, run_id: str, graph: object | None = None) -> Result:
        """Go on with a run: what is recorded is read, what is not is done.

        Args:
            run_id: the run's whole id.
            graph: needed only if the graph was given as an object, which cannot be found again by its name.

        Raises:
            BurnishError: as `run`.
            Fenced: another process is at work on it.
            EngineUnavailable: the engine is not the one that the run began with.
        """
        return _returned(await self._execute(run_id, graph))

    async def resume_all(self, run_ids: Iterable[str]) -> AsyncIterator[Result]:
        """Go on with many runs at once; gives results as they come.

        A run that another process is at work on is a result with the error `Fenced`.
        """
        async for result in self._all(list(run_ids), None):
            yield result

    async def fork(
        self,
        run_id: str,
        at: str,
        *,
        settings: Mapping[str, Json] | None = None,
        verifier: Json = "task",
        budget: Budget | str | Mapping[str, Any] | None = None,
        seed: int | None = None,
        graph: object | None = None,
        on_start: Callable[[str], None] | None = None,
    ) -> Result:
        """A new run that begins with another one's record up to a point, and goes on anew from there.

        Args:
            run_id: the other run's whole id; it stays as it is.
            at: where they part: a node, a position, a fact's number, or `end` (`traces.fork.find_point`).
            settings: changes to the other run's settings.
            verifier: replaces the task's own (`task`); it judges what is taken over as well. None for nobody.
            budget: limits instead of the other run's; what was taken over counts.
            seed: of what is done anew, instead of the other run's.
            graph: as for `resume`.
            on_start: told the new run's id once it is stored.

        Raises:
            BurnishError: as `run`.
            ReplayMismatch: what was changed reaches back before the point.
        """
        from .traces.fork import find_point

        reader = self.store.reader()
        old, point = reader.spec(run_id), find_point(reader, run_id, at)
        known = {**old.settings, **(settings or {})}
        task = old.task if verifier == "task" else replace(old.task, verifier=verifier)
        nothing_withheld(replace(old, task=task), known)
        built = build_graph(graph or old.graph, {} if hasattr(graph, "ainvoke") else known)
        limits = old.budget if budget is None else Budget.of(budget)
        spec = self._spec(old.graph if graph is None else graph, task, known, limits, old.seed if seed is None else seed, None)
        spec = replace(spec, forked_from=old.id, forked_at=point.position)
        await store_fork(self.store, old, spec, point, self.engines)
        if on_start:
            on_start(spec.id)
        result = await self._execute(spec.id, built)
        if isinstance(result.error, ReplayMismatch):
            result.error.hint = "what was changed reaches back before the point; fork at an earlier one"
        return _returned(result)

    async def _all(self, run_ids: list[str], graph: object | None) -> AsyncIterator[Result]:
        # Only as many tasks as may run: ten thousand waiting runs cost nothing.
        waiting = iter(run_ids)
        running: set[asyncio.Task[Result]] = set()
        done: set[asyncio.Task[Result]] = set()
        try:
            while True:
                while len(running) < self._concurrency and not self.stop.requested and (run_id := next(waiting, None)):
                    running.add(asyncio.create_task(self._execute(run_id, graph)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*done, *running, return_exceptions=True)  # The first error is told; nobody asks for the others.

    async def _execute(self, run_id: str, graph: object | None) -> Result:
        async with self._slots:
            if self.stop.requested:
                return Result(run_id=run_id, task_id="", error=Cancelled("stopped before it began"))
            self.running += 1
            try:
                return await self._leased(await self.store.acquire(run_id), graph)
            except StoreError as e:
                # A run that another process has, or whose record cannot be read, leaves the others alone.
                if self.store.failed and not isinstance(e, Fenced):
                    raise
                return Result(run_id=run_id, task_id="", error=e)
            finally:
                self.running -= 1

    async def _leased(self, journal: RunJournal, graph: object | None) -> Result:
        from .execution import execute

        if task := self._withheld.pop(journal.run_id, None):
            journal.spec = replace(journal.spec, task=task)
        spec = journal.spec
        try:
            nothing_withheld(spec, {} if hasattr(graph, "ainvoke") else spec.settings)
            if journal.resumed:
                same_engines(spec, self.engines)
            if spec.budget.usd is not None:
                priced(self.engines)
            # A compiled graph has its settings within it.
            built = build_graph(graph or spec.graph, {} if hasattr(graph, "ainvoke") else spec.settings)
        except BurnishError as e:
            await journal.finish(RunEnd(status="interrupted", error_code=e.code, error=e.message), journal.elapsed)
            return Result(run_id=spec.id, task_id=spec.task.id, error=e)
        return await execute(built, journal, self.engines, self.stop, grade_all=self._grade_all, asker=self._ask)

    def _spec(
        self, graph: object, task: Task, settings: Mapping[str, Json] | None, budget: Budget, seed: int, batch_id: str | None
    ) -> RunSpec:
        from . import __version__

        if engine := self.engines.get("proposer") or self.engines.get("default"):
            capable(engine, task, settings or {})
        if budget.usd is not None:
            priced(self.engines)
        described: dict[str, Json] = {
            role: {**engine.info.to_json(), "recipe": self._recipes.get(role)} for role, engine in self.engines.items()
        }
        run_id, plain = new_run_id(), task.to_json()
        if redact(plain) is not plain:
            self._withheld[run_id] = task
        return RunSpec(
            id=run_id,
            task=task,
            graph=graph_name(graph),
            settings=dict(settings or {}),
            seed=seed,
            budget=budget,
            engines=described,
            batch_id=batch_id,
            code_version=__version__,
        )


@cache
def _settle_memory() -> None:
    """Once in a process: take what is loaded by now out of the garbage collector's rounds, and let it make fewer of them.

    Else each full round walks through all of LangGraph and pydantic again, a third of the time of a busy search; and the
    usual 700 new objects between two young rounds are less than a few hundred calls in flight hold.
    """
    build_graph("single")
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if young:  # 0 is a user's wish that there be no rounds at all.
        gc.set_threshold(max(young, _NEW_OBJECTS), *older)


def _returned(result: Result) -> Result:
    if result.error is None:
        return result
    result.error.add_note(f"run {result.run_id}")
    setattr(result.error, "run_id", result.run_id)  # noqa: B010
    raise result.error
