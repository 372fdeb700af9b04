"""How answers to ProcBench are read and judged: prefix metrics, the grader by them, and the verifier that does the steps itself.

Positions of an answer are its numbered lines. A line whose number is not the next one is a wrong state; other lines are passed
over. A state matches by the type of the right one: a text literally, a number by value, a list item by item as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ...core.task import Task
from ...core.text import one_line
from ...core.verdict import Verdict
from .procbench_steps import State
from .procbench_tasks import PROCEDURES
from .procbench_text import shown_line

_LINE = re.compile(r"^[ \t]*(\d{1,4})[.):]([^\n]*)\n?", re.MULTILINE)
_QUOTES = "\"'`"


@dataclass(frozen=True)
class Line:
    """One numbered line of an answer."""

    text: str | None
    """What follows the number; None if the number is not the next one."""
    end: int
    """Where the line ends in the answer, its line break included."""


@dataclass(frozen=True)
class Metrics:
    """How far a list of states agrees with the right one."""

    matching: int
    """Leading positions that match (PML)."""
    accuracy: float
    """Prefix accuracy (PA): leading positions that match, by the longer length."""
    whole: bool
    """Sequential match (SM): all positions match, and there are no more."""
    final: bool
    """Final match (FM): the last states match, whatever comes before."""


def numbered_lines(text: str) -> list[Line]:
    """The numbered lines of an answer."""
    found = enumerate(_LINE.finditer(text), start=1)
    return [Line(match[2].strip() if int(match[1]) == number else None, match.end()) for number, match in found]


def matches(right: State, given: str | None) -> bool:
    """Whether a line says a state."""
    if given is None:
        return False
    if isinstance(right, list):
        items = [str(item) for item in cast("list[object]", right)]
        return bool(items) and items == [part.strip().strip(_QUOTES) for part in _without_brackets(given).split(",")]
    if isinstance(right, str):
        return right == given.strip(_QUOTES)
    try:
        return int(given) == right
    except ValueError:
        return False


def _without_brackets(text: str) -> str:
    return text[1:-1] if text[:1] + text[-1:] in ("[]", "()") else text


def measure(right: Sequence[State], given: Sequence[str | None]) -> Metrics:
    """Compare the states that an answer says with the right ones. Both lists count with the final state as their last."""
    pairs = list(zip(right, given, strict=False))
    matching = next((i for i, pair in enumerate(pairs) if not matches(*pair)), len(pairs))
    longer = max(len(right), len(given))
    return Metrics(
        matching=matching,
        accuracy=matching / longer if longer else 0.0,
        whole=bool(longer) and matching == longer,
        final=bool(right and given) and matches(right[-1], given[-1]),
    )


def procbench_grade(task: Task, text: str) -> Verdict:
    """Passes if every state is that of the reference and there are no more; the score is the prefix accuracy."""
    reference = cast("Mapping[str, Any]", task.reference)
    right: list[State] = [*reference["intermediate"], reference["final"]]
    lines = numbered_lines(text)
    found = measure(right, [line.text for line in lines])
    evidence = {"pml": found.matching, "pa": found.accuracy, "sm": int(found.whole), "fm": int(found.final), "lines": len(lines)}
    if found.whole:
        return Verdict.passed(evidence=evidence)
    said = f"{found.matching} of {len(right)} steps are right before the first wrong one"
    return Verdict.failed(said, score=found.accuracy, reason="mismatch" if lines else "no_answer", evidence=evidence)


def procbench_check(task: Task, text: str) -> Verdict:
    """Does each step from the state before it and compares: says the first wrong step, and keeps what comes before it."""
    inputs = cast("Mapping[str, Any]", task.context["inputs"])
    right = PROCEDURES[cast("str", task.context["procedure"])].states(dict(inputs))
    lines = numbered_lines(text)
    if not lines:
        return Verdict.failed("there are no numbered lines", reason="no_answer", valid_prefix=0)
    found = measure(right, [line.text for line in lines])
    if found.whole:
        return Verdict.passed(valid_prefix=len(text))
    good = found.matching
    kept = lines[good - 1].end if good else 0
    return Verdict.failed(
        _problem(right, lines, good),
        score=found.accuracy,
        reason="wrong_step" if good < min(len(lines), len(right)) else "length",
        evidence={"right_steps": good, "steps": len(right), "lines": len(lines)},
        valid_prefix=kept,
    )


def _problem(right: Sequence[State], lines: Sequence[Line], good: int) -> str:
    if good == len(right):
        return f"the procedure ends after step {good}, and the answer goes on"
    before = f"the state after step {good} is right: {one_line(shown_line(right[good - 1]), 200)}" if good else "no step is right"
    if good == len(lines):
        return f"steps are missing: the answer ends after step {good}, but the procedure does not"
    given = lines[good].text
    wrong = "a line has the wrong number" if given is None else f"step {good + 1} is wrong: {one_line(given, 200)}"
    return f"{wrong}; {before}"
