"""What a database's errors mean: wait and try again, one bad record, or a storage that can no longer be trusted.

SQLite speaks in result codes, PostgreSQL in SQLSTATEs. Whatever is not known to be a fault of the lock, the connection
or the storage is taken for a fault of the record.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..core.errors import StoreError

Fault = Literal["locked", "disconnected", "storage", "record"]

_SQLITE: dict[int, tuple[Fault, str, str]] = {
    5: ("locked", "locked", "another process writes to it for too long; try again"),
    6: ("locked", "locked", "another process writes to it for too long; try again"),
    8: ("storage", "read_only", "make the file and its folder writable"),
    10: ("storage", "io_error", "look at the disk, then resume"),
    11: ("storage", "corrupt", "move the file away and restore a backup, or start a new one with --store"),
    13: ("storage", "disk_full", "free some space, then resume; what was recorded is kept"),
    14: ("storage", "cannot_open", "does its folder exist, and is it writable?"),
    15: ("locked", "locked", "another process writes to it for too long; try again"),
    26: ("storage", "not_a_database", "give another file with --store"),
}
_MESSAGES = {
    "locked": "the database is locked",
    "read_only": "the database is read-only",
    "io_error": "the disk failed while the database was used",
    "corrupt": "the database is damaged",
    "disk_full": "the disk is full",
    "cannot_open": "the database cannot be opened",
    "not_a_database": "the file is not a database",
    "disconnected": "the database server does not answer",
    "server": "the database server failed",
    "record": "a record cannot be stored",
}
_SQLSTATE: tuple[tuple[str, Fault, str, str], ...] = (
    ("40", "locked", "locked", "another process writes for too long; try again"),
    ("55P03", "locked", "locked", "another process writes for too long; try again"),
    ("08", "disconnected", "disconnected", "is the server up?"),
    ("57P", "disconnected", "disconnected", "is the server up?"),
    ("28", "storage", "server", "check the user and password in the URL"),
    ("3D", "storage", "server", "create the database first"),
    ("42501", "storage", "server", "the user lacks a privilege"),
    ("53300", "disconnected", "disconnected", "the server has too many connections"),
    ("53100", "storage", "disk_full", "free some space on the server, then resume"),
    ("53", "storage", "server", "look at the server's log, then resume"),
    ("58", "storage", "io_error", "look at the server's disk, then resume"),
    ("25006", "storage", "read_only", "the server takes no writes"),
    ("XX", "storage", "corrupt", "look at the server's log"),
)


def diagnose(error: BaseException) -> tuple[Fault, StoreError]:
    """The kind of fault, and the error to give to the user."""
    error = getattr(error, "orig", None) or error
    number = getattr(error, "sqlite_errorcode", None)
    if isinstance(number, int):
        fault, code, hint = _SQLITE.get(number & 0xFF, ("record", "record", ""))
        return fault, _store_error(fault, code, hint, error)
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        for prefix, fault, code, hint in _SQLSTATE:
            if state.startswith(prefix):
                return fault, _store_error(fault, code, hint, error)
    elif type(error).__name__ in ("OperationalError", "InterfaceError", "AdminShutdown"):
        # psycopg gives no SQLSTATE where the connection itself is the trouble.
        return "disconnected", _store_error("disconnected", "disconnected", "is the server up?", error)
    return "record", _store_error("record", "record", "", error)


def _store_error(fault: Fault, code: str, hint: str, error: BaseException) -> StoreError:
    message, detail = _MESSAGES[code], " ".join(str(error).split())[:200]
    # SQLite's own words may be the very same.
    return StoreError(
        message if message.endswith(detail) else f"{message}: {detail}",
        hint=hint,
        code=code,
        retryable=fault in ("locked", "disconnected"),
    )


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """A connection to read from.

    Raises:
        StoreError: the database cannot be read.
    """
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as e:
        raise diagnose(e)[1] from e
