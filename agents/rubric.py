"""A rubric: what answers are judged by, as data. Criteria with weights, scored on one scale; here, and nowhere else, the
scores become one number in [0, 1].

    {"criteria": [{"name": "correct", "description": "The result is right.", "weight": 2}],
     "scale": [1, 5], "levels": {"1": "wrong", "5": "entirely right"}}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError
from ..core.ids import Json, json_hash
from ..core.task import Task
from ..core.text import one_line

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,39}")
_MOST_CRITERIA, _WIDEST = 20, 100
_EXAMPLE = '{"criteria": [{"name": "correct", "description": "The result is right.", "weight": 2}], "scale": [1, 5]}'
_FIELDS = ("criteria", "scale", "levels")


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One thing to look at."""

    name: str
    description: str = ""
    weight: float = 1.0
    """Its share in the whole, relative to the others."""


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """Criteria and the scale on which each is scored."""

    criteria: tuple[Criterion, ...]
    worst: int = 1
    best: int = 5
    levels: Mapping[int, str] = field(default_factory=dict[int, str])
    """What scores mean; need not name all of them."""

    @property
    def scores(self) -> range:
        """Every score of the scale, from the worst."""
        return range(self.worst, self.best + 1)

    def unit(self, scores: Mapping[str, float]) -> float:
        """The weighted mean of the criteria's scores, from 0 (all worst) to 1 (all best)."""
        total = sum(c.weight for c in self.criteria)
        mean = sum(c.weight / total * (scores[c.name] - self.worst) for c in self.criteria) / (self.best - self.worst)
        return min(1.0, max(0.0, mean))

    def text(self) -> str:
        """As a judge reads it."""
        lines = [f"- {c.name}" + (f": {one_line(c.description, 1000)}" if c.description else "") for c in self.criteria]
        lines.append(f"Each is scored with one integer from {self.worst} (worst) to {self.best} (best).")
        lines += [f"{score} means: {one_line(self.levels[score], 500)}" for score in self.scores if score in self.levels]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Json]:
        """The form that is written in files."""
        criteria: list[Json] = [{"name": c.name, "description": c.description, "weight": c.weight} for c in self.criteria]
        levels: dict[str, Json] = {str(score): text for score, text in sorted(self.levels.items())}
        return {"criteria": criteria, "scale": [self.worst, self.best], "levels": levels}

    @property
    def hash(self) -> str:
        """Tells rubrics apart."""
        return json_hash(self.to_json())[:8]


def read_rubric(value: Mapping[str, Any] | str, *, where: str) -> Rubric:
    """A rubric from its JSON form, or from the file that holds it.

    Raises:
        ConfigError: it is none; the message begins with `where`.
    """
    found: object = _from_file(value, where) if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: the rubric is no object", hint=_EXAMPLE)
    rubric = cast("Mapping[str, Any]", found)
    if unknown := sorted(map(str, rubric.keys() - set(_FIELDS))):
        raise ConfigError(f"{where}: the rubric has no {', '.join(unknown)}", hint=f"its fields: {', '.join(_FIELDS)}")
    worst, best = _scale(rubric.get("scale", [1, 5]), where)
    return Rubric(
        criteria=_criteria(rubric.get("criteria"), where),
        worst=worst,
        best=best,
        levels=_levels(rubric.get("levels", {}), worst, best, where),
    )


def rubric_of_task(task: Task) -> Rubric | None:
    """The rubric that a task brings along in `metadata["rubric"]`; None if it brings none.

    Raises:
        ConfigError: it is no rubric. A task cannot name a file.
    """
    given = task.metadata.get("rubric")
    if given is None:
        return None
    where = f"the task {task.id}"
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where}: metadata.rubric is no object", hint=_EXAMPLE)
    return read_rubric(given, where=where)


def _criteria(value: object, where: str) -> tuple[Criterion, ...]:
    entries = cast("Sequence[object]", value if isinstance(value, list | tuple) else ())
    if not 1 <= len(entries) <= _MOST_CRITERIA:
        raise ConfigError(f"{where}: criteria is no list of 1 to {_MOST_CRITERIA} criteria", hint=_EXAMPLE)
    found = [_criterion(entry, where) for entry in entries]
    if len({c.name.casefold() for c in found}) < len(found):
        raise ConfigError(f"{where}: two criteria have one name", hint="give each its own")
    return tuple(found)


def _criterion(value: object, where: str) -> Criterion:
    entry = cast("Mapping[str, object]", value if isinstance(value, Mapping) else {"name": value})
    if unknown := sorted(map(str, entry.keys() - {"name", "description", "weight"})):
        raise ConfigError(f"{where}: a criterion has no {', '.join(unknown)}", hint=_EXAMPLE)
    name, description, weight = entry.get("name"), entry.get("description", ""), entry.get("weight", 1.0)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: a criterion's name is {one_line(repr(name), 60)}", hint="a letter, then up to 39 letters, digits, spaces"
        )
    if not isinstance(description, str):
        raise ConfigError(f"{where}: the description of {name} is no text", hint=_EXAMPLE)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
        raise ConfigError(f"{where}: the weight of {name} is {one_line(repr(weight), 40)}", hint="a number above 0")
    return Criterion(name=name, description=description, weight=float(weight))


def _scale(value: object, where: str) -> tuple[int, int]:
    ends: list[object] = [*cast("Sequence[object]", value)] if isinstance(value, list | tuple) else [value]
    match [end for end in ends if isinstance(end, int) and not isinstance(end, bool)]:
        case [worst, best] if len(ends) == 2 and 0 < best - worst <= _WIDEST and abs(worst) <= 1000:
            return worst, best
        case _:
            hint = f"the worst and the best score, two integers at most {_WIDEST} apart: [1, 5]"
            raise ConfigError(f"{where}: scale is {one_line(repr(ends), 60)}", hint=hint)


def _levels(value: object, worst: int, best: int, where: str) -> Mapping[int, str]:
    known = {str(score): score for score in range(worst, best + 1)}
    entries = cast("Mapping[object, object]", value if isinstance(value, Mapping) else {"": ""})
    if not all(key in known and isinstance(text, str) for key, text in entries.items()):
        raise ConfigError(f"{where}: levels is no object from scores to texts", hint='{"1": "wrong", "5": "entirely right"}')
    return {known[str(key)]: str(text) for key, text in entries.items()}


def _from_file(path: str, where: str) -> object:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"{where}: cannot read the rubric {path}: {e.strerror}", hint="a rubric, or a file with one") from None
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"{where}: {path} holds no JSON: {one_line(str(e), 200)}", hint=_EXAMPLE) from None


DEFAULT = Rubric(
    criteria=(
        Criterion(name="correct", description="What the answer says is right, and it follows from the problem.", weight=3),
        Criterion(name="complete", description="Everything that the problem asks for is there, in the form that it asks for."),
        Criterion(name="clear", description="Nothing in it misleads, contradicts itself, or does not belong to the matter."),
    ),
    levels={1: "not at all", 3: "partly", 5: "entirely"},
)
"""What answers are judged by where nobody says otherwise."""
