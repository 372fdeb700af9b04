"""Carrying out and showing an audit of a verifier, for `burnish verifiers check`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..core.errors import ConfigError, EngineUnavailable
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from .answers import read_answers
from .engines import chosen_engine
from .errors import FAILURE, INTERRUPTED, OK
from .lookup import reader
from .output import emit, say, show, show_table
from .project import Project
from .running import Batch, opened
from .signals import Signals
from .tasks import read_tasks
from .values import verifier_of

if TYPE_CHECKING:
    from ..compare.audit import Answer, Order
    from ..traces.reader import Reader
    from .engines import Made


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for on the command line."""

    verifier: str
    tasks: str | None
    answers: str | None
    pool: str | None
    grader: str | None
    name: str
    store: str | None

    def order(self, engine: Json) -> Order:
        """The audit that is asked for, checked; `engine` is the recipe of what a verifier that asks a model asks.

        Raises:
            ConfigError: what is asked for does not go together; a line is wrong; a verifier or grader cannot judge a task.
        """
        from ..compare.audit import Order

        if (self.pool is None) == (self.answers is None) or (self.answers is None) != (self.tasks is None):
            raise ConfigError("there is nothing to check it on", hint="--tasks FILE --answers FILE, or --pool NAME")
        listed, found, source = self._from_files() if self.pool is None else self._from_pool(self.pool)
        if self.grader is not None:
            listed = [replace(t, grader=verifier_of(self.grader)) for t in listed]
        return Order(
            verifier=verifier_of(self.verifier),
            tasks=[t for t in listed if t.id in found],
            answers=found,
            sampled=len(models := {a.model for own in found.values() for a in own}) == 1 and "" not in models,
            source=source,
            engine=engine,
            name=self.name,
        )

    def _from_files(self) -> tuple[list[Task], dict[str, list[Answer]], str]:
        assert self.tasks is not None
        assert self.answers is not None
        if self.tasks == self.answers == "-":
            raise ConfigError("tasks and answers cannot both come from stdin", hint="name a file for one of them")
        listed = read_tasks(self.tasks)
        return listed, read_answers(self.answers, [t.id for t in listed]), self.answers

    def _from_pool(self, name: str) -> tuple[list[Task], dict[str, list[Answer]], str]:
        from ..compare.audit import pool_answers
        from ..compare.pool import Pool

        with reader(self.store) as found:
            drawn = Pool.read(found, name)
        return drawn.tasks, pool_answers(drawn, grades=self.grader is None), f"the pool {name}"


def engine_of(name: str | None, model: str | None, args: Iterable[str], project: Project) -> Made:
    """The engine for a verifier that asks a model; one that refuses where none is named."""
    from ..compare.audit import NO_ENGINE

    return chosen_engine(name or NO_ENGINE, model, args, project)


async def judged(order: Order, made: Made, url: str | None, concurrency: int, signals: Signals) -> Batch:
    """Judge what is left; a finished audit starts nothing.

    Raises:
        EngineUnavailable: the verifier asks a model, and there is none.
    """
    from ..compare.audit import begun, carry_out
    from ..session import Session
    from ..traces.store import Store

    batch, store = Batch(), await Store.open(url)
    try:
        before = begun(store.reader(), order)
        if before is not None:
            batch.id = before.id
            if before.done == before.runs:
                return batch
        session = Session(made.engine, store=store, concurrency=concurrency, recipes={"default": made.recipe})

        def started(batch_id: str) -> None:
            batch.id = batch_id
            say(f"audit {one_line(order.name)}: batch {batch_id}")

        async with opened(session, signals, made.name) as running:
            left = len(order.tasks) - (before.done if before else 0)
            await batch.collect(carry_out(running, order, before, started), left, signals)
        errors = [r.error for r in batch.results if isinstance(r.error, EngineUnavailable)]
        if errors and not batch.interrupted:
            raise errors[0]
        return batch
    finally:
        await store.close()


def show_ended(order: Order, batch: Batch, url: str | None, *, as_json: bool) -> int:
    """Print what was found, or why it is not finished. Returns the exit status."""
    failed = [r for r in batch.results if r.error is not None]
    if not failed and not batch.interrupted:
        with reader(url) as found:
            return show_stored(found, order.name, as_json=as_json)
    if as_json:
        errors: list[Json] = [{"task_id": r.task_id, "error": str(r.error)} for r in failed]
        judged = len(batch.results) - len(failed)
        about = {"name": order.name, "batch_id": batch.id, "finished": False, "tasks": len(order.tasks)}
        emit({**about, "judged": judged, "failed": errors}, truncated=batch.interrupted)
    else:
        for error in [e for r in failed if (e := r.error) and e.code != "cancelled"][:3]:
            say(f"failed: {one_line(str(error), 300)}")
        say("the audit is unfinished; go on with it: the same command again")
    return INTERRUPTED if batch.interrupted else FAILURE


def show_stored(found: Reader, name: str, *, as_json: bool) -> int:
    """Print a stored audit. Returns the exit status.

    Raises:
        ConfigError: there is none of this name, or it is not finished.
    """
    from ..compare import audit_report as report
    from ..compare.audit_result import AuditResult
    from ..compare.outlook import Outlook

    result = AuditResult.read(found, name)
    outlook = Outlook.of(result)
    if as_json:
        emit({"finished": True, **report.to_json(result, outlook)})
        return OK
    show(f"audit {one_line(result.name)} of {one_line(report.verifier_text(result), 200)}")
    tables: Sequence[Sequence[list[str]]] = (
        report.rate_rows(result),
        report.attempt_rows(result),
        report.choice_rows(result),
        report.worth_rows(outlook) if outlook else [],
    )
    for rows in filter(None, tables):
        show()
        show_table(rows[0], rows[1:])
    show()
    for line in report.lines(result, outlook):
        show(line)
    return OK
