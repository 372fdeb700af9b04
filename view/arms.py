"""A comparison out of the store, light: whether each run's answer is right and what it cost, without its candidates.

What is right, and how runs make an accuracy with its interval, is the comparison's own (`compare/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select

from ..compare.carry import batches_of, stored
from ..compare.summary import ArmSummary, summarise
from ..compare.trial import Trial
from ..core.verdict import Outcome
from ..traces import schema as s

if TYPE_CHECKING:
    from ..compare.plan import Plan
    from ..traces.reader import Reader
    from ..traces.views import BatchRow

ABOUT = "comparison"
"""Key of a batch's configuration that holds the plan of the comparison that it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All arms of a comparison."""

    name: str
    arms: Sequence[ArmSummary]
    """Those that have a run of every task."""
    batches: Mapping[str, Sequence[BatchRow]]
    """By arm, one for each seed that was begun."""


@dataclass(frozen=True, kw_only=True)
class Graded:
    """What the graders said of the answers of a batch."""

    right: int
    judged: int
    """Answers that a grader could judge."""


def comparison(reader: Reader, config: Mapping[str, Any]) -> Comparison | None:
    """The comparison that a batch with this configuration belongs to; None if it belongs to none.

    Raises:
        ConfigError: its numbers need a library that is not installed.
    """
    about = config.get(ABOUT)
    name = cast("Mapping[str, Any]", about).get("name") if isinstance(about, Mapping) else None
    plan = stored(reader, str(name)) if name else None
    if plan is None:
        return None
    batches: dict[str, list[BatchRow]] = {arm.name: [] for arm in plan.arms}
    trials: dict[str, list[Trial]] = {arm.name: [] for arm in plan.arms}
    for (arm, seed), batch in batches_of(reader, plan).items():
        batches[arm].append(batch)
        trials[arm] += _trials(reader, batch.id, seed, plan)
    return Comparison(name=plan.name, arms=summarise(plan, trials), batches=batches)


def graded(reader: Reader, batch: str) -> Graded:
    """How many answers of a batch are right, of those that were graded."""
    grades = _grades(reader, batch).values()
    return Graded(right=sum(g == "pass" for g in grades), judged=sum(g != "abstain" for g in grades))


def _trials(reader: Reader, batch: str, seed: int, plan: Plan) -> list[Trial]:
    grades = _grades(reader, batch)
    place = {task.id: at for at, task in enumerate(plan.tasks)}
    rows = [r for r in reader.runs(batch=batch, limit=len(plan.tasks)) if r.ended_ns and r.task_id in place]
    usages = reader.usages([row.id for row in rows])
    return [
        Trial.of(
            (),
            {},
            grades,
            row.candidate_id if row.status == "done" else None,
            task_id=row.task_id,
            seed=seed,
            run_id=row.id,
            outcome=row.outcome or "failed",
            usage=usages[row.id],
        )
        for row in sorted(rows, key=lambda r: place[r.task_id])
    ]


def _grades(reader: Reader, batch: str) -> dict[str, Outcome]:
    """The newest verdict of a grader on the answer of each run, by the answer's candidate."""
    r, v = s.run.c, s.verdict.c
    query = (
        select(v.candidate_id, v.outcome)
        .join_from(s.run, s.verdict, v.candidate_id == r.candidate_id)
        .where(r.batch_id == batch, v.grading.is_(True))
        .order_by(v.seq)
    )
    return {row["candidate_id"]: row["outcome"] for row in reader.rows(query)}
