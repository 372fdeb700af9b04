"""Equality of a number with the expected one, within a tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.extract import answer_key, boxed, extractor, last_number
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from .answers import need_reference, no_reference

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """Passes a number within `abs_tol` or `rel_tol` of the expected one, whichever allows more."""

    name: ClassVar[str] = "numeric"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = True

    expected: float | None = None
    """The right number; None takes the task's reference."""
    abs_tol: float = 1e-9
    """Largest difference allowed."""
    rel_tol: float = 1e-9
    """Largest difference allowed, as a share of the expected number."""
    extract: str = ""
    """Name of the extractor that reads the number; empty for the last \\boxed{...}, else the last number."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        for name in ("abs_tol", "rel_tol"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"numeric: {name} is {getattr(self, name)}", hint="a number, 0 or more")
        if self.expected is not None and _number(self.expected) is None:
            raise ConfigError(f"numeric: expected is {self.expected}", hint="a finite number")
        if self.extract:
            extractor(self.extract)

    def check(self, task: Task) -> None:
        """Refuse a task whose reference is missing or no number."""
        if self.expected is not None:
            return
        need_reference(task, self.name)
        if _number(task.reference) is None:
            raise ConfigError(f"the reference of task {task.id} is no number", hint="the numeric verifier needs one")

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        expected = _number(task.reference if self.expected is None else self.expected)
        if expected is None:
            return no_reference()
        extract = extractor(self.extract) if self.extract else _boxed_or_last
        key = answer_key(extract, candidate.text, truncated=candidate.truncated)
        found = None if key is None else _number(key)
        if key is None or found is None:
            return Verdict.failed("no number could be read from the text", reason="no_answer")
        evidence = {"number": one_line(key, 500)}
        if abs(found - expected) <= max(Fraction(self.abs_tol), Fraction(self.rel_tol) * abs(expected)):
            return Verdict.passed(evidence=evidence)
        return Verdict.failed("the number is not right", reason="mismatch", evidence=evidence)


def _boxed_or_last(text: str) -> str | None:
    inside = boxed(text)
    return last_number(text if inside is None else inside)


def _number(value: Json) -> Fraction | None:
    """A number, or text that holds one, exactly; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    key = last_number(value) if isinstance(value, str) else repr(value)
    try:
        return Fraction(Decimal(key)) if key is not None else None
    except (InvalidOperation, OverflowError, ValueError):
        return None
