"""The most that a run of a built-in graph can ask of the model, by its settings alone.

A bound, not a forecast: searches that stop at a pass, and answers that end before their limit, stay below it. Graphs whose
loops are ended by what comes out have none, nor has one whose verifier asks the model as well.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

from ..core.budget import Budget
from ..core.task import Task
from ..verifiers.registry import make_verifier
from .settings import (
    BeamSettings,
    BestOfNSettings,
    DrawSettings,
    MajoritySettings,
    RebaseSettings,
    SamplingSettings,
    SearchSettings,
    StepSettings,
    TreeOfThoughtSettings,
    WorthwhileSettings,
)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that a run can use. None where nothing bounds it."""

    calls: int | None = None
    """Model calls."""
    output_tokens: int | None = None
    """Generated tokens."""
    tokens: int | None = None
    """Prompt and generated tokens together. Only a budget bounds them: prompts are counted by a model that is loaded."""
    usd: float | None = None


def bounds(settings: SamplingSettings | None, task: Task, budget: Budget) -> Bounds:
    """What bounds a run: its settings, where they are those of a built-in graph, and its budget."""
    calls = None if settings is None or _judge_asks(settings, task) else _calls(settings)
    return Bounds(
        calls=_least(calls, budget.calls),
        output_tokens=_least(None if calls is None else calls * _each(settings, task), budget.output_tokens, budget.tokens),
        tokens=budget.tokens,
        usd=budget.usd,
    )


def verifier_of(settings: SamplingSettings | None, task: Task) -> object:
    """What judges the candidates of a task, as it is described; None for nothing, or where the graph decides by itself."""
    if isinstance(settings, SearchSettings):
        return task.verifier if settings.verifier == "task" else settings.verifier
    return None


def _calls(settings: SamplingSettings) -> int | None:
    match settings:
        case BestOfNSettings() | MajoritySettings() | DrawSettings() | WorthwhileSettings():
            return settings.n
        case TreeOfThoughtSettings():
            return settings.nodes
        case RebaseSettings():
            return settings.n * settings.depth
        case BeamSettings():
            return settings.total_width * settings.depth
        case _:
            return 1 if type(settings) is SearchSettings else None


def _each(settings: SamplingSettings | None, task: Task) -> int:
    """The most tokens of one call."""
    if isinstance(settings, StepSettings):
        return settings.step_tokens
    given = task.sampling.get("max_tokens")
    most = settings.max_tokens if settings else 0
    return given if isinstance(given, int) else most


def _judge_asks(settings: SamplingSettings, task: Task) -> bool:
    return any(spec is not None and _asks(make_verifier(spec)) for spec in (verifier_of(settings, task), task.grader))


def _asks(verifier: object) -> bool:
    """Whether a verifier may call the model: all may that are not on the floor that cannot, and those that hold such a one."""
    if type(verifier).__module__.split(".")[-2:-1] != ["verifiers"]:
        return True
    names = [f.name for f in dataclasses.fields(cast("Any", verifier))] if dataclasses.is_dataclass(verifier) else []
    inner = [part for name in names if name in ("verifier", "verifiers") for part in _parts(getattr(verifier, name))]
    return any(_asks(part) for part in inner)


def _parts(value: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)
