"""PostgreSQL for the `sql_execution` verifier, in its worker: a SELECT that nobody has read before, run.

What holds a query, from outside in: the role's privileges, so a superuser's is refused; a transaction that is read-only
and always rolled back; `DECLARE CURSOR`, whose grammar takes a SELECT and nothing else, in the extended protocol, which
takes one statement; a ban on volatile functions, which sleep, lock, signal, write files or change the settings that hold
the query; the server's statement timeout; and counts of rows and bytes as they come. What a query may use of the server's
memory and temporary files is for the role's settings to bound.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg.types.string import TextLoader

from .sql_execution_worker import MOST_BYTES, MOST_ROWS, TOO_LARGE, Refused, Row, Rows, Select

CONNECT_SECONDS = 5
"""How long a connection may take to be made."""
_SQL_BYTES = 100_000
_NUMBERS = {"float4", "float8", "int2", "int4", "int8", "numeric", "oid"}
_DECLARE = b"DECLARE burnish_result NO SCROLL CURSOR FOR "
_BEGIN = f"""
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = {CONNECT_SECONDS * 1000};
SET LOCAL lock_timeout = {CONNECT_SECONDS * 1000};
SET LOCAL idle_in_transaction_session_timeout = 60000;
SET LOCAL jit = off;
SET LOCAL datestyle = 'ISO';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL bytea_output = 'hex';
""".encode()
_POWERS = """
SELECT rolname FROM pg_catalog.pg_roles
WHERE pg_catalog.pg_has_role(session_user, oid, 'member') AND (rolsuper OR rolname IN (
    'pg_execute_server_program', 'pg_maintain', 'pg_read_server_files', 'pg_signal_backend', 'pg_write_server_files'))
"""
_VOLATILE = "SELECT proname FROM pg_catalog.pg_proc WHERE provolatile = 'v' AND proname = ANY(%s) ORDER BY proname LIMIT 1"
_HARMLESS = {"clock_timestamp", "gen_random_uuid", "random", "timeofday"}
_FORBIDDEN = {"25006", "42501"}
"""Writing in a read-only transaction, and what the role may not do."""
_HAS_PARAMETERS = "08P01"
"""A violation of the protocol: nothing was bound to `$1`."""


@contextmanager
def opened(database: Mapping[str, str]) -> Generator[Select]:
    """The database at `url`, as the function that queries it.

    Raises:
        Refused: it cannot be opened, or the role could do harm.
    """
    connection = _connected(database["url"])
    try:

        def select(query: str, seconds: float, *, trusted: bool = False) -> Rows:
            try:
                return _rows(connection, query, seconds, trusted)
            except psycopg.Error as e:
                raise _refusal(e, query) from None
            except (ValueError, psycopg.Warning) as e:
                raise Refused("sql_error", f"SQL error: {e}") from None

        yield select
    finally:
        connection.close()


def _connected(url: str) -> psycopg.Connection[Any]:
    """A connection within a read-only transaction. Its messages never hold the URL, which may have a password."""
    try:
        connection = psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_SECONDS, client_encoding="UTF8", application_name="burnish"
        )
    except psycopg.OperationalError as e:
        raise Refused("no_database", f"the database cannot be opened: {e}") from None
    except (psycopg.Error, ValueError) as e:
        raise Refused("no_database", f"the database cannot be opened: {type(e).__name__}") from None
    try:
        connection.execute(_BEGIN)
        if powers := connection.execute(_POWERS).fetchall():
            names = ", ".join(name for (name,) in powers[:3])
            raise Refused("unsafe_role", f"the database's user has the powers of {names}: connect as one who may only SELECT")
        for kind in psycopg.adapters.types:
            if kind.name not in _NUMBERS:
                connection.adapters.register_loader(kind.oid, TextLoader)
            if kind.array_oid:
                connection.adapters.register_loader(kind.array_oid, TextLoader)
    except psycopg.Error as e:
        connection.close()
        raise Refused("no_database", f"the database cannot be read: {e}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _rows(connection: psycopg.Connection[Any], query: str, seconds: float, trusted: bool) -> Rows:
    """Column names and rows of one statement. All but numbers come as PostgreSQL writes them."""
    text = query.rstrip("; \t\r\n").encode()
    if len(text) > _SQL_BYTES:
        raise Refused("sql_error", f"the query is longer than {_SQL_BYTES // 1000} kB")
    if b"\0" in text:
        raise Refused("sql_error", "the query has a NUL character")
    cursor = connection.cursor()
    if not trusted:
        _refuse_functions(cursor, query)
    # Parsed and planned here, begun by the fetch: the one statement in which the query runs, under its own timeout.
    cursor.execute(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}".encode())
    cursor.execute(_DECLARE + text, prepare=True)
    columns = [column.name for column in cursor.execute(b"FETCH FORWARD 0 FROM burnish_result").description or ()]
    rows: list[Row] = []
    size = 0
    fetched = cast("Generator[Row]", cursor.stream(f"FETCH FORWARD {MOST_ROWS + 1} FROM burnish_result".encode()))
    for row in fetched:
        rows.append(row)
        size += sum(len(value) if isinstance(value, str) else 8 for value in row)
        if len(rows) > MOST_ROWS or size > MOST_BYTES:
            fetched.close()
            raise Refused("too_large", TOO_LARGE)
    cursor.execute(b"CLOSE burnish_result")
    return columns, rows


def _refuse_functions(cursor: psycopg.Cursor[Any], query: str) -> None:
    """Refuse a query with the name of a volatile function, wherever in its text it stands.

    To read the text as PostgreSQL does would take its parser. A table named like such a function is refused as well.
    """
    if re.search(r"\bu&\"", query, re.IGNORECASE):
        raise Refused("forbidden_sql", "names with Unicode escapes are not allowed")
    quoted = re.findall(r'"([^"]+)"', query)
    words = re.findall(r"[^\W\d][\w$]*", query)
    names = ({word.lower() for word in words} | {*words, *quoted}) - _HARMLESS
    found = cursor.execute(_VOLATILE, [sorted(names)]).fetchone()
    if found:
        raise Refused("forbidden_sql", f"the function {found[0]} is not allowed")


def _refusal(error: psycopg.Error, query: str) -> Refused:
    """What an error of the server says of the query, or that it says nothing of it."""
    diagnosis: Any = error.diag
    state, said = str(error.sqlstate or ""), str(diagnosis.message_primary or error)
    if state in ("57014", "55P03"):
        return Refused("timeout", "the query takes too long")
    if state.startswith("53"):
        return Refused("memory_limit", f"the database has too little for the query: {said}")
    if state != _HAS_PARAMETERS and (not state or state[:2] in ("08", "57", "58")):
        return Refused("no_database", f"the database ended the query: {said}")
    if state in _FORBIDDEN:
        return Refused("forbidden_sql", f"SQL error: {said}")
    hint = f" ({diagnosis.message_hint})" if diagnosis.message_hint else ""
    right = len(query[: int(diagnosis.statement_position) - len(_DECLARE) - 1].rstrip()) if diagnosis.statement_position else None
    return Refused("sql_error", f"SQL error: {said}{hint}", right)
