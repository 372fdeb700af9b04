"""Which databases there are and how they are opened: SQLite files in WAL mode, and PostgreSQL through psycopg."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from ..core.errors import ConfigError, StoreError

Synchronous = Literal["full", "normal"]
"""`full`: what is acknowledged survives a power failure. `normal`: only that of a process; faster on slow disks."""

DEFAULT_URL = "sqlite:///burnish.db"
BUSY_MS = 10_000
"""How long SQLite itself waits for a lock."""
ALONE_MS = 60_000
"""How long a connection to PostgreSQL waits for one who removes texts, and has to be alone for that."""
WRITERS = f"{0x6275726E}, hashtext(coalesce(current_schema(), ''))"
"""Key of the advisory lock that all who write to one schema of a PostgreSQL server share."""
_SMALLEST = 512
"""Bytes of the smallest database of SQLite that is not empty."""

_EXAMPLES = "sqlite:///burnish.db or postgresql+psycopg://user@host/database"


def store_url(url: str | None = None) -> URL:
    """The database to use: the one given, `BURNISH_STORE`, or `burnish.db` in the current folder.

    Raises:
        ConfigError: it is no URL of a database that burnish can use.
        StoreError: it is a folder.
    """
    text = url or os.environ.get("BURNISH_STORE") or DEFAULT_URL
    try:
        parsed = make_url(text)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigError("the store is not given by a database URL", hint=f"such as {_EXAMPLES}") from None
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"the store is a {backend!r} database", hint=f"use SQLite or PostgreSQL: {_EXAMPLES}")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise ConfigError("the store needs a file: a database in memory could not be resumed", hint=f"such as {DEFAULT_URL}")
    path = Path(parsed.database).expanduser().absolute()
    if path.is_dir():
        hint = f"name a file in it: sqlite:///{path / 'burnish.db'}"
        raise StoreError(f"the store {path} is a folder", hint=hint, code="cannot_open")
    return parsed.set(drivername="sqlite", database=str(path), query={})


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite store; None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def shown(url: URL) -> str:
    """The URL without its password."""
    return url.render_as_string(hide_password=True)


def create_file(path: Path) -> None:
    """Make an empty database file that only its owner can read, if there is none.

    Raises:
        StoreError: the folder is missing or not writable, or there is a file that is none of SQLite's.
    """
    try:
        file = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
        size = os.fstat(file).st_size
        os.close(file)
    except OSError as e:
        hint = "make the folder, or give another place with --store" if not path.parent.is_dir() else "is it writable?"
        raise StoreError(f"the database {path} cannot be opened: {e.strerror}", hint=hint, code="cannot_open") from None
    if 0 < size < _SMALLEST:
        # SQLite would take it for an empty one and write over it.
        raise StoreError(f"{path} is not a database", hint="give another file with --store", code="not_a_database")


def write_engine(url: URL, synchronous: Synchronous = "full") -> Engine:
    """Connections that may write; their transactions are begun by hand (`BEGIN IMMEDIATE` on SQLite)."""
    engine = _engine(url)
    if url.get_backend_name() == "sqlite":

        @event.listens_for(engine, "connect")
        def setup(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
            connection.isolation_level = None
            for pragma in (
                f"busy_timeout={BUSY_MS}",
                "foreign_keys=ON",
                f"synchronous={synchronous.upper()}",
                "journal_size_limit=67108864",
                "wal_autocheckpoint=1000",
            ):
                connection.execute(f"PRAGMA {pragma}")

    else:

        @event.listens_for(engine, "connect")
        def setup_server(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
            connection.autocommit = True
            value = "on" if synchronous == "full" else "off"
            connection.execute(f"SET synchronous_commit = {value}")
            # Kept as long as the connection lives, as SQLite keeps a lock on a file that is open: see maintain.alone.
            connection.execute(f"SET lock_timeout = {ALONE_MS}")
            try:
                connection.execute(f"SELECT pg_advisory_lock_shared({WRITERS})")
            except Exception as e:
                raise OperationalError("waiting for one who is alone", None, e) from e
            connection.execute("RESET lock_timeout")

    return engine


def read_engine(url: URL) -> Engine:
    """Connections that cannot write."""
    path = sqlite_path(url)
    if path is None:
        engine = _engine(url)

        @event.listens_for(engine, "connect")
        def setup_server(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
            connection.autocommit = True
            connection.execute("SET default_transaction_read_only = on")

        return engine
    # Where neither the file nor its folder can be written SQLite cannot make the shared memory that WAL needs.
    # Without a WAL there is nothing to share.
    writable = os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
    frozen = not writable and not Path(f"{path}-wal").exists()
    mode = {"mode": "ro", "uri": "true"} | ({"immutable": "1"} if frozen else {})
    engine = _engine(url.set(database=f"file:{_quoted(path)}", query=mode))

    @event.listens_for(engine, "connect")
    def setup(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA query_only=ON")

    return engine


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url)
    except ModuleNotFoundError as e:
        raise ConfigError(f"PostgreSQL needs {e.name}", hint="pip install 'burnish[postgres]'") from None
