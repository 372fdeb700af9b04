"""How many attempts are worth their risk: what sampling until a verifier accepts would have given on audited tasks.

The audited samples of a task are drawn without replacement, as pass@k does it, so that nothing is assumed of the tasks: a
verifier that one task fools again and again counts as such. For more attempts than there are samples a model is fitted.
Each value is that of a cap on the attempts: a right accept is worth 1, a wrong one `-fp_cost`, no accept 0, an attempt
costs `sample_cost` (Stroebl, Kapoor and Narayanan 2024, arXiv 2411.17501). An abstention is no accept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ..core.errors import ConfigError
from .extras import library
from .intervals import Interval, bootstrap
from .resampling import Resampling
from .verifier_quality import Audit

_NODES = 64
"""Points at which a Beta distribution of accuracies is taken: exact for up to twice as many attempts, less one."""


@dataclass(frozen=True, kw_only=True)
class Stakes:
    """What accepts and attempts are worth, in units of a right answer."""

    fp_cost: float = 1.0
    """What an accepted wrong answer costs."""
    sample_cost: float = 0.0
    """What one attempt costs."""

    def __post_init__(self) -> None:
        for name in ("fp_cost", "sample_cost"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"{name} is {value}", hint="at least 0, in units of a right answer")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The expected utility of every cap on the attempts, from none on."""

    utilities: Sequence[float]
    """At most 0, 1, 2, ... attempts."""
    best: int
    """The cap with the greatest utility, the smallest of equals; 0 says that not even one attempt is worth its risk."""

    @property
    def at_end(self) -> bool:
        """Whether the best is the last one that can be told: more may be better still."""
        return 0 < self.best == len(self.utilities) - 1

    @staticmethod
    def of(utilities: Sequence[float]) -> Curve:
        """The curve of these utilities."""
        most = max(utilities)
        return Curve(utilities=utilities, best=next(k for k, u in enumerate(utilities) if u >= most - 1e-12))


def task_utilities(audit: Audit, cap: int, stakes: Stakes) -> list[float]:
    """The expected utility of at most 0, 1, ..., `cap` attempts on one task, whose samples come in random order.

    Raises:
        ConfigError: the task has fewer audited samples than `cap`.
    """
    n = audit.right + audit.wrong
    if not 0 <= cap <= n:
        raise ConfigError(f"{cap} attempts from {n} audited samples", hint="at most as many as there are")
    gain = audit.accepted_right - stakes.fp_cost * audit.accepted_wrong
    left, reached = n - audit.accepted, 1.0
    out = [0.0]
    for k in range(cap):
        out.append(out[-1] + reached * (gain / (n - k) - stakes.sample_cost))
        reached *= max(0, left - k) / (n - k)
    return out


def utility_curve(audits: Sequence[Audit], stakes: Stakes, *, cap: int | None = None) -> Curve:
    """The mean over tasks, one audit for each; up to the number of samples that every task has, or `cap`.

    Raises:
        ConfigError: there are no tasks, or one has fewer samples than `cap`.
    """
    if not audits:
        raise ConfigError("there are no audited tasks", hint="give at least one")
    most = min(a.right + a.wrong for a in audits) if cap is None else cap
    columns = zip(*(task_utilities(a, most, stakes) for a in audits), strict=True)
    return Curve.of([fmean(column) for column in columns])


def loss(audits: Sequence[Audit], attempts: int, best: int, stakes: Stakes, *, seed: int = 0) -> Interval:
    """What at most `attempts` attempts are worth less than at most `best`, with the bootstrap's interval over tasks.

    Raises:
        ConfigError: there are no tasks, or one has fewer samples than either.
    """
    most = max(attempts, best)
    values = [task_utilities(a, most, stakes) for a in audits]
    return bootstrap([v[best] - v[attempts] for v in values], seed=seed)


def fitted(audits: Sequence[Audit]) -> Resampling:
    """A model of the audited tasks that tells of any number of attempts: accuracies follow a Beta distribution, fitted by
    moments, and the verifier's rates are the same on all tasks.

    The second moment is taken over pairs of samples of one task, which leaves out the chance within a task.

    Raises:
        ConfigError: no task has two samples, or no sample is right, or none is wrong.
    """
    whole = sum(audits, Audit())
    tpr, fpr, mean = whole.tpr().value, whole.fpr().value, whole.accuracy
    pairs = sum((a.right + a.wrong) * (a.right + a.wrong - 1) for a in audits)
    if pairs == 0:
        raise ConfigError("no task has two samples", hint="audit several samples of each task")
    spread = sum(a.right * (a.right - 1) for a in audits) / pairs - mean**2
    most = mean * (1 - mean)
    if spread <= 1e-9:
        return Resampling(types=[(1.0, mean)], tpr=tpr, fpr=fpr)
    if spread >= most * (1 - 1e-6):
        return Resampling(types=[(1 - mean, 0.0), (mean, 1.0)], tpr=tpr, fpr=fpr)
    size = most / spread - 1
    return Resampling(types=_beta(mean * size, (1 - mean) * size), tpr=tpr, fpr=fpr)


def marginal(model: Resampling, attempt: int, stakes: Stakes) -> float:
    """What attempt number `attempt`, from 1, is worth to who has seen all earlier ones rejected.

    Each rejection makes it likelier that the task is a hard one. NaN where that many rejections cannot be.

    Raises:
        ConfigError: the attempt is below 1.
    """
    if attempt < 1:
        raise ConfigError(f"attempt {attempt}", hint="attempts are numbered from 1")
    chances = [(p, model.tpr * r, model.fpr * (1 - r)) for p, r in model.types]
    rejected = [max(0.0, 1 - right - wrong) for _, right, wrong in chances]
    slowest = max(rejected)
    if slowest == 0 and attempt > 1:
        return math.nan
    # In proportion to the type that is rejected most often, lest all of them vanish.
    beliefs = [p * (b / slowest if slowest else 1.0) ** (attempt - 1) for (p, _, _), b in zip(chances, rejected, strict=True)]
    total = math.fsum(beliefs)
    if total == 0:
        return math.nan
    gains = (w * (right - stakes.fp_cost * wrong) for w, (_, right, wrong) in zip(beliefs, chances, strict=True))
    return math.fsum(gains) / total - stakes.sample_cost


def _beta(a: float, b: float) -> list[tuple[float, float]]:
    """Points and weights that integrate polynomials over a Beta distribution exactly (Gauss-Jacobi)."""
    points, weights = library("scipy.special").roots_jacobi(_NODES, b - 1, a - 1)
    total = float(weights.sum())
    return [(float(w) / total, min(1.0, max(0.0, (float(x) + 1) / 2))) for x, w in zip(points, weights, strict=True)]
