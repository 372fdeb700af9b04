"""What sampling until an imperfect verifier accepts is worth, attempt by attempt.

Stroebl, Kapoor and Narayanan 2024 (arXiv 2411.17501): tasks are of types, each with its single-sample accuracy. Every
rejection shifts belief to the hard types, so that later accepts are less often right although sampling has no memory.
Reaching attempt k has the prior's weight, not the posterior's; that is the exact utility, which the paper overstates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """A generator on a population of tasks, with a verifier that decides when to stop."""

    types: Sequence[tuple[float, float]]
    """Share of the tasks and single-sample accuracy on them, for each type; the shares sum to 1."""
    tpr: float
    """P(accept | right)."""
    fpr: float
    """P(accept | wrong)."""

    def __post_init__(self) -> None:
        if not all(0 <= v <= 1 for v in (self.tpr, self.fpr, *(v for pair in self.types for v in pair))):
            raise ConfigError("a rate, share or accuracy lies outside [0, 1]", hint="give shares, not percentages")
        if not math.isclose(math.fsum(share for share, _ in self.types), 1, abs_tol=1e-6):
            raise ConfigError("the shares of the types do not sum to 1", hint="give each type its share of the tasks")

    @staticmethod
    def of_tasks(accuracies: Sequence[float], *, tpr: float, fpr: float) -> Resampling:
        """Each task a type of its own, with the accuracy seen in its pool.

        Raises:
            ConfigError: no tasks, or numbers that are no shares.
        """
        if not accuracies:
            raise ConfigError("there are no tasks", hint="give the accuracy on at least one")
        return Resampling(types=[(1 / len(accuracies), r) for r in accuracies], tpr=tpr, fpr=fpr)

    def accepts(self, attempt: int) -> tuple[float, float]:
        """The probabilities that attempt number `attempt`, from 1, is made and accepts a right, or a wrong, answer.

        Raises:
            ConfigError: the attempt is below 1.
        """
        if attempt < 1:
            raise ConfigError(f"attempt {attempt}", hint="attempts are numbered from 1")
        reached = [(p * self._rejected(r) ** (attempt - 1), r) for p, r in self.types]
        return math.fsum(w * self.tpr * r for w, r in reached), math.fsum(w * self.fpr * (1 - r) for w, r in reached)

    def precision(self, attempt: int) -> float:
        """P(right | accepted at this attempt). NaN if no accept can come there.

        Raises:
            ConfigError: the attempt is below 1.
        """
        right, wrong = self.accepts(attempt)
        return right / (right + wrong) if right + wrong else math.nan

    def break_even(self, attempt: int) -> float:
        """The cost of a false accept, in units of a right answer, at which this attempt is worth nothing.

        Infinite where no wrong answer is accepted; NaN where none is at all.

        Raises:
            ConfigError: the attempt is below 1.
        """
        right, wrong = self.accepts(attempt)
        return right / wrong if wrong else (math.inf if right else math.nan)

    def unlimited_accuracy(self) -> float:
        """The share of tasks that end with a right answer if attempts never stop before an accept."""
        parts = [(p, self.tpr * r, self.fpr * (1 - r)) for p, r in self.types]
        return math.fsum(p * right / (right + wrong) for p, right, wrong in parts if right + wrong)

    def utilities(self, cap: int, *, fp_cost: float = 1.0, sample_cost: float = 0.0) -> list[float]:
        """The expected utility of at most 0, 1, ..., `cap` attempts.

        A right answer is worth 1, an accepted wrong one -`fp_cost`, none 0; each attempt costs `sample_cost`.

        Raises:
            ConfigError: a negative cap or cost.
        """
        _costs(fp_cost, sample_cost)
        if cap < 0:
            raise ConfigError(f"at most {cap} attempts", hint="a cap of at least 0")
        weights, gains = [p for p, _ in self.types], self._gains(fp_cost, sample_cost)
        margins: list[float] = []
        for _ in range(cap):
            margins.append(math.fsum(w * g for w, g in zip(weights, gains, strict=True)))
            weights = [w * self._rejected(r) for w, (_, r) in zip(weights, self.types, strict=True)]
        return list(accumulate(margins, initial=0.0))

    def utility(self, cap: int, *, fp_cost: float = 1.0, sample_cost: float = 0.0) -> float:
        """The expected utility of at most `cap` attempts; see `utilities`.

        Raises:
            ConfigError: a negative cap or cost.
        """
        return self.utilities(cap, fp_cost=fp_cost, sample_cost=sample_cost)[-1]

    def best_cap(self, *, fp_cost: float = 1.0, sample_cost: float = 0.0) -> int | None:
        """The number of attempts with the greatest expected utility, the smallest of equals; None if more are always better.

        0 says that not even one attempt is worth its risk.

        Raises:
            ConfigError: a negative cost.
        """
        _costs(fp_cost, sample_cost)
        terms = [
            (self._rejected(r), p * g) for (p, r), g in zip(self.types, self._gains(fp_cost, sample_cost), strict=True) if p * g
        ]
        gaining, losing = [t for t in terms if t[1] > 0], [t for t in terms if t[1] < 0]
        endless = None if any(rejected > 0 for rejected, _ in terms) else 1
        if not gaining or not losing:
            return endless if gaining else 0
        if max(b for b, _ in gaining) >= min(b for b, _ in losing):
            # The verifier is no better than chance, and what gains stays longest: the utility falls, then rises.
            return endless if math.fsum(g / (1 - b) for b, g in terms) > 0 else 0
        if len(gaining) == len(losing) == 1:
            return _closed_form(gaining[0], losing[0])
        return _last_gain(gaining, losing)

    def _rejected(self, accuracy: float) -> float:
        """The probability that a sample is not accepted."""
        return max(0.0, 1 - self.tpr * accuracy - self.fpr * (1 - accuracy))

    def _gains(self, fp_cost: float, sample_cost: float) -> list[float]:
        return [self.tpr * r - fp_cost * self.fpr * (1 - r) - sample_cost for _, r in self.types]


def _closed_form(gaining: tuple[float, float], losing: tuple[float, float]) -> int:
    """The attempts k with g1 b1^(k-1) > -g2 b2^(k-1), where b1 < b2 are the chances of a rejection."""
    (b1, g1), (b2, g2) = gaining, losing
    if g1 <= -g2:
        return 0
    return 1 if b1 == 0 else math.ceil(math.log(g1 / -g2) / math.log(b2 / b1))


def _last_gain(gaining: Sequence[tuple[float, float]], losing: Sequence[tuple[float, float]]) -> int:
    """The last attempt whose margin is positive, if types that gain leave sooner: from there on none is."""
    slowest = max(b for b, _ in losing)

    def gains(attempt: int) -> bool:
        return math.fsum(g * (b / slowest) ** (attempt - 1) for b, g in (*gaining, *losing)) > 0

    if not gains(1):
        return 0
    low, high = 1, 2
    while gains(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if gains(middle) else (low, middle)
    return low


def _costs(fp_cost: float, sample_cost: float) -> None:
    if not (fp_cost >= 0 and sample_cost >= 0):
        raise ConfigError(f"costs of {fp_cost} and {sample_cost}", hint="costs are at least 0, in units of a right answer")
