"""A model's SQL query, judged by running it: safely, in a worker process, on SQLite or PostgreSQL.

The verifier says what is asked and what the worker's reply means; `sql_execution_worker` runs the query.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.extract import extractor, first_select
from ..core.ids import Json
from ..core.target import absolute, load_target
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from . import sql_execution_worker
from .answers import need_reference, no_reference
from .python_function import source_version
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context

_CANNOT_SAY = ("timeout", "memory_limit", "no_database", "reference_error", "unsafe_role")
_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_HINT = 'context: {"database": "path/to/file.db"}, {"database": "postgresql://..."} or {"schema": "CREATE TABLE ..."}'
_CONNECT_SECONDS = 6.0


@dataclass(frozen=True, kw_only=True)
class SqlExecution:
    """Passes a query that runs and, as an oracle, gives what the task's reference query gives on every database.

    The database is the verifier's, or the one that the task's context names: `database`, a SQLite file or the URL of a
    PostgreSQL database, or `schema`, SQL text from which a private SQLite one is built. A `hidden` one with other data,
    which no agent sees, catches queries that are right by accident. Rows are compared as a multiset, in order where the
    reference orders them.
    """

    name: ClassVar[str] = "sql_execution"

    oracle: bool = True
    """Whether to compare with the task's reference query; False judges by running alone."""
    database: str = ""
    """Path of a SQLite file, or `postgresql://...`; empty takes it from the task's context."""
    schema: str = ""
    """SQL text that builds a SQLite database; empty takes it from the task's context."""
    hidden: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    """More databases, each `{"database": ...}` or `{"schema": sql}`."""
    non_empty: bool = False
    """Without a reference: whether a result without any value fails."""
    columns: Sequence[str] | None = None
    """Without a reference: names that the result's columns must have; None for any."""
    test: str = ""
    """Without a reference: a function of yours, `module:function`, that judges the result. It is called in the worker with
    the task, the names of the columns and the rows, and returns a bool, a score or a `Verdict`."""
    explain: bool = True
    """On SQLite: whether feedback tells what the schema has instead of a wrong name, and what a column holds instead of a text
    that is not in it; False leaves the database's own words, so that no value leaves it."""
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
            raise ConfigError(f"{self.name}: timeout is {self.timeout}", hint="seconds, above 0")
        if self.digits is not None and not 1 <= self.digits <= 17:
            raise ConfigError(f"{self.name}: digits is {self.digits}", hint="1 to 17, or none for exact")
        if self.database and self.schema:
            raise ConfigError(f"{self.name} has a database and a schema", hint="give one of them")
        if self.test and self.oracle:
            raise ConfigError(f"{self.name}: test judges without the reference", hint='"oracle": false')
        _ = self.version
        for one in self.hidden:
            self._place(one, "hidden")

    @cached_property
    def version(self) -> str:
        """With a test, its source counts."""
        if not self.test:
            return "1"
        function = cast("Callable[..., Any]", load_target(self.test, what="function"))
        try:
            inspect.signature(function).bind(None, [], [])
        except TypeError:
            hint = "def test(task, columns, rows): return True"
            raise ConfigError(f"{self.test} does not take (task, columns, rows)", hint=hint) from None
        return f"1 with {source_version(function)}"

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
        options["explain"] = self.explain
        options["columns"] = None if self.columns is None else list(self.columns)
        options["test"], load = "", list[str]()
        if self.test:
            options["test"], options["task"] = absolute(self.test), replace(task, reference=None, grader=None).to_json()
            load.append(absolute(self.test))
        args: list[Json] = [query, cast("str", task.reference) if self.oracle else None, databases, options]
        target, seconds = f"{sql_execution_worker.__name__}:run", self.timeout + 1
        if urls := sum("url" in database for database in databases):
            load.append(f"{__package__}.postgres_worker:opened")
            seconds += urls * _CONNECT_SECONDS
        found = await shared_pool().call(target, args, seconds=seconds, memory_mb=512, load=load)
        return _verdict(query, candidate.text.find(query), cast("dict[str, Any]", found))

    def _databases(self, task: Task) -> list[dict[str, str]]:
        own = {"database": self.database, "schema": self.schema}
        visible = own if self.database or self.schema else task.context
        return [self._place(visible, f"task {task.id}"), *(self._place(one, "hidden") for one in self.hidden)]

    def _place(self, where: Mapping[str, Any], who: str) -> dict[str, str]:
        """Where a database is, in the worker's words.

        Raises:
            ConfigError: no database is named, or its driver is missing.
        """
        schema, database = where.get("schema"), where.get("database")
        if isinstance(schema, str) and schema.strip():
            return {"schema": schema}
        if not isinstance(database, str) or not database.strip():
            raise ConfigError(f"{self.name}: {who} names no database", hint=_HINT)
        if database.startswith(_POSTGRES):
            if importlib.util.find_spec("psycopg") is None:
                raise ConfigError(f"{self.name}: PostgreSQL needs psycopg", hint="pip install 'burnish[postgres]'")
            return {"url": database.replace("+psycopg", "", 1)}
        if "://" in database and not database.startswith("sqlite:///"):
            kind = one_line(database.partition("://")[0], 40)
            raise ConfigError(f"{self.name}: {who} names a database of the kind {kind!r}", hint=_HINT)
        return {"path": os.path.abspath(database.removeprefix("sqlite:///"))}


def _verdict(query: str, begin: int, reply: Mapping[str, Any]) -> Verdict:
    """What the worker's reply means; the query begins at `begin` in the answer."""
    evidence: dict[str, Json] = {"sql": one_line(query, 2000)}
    hidden = reply["database"] > 0
    for name in ("database", "columns", "rows", "sample", "same_count"):
        if name in reply and not (name == "sample" and hidden):
            evidence[name] = reply[name]
    reason, message = str(reply["reason"]), one_line(str(reply["message"]), 500)
    if reason in _CANNOT_SAY:
        return Verdict.abstain(reason, message, evidence=evidence)
    if reason:
        if reason == "sql_error" and hidden:
            message = "the query fails"  # The server's words may quote values.
        elsewhere = " on a database with other data" if hidden else ""
        rows = f"; it has {reply['rows']} rows" if reason == "mismatch" and not hidden else ""
        known = reply.get("right") is not None and begin >= 0 and not hidden
        cut = begin + reply["right"] if known else None
        return Verdict.failed(f"{message}{elsewhere}{rows}", reason=reason, evidence=evidence, valid_prefix=cut)
    if "verdict" not in reply:
        return Verdict.passed(evidence=evidence)
    said = Verdict(**reply["verdict"])
    return said.but(evidence=evidence | dict(said.evidence), valid_prefix=None)
