"""What sampling until a verifier accepts is worth, told from an audit before anything is run.

A warning is given where a run asks for more attempts than are worth their risk, and the loss is clear: its interval over the
audited tasks lies above nought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.text import one_line
from ..stats import Audit, Interval, Resampling, allowed_fpr
from ..stats.utility import Curve, Stakes, fitted, loss, utility_curve
from .audit import OWN, about, audit_batches, judge_key
from .audit_result import AuditResult

if TYPE_CHECKING:
    from ..core.task import Task
    from ..traces.reader import Reader

PRECISION = 0.9
"""The share of right ones among accepted answers for which the allowed false-positive rate is told."""
COSTS = (0.0, 1.0, 4.0)
"""Costs of a false accept, in right answers, for which the utility is told."""
_FEW = 5
"""Tasks below which an interval over tasks shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What sampling until the verifier accepts is worth, with the generator and the tasks of the audit."""

    accuracy: float
    """Of a sample, before any selection."""
    ceiling: Interval | None
    """P(right | accept), over tasks: no number of attempts leads beyond it. None if nothing was accepted."""
    allowed_fpr: float
    """The false-positive rate with which accepted answers would be right with probability `PRECISION`."""
    curves: Mapping[float, Curve]
    """By the cost of a false accept, the utility of every cap on the attempts that the samples tell of."""
    model: Resampling | None
    """For more attempts than there are samples; None if no task has two of them."""

    @staticmethod
    def of(result: AuditResult) -> Outlook | None:
        """The outlook; None where the answers are no samples, or not both right and wrong ones."""
        whole = sum(result.samples, Audit())
        if not whole.right or not whole.wrong:
            return None
        return Outlook(
            accuracy=whole.accuracy,
            ceiling=result.over_tasks("precision"),
            allowed_fpr=allowed_fpr(whole.accuracy, PRECISION, tpr=whole.tpr().value),
            curves={cost: utility_curve(result.samples, Stakes(fp_cost=cost)) for cost in COSTS},
            model=_model(result.samples),
        )

    def best(self, cost: float) -> tuple[int | None, str]:
        """The best number of attempts at a cost of a false accept, and how it is known: `samples`, or `model` where the
        utility still rises at the samples' end, or `unknown`. None if more are always better, or nobody can tell.
        """
        curve = self.curves[cost]
        if not curve.at_end:
            return curve.best, "samples"
        if self.model is None:
            return None, "unknown"
        beyond = self.model.best_cap(fp_cost=cost)
        return (beyond, "model") if beyond is None or beyond >= curve.best else (curve.best, "samples")


def advice(audit: AuditResult, n: int, cost: float = 1.0) -> list[str]:
    """What is to be said before up to `n` attempts are made until this audit's verifier accepts; mostly nothing.

    `cost` is that of a false accept, in right answers.
    """
    stakes, samples = Stakes(fp_cost=cost), audit.samples
    if len(samples) < _FEW or n < 1:
        return []
    curve = utility_curve(samples, stakes)
    most = len(curve.utilities) - 1
    asked = min(n, most)
    if curve.best >= asked:
        return []
    lost = loss(samples, asked, curve.best, stakes)
    if lost.low <= 0:
        return []
    worth = f"{curve.utilities[curve.best]:.2f} at most, {curve.utilities[asked]:.2f} with {asked}"
    what = "no attempt is worth its risk" if curve.best == 0 else f"{_attempts(curve.best)} worth the risk, not {n}"
    whose = one_line(", ".join(audit.models), 60)
    where = f"the audit {one_line(audit.name)}: {len({j.task_id for j in audit.judged}):,} tasks, answered by {whose}"
    lines = [f"{what}: if a false accept costs {_right(cost)}, the expected utility is {worth} ({where})"]
    if (fpr := audit.over_tasks("fpr")) is not None:
        lines.append(
            f"the verifier accepts {fpr} of the wrong answers; see burnish verifiers check --name {one_line(audit.name)}"
        )
    return lines


def audit_for(reader: Reader, tasks: Sequence[Task], verifier: Json = OWN) -> AuditResult | None:
    """The newest finished audit of the verifier that will judge these tasks, if it covers at least half of them.

    `verifier` is a description, or `task` for each task's own. One whose version has changed since is another verifier.
    """
    batches = [b for b in audit_batches(reader) if b.done == b.runs and about(b)["sampled"]]
    if not batches:
        return None
    keys = {t.id: judge_key(spec) for t in tasks if (spec := t.verifier if verifier == OWN else verifier) is not None}
    for batch in batches:
        known = about(batch)["keys"]
        if keys and 2 * sum(known.get(task_id) == key for task_id, key in keys.items()) >= len(tasks):
            return AuditResult.of(reader, batch)
    return None


def _attempts(best: int) -> str:
    return "1 attempt is" if best == 1 else f"{best} attempts are"


def _right(cost: float) -> str:
    return "1 right answer" if cost == 1 else f"{cost:g} right answers"


def _model(audits: Sequence[Audit]) -> Resampling | None:
    try:
        return fitted(audits)
    except ConfigError:  # No task has two samples.
        return None
