"""Finding runs by what they are and what they say, the newest first, a page at a time.

What a column says is asked of the database. Prompts and long answers are stored compressed, so a search for text reads them
run by run and gives up after a while, telling from where it goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, select

from . import schema as s
from .codec import unpack
from .leases import TAKEOVER_SECONDS
from .views import RunRow

if TYPE_CHECKING:
    from .reader import Reader

LOOKED_AT = 20_000
"""Runs whose texts one search reads at most."""
_AT_ONCE = 500
_SHORTEST = 4
OUTCOMES = ("verified", "rejected", "unverified", "no_answer")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs. Empty is all."""

    status: str = ""
    """A run's status or, of those that are done, its outcome."""
    graph: str = ""
    batch: str = ""
    """Id or name of the batch, or at least four digits from the end of its id."""
    task: str = ""
    """Id of the task."""
    text: str = ""
    """What the prompt, the answer, the task's id or the error holds; capitals do not matter."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A page of runs."""

    runs: list[RunRow]
    behind: str | None
    """Where the next page begins, as `before`; None if there is none."""
    looked_at: int
    """Runs whose texts were read; 0 if no text was looked for."""


def find_runs(reader: Reader, wanted: Wanted, *, before: str | None = None, limit: int) -> Found:
    """The runs that are wanted and older than `before`, the last id of the page above."""
    if not wanted.text:
        rows = reader.rows(_query(wanted, before).limit(limit + 1))
        runs = [RunRow(**row) for row in rows[:limit]]
        return Found(runs=runs, behind=runs[-1].id if len(rows) > limit else None, looked_at=0)
    found: list[RunRow] = []
    looked_at, last = 0, before
    for run, says in _with_texts(reader, wanted, before):
        if looked_at == LOOKED_AT or len(found) == limit:
            return Found(runs=found, behind=last, looked_at=looked_at)
        looked_at, last = looked_at + 1, run.id
        if says:
            found.append(run)
    return Found(runs=found, behind=None, looked_at=looked_at)


def graphs(reader: Reader, *, limit: int = 50) -> list[str]:
    """Which graphs there are runs of."""
    c = s.run.c
    return [row["graph"] for row in reader.rows(select(c.graph).distinct().order_by(c.graph).limit(limit))]


def tally(reader: Reader, *, batch: str = "") -> dict[str, int]:
    """How many runs there are of each status and, of those that are done, of each outcome."""
    c = s.run.c
    query = select(c.status, c.outcome, func.count().label("runs")).group_by(c.status, c.outcome)
    if batch:
        query = query.where(c.batch_id == batch)
    counts: dict[str, int] = {}
    for row in reader.rows(query):
        word = row["outcome"] or row["status"]
        counts[word] = counts.get(word, 0) + row["runs"]
    return counts


def active(reader: Reader, *, batch: str = "") -> bool:
    """Whether a process that told of itself lately is at work on a run."""
    c = s.run.c
    query = select(c.id).where(c.status == "running", c.heartbeat_ns > time.time_ns() - int(TAKEOVER_SECONDS * 1e9)).limit(1)
    return bool(reader.rows(query.where(c.batch_id == batch) if batch else query))


def _query(wanted: Wanted, before: str | None) -> Select[Any]:
    c = s.run.c
    query = select(*(c[f.name] for f in fields(RunRow))).order_by(c.id.desc())
    status = "outcome" if wanted.status in OUTCOMES else "status"
    named = {status: wanted.status, "graph": wanted.graph, "task_id": wanted.task}
    query = query.filter_by(**{name: value for name, value in named.items() if value})
    if wanted.batch:
        query = query.where(c.batch_id.in_(_batches(wanted.batch)))
    return query.where(c.id < before) if before else query


def _batches(text: str) -> Select[Any]:
    b = s.batch.c
    named = (b.id == text) | (b.name == text)
    return select(b.id).where(named | b.id.endswith(text, autoescape=True) if len(text) >= _SHORTEST else named)


def _with_texts(reader: Reader, wanted: Wanted, before: str | None) -> Iterator[tuple[RunRow, bool]]:
    """Runs, each with whether it says what is looked for. Texts that runs share are read once for some hundred of them."""
    task, answer, needle = s.blob.alias("task"), s.blob.alias("whole"), wanted.text.casefold()
    columns = [table.c[n].label(f"{table.name}_{n}") for table in (task, answer) for n in ("sha", "codec", "data", "size")]
    names = [f.name for f in fields(RunRow)]
    while True:
        query = _query(wanted, before).limit(_AT_ONCE).outerjoin(task, task.c.sha == s.run.c.task_sha)
        query = query.outerjoin(answer, answer.c.sha == s.run.c.answer_sha).add_columns(*columns)
        rows = reader.rows(query)
        known: dict[str, bool] = {}
        for row in rows:
            run = RunRow(**{name: row[name] for name in names})
            short = f"{run.task_id}\n{run.error_code}\n{run.error}".casefold()
            yield run, needle in short or any(_says(row, part, needle, known) for part in ("task", "whole"))
        if len(rows) < _AT_ONCE:
            return
        before = rows[-1]["id"]


def _says(row: Mapping[str, Any], part: str, needle: str, known: dict[str, bool]) -> bool:
    sha = row[f"{part}_sha"]
    if sha is None:
        return False
    key = f"{part} {sha}"
    if key not in known:
        text = unpack(row[f"{part}_codec"], row[f"{part}_data"], row[f"{part}_size"]).decode("utf-8", "surrogatepass")
        known[key] = needle in str(json.loads(text).get("prompt", "") if part == "task" else text).casefold()
    return known[key]
