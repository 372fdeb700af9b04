"""How far a verifier can be trusted: audited against the grader, never by its own pass rate.

Resampling until a verifier accepts gives right answers with probability P(right | accept), which no number of attempts
changes: the ceiling. An abstention is no accept, so it counts in the denominators of both rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from ..core.errors import ConfigError
from ..core.verdict import Outcome
from .intervals import Interval, bootstrap_statistic, rule_of_three, wilson

Rate: TypeAlias = Literal["tpr", "fpr", "precision"]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Counts of a verifier's verdicts on candidates that the grader judged. Audits of one verifier add up."""

    accepted_right: int = 0
    rejected_right: int = 0
    abstained_right: int = 0
    accepted_wrong: int = 0
    rejected_wrong: int = 0
    abstained_wrong: int = 0

    def __post_init__(self) -> None:
        for f in fields(self):
            if getattr(self, f.name) < 0:
                raise ConfigError(f"{f.name} is {getattr(self, f.name)}", hint="an audit's counts are at least 0")

    @staticmethod
    def of(judged: Iterable[tuple[Outcome, bool]]) -> Audit:
        """The audit of candidates given as the verifier's outcome and whether the grader finds it right."""
        counts = {f.name: 0 for f in fields(Audit)}
        verbs = {"pass": "accepted", "fail": "rejected", "abstain": "abstained"}
        for outcome, right in judged:
            if outcome not in verbs:
                raise ConfigError(f"the outcome is {outcome!r}", hint="pass, fail or abstain")
            counts[f"{verbs[outcome]}_{'right' if right else 'wrong'}"] += 1
        return Audit(**counts)

    def __add__(self, other: Audit) -> Audit:
        return Audit(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @property
    def right(self) -> int:
        """Candidates that are right."""
        return self.accepted_right + self.rejected_right + self.abstained_right

    @property
    def wrong(self) -> int:
        """Candidates that are wrong."""
        return self.accepted_wrong + self.rejected_wrong + self.abstained_wrong

    @property
    def accepted(self) -> int:
        """Candidates that the verifier accepted."""
        return self.accepted_right + self.accepted_wrong

    @property
    def abstained(self) -> int:
        """Candidates that the verifier did not judge."""
        return self.abstained_right + self.abstained_wrong

    @property
    def accuracy(self) -> float:
        """The share of candidates that are right, before any selection.

        Raises:
            ConfigError: the audit is empty.
        """
        return self.right / _some(self.right + self.wrong, "candidate")

    def tpr(self, *, level: float = 0.95) -> Interval:
        """The true-positive rate, P(accept | right).

        Raises:
            ConfigError: no candidate is right.
        """
        return _rate(self.accepted_right, _some(self.right, "right candidate"), level)

    def fpr(self, *, level: float = 0.95) -> Interval:
        """The false-positive rate, P(accept | wrong).

        Raises:
            ConfigError: no candidate is wrong.
        """
        return _rate(self.accepted_wrong, _some(self.wrong, "wrong candidate"), level)

    def precision(self, *, level: float = 0.95) -> Interval:
        """The ceiling with this generator as far as audited: P(right | accept).

        Raises:
            ConfigError: nothing was accepted.
        """
        return _rate(self.accepted_right, _some(self.accepted, "accepted candidate"), level)


def rate_over_tasks(
    audits: Sequence[Audit], rate: Rate, *, level: float = 0.95, replicates: int = 2000, seed: int = 0
) -> Interval:
    """A rate with its interval over tasks, from one audit for each task.

    Candidates of one task tend to be judged alike, so that intervals over candidates are too narrow where tasks have
    many. A rate without any exception is bounded by the rule of three over the tasks that could have shown one.

    Raises:
        ConfigError: no candidate counts for the rate, or those of one task only, judged differently.
    """
    share, told = _RATES[rate]
    telling = [a for a in audits if share(a)[1]]
    events, trials = (sum(column) for column in zip(*map(share, telling), strict=True)) if telling else (0, 0)
    _some(trials, told)
    if events in (0, trials):
        return _rate(len(telling) if events else 0, len(telling), level)
    if len(telling) < 2:
        raise ConfigError(f"one task alone has a {told}", hint="an interval over tasks needs at least two")

    def pooled(sample: Sequence[Audit]) -> float:
        return sum(share(a)[0] for a in sample) / sum(share(a)[1] for a in sample)

    return bootstrap_statistic(telling, pooled, level=level, replicates=replicates, seed=seed)


def ceiling(accuracy: float, *, tpr: float, fpr: float) -> float:
    """P(right | accept): the accuracy that resampling until an accept reaches, however often it tries.

    Raises:
        ConfigError: numbers that are no shares, or nothing is ever accepted.
    """
    _shares(accuracy=accuracy, tpr=tpr, fpr=fpr)
    accepted = accuracy * tpr + (1 - accuracy) * fpr
    if accepted == 0:
        raise ConfigError("the verifier accepts nothing", hint="a ceiling needs accepts: mend the verifier or the generator")
    return accuracy * tpr / accepted


def allowed_fpr(accuracy: float, precision: float, *, tpr: float = 1.0) -> float:
    """The largest false-positive rate with which accepted answers are right with probability `precision`.

    Raises:
        ConfigError: numbers that are no shares, or a precision of 0.
    """
    _shares(accuracy=accuracy, precision=precision, tpr=tpr)
    if precision == 0:
        raise ConfigError("a precision of 0", hint="say which share of accepted answers should be right, as 0.9")
    return 1.0 if accuracy == 1 else min(1.0, tpr * accuracy * (1 - precision) / (precision * (1 - accuracy)))


_RATES: dict[Rate, tuple[Callable[[Audit], tuple[int, int]], str]] = {
    "tpr": (lambda a: (a.accepted_right, a.right), "right candidate"),
    "fpr": (lambda a: (a.accepted_wrong, a.wrong), "wrong candidate"),
    "precision": (lambda a: (a.accepted_right, a.accepted), "accepted candidate"),
}


def _rate(events: int, trials: int, level: float) -> Interval:
    """Wilson's interval; where all or none of the trials are events, the rule of three's bound."""
    if events == 0:
        return Interval(0.0, 0.0, rule_of_three(trials, level=level))
    if events == trials:
        return Interval(1.0, 1 - rule_of_three(trials, level=level), 1.0)
    return wilson(events, trials, level=level)


def _some(count: int, what: str) -> int:
    if count == 0:
        raise ConfigError(f"the audit has no {what}", hint="audit more candidates, right and wrong ones")
    return count


def _shares(**named: float) -> None:
    for name, value in named.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}", hint="a share in [0, 1]")
