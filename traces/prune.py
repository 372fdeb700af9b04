"""Removing runs that nobody needs any more, and the texts that only they had.

A run that another process is at work on is never touched, nor is a batch taken apart: it is removed whole, or not at all, and
one that has a name (a pool, a comparison) only if that is asked for. Runs go in small transactions, each of which looks again
whether they may go, so that others can write meanwhile. Texts and empty batches go at the end, if nobody else has the database
open: see `maintain.alone`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, case, delete, false, func, not_, or_, select
from sqlalchemy.exc import DBAPIError

from ..core.errors import ConfigError
from . import schema as s
from .connect import sqlite_path, store_url, write_engine
from .faults import diagnose
from .leases import TAKEOVER_SECONDS
from .maintain import Run, alone
from .migrate import check

_RUNS_AT_ONCE = 50
IDLE_NS = 3600 * 10**9
"""How long nothing may have been heard of a run that is not done before it counts as given up."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which runs may go: those that are done or failed, and all of what is set here."""

    keep_last: int | None = None
    """The newest so many stay, and what is in a batch with one of them."""
    older_than_ns: int | None = None
    """Only runs that ended longer ago than this."""
    unfinished: bool = False
    """Also runs that are not done (interrupted, killed, never begun), if nothing was heard of them for an hour. One that
    waits for a person only where `older_than_ns` is set."""
    named: bool = False
    """Also batches with a name."""

    def __post_init__(self) -> None:
        if self.keep_last is None and self.older_than_ns is None:
            raise ConfigError("say which runs are to go", hint="give --keep-last N, --older-than 30d, or both")


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was removed, or would be."""

    runs: int
    batches: int
    """Batches that had no run left. They go with the texts."""
    texts: int | None
    """Texts that nothing points to any more; None where others had the database open, and of a dry run."""
    text_bytes: int | None


def prune(url: str | None, rule: Rule, *, dry_run: bool = False, now_ns: int | None = None) -> Pruned:
    """Remove what a rule lets go. Safe to break off at any point, and to do again.

    Raises:
        StoreError: the database is missing, locked, or cannot be written.
    """
    parsed, now = store_url(url), time.time_ns() if now_ns is None else now_ns
    engine = write_engine(parsed)
    try:
        check(engine, parsed)
        with engine.connect() as connection:
            ids = _chosen(connection, rule, now)
            if dry_run:
                return Pruned(runs=len(ids), batches=_batches(connection, ids), texts=None, text_bytes=None)
            begin = "BEGIN IMMEDIATE" if sqlite_path(parsed) else "BEGIN"
            removed = sum(
                _remove(connection, begin, ids[at : at + _RUNS_AT_ONCE], rule, now) for at in range(0, len(ids), _RUNS_AT_ONCE)
            )
    except DBAPIError as e:
        raise diagnose(e)[1] from e
    finally:
        engine.dispose()
    with alone(url) as run:
        if run is None:
            return Pruned(runs=removed, batches=0, texts=None, text_bytes=None)
        # Nobody is between storing a batch and storing its runs.
        empty = "DELETE FROM batch WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.batch_id = batch.id)"
        batches = run(empty if rule.named else f"{empty} AND name = ''").rowcount
        texts, size = _sweep(run)
    return Pruned(runs=removed, batches=batches, texts=texts, text_bytes=size)


def _may_go(rule: Rule, now: int) -> ColumnElement[bool]:
    """Whether a run may go, seen by itself."""
    r = s.run.c
    over = r.status.in_(("done", "failed"))
    heard = func.coalesce(r.ended_ns, r.heartbeat_ns, r.created_ns)
    if rule.unfinished:
        lease_over = or_(r.status != "running", r.heartbeat_ns < now - int(TAKEOVER_SECONDS * 1e9))
        # A person may take weeks, so what waits for one goes by its age only.
        asking = r.status == "waiting" if rule.older_than_ns is None else false()
        over = or_(over, and_(lease_over, heard < now - IDLE_NS, not_(asking)))
    return and_(over, heard < now - rule.older_than_ns) if rule.older_than_ns is not None else over


def _chosen(connection: Connection, rule: Rule, now: int) -> list[str]:
    """Ids of the runs that may go, the oldest first."""
    r, b = s.run.c, s.batch.c
    may_go = _may_go(rule, now)
    if rule.keep_last:
        newest = connection.execute(select(r.id).order_by(r.id.desc()).limit(1).offset(rule.keep_last - 1)).scalar()
        may_go = and_(may_go, r.id < newest) if newest else false()
    stays = func.sum(case((may_go, 0), else_=1))
    whole = select(r.batch_id).join_from(s.run, s.batch, r.batch_id == b.id).group_by(r.batch_id).having(stays == 0)
    if not rule.named:
        whole = whole.where(b.name == "")
    query = select(r.id).where(may_go, or_(r.batch_id.is_(None), r.batch_id.in_(whole))).order_by(r.id)
    return list(connection.execute(query).scalars())


def _batches(connection: Connection, ids: Sequence[str]) -> int:
    """How many batches runs are of: they lose all of their runs."""
    found: set[str] = set()
    for at in range(0, len(ids), 1000):
        r = s.run.c
        query = select(r.batch_id).where(r.id.in_(ids[at : at + 1000]), r.batch_id.is_not(None)).distinct()
        found.update(connection.execute(query).scalars())
    return len(found)


def _remove(connection: Connection, begin: str, ids: Sequence[str], rule: Rule, now: int) -> int:
    """Remove runs with all their facts, but those that somebody has taken up meanwhile. Returns how many went."""
    connection.exec_driver_sql(begin)
    try:
        removed = connection.execute(delete(s.run).where(s.run.c.id.in_(ids), _may_go(rule, now))).rowcount
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    return removed


def _sweep(run: Run) -> tuple[int, int]:
    """Remove the texts that nothing points to. Returns how many, and how many bytes they took."""
    run("CREATE TEMPORARY TABLE used (sha VARCHAR(32) PRIMARY KEY)")
    columns = [(table.name, c.name) for table in s.metadata.sorted_tables for c in table.c if c.name.endswith("_sha")]
    run("INSERT INTO used " + " UNION ".join(f"SELECT {c} FROM {table} WHERE {c} IS NOT NULL" for table, c in columns))
    unused = "FROM blob WHERE NOT EXISTS (SELECT 1 FROM used WHERE used.sha = blob.sha)"
    texts, size = run(f"SELECT count(*), coalesce(sum(length(data)), 0) {unused}").fetchone()
    run(f"DELETE {unused}")
    run("DROP TABLE used")
    return int(texts), int(size)
