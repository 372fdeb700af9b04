"""Looking after a database: how large it is, giving freed space back, being alone with it.

Whoever deletes stored texts has to be alone: each process that writes remembers which texts it has stored, and does not
store them again. `alone` is how to know: SQLite's locks tell whether another process, or another part of this one, has the
file open, PostgreSQL's whether one may write. Where that is the case nothing is taken away, and a later time will do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from ..core.errors import StoreError
from . import schema as s
from .connect import WRITERS, shown, sqlite_path, store_url, write_engine
from .faults import diagnose, reading
from .migrate import check, migrate, revision
from .reader import Reader

BUSY = 2000
"""Milliseconds to wait for others to leave, before they are taken to stay."""

Run = Any
"""Runs one SQL statement with parameters by position, marked `?`; gives a cursor."""


@dataclass(frozen=True, kw_only=True)
class TableSize:
    """One table."""

    name: str
    rows: int
    bytes: int | None
    """With its indexes; None where the database does not tell."""


@dataclass(frozen=True, kw_only=True)
class StoreSize:
    """A database in numbers."""

    store: str
    """Its URL, without the password."""
    revision: str
    """Of its schema."""
    bytes: int
    """Of the file and its log, or of all tables."""
    free_bytes: int | None
    """Of those, what vacuum would give back; None where the database does not tell."""
    tables: tuple[TableSize, ...]
    runs: Mapping[str, int]
    """By status."""
    text_bytes: int
    """Of all stored texts, uncompressed, each once."""
    stored_text_bytes: int
    """As they are stored."""


def store_size(url: str | None = None) -> StoreSize:
    """How large a database is, and of what.

    Raises:
        StoreError: it is missing or cannot be read.
    """
    from .store import Store

    parsed, path = store_url(url), sqlite_path(store_url(url))
    reader = Store.open_reader(url)
    try:
        with reading(reader.engine) as connection:
            found = revision(connection, parsed)
            sizes, total, free = _sqlite_sizes(connection, path) if path else _server_sizes(connection)
        tables = tuple(
            TableSize(name=name, rows=_count(reader, name), bytes=sizes.get(name)) for name in sorted(s.metadata.tables)
        )
        r, b = s.run.c, s.blob.c
        runs = reader.rows(select(r.status, func.count().label("n")).group_by(r.status).order_by(r.status))
        whole, packed = func.coalesce(func.sum(b.size), 0), func.coalesce(func.sum(func.length(b.data)), 0)
        texts = reader.rows(select(whole.label("whole"), packed.label("packed")))[0]
    finally:
        reader.close()
    return StoreSize(
        store=shown(parsed),
        revision=found or "",
        bytes=total,
        free_bytes=free,
        tables=tables,
        runs={row["status"]: row["n"] for row in runs},
        text_bytes=int(texts["whole"]),
        stored_text_bytes=int(texts["packed"]),
    )


def bring_up_to_date(url: str | None = None) -> tuple[str | None, str]:
    """Migrate a database; the schema's revision before, None if it was empty, and after.

    Raises:
        StoreError: there is no such file, it is newer than the code, or as `migrate.migrate`.
    """
    parsed = store_url(url)
    path = sqlite_path(parsed)
    if path and not path.exists():
        raise StoreError(f"there is no database {path}", hint="give its place with --store", code="missing")
    engine = write_engine(parsed)
    try:
        with reading(engine) as connection:
            before = revision(connection, parsed)
        migrate(engine, parsed)
        with reading(engine) as connection:
            return before, revision(connection, parsed) or ""
    finally:
        engine.dispose()


def vacuum(url: str | None = None) -> tuple[int, int]:
    """Give freed space back: SQLite's file is written anew, PostgreSQL reuses what is free. Bytes before and after.

    Raises:
        StoreError: it is missing, locked, or there is no room for a second copy of it.
    """
    parsed = store_url(url)
    path = sqlite_path(parsed)
    engine = write_engine(parsed)
    try:
        check(engine, parsed)
        with reading(engine) as connection:
            before = _bytes(connection, path)
            for sql in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)") if path else _server_vacuum():
                connection.exec_driver_sql(sql)
            return before, _bytes(connection, path)
    finally:
        engine.dispose()


@contextmanager
def alone(url: str | None = None) -> Generator[Run | None]:
    """A transaction in which nobody else has the database open to write; None where somebody has. Who comes then waits.

    Raises:
        StoreError: the database cannot be written.
    """
    parsed = store_url(url)
    path = sqlite_path(parsed)
    try:
        with _alone_in_file(path) if path else _alone_on_server(url) as run:
            yield run
    except (sqlite3.Error, DBAPIError) as e:
        raise diagnose(e)[1] from e


@contextmanager
def _alone_in_file(path: Path) -> Generator[Run | None]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout={BUSY}")
        # Asked for before the file is first read, this needs a lock that every open connection keeps others from.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as e:
            if diagnose(e)[0] != "locked":
                raise
            yield None
            return
        yield connection.execute
        connection.execute("COMMIT")
    finally:
        # What was not committed is rolled back by this.
        connection.close()


@contextmanager
def _alone_on_server(url: str | None) -> Generator[Run | None]:
    engine = write_engine(store_url(url))
    try:
        with engine.connect() as connection:

            def run(sql: str, row: tuple[Any, ...] = ()) -> Any:
                return connection.exec_driver_sql(sql.replace("?", "%s"), row)

            run("BEGIN")
            run(f"SET LOCAL lock_timeout = {BUSY}")
            try:
                run(f"SELECT pg_advisory_xact_lock({WRITERS})")
            except DBAPIError as e:
                run("ROLLBACK")
                if diagnose(e)[0] != "locked":
                    raise
                yield None
                return
            yield run
            run("COMMIT")
    finally:
        # What was not committed is rolled back by this.
        engine.dispose()


def _count(reader: Reader, table: str) -> int:
    return reader.rows(select(func.count().label("n")).select_from(s.metadata.tables[table]))[0]["n"]


def _sqlite_sizes(connection: Connection, path: Path) -> tuple[dict[str, int], int, int]:
    """Bytes of each table with its indexes, where SQLite was built to tell; of the file; of its free pages."""
    page, free = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0 for name in ("page_size", "freelist_count"))
    sizes: dict[str, int] = {}
    try:
        rows = connection.exec_driver_sql(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) GROUP BY tbl_name"
        )
        sizes = {name: int(size) for name, size in rows}
    except DBAPIError as e:
        if "no such table" not in str(e):
            raise
    return sizes, _file_bytes(path), page * free


def _server_sizes(connection: Connection) -> tuple[dict[str, int], int, None]:
    # The name alone would be looked up in another schema that comes first on the path only if it had these tables too.
    sizes = {
        name: int(connection.exec_driver_sql(f"SELECT pg_total_relation_size('{name}'::regclass)").scalar() or 0)
        for name in s.metadata.tables
    }
    return sizes, sum(sizes.values()), None


def _server_vacuum() -> list[str]:
    return [f"VACUUM (ANALYZE) {name}" for name in sorted(s.metadata.tables)]


def _bytes(connection: Connection, path: Path | None) -> int:
    return _file_bytes(path) if path else _server_sizes(connection)[1]


def _file_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, Path(f"{path}-wal")) if file.exists())
