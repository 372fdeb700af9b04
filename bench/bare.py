"""The bare writer: the same rows as a finished run, written again with nothing around them.

Statements and values are made beforehand. What is left is what durability itself costs: one thread, plain `sqlite3`,
group commits with `synchronous=FULL`, and for each candidate the same write that is waited for (the intent) and the same
four that are queued behind it (result, candidate, verdict, tell).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError

Statement = tuple[str, tuple[Any, ...]]

_GROUP = 256
_BEFORE: dict[str, Any] = {
    "state": "intent",
    "ended_seq": None,
    "finish_reason": None,
    "preview": None,
    "text_sha": None,
    "reasoning_sha": None,
    "tokens_sha": None,
    "detail_sha": None,
    "prompt_tokens": 0,
    "cached_tokens": 0,
    "completion_tokens": 0,
    "reasoning_tokens": 0,
    "cost_micro_usd": 0,
    "seconds": None,
}
"""Columns of a call that its result sets, with what they hold before."""


@dataclass(frozen=True)
class Rows:
    """What one candidate writes, in the order of writing."""

    intent: Sequence[Statement]
    result: Sequence[Statement]
    candidate: Sequence[Statement]
    verdict: Sequence[Statement]
    tell: Sequence[Statement]


@dataclass(frozen=True)
class Recording:
    """The rows of one finished run."""

    schema: Sequence[str]
    """Statements that make the tables and indexes."""
    run: Sequence[Statement]
    """The run's own rows."""
    candidates: Sequence[Rows]

    @property
    def rows(self) -> int:
        """Rows that the candidates write."""
        return sum(len(part) for c in self.candidates for part in vars(c).values())


def read(path: Path, run_id: str) -> Recording:
    """The rows of a finished run, as statements.

    Raises:
        ConfigError: the database does not hold a whole run under this id.
    """
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        schema = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC")]
        run = [_insert("run", row) for row in db.execute("SELECT * FROM run WHERE id = ?", (run_id,))]
        run += [_insert("step", row) for row in db.execute("SELECT * FROM step WHERE run_id = ?", (run_id,))]
        if not run:
            raise ConfigError(f"there is no run {run_id} in {path}", hint="give the id of a finished run")
        blobs = {row["sha"]: row for row in db.execute("SELECT * FROM blob")}
        run += [_insert("blob", blobs[row["task_sha"]]) for row in db.execute("SELECT * FROM run WHERE id = ?", (run_id,))]
        verdicts = {row["candidate_id"]: row for row in db.execute("SELECT * FROM verdict WHERE run_id = ?", (run_id,))}
        tells = {row["told"]: row for row in db.execute("SELECT * FROM tell WHERE run_id = ?", (run_id,))}
        calls = {row["id"]: row for row in db.execute("SELECT * FROM call WHERE run_id = ?", (run_id,))}
        rows = db.execute("SELECT * FROM candidate WHERE run_id = ? ORDER BY seq", (run_id,)).fetchall()
    del blobs[run[-1][1][0]]
    candidates = [_rows(row, calls[row["call_id"]], verdicts[row["id"]], tells, blobs) for row in rows]
    return Recording(schema, run, candidates)


async def write(path: Path, recording: Recording, wide: int) -> float:
    """Write a recording into a fresh database, `wide` candidates at once; the seconds that it took."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        for statement in recording.schema:
            db.execute(statement)
    writer = _Writer(path)
    began = time.perf_counter()
    await writer.write(recording.run)
    waiting = iter(recording.candidates)

    async def worker() -> None:
        for rows in waiting:
            await writer.write(rows.intent)
            for queued in (rows.result, rows.candidate, rows.verdict, rows.tell):
                writer.put(queued)

    await asyncio.gather(*(worker() for _ in range(wide)))
    await writer.close()
    return time.perf_counter() - began


class _Writer:
    """One thread that commits in groups and acknowledges each record once it is durable."""

    def __init__(self, path: Path) -> None:
        self._queue: queue.SimpleQueue[tuple[Sequence[Statement], asyncio.Future[None] | None] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._thread = threading.Thread(target=self._run, name="bare-writer")
        self._thread.start()

    def put(self, statements: Sequence[Statement]) -> None:
        """Write without waiting."""
        self._queue.put((statements, None))

    async def write(self, statements: Sequence[Statement]) -> None:
        """Write, and return once it is durable."""
        done = self._loop.create_future()
        self._queue.put((statements, done))
        await done

    async def close(self) -> None:
        """Return once all is durable and the thread has ended."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA foreign_keys=ON")
            going = True
            while going:
                going = self._commit(db)

    def _commit(self, db: sqlite3.Connection) -> bool:
        """Write what is queued in one transaction; False once the end was queued."""
        items = [self._queue.get()]
        with contextlib.suppress(queue.Empty):
            while len(items) < _GROUP:
                items.append(self._queue.get_nowait())
        records = [item for item in items if item is not None]
        db.execute("BEGIN IMMEDIATE")
        for statements, _ in records:
            for sql, values in statements:
                db.execute(sql, values)
        db.execute("COMMIT")
        self._loop.call_soon_threadsafe(_acknowledge, [done for _, done in records if done is not None])
        return len(records) == len(items)


def _acknowledge(group: Iterable[asyncio.Future[None]]) -> None:
    for future in group:
        if not future.done():
            future.set_result(None)


def _rows(
    candidate: sqlite3.Row, call: sqlite3.Row, verdict: sqlite3.Row, tells: dict[str, sqlite3.Row], blobs: dict[str, sqlite3.Row]
) -> Rows:
    told = candidate["position"].rpartition("/")[2]
    sets = ", ".join(f"{name} = ?" for name in _BEFORE)
    update = (f"UPDATE call SET {sets} WHERE id = ?", (*(call[name] for name in _BEFORE), call["id"]))
    intent = {**dict(call), **_BEFORE}
    return Rows(
        intent=[*_blobs(blobs, call["request_sha"], call["prompt_sha"]), _insert("call", intent)],
        result=[*_blobs(blobs, *(call[n] for n in ("text_sha", "reasoning_sha", "tokens_sha", "detail_sha"))), update],
        candidate=[*_blobs(blobs, candidate["answer_sha"], candidate["text_sha"]), _insert("candidate", candidate)],
        verdict=[*_blobs(blobs, verdict["feedback_sha"], verdict["evidence_sha"]), _insert("verdict", verdict)],
        tell=[_insert("tell", tells[told])],
    )


def _blobs(blobs: dict[str, sqlite3.Row], *keys: str | None) -> list[Statement]:
    """Inserts of the blobs that no statement has inserted yet: `blobs` holds what is left."""
    return [_insert("blob", blobs.pop(key), " ON CONFLICT DO NOTHING") for key in keys if key in blobs]


def _insert(table: str, row: sqlite3.Row | dict[str, Any], rest: str = "") -> Statement:
    names = list(row.keys())
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}){rest}", tuple(row[n] for n in names)
