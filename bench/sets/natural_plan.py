"""NATURAL PLAN: meetings in calendars, trips through cities, days with friends; 100 tasks of each, with their constraints.

The prompt is the zero-shot one, with the form of the answer added: without it, or the five worked examples, a right answer in
other words counts as wrong. The grader follows the published rules; the verifier sees the constraints only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...core.errors import ConfigError
from ...core.ids import Json
from ...core.task import Task
from ...core.text import one_line
from .functions import grader, verifier
from .graders_natural_plan import SLOT, calendar_grade, meeting_grade, minutes, trip_grade
from .natural_plan_checks import calendar_check, meeting_check, trip_check
from .natural_plan_constraints import calendar_constraints, meeting_constraints, trip_constraints
from .registry import TaskSet
from .rows import Row


@dataclass(frozen=True, kw_only=True)
class _Family:
    file: str
    """Its data file; the constraints lie in one beside it."""
    form: str
    """What is said of the answer's form."""
    reference: Callable[[Row], Json]
    constraints: Callable[[Row, Row], dict[str, Any]]
    """What a plan must keep to, from the entry of the constraints file and that of the data file."""
    grade: Callable[..., object]
    check: Callable[..., object]
    size: str = "num_people"
    """The field that says how large a task is."""
    max_tokens: int = 1024
    judges_truncated: bool = True
    """Whether an answer that was cut off is judged: where a plan may be whole, or a beginning of it right."""


_CALENDAR_FORM = """\
End your answer with one line of this form, with 24-hour times such as 9:00 or 14:30:
SOLUTION: Here is the proposed time: DAY, H:MM - H:MM"""
_TRIP_FORM = """\
The day of a flight counts for both cities. End your answer with the plan, in this form:
SOLUTION:
Here is the trip plan for visiting the N European cities for M days:

**Day 1-A:** Arriving in CITY and visit CITY for A days.
**Day A:** Fly from CITY to CITY.
**Day A-B:** Visit CITY for K days.
**Day B:** Fly from CITY to CITY.
(and so on, to the last day)"""
_MEETING_FORM = """\
Write the plan in sentences of these forms:
SOLUTION: You start at PLACE at H:MMAM. You travel to PLACE in N minutes and arrive at H:MMAM. You wait until H:MMPM. \
You meet NAME for N minutes from H:MMPM to H:MMPM."""


def _calendar_reference(row: Row) -> Json:
    if not SLOT.search(row.text("golden_plan")):
        raise row.error("'golden_plan' has no slot")
    return row.text("golden_plan").strip()


def _trip_reference(row: Row) -> Json:
    cities, days = (row.text(name).split("**") for name in ("cities", "durations"))
    if len(cities) != len(days) or not all(day.isdecimal() for day in days):
        raise row.error("'cities' and 'durations' do not fit together")
    return {"cities": cities, "days": [int(day) for day in days]}


def _meeting_reference(row: Row) -> Json:
    plan, friends, ways = (row.values.get(name) for name in ("golden_plan", "constraints", "dist_matrix"))
    try:
        (place, time), *others = cast("list[Any]", friends)
        minutes(time)
        for name, where, window, length in others:
            if not (isinstance(name, str) and isinstance(length, int)):
                raise ValueError
            if len([minutes(part) for part in window.split(" to ")]) != 2 or where not in cast("dict[str, Any]", ways):
                raise ValueError
        if not isinstance(plan, list) or place not in cast("dict[str, Any]", ways):
            raise ValueError
    except (AttributeError, TypeError, ValueError):
        raise row.error("'golden_plan', 'constraints' or 'dist_matrix' is not as it should be") from None
    return {"plan": [str(step) for step in cast("list[object]", plan)], "constraints": cast("Json", friends), "dist_matrix": ways}


FAMILIES = {
    "calendar": _Family(
        file="calendar_scheduling_100",
        form=_CALENDAR_FORM,
        reference=_calendar_reference,
        constraints=calendar_constraints,
        grade=calendar_grade,
        check=calendar_check,
        max_tokens=512,
        judges_truncated=False,
    ),
    "meeting": _Family(
        file="meeting_planning_100",
        form=_MEETING_FORM,
        reference=_meeting_reference,
        constraints=meeting_constraints,
        grade=meeting_grade,
        check=meeting_check,
    ),
    "trip": _Family(
        file="trip_planning_100",
        form=_TRIP_FORM,
        reference=_trip_reference,
        constraints=trip_constraints,
        grade=trip_grade,
        check=trip_check,
        size="num_cities",
    ),
}
"""The three kinds of tasks."""


def load(folder: Path | None, seed: int) -> list[Task]:
    """The tasks of the three files, in the order of the files."""
    assert folder is not None
    return [task for name, family in FAMILIES.items() for task in _tasks(folder, name, family)]


def _tasks(folder: Path, name: str, family: _Family) -> list[Task]:
    rows, constraints = (_rows(folder / f"{family.file}{end}.json") for end in ("", "_constraints"))
    if missing := [key for key in rows if key not in constraints]:
        raise rows[missing[0]].error(f"{family.file}_constraints.json has no entry of this name")
    return [_task(name, family, key, row, constraints[key]) for key, row in rows.items()]


def _task(name: str, family: _Family, key: str, row: Row, constraints: Row) -> Task:
    text = row.text("prompt_0shot")
    # The calendar's prompt announces examples that are not there, and ends in the mark that the form brings.
    question = text.partition("TASK:")[2].strip() if "TASK:" in text else text.strip()
    question = question.removesuffix("SOLUTION:").strip()
    cut: dict[str, Json] = {"judges_truncated": family.judges_truncated}
    return Task(
        prompt=f"{question}\n\n{family.form}",
        id=f"natural_plan/{name}/{key.rpartition('_')[2]}",
        reference=family.reference(row),
        context={"constraints": family.constraints(constraints, row)},
        grader={**grader(family.grade), **cut},
        verifier={**verifier(family.check), **cut},
        extract="words",
        sampling={"max_tokens": family.max_tokens},
        metadata={
            "set": "natural_plan",
            "family": name,
            "size": str(row.values.get(family.size, "")),
            "prompt": "0-shot with form",
        },
    )


def _rows(path: Path) -> dict[str, Row]:
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        said = one_line(f"{path.name} cannot be read: {e}", 200)
        raise ConfigError(said, hint="take the file as its source publishes it") from None
    if not isinstance(found, dict):
        raise Row(path.name, {}).error("no object of examples")
    rows: dict[str, Row] = {}
    for key, value in cast("dict[str, object]", found).items():
        row = Row(f"{path.name}, {one_line(key)}", cast("Mapping[str, Any]", value) if isinstance(value, dict) else {})
        if not row.values:
            raise row.error("no object")
        rows[key] = row
    return rows


NATURAL_PLAN = TaskSet(
    name="natural_plan",
    about="planning in plain language: a slot for a meeting, a trip by direct flights, a day with as many friends as possible",
    source="github rikhil-amonkar/calendar-planning, commit 2da0e0a: 100 each of google-deepmind/natural-plan, with constraints",
    licence="CC BY 4.0 (DeepMind) for the data, MIT for the constraint files",
    needs_data=True,
    size=300,
    load=load,
    folder="natural_plan_100",
    files=tuple(f"{family.file}{end}.json" for family in FAMILIES.values() for end in ("", "_constraints")),
)
"""The subset of 100 tasks of each kind."""
