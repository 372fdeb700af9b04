"""A model's SQL query, judged by running it: safely, in a worker process, on one or several SQLite databases."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.extract import extractor, first_select
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from . import sqlite_worker
from .answers import need_reference, no_reference
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context

_CANNOT_SAY = ("timeout", "no_database", "reference_error")
_HINT = 'context: {"database": "path/to/file.db"} or {"schema": "CREATE TABLE ..."}'


@dataclass(frozen=True, kw_only=True)
class SqliteQuery:
    """Passes a query that runs and, as an oracle, gives what the task's reference query gives on every database.

    The database is the verifier's, or the one that the task's context names: `database`, a file, or `schema`, SQL
    text from which a private one is built. A `hidden` one with other data, which no agent sees, catches queries that
    are right by accident. Rows are compared as a multiset, in order where the reference orders them.
    """

    name: ClassVar[str] = "sqlite_query"
    version: ClassVar[str] = "1"

    oracle: bool = True
    """Whether to compare with the task's reference query; False judges by running alone."""
    database: str = ""
    """Path of the database file; empty takes it from the task's context."""
    schema: str = ""
    """SQL text that builds the database; empty takes it from the task's context."""
    hidden: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    """More databases of the same form, each `{"database": path}` or `{"schema": sql}`."""
    non_empty: bool = False
    """Without a reference: whether a result without any value fails."""
    columns: Sequence[str] | None = None
    """Without a reference: names that the result's columns must have; None for any."""
    extract: str = "sql"
    """Name of the extractor that finds the statement in the answer."""
    digits: int | None = 12
    """Significant digits by which numbers are compared, 1 equal to 1.0; None compares exactly and tells those apart."""
    timeout: float = 2.0
    """Seconds for the query and the reference together, on all databases."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        extractor(self.extract)
        if not 0 < self.timeout < 3600:
            raise ConfigError(f"sqlite_query: timeout is {self.timeout}", hint="seconds, above 0")
        if self.digits is not None and not 1 <= self.digits <= 17:
            raise ConfigError(f"sqlite_query: digits is {self.digits}", hint="1 to 17, or none for exact")
        if self.database and self.schema:
            raise ConfigError("sqlite_query has a database and a schema", hint="give one of them")
        for one in self.hidden:
            _place(one, "hidden")

    def check(self, task: Task) -> None:
        """Refuse a task without a database, or without a reference that the verifier wants."""
        self._databases(task)
        if self.oracle:
            need_reference(task, self.name)
            if not isinstance(task.reference, str):
                raise ConfigError(f"the reference of task {task.id} is no SQL text", hint='"reference": "SELECT ..."')

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        databases = self._databases(task)
        if self.oracle and not isinstance(task.reference, str):
            return no_reference()
        query = (first_select if self.extract == "sql" else extractor(self.extract))(candidate.text)
        if query is None:
            return Verdict.failed("there is no SELECT statement in the text", reason="no_answer")
        options: dict[str, Json] = {"seconds": self.timeout, "digits": self.digits, "non_empty": self.non_empty}
        options["columns"] = None if self.columns is None else list(self.columns)
        args: list[Json] = [query, cast("str", task.reference) if self.oracle else None, databases, options]
        target = f"{sqlite_worker.__name__}:run"
        found = await shared_pool().call(target, args, seconds=self.timeout + 1, memory_mb=512)
        return _verdict(query, cast("dict[str, Any]", found))

    def _databases(self, task: Task) -> list[dict[str, str]]:
        own = {"database": self.database, "schema": self.schema}
        visible = own if self.database or self.schema else task.context
        return [_place(visible, f"task {task.id}"), *(_place(one, "hidden") for one in self.hidden)]


def _place(where: Mapping[str, Any], who: str) -> dict[str, str]:
    """Where a database comes from, in the worker's words.

    Raises:
        ConfigError: neither a file nor a schema is named.
    """
    schema, path = where.get("schema"), where.get("database")
    if isinstance(schema, str) and schema.strip():
        return {"schema": schema}
    if isinstance(path, str) and path.strip():
        return {"path": os.path.abspath(path)}
    raise ConfigError(f"sqlite_query: {who} names no database", hint=_HINT)


def _verdict(query: str, reply: Mapping[str, Any]) -> Verdict:
    evidence: dict[str, Json] = {"sql": one_line(query, 2000)}
    for name in ("database", "columns", "rows", "sample", "same_count"):
        if name in reply and (name != "sample" or reply["database"] == 0):
            evidence[name] = reply[name]
    reason, message = str(reply["reason"]), one_line(str(reply["message"]), 500)
    if reason in _CANNOT_SAY:
        return Verdict.abstain(reason, message, evidence=evidence)
    if not reason:
        return Verdict.passed(evidence=evidence)
    elsewhere = " on a database with other data" if reply["database"] else ""
    rows = f"; it has {reply['rows']} rows" if reason == "mismatch" and not elsewhere else ""
    return Verdict.failed(f"{message}{elsewhere}{rows}", reason=reason, evidence=evidence)
