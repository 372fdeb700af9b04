"""Two methods on the same tasks: the difference, its interval, and a test.

Methods are always compared task by task: what makes a task hard then cancels. Right-or-wrong scores get McNemar's
test and the score interval, which stays honest where few tasks differ (the bootstrap of thirty equal pairs is a point);
averaged scores get the paired bootstrap, and a sign-flip permutation under fifty tasks or Student's test from there on.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias

from ..core.errors import ConfigError
from .extras import library
from .intervals import Interval, bootstrap, standard_error, two_sided_z

Test: TypeAlias = Literal["mcnemar exact", "mcnemar mid-p", "sign flip", "paired t"]

_FEW_PAIRS = 25
"""Discordant tasks below which McNemar's test is the exact one."""
_FEW_TASKS = 50
"""Tasks below which averaged scores are tested by permutation."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """How one method compares with another on the same tasks."""

    difference: Interval
    """The mean of ours less theirs over tasks."""
    interval: Literal["score", "bootstrap"]
    """How the interval was found."""
    error: float
    """Standard error of the difference, from the differences per task."""
    tasks: int
    b: int
    """Tasks on which ours scored higher; with right-or-wrong scores those that only ours solved."""
    c: int
    """Tasks on which theirs scored higher."""
    p: float
    """Two-sided probability of a difference at least this large if the methods were equal."""
    test: Test

    def __str__(self) -> str:
        return f"{self.difference}, {self.b} against {self.c} of {self.tasks} tasks, p {self.p:.2g} ({self.test})"


def compare_paired(
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    level: float = 0.95,
    replicates: int = 4000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Paired:
    """Compare two methods; each sequence has one score for each task, in the same order.

    With `clusters`, one label for each task, whole clusters are resampled and flipped.

    Raises:
        ConfigError: the two have different numbers of tasks, or fewer than two tasks or clusters.
    """
    differences = _differences(ours, theirs)
    error = standard_error(differences, clusters=clusters)
    b, c, n = sum(d > 0 for d in differences), sum(d < 0 for d in differences), len(differences)
    bounded = all(0 <= v <= 1 for v in (*ours, *theirs))
    if clusters is None and all(v in (0, 1) for v in (*ours, *theirs)):
        test: Test = "mcnemar mid-p" if b + c >= _FEW_PAIRS else "mcnemar exact"
        interval, how, p = score_interval(b, c, n, level=level), "score", mcnemar(b, c)
    else:
        parts = _summed(differences, clusters)
        test = "paired t" if len(parts) >= _FEW_TASKS and error > 0 else "sign flip"
        p = _t_test(fmean(differences) / error, len(parts) - 1) if test == "paired t" else sign_flip(parts, seed=seed)
        if b + c == 0 and bounded:  # resampling equal scores shows nothing
            interval, how = score_interval(0, 0, len(parts), level=level), "score"
        else:
            interval = bootstrap(differences, level=level, replicates=replicates, seed=seed, clusters=clusters)
            how = "bootstrap"
    return Paired(difference=interval, interval=how, error=error, tasks=n, b=b, c=c, p=p, test=test)


def paired_bootstrap(
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    level: float = 0.95,
    replicates: int = 4000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """The mean difference of two methods on the same tasks, with the paired bootstrap's interval.

    Raises:
        ConfigError: the two have different numbers of tasks, or none.
    """
    return bootstrap(_differences(ours, theirs), level=level, replicates=replicates, seed=seed, clusters=clusters)


def score_interval(b: int, c: int, n: int, *, level: float = 0.95) -> Interval:
    """The difference of two paired shares, (b - c) / n, with Tango's score interval (Tango 1998, Statistics in Medicine 17).

    Raises:
        ConfigError: numbers that no `n` tasks have.
    """
    if b < 0 or c < 0 or n < 1 or b + c > n:
        raise ConfigError(f"{b} and {c} discordant among {n} tasks", hint="b + c <= n, and n at least 1")
    z, value = two_sided_z(level), (b - c) / n

    def end(outer: float) -> float:
        # The statistic is 0 at the estimate and grows in size towards the outer end: it passes z once.
        inner = value
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if abs(_score(b, c, n, middle)) < z else (inner, middle)
        return outer

    return Interval(value, end(-1.0), end(1.0))


def mcnemar(b: int, c: int, *, mid: bool | None = None) -> float:
    """The two-sided p of McNemar's test on tasks that one method only solved.

    Exact binomial for fewer than 25 such tasks, mid-p otherwise; `mid` chooses.

    Raises:
        ConfigError: a negative count.
    """
    if b < 0 or c < 0:
        raise ConfigError(f"{b} against {c} tasks", hint="counts are at least 0")
    n, few = b + c, min(b, c)
    mid = n >= _FEW_PAIRS if mid is None else mid
    tail = term = 1
    for i in range(few):
        term = term * (n - i) // (i + 1)
        tail += term
    # In whole numbers to the end, since 2**n soon leaves the range of floats. Halving the last term is the mid-p.
    doubled = 2 * tail - term if mid else 2 * tail
    return min(1.0, doubled / 2**n)


def sign_flip(differences: Sequence[float], *, flips: int = 10_000, seed: int = 0) -> float:
    """The two-sided p of the permutation test that flips the signs of differences: all ways where they are few.

    Raises:
        ConfigError: there are no differences.
    """
    if not differences:
        raise ConfigError("there are no differences to flip", hint="give at least one")
    np = library("numpy")
    moving = np.array([d for d in differences if d], dtype=float)
    if not len(moving):
        return 1.0
    # Sums that are equal on paper differ in rounding; they count as reached.
    reached = abs(moving.sum()) - 1e-9 * abs(moving).sum()
    if 2 ** len(moving) <= flips:
        signs = 1 - 2 * (np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving)) & 1)
        return float((abs(signs @ moving) >= reached).mean())
    draw, hits, step = np.random.default_rng(seed), 0, max(1, (1 << 20) // len(moving))
    for start in range(0, flips, step):
        signs = 1 - 2 * draw.integers(2, size=(min(step, flips - start), len(moving)), dtype=np.int8)
        hits += int((abs(signs @ moving) >= reached).sum())
    return (1 + hits) / (1 + flips)


def non_inferior(difference: Interval, margin: float) -> bool:
    """Whether ours is worse by less than `margin`: the interval's low end lies above -margin.

    Raises:
        ConfigError: the margin is not above 0.
    """
    if not margin > 0:
        raise ConfigError(f"a margin of {margin}", hint="say how much worse is still as good, as 0.03")
    return difference.low > -margin


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of the planned comparisons, adjusted so that all of them together keep the level (Holm 1979).

    Raises:
        ConfigError: a value is no probability.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ConfigError("a p value lies outside [0, 1]", hint="give the p of each planned comparison")
    adjusted, least = list(p_values), 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = least
    return adjusted


def _differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    if len(ours) != len(theirs):
        raise ConfigError(f"{len(ours)} tasks against {len(theirs)}", hint="pair the methods task by task")
    return [float(a) - float(b) for a, b in zip(ours, theirs, strict=True)]


def _summed(differences: Sequence[float], clusters: Sequence[Hashable] | None) -> Sequence[float]:
    if clusters is None:
        return differences
    sums: dict[Hashable, float] = {}
    for label, d in zip(clusters, differences, strict=True):
        sums[label] = sums.get(label, 0.0) + d
    return list(sums.values())


def _t_test(t: float, freedom: int) -> float:
    return float(2 * library("scipy.special").stdtr(freedom, -abs(t)))


def _score(b: int, c: int, n: int, d: float) -> float:
    """The score statistic of the hypothesis that the difference is `d`."""
    w = (2 * n - b + c) * d - b - c
    q = (math.sqrt(max(0.0, w * w + 8 * n * c * d * (1 - d))) - w) / (4 * n)
    variance = n * (2 * q + d * (1 - d))
    gap = b - c - n * d
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)
