"""The worker's side of the `sqlite_query` verifier: runs a SELECT that nobody has read before. Standard library only.

Every layer stops what the others let through: the database is opened read-only, the authoriser allows nothing but
reading, SQLite's own limits bound one value and one statement, the progress handler ends long queries, rows and bytes
are counted as they come, and the process around it all can be killed and has little memory.
"""

from __future__ import annotations

import functools
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]

MOST_ROWS = 10_000
MOST_BYTES = 8 * 2**20
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN = {"load_extension", "randomblob", "zeroblob", "readfile", "writefile", "edit", "fts3_tokenizer"}
_ALWAYS = {"sqlite_master", "sqlite_schema", "json_each", "json_tree"}
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 2**20,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 500,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_BUILDS = {
    sqlite3.SQLITE_ATTACH: sqlite3.SQLITE_DENY,
    sqlite3.SQLITE_DETACH: sqlite3.SQLITE_DENY,
    sqlite3.SQLITE_PRAGMA: sqlite3.SQLITE_IGNORE,
}
"""What building a database from SQL text may not do; a dump's pragmas are passed over."""


class Refused(Exception):
    """A query or database gave no result."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def run(query: str, reference: str | None, databases: Sequence[Mapping[str, str]], options: Mapping[str, Any]) -> dict[str, Any]:
    """Run the query on each database, and compare with the reference's result if there is one.

    The reply describes the first database on which something is wrong, else the first one, by its index. Of the
    reference it holds nothing but whether results agree. An empty `reason` means that all is well.
    """
    first: dict[str, Any] = {}
    deadline = time.monotonic() + options["seconds"]
    for index, database in enumerate(databases):
        reply = {"database": index, "reason": "", "message": ""}
        try:
            reply.update(_on_one(query, reference, database, options, deadline))
        except Refused as e:
            reply.update(reason=e.reason, message=e.message)
        first = first or reply
        if reply["reason"]:
            return reply
    return first


def _on_one(
    query: str, reference: str | None, database: Mapping[str, str], options: Mapping[str, Any], deadline: float
) -> dict[str, Any]:
    connection = _opened(database)
    try:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 100)
        wanted: list[Row] | None = None
        if reference is not None:
            try:
                wanted = _rows(connection, reference)[1]
            except Refused as e:
                raise Refused("reference_error", f"the reference query failed: {e.reason}") from None
        columns, rows = _rows(connection, query)
    finally:
        connection.set_progress_handler(None, 0)
        if "path" in database:
            connection.close()
    reply: dict[str, Any] = {"columns": columns, "rows": len(rows), "sample": [[_shown(v) for v in row] for row in rows[:3]]}
    if wanted is not None:
        same = _same(rows, wanted, ordered=is_ordered(reference or ""), digits=options["digits"])
        reply["same_count"] = len(rows) == len(wanted)
        return reply | ({} if same else {"reason": "mismatch", "message": "the query's result is not right"})
    if options["columns"] is not None and [c.lower() for c in columns] != [c.lower() for c in options["columns"]]:
        return reply | {"reason": "columns", "message": f"the result must have the columns {', '.join(options['columns'])}"}
    if options["non_empty"] and not any(value is not None for row in rows for value in row):
        return reply | {"reason": "empty_result", "message": "the query finds nothing"}
    return reply


def _opened(database: Mapping[str, str]) -> sqlite3.Connection:
    try:
        return _built(database["schema"]) if "schema" in database else _file(database["path"])
    except (sqlite3.Error, sqlite3.Warning, ValueError) as e:
        raise Refused("no_database", f"the database cannot be opened: {e}") from None


def _file(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        return _guarded(connection)
    except BaseException:
        connection.close()
        raise


@functools.lru_cache(maxsize=8)
def _built(schema: str) -> sqlite3.Connection:
    """A private database out of SQL text. Queries cannot change it, so it is kept."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.set_authorizer(_build_only)
    connection.executescript(schema)
    connection.set_authorizer(None)
    return _guarded(connection)


def _build_only(action: int, *_: object) -> int:
    return _BUILDS.get(action, sqlite3.SQLITE_OK)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _guarded(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.text_factory = _text
    connection.executescript("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").close()
    tables = {
        str(name).lower() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    }
    connection.set_authorizer(_authorizer(tables | _ALWAYS))
    for category, limit in _LIMITS.items():
        connection.setlimit(category, limit)
    return connection


def _authorizer(tables: set[str]) -> Callable[..., int]:
    """Allows to read columns of `tables`. A read without a column names a table, or a WITH clause, and tells nothing."""

    def allow(action: int, first: str | None, second: str | None, *_: object) -> int:
        fine = (
            action in _READS
            or (action == sqlite3.SQLITE_READ and (not second or (first or "").lower() in tables))
            or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN)
        )
        return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY

    return allow


def _rows(connection: sqlite3.Connection, query: str) -> tuple[list[str], list[Row]]:
    """Column names and rows of one statement.

    Raises:
        Refused: it fails, is forbidden, takes too long, or gives too much.
    """
    rows: list[Row] = []
    size = 0
    try:
        cursor = connection.execute(query)
        if cursor.description is None:
            raise Refused("sql_error", "that is no SELECT statement")
        for row in cursor:
            rows.append(row)
            size += sum(len(v) if isinstance(v, str | bytes) else 8 for v in row)
            if len(rows) > MOST_ROWS or size > MOST_BYTES:
                cursor.close()
                raise Refused("too_large", f"the query returns more than {MOST_ROWS} rows or {MOST_BYTES // 2**20} MB")
    except (sqlite3.Error, sqlite3.Warning, ValueError) as e:
        text = str(e)
        if text == "interrupted":
            raise Refused("timeout", "the query takes too long") from None
        forbidden = "not authorized" in text or "prohibited" in text
        raise Refused("forbidden_sql" if forbidden else "sql_error", f"SQL error: {text}") from None
    return [name for name, *_ in cursor.description], rows


def is_ordered(query: str) -> bool:
    """Whether the statement as a whole has an ORDER BY."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|--[^\n]*", " ", query)
    inner = re.compile(r"\([^()]*\)")
    while inner.search(bare):
        bare = inner.sub(" ", bare)
    return re.search(r"\border\s+by\b", bare, re.IGNORECASE) is not None


def _same(rows: list[Row], wanted: list[Row], *, ordered: bool, digits: int | None) -> bool:
    ours, theirs = ([tuple(_cell(v, digits) for v in row) for row in one] for one in (rows, wanted))
    return ours == theirs if ordered else Counter(ours) == Counter(theirs)


def _cell(value: Any, digits: int | None) -> tuple[str, Any]:
    """What a value is compared by. Whole and broken numbers meet, unless digits is None: then types count."""
    if digits is None or not isinstance(value, int | float):
        return type(value).__name__, value
    if isinstance(value, float):
        value = float(f"{value:.{digits}g}")
        value = int(value) if value.is_integer() else value
    return "number", value


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value[:20].hex()
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    return value[:100] if isinstance(value, str) else value
