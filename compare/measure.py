"""Trials out of the store: each stored run of a comparison, counted. Nothing is counted anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.runs import Usage
from ..core.verdict import Outcome
from .carry import batches_of
from .plan import Plan
from .trial import Trial, Trials

if TYPE_CHECKING:
    from ..traces.reader import Reader
    from ..traces.views import RunRow, VerdictRow


def trials(reader: Reader, plan: Plan) -> Trials:
    """The trials of all arms, tasks in the plan's order; of an arm that was not begun none."""
    found: dict[str, list[Trial]] = {arm.name: [] for arm in plan.arms}
    place = {task.id: at for at, task in enumerate(plan.tasks)}
    for (arm, seed), batch in batches_of(reader, plan).items():
        rows = [r for r in reader.runs(batch=batch.id, limit=len(plan.tasks)) if r.task_id in place and r.ended_ns]
        usages = reader.usages([row.id for row in rows])
        for row in sorted(rows, key=lambda r: place[r.task_id]):
            found[arm].append(_trial(reader, row, usages[row.id], seed))
    return found


def covered_seconds(reader: Reader, plan: Plan) -> dict[str, float]:
    """For each arm the seconds in which at least one of its runs was under way, over all seeds."""
    seconds = {arm.name: 0.0 for arm in plan.arms}
    for (arm, _), batch in batches_of(reader, plan).items():
        rows = reader.runs(batch=batch.id, limit=len(plan.tasks))
        seconds[arm] += _covered([(r.started_ns, r.ended_ns) for r in rows])
    return seconds


def models(reader: Reader, plan: Plan) -> list[str]:
    """Which models answered, over all arms: the engines' kinds and models by role."""
    names: dict[str, None] = {}
    for batch in batches_of(reader, plan).values():
        for row in reader.runs(batch=batch.id, limit=1):
            for role, engine in reader.spec(row.id).engines.items():
                if isinstance(engine, dict):
                    names[f"{role}: {engine.get('kind')} {engine.get('model')}"] = None
    return list(names)


def _trial(reader: Reader, row: RunRow, usage: Usage, seed: int) -> Trial:
    verdicts = reader.verdicts(row.id)
    return Trial.of(
        [(c.id, c.answer_sha or c.answer, c.kind) for c in reader.candidates(row.id) if not c.partial],
        _newest(verdicts, grading=False),
        _newest(verdicts, grading=True),
        row.candidate_id if row.status == "done" else None,
        task_id=row.task_id,
        seed=seed,
        run_id=row.id,
        outcome=row.outcome or "failed",
        usage=usage,
    )


def _newest(verdicts: Sequence[VerdictRow], *, grading: bool) -> dict[str, Outcome]:
    return {v.candidate_id: v.outcome for v in verdicts if v.grading == grading}


def _covered(spans: Sequence[tuple[int | None, int | None]]) -> float:
    """Seconds that lie within at least one of the spans, which are in nanoseconds."""
    total, until = 0, 0
    for start, end in sorted((s, e) for s, e in spans if s is not None and e is not None):
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total / 1e9
