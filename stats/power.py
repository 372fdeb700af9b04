"""What a comparison can show, said before it runs.

Normal approximations, for a two-sided test: how many tasks a difference needs, and the smallest difference that so many
tasks with so many runs each can show. Further runs of a task average away only what varies from run to run.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from ..core.errors import ConfigError

DISCORDANT = 0.2
"""Share of tasks on which two related methods typically differ; assumed where nothing is known."""
RUN_SHARE = 0.5
"""Share of the variance of a task's score that comes from run to run; assumed where nothing is known."""


def needed_tasks(difference: float, *, discordant: float = DISCORDANT, power: float = 0.8, level: float = 0.05) -> int:
    """Tasks that a paired comparison of one run each needs to show a difference in the share solved.

    `discordant` is the share of tasks that exactly one of the methods solves.

    Raises:
        ConfigError: a difference of 0, or one larger than the discordant share, or no shares.
    """
    d = abs(difference)
    if not 0 < d <= discordant <= 1:
        raise ConfigError(
            f"a difference of {difference} with {discordant} of the tasks discordant",
            hint="above 0, and at most the discordant share, since those tasks make it",
        )
    return math.ceil(_quantiles(power, level) * (discordant - d * d) / (d * d))


def needed_tasks_unpaired(difference: float, *, share: float = 0.5, power: float = 0.8, level: float = 0.05) -> int:
    """Tasks that each of two methods needs on task sets of their own, the first solving `share` of them.

    Raises:
        ConfigError: a difference of 0, or one that leads out of [0, 1].
    """
    if not difference or not 0 <= share <= 1 or not 0 <= share + difference <= 1:
        raise ConfigError(f"a difference of {difference} from a share of {share}", hint="not 0, and both shares in [0, 1]")
    return math.ceil(_quantiles(power, level) * _variances(share, difference) / difference**2)


def smallest_difference(
    tasks: int,
    *,
    runs: int = 1,
    discordant: float = DISCORDANT,
    run_share: float = RUN_SHARE,
    power: float = 0.8,
    level: float = 0.05,
) -> float:
    """The smallest difference that a paired comparison on so many tasks with so many runs each can show.

    A difference makes at least as many tasks discordant: where the answer would exceed `discordant`, it is the
    smallest difference that is the whole of the discordant share.

    Raises:
        ConfigError: no tasks or runs, or no shares.
    """
    if not 0 < discordant <= 1:
        raise ConfigError(f"{discordant} of the tasks are discordant", hint="a share above 0 and at most 1")
    v = _quantiles(power, level) * _after_runs(tasks, runs, run_share)
    found = math.sqrt(v * discordant / (tasks + v))
    return found if found <= discordant else v / (tasks + v)


def smallest_difference_unpaired(
    tasks: int,
    *,
    runs: int = 1,
    share: float = 0.5,
    run_share: float = RUN_SHARE,
    power: float = 0.8,
    level: float = 0.05,
) -> float | None:
    """The smallest rise above `share` that two task sets of so many tasks each can show; None if not even all solved does.

    Raises:
        ConfigError: no tasks or runs, or no shares.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"a rise above a share of {share}", hint="a share of at least 0 and below 1")
    v = _quantiles(power, level) * _after_runs(tasks, runs, run_share)

    def shown(d: float) -> bool:
        return tasks * d * d >= v * _variances(share, d)

    low, high = 0.0, 1 - share
    if not shown(high):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def power_sentence(tasks: int, *, runs: int = 1, discordant: float = DISCORDANT, power: float = 0.8, level: float = 0.05) -> str:
    """What to print before a paired comparison: what it can show, and what that assumes."""
    found = smallest_difference(tasks, runs=runs, discordant=discordant, power=power, level=level)
    each = "1 run" if runs == 1 else f"{runs} runs"
    spread = "" if runs == 1 else f" and vary by {RUN_SHARE:.0%} from run to run"
    return (
        f"{tasks} tasks with {each} each can show a difference of about {100 * found:.0f} points or more"
        f" (power {power:.0%}, two-sided {level:.0%}, if the methods differ on {discordant:.0%} of the tasks{spread})"
    )


def _quantiles(power: float, level: float) -> float:
    """The square of the summed normal quantiles, 7.85 for 80 % and 5 %."""
    if not 0 < level < power < 1:
        raise ConfigError(f"a power of {power} at a level of {level}", hint="0 < level < power < 1, as 0.8 and 0.05")
    normal = NormalDist()
    return (normal.inv_cdf(1 - level / 2) + normal.inv_cdf(power)) ** 2


def _after_runs(tasks: int, runs: int, run_share: float) -> float:
    """How much of a task's variance is left when its runs are averaged: that of one run is 1."""
    if tasks < 1 or runs < 1 or not 0 <= run_share <= 1:
        raise ConfigError(
            f"{tasks} tasks with {runs} runs each, {run_share} of the variance between runs",
            hint="at least one task and one run, and a share in [0, 1]",
        )
    return 1 - run_share + run_share / runs


def _variances(share: float, difference: float) -> float:
    other = share + difference
    return share * (1 - share) + other * (1 - other)
