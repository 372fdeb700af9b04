"""The worker's side of the `sql_execution` verifier: runs a query that nobody has read before, and compares its rows.

What differs between databases stands in a module for each, `sqlite_worker` and `postgres_worker`. Both give `opened`: a
context that yields a function from a query to its columns and rows, or raises `Refused`.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

from ..core.target import load_target
from ..core.task import Task
from . import python_worker

Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = tuple[list[str], list[Row]]

MOST_ROWS = 10_000
MOST_BYTES = 8 * 2**20
TOO_LARGE = f"the query returns more than {MOST_ROWS} rows or {MOST_BYTES // 2**20} MB"


class Refused(Exception):
    """A query or database gave no result."""

    def __init__(self, reason: str, message: str, right: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.right = right
        """Characters of the query before what is wrong; None if that cannot be told."""
        self.hint = hint
        """What the database has instead; empty if that cannot be told."""

    @property
    def explained(self) -> str:
        """Message and hint."""
        return "; ".join(filter(None, (self.message, self.hint)))


class Select(Protocol):
    """Runs one statement and gives its column names and rows. A `trusted` one is the user's own.

    One with a method `why_empty` can say why a query finds nothing.
    """

    def __call__(self, query: str, seconds: float, *, trusted: bool = False) -> Rows: ...


def run(query: str, reference: str | None, databases: Sequence[Mapping[str, str]], options: Mapping[str, Any]) -> dict[str, Any]:
    """Run the query on each database, and compare with the reference's result if there is one.

    The reply describes the first database on which something is wrong, else the first one, by its index. Of the
    reference it holds nothing but whether results agree. An empty `reason` means that all is well.
    """
    first = dict[str, Any]()
    clock = _Clock(options["seconds"])
    for index, database in enumerate(databases):
        reply: dict[str, Any] = {"database": index, "reason": "", "message": "", "outcome": "pass"}
        try:
            with _opened(database) as select:
                reply.update(_judged(select, clock, query, reference, options))
                if reply["reason"] == "empty_result" and options["explain"] and not index:  # Hidden databases tell nothing.
                    reply["message"] += _because(select, query)
        except Refused as e:
            reply.update(reason=e.reason, message=e.explained if options["explain"] else e.message, right=e.right)
        first = first or reply
        if reply["reason"] or reply["outcome"] != "pass":
            return reply
    return first


class _Clock:
    """Counts the time of queries only: opening a database takes what it takes."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def select(self, select: Select, query: str, *, trusted: bool = False) -> Rows:
        if self._left <= 0:
            raise Refused("timeout", "the query takes too long")
        began = time.monotonic()
        try:
            return select(query, self._left, trusted=trusted)
        finally:
            self._left -= time.monotonic() - began


def _opened(database: Mapping[str, str]) -> AbstractContextManager[Select]:
    kind = "postgres" if "url" in database else "sqlite"
    return import_module(f".{kind}_worker", __package__).opened(database)


def _judged(select: Select, clock: _Clock, query: str, reference: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    wanted: list[Row] | None = None
    if reference is not None:
        try:
            wanted = clock.select(select, reference, trusted=True)[1]
        except Refused as e:
            reason = e.reason if e.reason == "no_database" else "reference_error"
            raise Refused(reason, f"the reference query failed: {e.reason}") from None
    columns, rows = clock.select(select, query)
    reply: dict[str, Any] = {"columns": columns, "rows": len(rows), "sample": [[_shown(v) for v in row] for row in rows[:3]]}
    if wanted is not None:
        same = _same(rows, wanted, ordered=is_ordered(reference or ""), digits=options["digits"])
        reply["same_count"] = len(rows) == len(wanted)
        return reply | ({} if same else {"reason": "mismatch", "message": "the query's result is not right"})
    if options["columns"] is not None and [c.lower() for c in columns] != [c.lower() for c in options["columns"]]:
        return reply | {"reason": "columns", "message": f"the result must have the columns {', '.join(options['columns'])}"}
    if options["non_empty"] and not any(value is not None for row in rows for value in row):
        return reply | {"reason": "empty_result", "message": "the query finds nothing"}
    if options["test"]:
        function = cast("Any", load_target(options["test"], what="function"))
        verdict = python_worker.plain(function(Task.from_json(options["task"]), columns, rows))
        return reply | {"verdict": verdict, "outcome": verdict["outcome"]}
    return reply


def _because(select: Select, query: str) -> str:
    """Why the query finds nothing, where what runs it can tell."""
    why_empty = getattr(select, "why_empty", None)
    found = str(why_empty(query)) if why_empty is not None else ""
    return f"; {found}" if found else ""


def is_ordered(query: str) -> bool:
    """Whether the statement as a whole has an ORDER BY."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", " ", query, flags=re.DOTALL)
    inner = re.compile(r"\([^()]*\)")
    while inner.search(bare):
        bare = inner.sub(" ", bare)
    return re.search(r"\border\s+by\b", bare, re.IGNORECASE) is not None


def _same(rows: list[Row], wanted: list[Row], *, ordered: bool, digits: int | None) -> bool:
    ours, theirs = ([tuple(_cell(v, digits) for v in row) for row in one] for one in (rows, wanted))
    return ours == theirs if ordered else Counter(ours) == Counter(theirs)


def _cell(value: Any, digits: int | None) -> tuple[str, Any]:
    """What a value is compared by. Whole and broken numbers meet, unless digits is None: then types count."""
    if value != value:
        return "number", "NaN"
    if digits is None or not isinstance(value, int | float | Decimal):
        return type(value).__name__, value
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    if not isinstance(value, int):
        value = float(f"{value:.{digits}g}")
        value = int(value) if value.is_integer() else value
    return "number", value


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:20].hex()
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, Decimal):
        return str(value)[:100]
    return value[:100] if isinstance(value, str) else value
