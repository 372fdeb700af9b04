"""An estimate with its interval, over tasks.

The unit of analysis is the task: several samples of one task are averaged first, and whole tasks are resampled. A share
of tasks gets a Wilson interval, a mean of averaged scores a t or bootstrap interval, everything else a percentile
bootstrap. Tasks that belong together (questions on one passage) are a cluster and are resampled together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Any, TypeVar

from ..core.errors import ConfigError
from .extras import library

T = TypeVar("T")

_BLOCK = 1 << 20
"""Resampled values held at a time, so that many tasks do not fill the memory."""


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.value)} [{_short(self.low)}, {_short(self.high)}]"

    def to_json(self) -> dict[str, float]:
        """The three numbers by name."""
        return {"value": self.value, "low": self.low, "high": self.high}


def wilson(passed: int, n: int, *, level: float = 0.95) -> Interval:
    """The share of `n` tasks that passed, with the Wilson score interval.

    Raises:
        ConfigError: there are no tasks, or more passes than tasks.
    """
    if not 0 <= passed <= n or n == 0:
        raise ConfigError(f"{passed} of {n} tasks passed", hint="0 <= passed <= n, and n at least 1")
    z = two_sided_z(level)
    share = passed / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends rounding may leave the interval beside 0 or 1, where it reaches them exactly.
    low = 0.0 if passed == 0 else (middle - half) / scale
    high = 1.0 if passed == n else (middle + half) / scale
    return Interval(share, low, high)


def rule_of_three(n: int, *, level: float = 0.95) -> float:
    """The upper bound of a rate of which `n` trials saw no event: about 3 / n at 95 %, one-sided.

    Raises:
        ConfigError: there were no trials.
    """
    if n < 1:
        raise ConfigError(f"no event in {n} trials", hint="a bound needs at least one trial")
    two_sided_z(level)
    return min(1.0, -math.log(1 - level) / n)


def standard_error(values: Sequence[float], *, clusters: Sequence[Hashable] | None = None) -> float:
    """The standard error of the mean over tasks (Miller 2024, arXiv 2411.00640, sections 2 and 2.2).

    With `clusters`, one label for each task, tasks of one cluster may go together; the correction for few clusters,
    C / (C - 1), is applied.

    Raises:
        ConfigError: there are fewer than two tasks, or clusters.
    """
    groups = _groups(_checked(values), clusters)
    if len(groups) < 2:
        raise ConfigError(f"the spread of {len(groups)} is unknown", hint="give at least two tasks or clusters")
    mean, count = fmean(values), len(groups)
    squares = math.fsum(math.fsum(v - mean for v in group) ** 2 for group in groups)
    return math.sqrt(squares * count / (count - 1)) / len(values)


def t_interval(values: Sequence[float], *, level: float = 0.95, clusters: Sequence[Hashable] | None = None) -> Interval:
    """The mean over tasks with Student's interval, the better choice than the bootstrap under some fifty tasks.

    Raises:
        ConfigError: there are fewer than two tasks, or clusters.
    """
    two_sided_z(level)
    error = standard_error(values, clusters=clusters)
    freedom = len(set(clusters) if clusters is not None else values) - 1
    half = float(library("scipy.special").stdtrit(freedom, 0.5 + level / 2)) * error
    mean = fmean(values)
    return Interval(mean, mean - half, mean + half)


def bootstrap(
    values: Sequence[float],
    *,
    level: float = 0.95,
    replicates: int = 4000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """The mean over tasks, with the percentile bootstrap's interval. `values` has one number for each task.

    With `clusters`, one label for each task, whole clusters are resampled.

    Raises:
        ConfigError: there are no tasks.
    """
    np = library("numpy")
    groups = _groups(_checked(values), clusters)
    sums = np.array([math.fsum(g) for g in groups])
    sizes = np.array([len(g) for g in groups])
    means = np.concatenate([sums[rows].sum(axis=1) / sizes[rows].sum(axis=1) for rows in _draws(len(groups), replicates, seed)])
    return _percentile(fmean(values), means, level)


def mean_share(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """The mean over tasks of shares in [0, 1]: Wilson's interval where each is 0 or 1, else the bootstrap's.

    Resampling tasks that are all right would show nothing but rightness: an interval without width.

    Raises:
        ConfigError: there are no tasks.
    """
    if all(v in (0, 1) for v in values):
        return wilson(round(sum(values)), len(values), level=level)
    return bootstrap(values, level=level)


def bootstrap_statistic(
    tasks: Sequence[T],
    statistic: Callable[[Sequence[T]], float],
    *,
    level: float = 0.95,
    replicates: int = 2000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """Any statistic of a set of tasks (a median, a ratio, an area), with the percentile bootstrap's interval.

    Replicates for which the statistic is NaN are left out.

    Raises:
        ConfigError: there are no tasks, or the statistic is NaN for all of them together or for most replicates.
    """
    if not tasks:
        raise ConfigError("there are no tasks to resample", hint="give at least one")
    value = statistic(tasks)
    if math.isnan(value):
        raise ConfigError("the statistic is undefined for these tasks", hint="leave out tasks that say nothing about it")
    groups = _groups(tasks, clusters)
    found: list[float] = []
    for block in _draws(len(groups), replicates, seed):
        rows: list[list[int]] = block.tolist()
        found += [statistic([task for g in row for task in groups[g]]) for row in rows]
    defined = [v for v in found if not math.isnan(v)]
    if 2 * len(defined) < replicates:
        raise ConfigError("the statistic is undefined in most resamples", hint="too few tasks say anything about it: add some")
    return _percentile(value, defined, level)


def median(values: Sequence[float]) -> float:
    """The median.

    Raises:
        ConfigError: there are no values.
    """
    return quantile(values, 0.5)


def quantile(values: Sequence[float], q: float) -> float:
    """The `q`-quantile, linear between neighbours.

    Raises:
        ConfigError: there are no values, or q is no share.
    """
    if not values or not 0 <= q <= 1:
        raise ConfigError(f"the {q} quantile of {len(values)} values", hint="give at least one value, and 0 <= q <= 1")
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def two_sided_z(level: float) -> float:
    """The half width, in standard errors, of a normal interval of this level: 1.96 for 0.95.

    Raises:
        ConfigError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigError(f"an interval of level {level}", hint="a level between 0 and 1, as 0.95")
    return NormalDist().inv_cdf(0.5 + level / 2)


def _checked(values: Sequence[float]) -> Sequence[float]:
    if not values:
        raise ConfigError("there are no tasks to resample", hint="give at least one value")
    if not all(map(math.isfinite, values)):
        raise ConfigError(
            "a task's value is not a finite number", hint="leave out tasks without a value, on both sides of a pair"
        )
    return values


def _groups(tasks: Sequence[T], clusters: Sequence[Hashable] | None) -> list[list[T]]:
    """The tasks by cluster, in order of appearance; each its own without clusters."""
    if clusters is None:
        return [[task] for task in tasks]
    if len(clusters) != len(tasks):
        raise ConfigError(f"{len(clusters)} cluster labels for {len(tasks)} tasks", hint="give one label for each task")
    groups: dict[Hashable, list[T]] = {}
    for label, task in zip(clusters, tasks, strict=True):
        groups.setdefault(label, []).append(task)
    return list(groups.values())


def _draws(count: int, replicates: int, seed: int) -> Iterator[Any]:
    """Blocks of rows of `count` indices drawn with replacement, `replicates` rows in all."""
    if replicates < 1:
        raise ConfigError(f"{replicates} replicates", hint="give at least one; 2000 or more for a 95 % interval")
    draw = library("numpy").random.default_rng(seed)
    step = max(1, _BLOCK // count)
    for start in range(0, replicates, step):
        yield draw.integers(count, size=(min(step, replicates - start), count))


def _percentile(value: float, replicates: Sequence[float], level: float) -> Interval:
    two_sided_z(level)
    low, high = library("numpy").quantile(replicates, [(1 - level) / 2, (1 + level) / 2]).tolist()
    # The sums of replicates round differently from the estimate; the interval holds it all the same.
    return Interval(value, min(low, value), max(high, value))


def _short(value: float) -> str:
    """Two digits behind the point, the nought before it left out: .26, 1.00, -.08."""
    text = f"{round(value, 2) + 0.0:.2f}"  # adding nought turns -0.0 into 0.0
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
