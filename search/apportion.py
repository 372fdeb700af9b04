"""Sharing a whole number out by weights so that nothing is lost and nothing is added."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.errors import ConfigError

_SLACK = 1e-9
"""What rounding errors may add to a share before it counts as a larger one."""


def balanced(values: Sequence[float], balance: float) -> list[float]:
    """Weights exp(value / balance), the largest of them 1: the smaller `balance`, the more the best ones get."""
    if not balance > 0:
        raise ConfigError(f"balance is {balance}", hint="a number above 0; the published values are 0.1 and 0.2")
    most = max(values, default=0.0)
    # The maximum goes first: exp(1 / 0.001) alone would overflow.
    return [math.exp((v - most) / balance) for v in values]


def apportion(weights: Sequence[float], total: int) -> list[int]:
    """Whole shares of `total` in proportion to the weights; they always sum to `total` if there is any weight at all.

    The sequential ceiling of REBASE's published code: from the heaviest on, the earlier of equals first, each gets the ceiling
    of its share of what is left. Rounding each share by itself instead loses or adds some: 8 equal weights and a total of 3
    round to nothing. Weights that are all 0 count as equal.

    Raises:
        ConfigError: a weight that is negative or no number.
    """
    if any(not (math.isfinite(w) and w >= 0) for w in weights):
        raise ConfigError(f"weights are {list(weights)}", hint="finite numbers, 0 or more")
    shares = [0] * len(weights)
    if total < 1 or not weights:
        return shares
    most = max(weights)
    weights = [w / most if most else 1.0 for w in weights]
    order = sorted(range(len(weights)), key=lambda i: -weights[i])
    behind = _sums_behind([weights[i] for i in order])
    left = total
    for place, i in enumerate(order):
        share = left if not behind[place] else math.ceil(left * (weights[i] / (weights[i] + behind[place])) - _SLACK)
        shares[i] = min(share, left)
        left -= shares[i]
    return shares


def _sums_behind(weights: Sequence[float]) -> list[float]:
    """For each weight the sum of those behind it. Added up from the end: subtracting would pile up rounding errors."""
    sums, so_far = list[float](), 0.0
    for weight in reversed(weights):
        sums.append(so_far)
        so_far += weight
    return sums[::-1]
