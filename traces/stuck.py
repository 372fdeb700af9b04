"""Runs that do not go on by themselves, or whose process does not get on.

A run that is queued behind a process at work on its batch only waits its turn, and a failed run has ended: neither is stuck.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import case, func, select

from . import schema as s
from .leases import HEARTBEAT_SECONDS, is_live, pid_of

if TYPE_CHECKING:
    from .reader import Reader
    from .views import RunRow

Why = Literal["killed", "silent", "slow", "waiting", "interrupted", "queued"]
_RUNNING_AT_ONCE = 500
_SILENT_NS = 3 * HEARTBEAT_SECONDS * 1e9


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """A run that does not get on, or runs of a batch that wait for the same thing."""

    why: Why
    """`killed`: its process is gone, or its lease is over. `silent`: its process has missed heartbeats, and its lease holds
    yet. `slow`: a call of it takes long. `waiting`: it asked a person. `interrupted`: it was stopped.
    `queued`: it was never begun."""
    run_id: str | None
    """None for runs of a batch."""
    batch_id: str | None
    runs: int
    since_ns: int
    """The last heartbeat; of a slow run when its oldest call was sent; of what waits when the first of it was accepted."""
    process: str
    """Who has it or had it last; empty for what waits."""
    calls_in_flight: int


def find_stuck(reader: Reader, *, slow_ns: int, now_ns: int) -> list[Stuck]:
    """What is stuck: running ones first, then what waits for a person, was interrupted, was never begun; the newest first."""
    found: list[Stuck] = []
    at_work: set[str | None] = set()
    before: str | None = None
    while rows := reader.runs(status="running", limit=_RUNNING_AT_ONCE, before=before):
        before = rows[-1].id
        for row in rows:
            live = is_live(row.owner, row.heartbeat_ns, now_ns)
            if live:
                at_work.add(row.batch_id)
            if (one := _running(reader, row, live, slow_ns, now_ns)) is not None:
                found.append(one)
    found.extend(_waiting(reader, "waiting"))
    found.extend(_waiting(reader, "interrupted"))
    found.extend(one for one in _waiting(reader, "queued") if one.batch_id is None or one.batch_id not in at_work)
    return found


def _running(reader: Reader, run: RunRow, live: bool, slow_ns: int, now_ns: int) -> Stuck | None:
    in_flight, sent_ns = _in_flight(reader, run.id)
    heartbeat = run.heartbeat_ns or run.created_ns
    why, since = ("killed", heartbeat) if not live else (None, 0)
    if live and now_ns - heartbeat > _SILENT_NS:
        why, since = "silent", heartbeat
    elif live and sent_ns is not None and now_ns - sent_ns > slow_ns:
        why, since = "slow", sent_ns
    if why is None:
        return None
    return Stuck(
        why=why,
        run_id=run.id,
        batch_id=run.batch_id,
        runs=1,
        since_ns=since,
        process=pid_of(run.owner),
        calls_in_flight=in_flight,
    )


def _in_flight(reader: Reader, run: str) -> tuple[int, int | None]:
    """How many calls of a run have no result yet, and when the first of them was sent.

    None if none has, or if the run was taken up again: it is not stored when a call was sent again.
    """
    c, r = s.call.c, s.run.c
    first = select(r.lease_epoch == 1).where(r.id == run).scalar_subquery()
    sent = func.min(case((first, c.sent_ns))).label("sent_ns")
    row = reader.rows(select(func.count().label("calls"), sent).where(c.run_id == run, c.state == "intent"))[0]
    return row["calls"], row["sent_ns"]


def _waiting(reader: Reader, status: Literal["waiting", "interrupted", "queued"]) -> Iterator[Stuck]:
    """Those of a batch as one, every other run by itself."""
    r = s.run.c
    newest = func.max(r.id).label("newest")
    count, since = func.count().label("runs"), func.min(r.created_ns).label("since_ns")
    query = select(func.max(r.batch_id).label("batch_id"), newest, count, since).where(r.status == status)
    # By the time of acceptance first: ids of one millisecond have no order.
    for row in reader.rows(
        query.group_by(func.coalesce(r.batch_id, r.id)).order_by(func.max(r.created_ns).desc(), newest.desc())
    ):
        run_id = None if row["batch_id"] else row["newest"]
        yield Stuck(
            why=status,
            run_id=run_id,
            batch_id=row["batch_id"],
            runs=row["runs"],
            since_ns=row["since_ns"],
            process="",
            calls_in_flight=0,
        )
