"""Brings a database to the schema of this version, when a store is opened.

All of it happens in one transaction that begins with a lock, so that of two processes which open an old or empty
database at once one migrates and the other finds it done. An existing SQLite file is copied first, as
`burnish.db.before-0002`. A database that is newer than the code is refused.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from ..core.errors import StoreError
from .connect import create_file, shown, sqlite_path
from .faults import diagnose

REVISIONS = ("0001",)
"""All revisions, oldest first."""
HEAD = REVISIONS[-1]

_PATIENCE = 60.0
"""Seconds to wait for another process that migrates."""
_ADVISORY_KEY = 0x6275726E


def migrate(engine: Engine, url: URL) -> None:
    """Bring the database to the newest schema.

    Raises:
        StoreError: it is newer than the code, no database, not burnish's, damaged, locked, or cannot be written.
    """
    path = sqlite_path(url)
    if path:
        create_file(path)
    try:
        with engine.connect() as connection:
            if path:
                _use_wal(connection)
            if revision(connection, url) != HEAD:
                _upgrade(connection, url)
    except DBAPIError as e:
        raise _located(e, url) from e


def check(engine: Engine, url: URL) -> None:
    """Make sure that the database can be read by this version, without changing it.

    Raises:
        StoreError: it is missing, older or newer than the code, no database, not burnish's, or damaged.
    """
    path = sqlite_path(url)
    if path and not path.exists():
        raise StoreError(
            f"there is no database {path}", hint="give its place with --store, or run something first", code="missing"
        )
    try:
        with engine.connect() as connection:
            found = revision(connection, url)
    except DBAPIError as e:
        raise _located(e, url) from e
    if found is None:
        raise StoreError(f"{shown(url)} is empty", hint="run something first", code="missing")
    if found != HEAD:
        raise StoreError(f"{shown(url)} has an older schema", hint="the next `burnish run` migrates it", code="older_schema")


def revision(connection: Connection, url: URL) -> str | None:
    """The schema's revision; None for an empty database.

    Raises:
        StoreError: the database is newer than the code, or has foreign tables only.
    """
    names = set(inspect(connection).get_table_names())
    if "alembic_version" in names:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if found not in (None, *REVISIONS):
            hint = "update burnish, or give another database with --store"
            raise StoreError(f"{shown(url)} has the newer schema {found!r}", hint=hint, code="newer_schema")
        return found
    if names & {"run", "call", "blob"} or (names and sqlite_path(url)):
        raise StoreError(f"{shown(url)} is not burnish's database", hint="give another file with --store", code="foreign")
    return None


def _upgrade(connection: Connection, url: URL) -> None:
    path = sqlite_path(url)
    if path:
        # Rebuilding a table would cascade to its children; the pragma is ignored within a transaction.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        _begin_immediate(connection)
    else:
        connection.exec_driver_sql("BEGIN")
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
    try:
        found = revision(connection, url)
        if found != HEAD:
            if path and found:
                _back_up(path, Path(f"{path}.before-{HEAD}"))
            _run_alembic(connection)
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    finally:
        if path:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _use_wal(connection: Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait for other processes here, so we do."""
    for attempt in range(200):
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return
        except DBAPIError as e:
            if diagnose(e)[0] != "locked" or attempt == 199:
                raise
            time.sleep(0.05)


def _begin_immediate(connection: Connection) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except DBAPIError as e:
            if diagnose(e)[0] != "locked" or time.monotonic() > deadline:
                raise


def _back_up(source: Path, target: Path) -> None:
    partial = Path(f"{target}.partial")
    create_file(partial)
    read, write = sqlite3.connect(source), sqlite3.connect(partial)
    try:
        read.backup(write)
    finally:
        read.close()
        write.close()
    partial.replace(target)


def _located(error: DBAPIError, url: URL) -> StoreError:
    found = diagnose(error)[1]
    return StoreError(f"{shown(url)}: {found.message}", hint=found.hint, code=found.code, retryable=found.retryable)
