"""Grader and verifier of the Game of 24. Whether an expression is right can be said without a reference, so both say the same."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from typing import cast

from ...core.task import Task
from ...core.verdict import Verdict
from .arithmetic import read_expression

TARGET = 24
_MARK = re.compile(r"answer\s*:", re.IGNORECASE)


def game24_grade(task: Task, text: str) -> Verdict:
    """Passes an expression with the puzzle's numbers, each once, that gives the reference."""
    return _judged(text, cast("list[int]", task.context["numbers"]), cast("int", task.reference))


def game24_check(task: Task, text: str) -> Verdict:
    """The same from what the puzzle says alone: its numbers, and that 24 is to be reached."""
    return _judged(text, cast("list[int]", task.context["numbers"]), TARGET)


def _judged(text: str, numbers: list[int], target: int) -> Verdict:
    found = read_expression(expression_text(text))
    if found is None:
        return Verdict.failed("there is no expression of numbers, + - * / and brackets", reason="no_answer")
    if not found.whole or Counter(found.numbers) != Counter(map(Fraction, numbers)):
        return Verdict.failed(f"the expression does not use {numbers} once each", reason="numbers")
    if found.value != target:
        return Verdict.failed(f"the expression gives {found.value}, not {target}", reason="mismatch")
    return Verdict.passed()


def expression_text(text: str) -> str:
    """Of the last line what follows `Answer:`, up to the equals sign, without the marks of Markdown and LaTeX around it."""
    line = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    return _MARK.split(line)[-1].partition("=")[0].strip(" \t`$*.")
