"""What a stored pool of samples of each task says, without any new generation.

From one pool the estimates for every smaller k are exact or averaged over subsets, so that curves over k are paired
and cost no tokens. Whether a score tells right from wrong samples is measured within tasks: a score that only tells easy
tasks from hard ones helps no selection.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean
from typing import TypeVar

from ..core.errors import ConfigError
from .intervals import Interval, bootstrap_statistic

T = TypeVar("T")


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass@k from `n` samples of one task of which `passed` passed.

    It is the share of the k-subsets of the pool that hold a pass: 1 - C(n - passed, k) / C(n, k) (Chen et al. 2021,
    section 2.1). NaN where the pool is smaller than k.

    Raises:
        ConfigError: numbers that no pool has.
    """
    _check_pool(n, passed, k)
    return math.nan if n < k else 1 - math.comb(n - passed, k) / math.comb(n, k)


def pass_hat_k(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass^k, that all of k samples pass: C(passed, k) / C(n, k). NaN where the pool is smaller.

    Raises:
        ConfigError: numbers that no pool has.
    """
    _check_pool(n, passed, k)
    return math.nan if n < k else math.comb(passed, k) / math.comb(n, k)


def subset_mean(pool: Sequence[T], k: int, measure: Callable[[Sequence[T]], float], *, draws: int, seed: int) -> float:
    """The mean of `measure` over random k-subsets of one stored pool, drawn without replacement, in random order.

    Raises:
        ConfigError: the pool is smaller than k, or k or draws below 1.
    """
    if not 1 <= k <= len(pool) or draws < 1:
        raise ConfigError(f"{draws} subsets of {k} out of {len(pool)}", hint="k from 1 to the pool's size, and at least one draw")
    draw = random.Random(seed)
    return fmean(measure(draw.sample(pool, k)) for _ in range(draws))


def majority_at_k(votes: Sequence[tuple[str | None, bool]], k: int) -> float:
    """The chance that the vote of k random samples of the pool is right, exactly.

    A vote is the key of a sample's answer and whether the sample is right. A sample without an answer (None) has no
    vote; among equals the answer that came first wins, and stands as its first sample wrote it; no vote at all is wrong.
    NaN where the pool is smaller than k.

    Raises:
        ConfigError: k is below 1.
    """
    _check_pool(len(votes), 0, k)
    if len(votes) < k:
        return math.nan
    classes: dict[str, list[bool]] = defaultdict(list)
    for answer, right in votes:
        if answer is not None:
            classes[answer].append(right)
    counts = [(len(c), sum(c)) for c in classes.values()]
    silent = len(votes) - sum(n for n, _ in counts)
    most = min(k, max((n for n, _ in counts), default=0))
    won = sum((_credit(counts, silent, k, top) for top in range(1, most + 1)), Fraction(0))
    return float(won / math.comb(len(votes), k))


def chosen_at_k(samples: Sequence[tuple[float, bool]], k: int) -> float:
    """The chance that the best of k random samples of the pool by some score is right, exactly.

    A sample is its score and whether it is right. Among equal scores each sample is chosen as often, as where samples come in
    random order and the first of the best is taken. NaN where the pool is smaller than k.

    Raises:
        ConfigError: k is below 1, or a score is NaN.
    """
    _check_pool(len(samples), 0, k)
    if any(math.isnan(score) for score, _ in samples):
        raise ConfigError("a score is NaN", hint="leave that sample out")
    if len(samples) < k:
        return math.nan
    classes: dict[float, list[bool]] = defaultdict(list)
    for score, right in samples:
        classes[score].append(right)
    won, below = Fraction(0), 0
    for _, equals in sorted(classes.items()):
        best = math.comb(below + len(equals), k) - math.comb(below, k)
        won += Fraction(best * sum(equals), len(equals))
        below += len(equals)
    return float(won / math.comb(len(samples), k))


@dataclass(frozen=True, kw_only=True)
class Auroc:
    """How well a score ranks the right samples of a task before its wrong ones."""

    interval: Interval
    """The share of right-wrong pairs of one task that the score orders rightly, equals counting half."""
    questions: int
    """Tasks with both right and wrong samples: the others say nothing."""
    left_out: int
    """Tasks without both kinds."""

    @property
    def informative(self) -> bool:
        """Whether the low end lies above one half; otherwise no method that trusts the score should be switched on."""
        return self.interval.low > 0.5


def within_auroc(
    questions: Sequence[Sequence[tuple[float, bool]]], *, level: float = 0.95, replicates: int = 2000, seed: int = 0
) -> Auroc:
    """The within-question AUROC of a score: P(score of a right sample > score of a wrong sample of the same task).

    Each question is its samples as score and whether right. The interval is the bootstrap's over questions.

    Raises:
        ConfigError: fewer than two questions have right and wrong samples, or a score is NaN.
    """
    ordered = [_ordered_pairs(question) for question in questions]
    mixed = [counts for counts in ordered if counts[1]]
    if len(mixed) < 2:
        raise ConfigError(
            f"{len(mixed)} of {len(questions)} questions have right and wrong samples",
            hint="the score's worth shows only there; use tasks of middling difficulty, or more samples",
        )
    interval = bootstrap_statistic(mixed, _share_ordered, level=level, replicates=replicates, seed=seed)
    return Auroc(interval=interval, questions=len(mixed), left_out=len(ordered) - len(mixed))


def _check_pool(n: int, passed: int, k: int) -> None:
    if not 0 <= passed <= n or k < 1:
        raise ConfigError(f"{k} of {n} samples, {passed} of them right", hint="0 <= right <= samples, and k at least 1")


def _credit(counts: Sequence[tuple[int, int]], silent: int, k: int, top: int) -> Fraction:
    """Right votes, over all k-subsets in which the leading answers have `top` votes each.

    Counted class by class: for each number of votes cast and of classes that reach `top`, the ways to get there, and
    of these ways the sum over reaching classes of the share right (times `top`, which keeps it whole).
    """
    states: dict[tuple[int, int], tuple[int, int]] = {(0, 0): (1, 0)}
    for n, right in counts:
        after: dict[tuple[int, int], tuple[int, int]] = {}
        for (size, ties), (ways, credit) in states.items():
            for votes in range(min(n, top, k - size) + 1):
                chosen, leads = math.comb(n, votes), votes == top
                gained = ways * right * math.comb(n - 1, top - 1) if leads else 0
                place = size + votes, ties + leads
                before = after.get(place, (0, 0))
                after[place] = before[0] + ways * chosen, before[1] + credit * chosen + gained
        states = after
    return sum(
        (Fraction(credit * math.comb(silent, k - size), ties * top) for (size, ties), (_, credit) in states.items() if ties),
        Fraction(0),
    )


def _ordered_pairs(samples: Sequence[tuple[float, bool]]) -> tuple[float, int]:
    """Right-wrong pairs that the score orders rightly, and all of them."""
    if any(math.isnan(score) for score, _ in samples):
        raise ConfigError("a sample's score is NaN", hint="leave out samples without a score")
    wrong = sorted(score for score, right in samples if not right)
    below = [(bisect_left(wrong, score) + bisect_right(wrong, score)) / 2 for score, right in samples if right]
    return math.fsum(below), len(below) * len(wrong)


def _share_ordered(counts: Sequence[tuple[float, int]]) -> float:
    return sum(won for won, _ in counts) / sum(pairs for _, pairs in counts)
