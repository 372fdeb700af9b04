"""Reads what is stored, for people and programs that look at runs; never writes.

Each question is one short transaction, so that a reader does not hold back the writer's log. Lists are paged by key:
the last id or number of one page is where the next begins.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Executable, Select, Table, func, select

from ..core.budget import Budget
from ..core.completion import Completion
from ..core.errors import ConfigError, StoreError
from ..core.ids import Json
from ..core.records import RecordedCall
from ..core.runs import RunSpec, RunStatus, Usage
from ..core.task import Task
from . import schema as s
from .codec import unpack
from .faults import reading
from .load import Recorded
from .run_state import RunState
from .usage import usages
from .views import BatchRow, CallRow, CandidateRow, DecisionRow, RunRow, StepRow, TellRow, VerdictRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_HEX = set("0123456789abcdef")
_SHORTEST = 4
"""Digits that an abbreviated id needs."""


class Reader:
    """The stored runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """Its connections, which cannot write."""
        return self._engine

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def runs(
        self,
        *,
        status: RunStatus | None = None,
        graph: str | None = None,
        batch: str | None = None,
        task: str | None = None,
        since_ns: int | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[RunRow]:
        """Runs, the newest first; those older than `before`, the last id of the page above.

        With `since_ns` only runs that were accepted then or later.
        """
        query = _fields(s.run, RunRow).order_by(s.run.c.id.desc()).limit(limit)
        wanted = {"status": status, "graph": graph, "batch_id": batch, "task_id": task}
        query = query.filter_by(**{name: value for name, value in wanted.items() if value is not None})
        if before:
            query = query.where(s.run.c.id < before)
        if since_ns is not None:
            query = query.where(s.run.c.created_ns >= since_ns)
        return [RunRow(**row) for row in self.rows(query)]

    def run(self, run: str) -> RunRow:
        """One run, by its id or an abbreviation of it.

        Raises:
            ConfigError: there is no such run, or there are several.
        """
        return RunRow(**self.rows(_fields(s.run, RunRow).where(s.run.c.id == self.resolve(run)))[0])

    def resolve(self, text: str) -> str:
        """The id of the one run whose id is `text`, or begins or ends with it.

        Raises:
            ConfigError: there is no such run, or there are several.
        """
        digits = text.strip().lower().replace("-", "")
        if len(digits) < _SHORTEST or len(digits) > 32 or set(digits) - _HEX:
            hint = f"give at least {_SHORTEST} of its hexadecimal digits, from the beginning or the end"
            raise ConfigError(f"{text[:40]!r} is no id of a run", hint=hint)
        run_id = s.run.c.id
        match = run_id == digits if len(digits) == 32 else run_id.like(f"{digits}%") | run_id.like(f"%{digits}")
        found = [row["id"] for row in self.rows(select(run_id).where(match).order_by(run_id.desc()).limit(6))]
        if not found:
            raise ConfigError(f"there is no run {digits}", hint="look with: burnish runs list")
        if len(found) > 1:
            shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            raise ConfigError(f"several runs match {digits}", hint=f"give more digits: {shown}")
        return found[0]

    def usage(self, run: str) -> Usage:
        """What a run used; zeros if there is no such run."""
        return self.usages([run]).get(run, Usage())

    def usages(self, runs: Sequence[str]) -> dict[str, Usage]:
        """What each run used."""
        with reading(self._engine) as connection:
            return usages(connection, runs)

    def steps(self, run: str) -> list[StepRow]:
        """The steps of a run, in the order in which they began."""
        return [StepRow(**row) for row in self.rows(_of_run(s.step, StepRow, run))]

    def calls(
        self,
        run: str,
        *,
        limit: int | None = None,
        after: int = 0,
        node: str | None = None,
        failed: bool = False,
        effects: bool = True,
    ) -> list[CallRow]:
        """The calls of a run in the order in which they began, behind the number `after`.

        With `node` only those that nodes of this name made, with `failed` those that came to nothing or whose result is not
        known, without `effects` calls to models only.
        """
        c = s.call.c
        query = _of_run(s.call, CallRow, run).where(c.seq > after).limit(limit)
        if node is not None:
            query = query.where(c.step.in_(select(s.step.c.position).where(s.step.c.run_id == run, s.step.c.node == node)))
        if failed:
            query = query.where(c.state.in_(("error", "refused", "intent")))
        if not effects:
            query = query.where(c.engine != "")
        return [CallRow(**row) for row in self.rows(query)]

    def completions(self, run: str) -> dict[str, Completion]:
        """The results of a run's model calls, whole, by the calls' positions; partial ones of cancelled calls too.

        Raises:
            StoreError: a stored text is missing or damaged.
        """
        return {position: call.completion for position, call in self.recorded_calls(run).items() if call.completion}

    def recorded_calls(self, run: str) -> dict[str, RecordedCall]:
        """A run's model calls and other effects with their results, whole, by their positions.

        Raises:
            StoreError: a stored text is missing or damaged.
        """
        recorded = Recorded()
        with reading(self._engine) as connection:
            recorded.load(connection, RunState(run, 0, 0))
        calls = {position: recorded.call(position) for position in list(recorded.calls)}
        return {position: call for position, call in calls.items() if call}

    def effects(self, kind: str, run: str) -> list[Json]:
        """Values of the finished effects of a kind in a run and in all other runs of its batch."""
        r, c, b = s.run, s.call, s.blob
        batch = select(r.c.batch_id).where(r.c.id == run).scalar_subquery()
        query = (
            select(b.c.codec, b.c.data, b.c.size)
            .join_from(c, r, c.c.run_id == r.c.id)
            .join(b, b.c.sha == c.c.value_sha)
            .where(c.c.kind == kind, c.c.state == "ok", (r.c.id == run) | (r.c.batch_id == batch))
        )
        return [json.loads(unpack(row["codec"], row["data"], row["size"])) for row in self.rows(query)]

    def candidates(self, run: str) -> list[CandidateRow]:
        """The candidates of a run, in the order in which they came to be."""
        p = s.candidate_parent.c
        mine = select(s.candidate.c.id).where(s.candidate.c.run_id == run)
        edges = select(p.candidate_id, p.parent_id).where(p.candidate_id.in_(mine)).order_by(p.candidate_id, p.number)
        parents: dict[str, list[str]] = {}
        for row in self.rows(edges):
            parents.setdefault(row["candidate_id"], []).append(row["parent_id"])
        rows = self.rows(_of_run(s.candidate, CandidateRow, run))
        return [CandidateRow(**row, parents=tuple(parents.get(row["id"], ()))) for row in rows]

    def verdicts(self, run: str) -> list[VerdictRow]:
        """The verdicts of a run, in the order in which they were given."""
        rows = self.rows(_of_run(s.verdict, VerdictRow, run))
        return [VerdictRow(**{**row, "evidence": json.loads(row["evidence"])}) for row in rows]

    def decisions(self, run: str) -> list[DecisionRow]:
        """The choices of a run's searches, in their order."""
        rows = self.rows(_of_run(s.decision, DecisionRow, run))
        parsed = ({**row, "details": json.loads(row["details"]), "options": json.loads(row["options"])} for row in rows)
        return [DecisionRow(**row) for row in parsed]

    def tells(self, run: str) -> list[TellRow]:
        """What was told to a run's policies, in its order."""
        return [TellRow(**row) for row in self.rows(_of_run(s.tell, TellRow, run))]

    def text(self, sha: str) -> str:
        """A stored text, whole.

        Raises:
            StoreError: it is missing or damaged.
        """
        return self.texts((sha,))[sha]

    def texts(self, shas: Collection[str]) -> dict[str, str]:
        """Stored texts, whole, by their hashes.

        Raises:
            StoreError: one is missing or damaged.
        """
        b = s.blob.c
        rows = self.rows(select(b.sha, b.codec, b.data, b.size).where(b.sha.in_(set(shas)))) if shas else []
        found = {row["sha"]: _text(row["sha"], unpack(row["codec"], row["data"], row["size"])) for row in rows}
        for sha in shas:
            if sha not in found:
                raise StoreError(
                    f"there is no stored text {sha[:40]!r}", hint="restore the database from a backup", code="corrupt"
                )
        return found

    def task(self, run: str) -> Task:
        """The task of a run."""
        return self.spec(run).task

    def spec(self, run: str) -> RunSpec:
        """What a run is to do.

        Raises:
            StoreError: there is no such run.
        """
        rows = self.rows(select(s.run).where(s.run.c.id == run))
        if not rows:
            raise StoreError(f"there is no run {run}", hint="look with: burnish runs list", code="unknown_run")
        row = rows[0]
        return RunSpec(
            id=row["id"],
            task=Task.from_json(json.loads(self.text(row["task_sha"]))),
            graph=row["graph"],
            settings=json.loads(row["settings"]),
            seed=row["seed"],
            budget=Budget.of(json.loads(row["budget"])),
            engines=json.loads(row["engines"]),
            batch_id=row["batch_id"],
            code_version=row["code_version"],
            forked_from=row["forked_from"],
            forked_at=row["forked_at"],
        )

    def unfinished(self, batch: str | None = None) -> list[str]:
        """Ids of the runs that are not done, the oldest first."""
        query = select(s.run.c.id).where(s.run.c.status != "done").order_by(s.run.c.id)
        if batch is not None:
            query = query.where(s.run.c.batch_id == batch)
        return [row["id"] for row in self.rows(query)]

    def batches(self) -> list[BatchRow]:
        """All batches, the newest first."""
        b, r = s.batch.c, s.run.c
        counts = (
            select(r.batch_id, func.count().label("runs"), func.count().filter(r.status == "done").label("done"))
            .group_by(r.batch_id)
            .subquery()
        )
        runs, done = (func.coalesce(counts.c[name], 0).label(name) for name in ("runs", "done"))
        query = (
            select(b.id, b.name, b.config, b.created_ns, runs, done)
            .outerjoin_from(s.batch, counts, b.id == counts.c.batch_id)
            .order_by(b.id.desc())
        )
        return [BatchRow(**{**row, "config": json.loads(row["config"])}) for row in self.rows(query)]

    def rows(self, query: Executable) -> list[dict[str, Any]]:
        """The rows of a query of one's own, over the tables of `traces/schema.py`."""
        with reading(self._engine) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _fields(table: Table, view: type[DataclassInstance]) -> Select[Any]:
    """Selects the columns that a view has."""
    return select(*(table.c[f.name] for f in fields(view) if f.name in table.c))


def _of_run(table: Table, view: type[DataclassInstance], run: str) -> Select[Any]:
    return _fields(table, view).where(table.c.run_id == run).order_by(table.c.seq)


def _text(sha: str, data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise StoreError(
            f"what is stored under {sha} is no text", hint="token ids are read with the call", code="no_text"
        ) from None
