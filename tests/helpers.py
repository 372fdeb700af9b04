"""What several tests need: a session on a fresh store, and a reader of what it stored."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from burnish import ScriptedEngine, Session, Solver, Verifier, search_node
from burnish.graphs.builtin import one_node


@asynccontextmanager
async def session(path: Path, reply: Any = "42", *, latency: Any = 0.0, **options: Any) -> AsyncIterator[Session]:
    """A session with a scripted engine and the store `path`/runs.db."""
    engine = options.pop("engine", None) or ScriptedEngine(reply, latency=latency)
    async with Session(engine, store=f"sqlite:///{path}/runs.db", **options) as open_session:
        yield open_session


def searching(policy: Any, verifier: Verifier | Any = "task", **options: Any) -> Any:
    """A graph of one search node."""
    return one_node("searching", search_node(policy, options.pop("solver", None) or Solver(), verifier, **options))


def rows(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of the store `path`/runs.db, read with plain SQLite."""
    connection = sqlite3.connect(path / "runs.db")
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()
