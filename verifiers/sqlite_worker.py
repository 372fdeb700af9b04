"""SQLite for the `sql_execution` verifier, in its worker: a SELECT that nobody has read before, run.

Every layer stops what the others let through: the database is opened read-only, the authoriser allows nothing but
reading, SQLite's own limits bound one value and one statement, the progress handler ends long queries, rows and bytes
are counted as they come, and the process around it all can be killed and has little memory.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .sql_execution_worker import MOST_BYTES, MOST_ROWS, TOO_LARGE, Refused, Row, Rows
from .sql_hint import Schema, hint
from .sql_joins import Key
from .sql_prefix import right_until
from .sql_values import why_empty

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
_NOT_THE_QUERYS_FAULT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
}


_SHOWN = 60
"""Characters shown before a syntax error."""
_EXPLAINING = 0.3
"""Seconds for finding out why a query finds nothing."""


class _Database(sqlite3.Connection):
    """A database, with what a refused query is told of it."""

    schema: Schema = Schema(columns={})


class _Select:
    """Queries a database."""

    def __init__(self, connection: _Database) -> None:
        self._connection = connection

    def __call__(self, query: str, seconds: float, *, trusted: bool = False) -> Rows:
        """Column names and rows of one statement.

        Raises:
            Refused: it fails, is forbidden, takes too long, or gives too much.
        """
        deadline = time.monotonic() + seconds
        self._connection.set_progress_handler(lambda: time.monotonic() > deadline, 100)
        return _rows(self._connection, query)

    def why_empty(self, query: str) -> str:
        """Why a query finds nothing; empty if that cannot be told, or not soon."""
        until = time.monotonic() + _EXPLAINING

        def values(wanted: str) -> list[Any]:
            return [row[0] for row in self(wanted, until - time.monotonic())[1]]

        try:
            return why_empty(query, self._connection.schema, values)
        except Refused:
            return ""


@contextmanager
def opened(database: Mapping[str, str]) -> Generator[_Select]:
    """A database, as the function that queries it: a file (`path`), or SQL text that builds one (`schema`).

    Raises:
        Refused: it cannot be opened.
    """
    connection = _opened(database)
    try:
        yield _Select(connection)
    finally:
        connection.set_progress_handler(None, 0)
        if "path" in database:
            connection.close()


def _opened(database: Mapping[str, str]) -> _Database:
    try:
        return _built(database["schema"]) if "schema" in database else _file(database["path"])
    except (sqlite3.Error, sqlite3.Warning, ValueError) as e:
        raise Refused("no_database", f"the database cannot be opened: {e}") from None


def _file(path: str) -> _Database:
    connection = sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, isolation_level=None, factory=_Database)
    try:
        return _guarded(connection)
    except BaseException:
        connection.close()
        raise


@functools.lru_cache(maxsize=8)
def _built(schema: str) -> _Database:
    """A private database out of SQL text. Queries cannot change it, so it is kept."""
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=_Database)
    connection.set_authorizer(_build_only)
    connection.executescript(schema)
    connection.set_authorizer(None)
    return _guarded(connection)


def _build_only(action: int, *_: object) -> int:
    return _BUILDS.get(action, sqlite3.SQLITE_OK)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _guarded(connection: _Database) -> _Database:
    connection.text_factory = _text
    connection.executescript("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").close()
    columns = _columns(connection)
    connection.schema = Schema(columns=columns, keys=_keys(connection, columns))
    connection.set_authorizer(_authorizer({name.lower() for name in columns} | _ALWAYS))
    for category, limit in _LIMITS.items():
        connection.setlimit(category, limit)
    return connection


def _columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of each table and view. A view that does not work has none."""
    names = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
    found: dict[str, list[str]] = {}
    for name in names:
        try:
            found[name] = [str(c) for (c,) in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))]
        except sqlite3.Error:
            found[name] = []
    return found


def _keys(connection: sqlite3.Connection, columns: Mapping[str, list[str]]) -> list[Key]:
    """The foreign keys that name a column of a table that there is."""
    spelled = {name.lower(): name for name in columns}
    found: list[Key] = []
    for table in columns:
        listed = connection.execute('SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)', (table,))
        for column, other, theirs in listed:
            known = spelled.get(str(other).lower())
            if known is not None and theirs is not None:
                found.append((table, str(column), known, str(theirs)))
    return found


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


def _rows(connection: _Database, query: str) -> Rows:
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
                raise Refused("too_large", TOO_LARGE)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as e:
        text = str(e)
        if text == "interrupted":
            raise Refused("timeout", "the query takes too long") from None
        if getattr(e, "sqlite_errorcode", 0) & 0xFF in _NOT_THE_QUERYS_FAULT:
            raise Refused("no_database", f"the database cannot be read: {text}") from None
        if "not authorized" in text or "prohibited" in text:
            raise Refused("forbidden_sql", f"SQL error: {text}") from None
        right = right_until(query, text)
        there = hint(query, text, connection.schema)
        if right and "syntax error" in text:
            there = f"it reads up to: {query[max(0, right - _SHOWN) : right]}"
        raise Refused("sql_error", f"SQL error: {text}", right, there) from None
    return [name for name, *_ in cursor.description], rows
