"""Numbers that reward models give, checked where they come in: what is no finite number never goes further."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.errors import GenerationFailed

_MOST_CLASSES = 1000


def numbers(value: object, *, where: str) -> tuple[float, ...]:
    """A flat list of finite numbers, at least one.

    Raises:
        GenerationFailed: it is none. Asked again, the model would give the same.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not 1 <= len(value) <= _MOST_CLASSES:  # pyright: ignore[reportUnknownArgumentType]
        raise bad_reward(f"{where} is no list of numbers")
    return tuple(number(entry, where=where) for entry in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def number(value: object, *, where: str) -> float:
    """A finite number.

    Raises:
        GenerationFailed: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad_reward(f"{where} holds what is no finite number")
    return float(value)


def bad_reward(why: str) -> GenerationFailed:
    """The model answered, but with no reward."""
    return GenerationFailed(f"there is no reward to be read: {why}", code="bad_reward", hint="is it a reward model?")


def sigmoid(value: float) -> float:
    """A number from the whole line as one between 0 and 1."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    power = math.exp(value)
    return power / (1 + power)


def activated(values: Sequence[float]) -> tuple[float, ...]:
    """Outputs as probabilities: of one its sigmoid, of several their softmax."""
    if len(values) == 1:
        return (sigmoid(values[0]),)
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return tuple(power / sum(powers) for power in powers)
