"""Statistics of evaluations: intervals, paired differences, pass@k.

The unit of analysis is the task: several samples of one task are averaged first, and whole tasks are resampled.
A share of tasks gets a Wilson interval; everything else a percentile bootstrap over tasks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from ..core.errors import ConfigError


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.value)} [{_short(self.low)}, {_short(self.high)}]"


def wilson(passed: int, n: int, *, level: float = 0.95) -> Interval:
    """The share of `n` tasks that passed, with the Wilson score interval.

    Raises:
        ConfigError: there are no tasks, or more passes than tasks.
    """
    if not 0 <= passed <= n or n == 0:
        raise ConfigError(f"{passed} of {n} tasks passed", hint="0 <= passed <= n, and n at least 1")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = passed / n
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends rounding may leave the interval beside 0 or 1, where it reaches them exactly.
    low = 0.0 if passed == 0 else (middle - half) / scale
    high = 1.0 if passed == n else (middle + half) / scale
    return Interval(share, low, high)


def bootstrap(values: Sequence[float], *, level: float = 0.95, replicates: int = 4000, seed: int = 0) -> Interval:
    """The mean over tasks, with the percentile bootstrap's interval. `values` has one number for each task.

    Raises:
        ConfigError: there are no tasks.
    """
    if not values:
        raise ConfigError("there are no tasks to resample", hint="give at least one value")
    draw = random.Random(seed)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(replicates))
    return Interval(fmean(values), _quantile(means, (1 - level) / 2), _quantile(means, (1 + level) / 2))


def paired_bootstrap(
    ours: Sequence[float], theirs: Sequence[float], *, level: float = 0.95, replicates: int = 4000, seed: int = 0
) -> Interval:
    """The mean difference of two methods on the same tasks, with the paired bootstrap's interval.

    Raises:
        ConfigError: the two have different numbers of tasks, or none.
    """
    if len(ours) != len(theirs):
        raise ConfigError(f"{len(ours)} tasks against {len(theirs)}", hint="pair the methods task by task")
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    return bootstrap(differences, level=level, replicates=replicates, seed=seed)


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of pass@k from `n` samples of one task of which `passed` passed.

    It is the share of the k-subsets of the pool that hold a pass: 1 - C(n - passed, k) / C(n, k) (Chen et al. 2021,
    section 2.1). NaN where the pool is smaller than k.

    Raises:
        ConfigError: numbers that no pool has.
    """
    if not 0 <= passed <= n or k < 1:
        raise ConfigError(f"pass@{k} of {passed} passes among {n} samples", hint="0 <= passed <= n and k at least 1")
    if n < k:
        return math.nan
    return 1 - math.comb(n - passed, k) / math.comb(n, k)


def median(values: Sequence[float]) -> float:
    """The median.

    Raises:
        ConfigError: there are no values.
    """
    if not values:
        raise ConfigError("there are no values to take the median of", hint="give at least one")
    return _quantile(sorted(values), 0.5)


def subset_mean(pool: Sequence[object], k: int, measure: Callable[[Sequence[object]], float], *, draws: int, seed: int) -> float:
    """The mean of `measure` over random k-subsets of one stored pool, drawn without replacement.

    Raises:
        ConfigError: the pool is smaller than k, or k below 1.
    """
    if not 1 <= k <= len(pool):
        raise ConfigError(f"subsets of {k} out of {len(pool)}", hint="k from 1 to the pool's size")
    draw = random.Random(seed)
    return fmean(measure(draw.sample(pool, k)) for _ in range(draws))


def _quantile(ordered: Sequence[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _short(value: float) -> str:
    """Two digits behind the point, the nought before it left out: .26, 1.00, -.08."""
    text = f"{value:.2f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and text.lstrip("-").startswith("0.") else text
