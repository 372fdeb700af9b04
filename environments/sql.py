"""SQL over several turns: query a SQLite database, read what comes back, and submit (after InterCode, arXiv 2306.14898).

Queries run read-only in a worker that can be killed, under the same limits as those that a verifier runs. The database is
the one that the task's context names, so every text-to-SQL task will do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from ..core.environment import Observation, Tool
from ..core.errors import ConfigError, VerifierFailed
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line, printable
from ..core.verdict import Verdict
from ..verifiers.worker import shared_pool
from . import sql_worker

SUBMIT = "submit"
_NOT_THE_QUERYS_FAULT = ("no_database", "reference_error")
_UNDECIDED = (*_NOT_THE_QUERYS_FAULT, "timeout", "memory_limit")


@dataclass(kw_only=True)
class Sql:
    """Actions are SQL queries, or `submit`: the last query is the answer then, whatever came of it."""

    name: ClassVar[str] = "sql"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = True
    tools: ClassVar[Sequence[Tool]] = (
        Tool(usage="SELECT ...", about="runs a query on the SQLite database and shows what it finds"),
        Tool(usage=SUBMIT, about="gives the last query as the answer and ends the work"),
    )

    rows: int = 10
    """Most rows that are shown of a result."""
    show_schema: bool = False
    """Whether the first observation shows the tables, for tasks whose prompt does not."""
    timeout: float = 2.0
    """Seconds that one query may take."""

    _database: Mapping[str, str] = field(default_factory=dict[str, str], init=False)
    _query: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if self.rows < 1 or not 0 < self.timeout < 3600:
            raise ConfigError(f"sql: rows is {self.rows}, timeout {self.timeout}", hint="at least 1 row; seconds above 0")

    def check(self, task: Task) -> None:
        """Refuse a task without a SQLite database."""
        _place(task)

    async def reset(self, task: Task, seed: int) -> Observation:
        self._database, self._query = _place(task), ""
        shown = await self._call("schema", self._database)
        if shown["reason"]:
            raise VerifierFailed(str(shown["message"]), code=str(shown["reason"]))
        tables = "\n".join(f"{printable(sql)};" for sql in shown["tables"])
        return Observation(text=tables if self.show_schema else "The database is open.")

    async def restore(self, task: Task, seed: int, actions: Sequence[str]) -> None:
        """All that queries leave behind is which one was the last: none is run again."""
        self._database = _place(task)
        self._query = next((action for action in reversed(actions) if not _submits(action)), "")

    async def step(self, action: str) -> Observation:
        if _submits(action):
            if not self._query:
                return Observation(text="There is no query yet: run one, then submit.", refused=True)
            return Observation(text="Submitted.", done=True, answer=self._query)
        found = await self._call("look", action, self._database, self.timeout, self.rows)
        reason = str(found["reason"])
        if reason in _NOT_THE_QUERYS_FAULT:
            raise VerifierFailed(str(found["message"]), code=reason)
        self._query = action
        return Observation(text=f"Error: {one_line(str(found['message']), 500)}" if reason else _table(found))

    async def reward(self, task: Task, answer: str) -> Verdict:
        """InterCode's: intersection over union of the rows, times Kendall's tau of the common ones, rounded; below 0 it is 0.

        A pass needs the very rows, in an order that agrees with the reference's.
        """
        if not isinstance(task.reference, str):
            return Verdict.abstain("no_reference", "the task has no reference query")
        found = await self._call("compare", answer, task.reference, _place(task), self.timeout)
        reason, message = str(found["reason"]), one_line(str(found.get("message", "")), 500)
        if reason in _UNDECIDED:
            return Verdict.abstain(reason, message)
        if reason:
            return Verdict.failed(message, reason=reason, evidence={"reward": 0.0})
        overlap, order = float(found["iou"]), cast("float | None", found["tau"])
        exact = overlap if order is None else overlap * order
        raw = exact if order is None else round(exact, 2)
        evidence: dict[str, Json] = {"reward": raw, "iou": overlap, "tau": order, "rows": found["count"]}
        if exact == 1:
            return Verdict.passed(evidence=evidence)
        text = f"the query's result is not right; it has {found['count']} rows"
        return Verdict.failed(text, score=max(0.0, raw), reason="mismatch", evidence=evidence)

    async def close(self) -> None:
        """Nothing is held between queries."""

    async def _call(self, function: str, *args: Json) -> dict[str, Any]:
        """The worker's reply. What a query does to its worker is the query's result, not the environment's failure."""
        target = f"{sql_worker.__name__}:{function}"
        try:
            reply = await shared_pool().call(target, args, seconds=2 * self.timeout + 5, memory_mb=512)
        except VerifierFailed as e:
            if e.code not in ("timeout", "memory_limit"):
                raise
            what = "takes too long" if e.code == "timeout" else "needs too much memory"
            return {"reason": e.code, "message": f"the query {what}"}
        return cast("dict[str, Any]", reply)


def _submits(action: str) -> bool:
    return action.strip().rstrip(";").casefold() == SUBMIT


def _place(task: Task) -> dict[str, str]:
    """Where the task's database is, in the worker's words."""
    schema, database = task.context.get("schema"), task.context.get("database")
    if isinstance(schema, str) and schema.strip():
        return {"schema": schema}
    if not isinstance(database, str) or not database.strip() or "://" in database.removeprefix("sqlite:///"):
        hint = 'context: {"database": "path/to/file.db"} or {"schema": "CREATE TABLE ..."}'
        raise ConfigError(f"sql: task {task.id} names no SQLite database", hint=hint)
    return {"path": os.path.abspath(database.removeprefix("sqlite:///"))}


def _table(found: Mapping[str, Any]) -> str:
    """A result as lines of text: the number of rows, the columns, the first rows."""
    count, rows = int(found["count"]), cast("list[list[str]]", found["rows"])
    lines = [f"{count} {'row' if count == 1 else 'rows'}", " | ".join(found["columns"])]
    lines += [" | ".join(row) for row in rows]
    if count > len(rows):
        lines.append(f"[{count - len(rows)} more rows left out]")
    return printable("\n".join(lines))
