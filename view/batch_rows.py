"""Batches as lists show them: without their tasks, which a comparison keeps in its first batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ..traces import schema as s

if TYPE_CHECKING:
    from ..traces.reader import Reader


@dataclass(frozen=True, kw_only=True)
class BatchLine:
    """A batch and how its runs stand."""

    id: str
    name: str
    created_ns: int
    runs: int
    done: int
    running: int
    failed: int
    """Those that failed or were interrupted."""


def newest_batches(reader: Reader, *, before: str | None = None, limit: int) -> list[BatchLine]:
    """Batches, the newest first; those older than `before`, the last id of the page above."""
    b, r = s.batch.c, s.run.c
    some = select(b.id, b.name, b.created_ns).order_by(b.id.desc()).limit(limit)
    if before:
        some = some.where(b.id < before)
    rows = reader.rows(some)
    counted = (
        select(
            r.batch_id,
            func.count().label("runs"),
            func.count().filter(r.status == "done").label("done"),
            func.count().filter(r.status == "running").label("running"),
            func.count().filter(r.status.in_(("failed", "interrupted"))).label("failed"),
        )
        .where(r.batch_id.in_([row["id"] for row in rows]))
        .group_by(r.batch_id)
    )
    counts = {row.pop("batch_id"): row for row in reader.rows(counted)} if rows else {}
    none = {"runs": 0, "done": 0, "running": 0, "failed": 0}
    return [BatchLine(**row, **counts.get(row["id"], none)) for row in rows]
