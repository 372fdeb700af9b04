"""Whether the equations that an answer writes down are right: what can be said of a solution without knowing the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from ...core.extract import last_number
from ...core.task import Task
from ...core.text import one_line
from ...core.verdict import Verdict
from .arithmetic import LONGEST, Expression, read_expression

_STRETCH = re.compile(r"(?:[\d()+\-*/×·÷−=$ \t]|[.,](?=\d)|\\times|\\cdot|\\div|\\\$|(?<=[\d) ])[xX](?= ?[\d($]))+")
"""The longest stretches of characters that equations are made of."""
_BULLET = re.compile(r"^[ \t]*[-*+] ")
_TIMES = re.compile(r"\\times|\\cdot|[xX]")


@dataclass(frozen=True)
class Equation:
    """Two sides that the text says are equal, at least one of them a calculation."""

    text: str
    begin: int
    """Where in the answer its stretch begins."""
    right: bool


def equations_hold(task: Task, text: str) -> Verdict:
    """Passes an answer with a number whose equations are all right, rounding allowed. One without equations is not judged."""
    if last_number(text) is None:
        return Verdict.failed("there is no number in the answer", reason="no_answer")
    found = list(equations(text))
    if not found:
        return Verdict.abstain("no_equation", "there is no equation to check")
    wrong = [equation for equation in found if not equation.right]
    if not wrong:
        return Verdict.passed(evidence={"equations": len(found)})
    return Verdict.failed(
        "; ".join(f"{equation.text} is not right" for equation in wrong[:3]),
        score=1 - len(wrong) / len(found),
        reason="arithmetic",
        evidence={"equations": len(found), "wrong": len(wrong)},
        valid_prefix=text.rfind("\n", 0, wrong[0].begin) + 1,
    )


def equations(text: str) -> Iterator[Equation]:
    """The equations between numbers in a text. What is not understood, such as `20% of 50 = 10`, is passed over."""
    for stretch in _STRETCH.finditer(text):
        if "=" not in stretch.group():
            continue
        sides = _sides(text, stretch.start(), stretch.end())
        read = [read_expression(side) for side in sides]
        for left, a, right, b in zip(sides, read, sides[1:], read[1:], strict=False):
            if a is not None and b is not None and len(a.numbers) + len(b.numbers) > 2:
                yield Equation(one_line(f"{left} = {right}"), stretch.start(), _equal(left, a, right, b))


def _sides(text: str, begin: int, end: int) -> list[str]:
    """What stands between the equals signs of a stretch; empty for a side that is a part of something longer."""
    before, stretch, after = text[begin - 1 : begin], text[begin:end], text[end : end + 2]
    at_line_start = before in ("", "\n")
    sides = [_plain(side) for side in (_BULLET.sub("", stretch) if at_line_start else stretch).split("=")]
    tied = not stretch[0].isspace() or sides[0][:1] in ("+", "-", "*", "/") or before == "^"
    if not at_line_start and tied and (before.isalnum() or before in tuple("%_})]^")):
        sides[0] = ""  # `16 eggs - 3 = 13`, `x2 * 3 = 6`
    if after.startswith(("%", "\\%", "^", "_", "{")) or (after[:1].isalnum() and not stretch[-1].isspace()):
        sides[-1] = ""  # `1 / 5 = 20%`, `2 * 3 = 6y`
    return sides


def _plain(side: str) -> str:
    """A side of an equation as plain arithmetic, without brackets that open or close elsewhere; empty if it is too long."""
    if len(side) > 2 * LONGEST:
        return ""
    side = _TIMES.sub("*", side.replace("\\div", "/")).replace("\\", "").replace("$", "").replace(",", "").strip()
    side = side.removeprefix("**").removesuffix("**").strip()  # Bold print.
    while side.startswith("(") and side.count("(") > side.count(")"):
        side = side[1:].strip()
    while side.endswith(")") and side.count(")") > side.count("("):
        side = side[:-1].strip()
    return side


def _equal(left: str, a: Expression, right: str, b: Expression) -> bool:
    """Equal, or equal once the calculation is rounded as the number on the other side is written."""
    if a.value == b.value:
        return True
    rounded = [side for side, one in ((left, a), (right, b)) if len(one.numbers) == 1]
    decimals = len(rounded[0].partition(".")[2]) if rounded else None
    return decimals is not None and abs(a.value - b.value) <= Fraction(1, 2 * 10**decimals)
