"""What the verification agent asks for: one integer for the whole plan, or a verdict on each constraint.

Both come to the same value, a score from -100 to 100 with the reasoning behind it; here, and nowhere else, it is
mapped to [0, 1].
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from ..core.ids import Json
from ..core.text import one_line
from .structured import Form, Unreadable, a_text, an_object, object_schema, read_json, without

WORST, BEST = -100, 100
"""The scale on which the model scores."""

_SCORE = re.compile(r"[\s>#*_`-]*score[\s*_`]*:(.*)", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,4}")

Holds: TypeAlias = Literal["true", "false", "unknown"]
_WORTH: dict[Holds, int] = {"true": BEST, "unknown": 0, "false": WORST}


def unit(score: int) -> float:
    """A score from -100 to 100 as one in [0, 1]."""
    return (score - WORST) / (BEST - WORST)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the model said of a plan."""

    score: int | None
    """From -100 to 100; None if it decided on no constraint."""
    feedback: str
    """The reasoning, or which constraints do not hold and why."""
    broken: bool = False
    """Whether a constraint certainly does not hold; then no score is a pass."""
    items: tuple[Json, ...] = ()
    """One entry for each constraint, in their order: `constraint`, `holds`, `reason`."""


def score_form(plan: str) -> Form[Judgement]:
    """Reasoning and one integer. `plan` is the fenced text, so that what the model repeats of it is not read."""

    def of_text(reply: str) -> Judgement:
        lines = without(reply, plan).splitlines()
        said = [match for line in lines if (match := _SCORE.fullmatch(line))]
        if not said:
            raise Unreadable("there is no line `Score: N`")
        written = said[-1].group(1).strip(" \t*_`.").replace("\N{MINUS SIGN}", "-")
        if not _INTEGER.fullmatch(written):
            raise Unreadable(f"the score {one_line(written, 40)!r} is no integer")
        reasoning = "\n".join(line for line in lines if not _SCORE.fullmatch(line))
        return Judgement(score=_in_range(int(written)), feedback=reasoning.strip())

    def of_json(value: object) -> Judgement:
        found = an_object(value, "reasoning", "score")
        score = found["score"]
        if isinstance(score, bool) or not isinstance(score, int):
            raise Unreadable("score is no integer")
        return Judgement(score=_in_range(score), feedback=a_text(found["reasoning"], "reasoning"))

    return Form(
        text=f"Write your reasoning, then as the very last line `Score: N`, where N is one integer from {WORST} to {BEST}.",
        of_text=of_text,
        json=f'Reply with a JSON object: "reasoning" is your reasoning as a text, "score" one integer from {WORST} to {BEST}.',
        of_json=of_json,
        schema=object_schema({"reasoning": {"type": "string"}, "score": {"type": "integer", "minimum": WORST, "maximum": BEST}}),
    )


def items_form(constraints: Sequence[str]) -> Form[Judgement]:
    """A verdict on each constraint. The score is their mean: 100 if it holds, 0 if unknown, -100 if it does not."""

    def of_json(value: object) -> Judgement:
        rows = cast("dict[str, object]", value).get("verdicts") if isinstance(value, dict) else value
        return _judgement(constraints, _holding(rows, len(constraints)))

    entry = object_schema(
        {
            "constraint": {"type": "integer", "minimum": 1, "maximum": len(constraints)},
            "reason": {"type": "string"},
            "holds": {"type": "string", "enum": list(_WORTH)},
        }
    )
    rows = {"type": "array", "items": entry, "minItems": len(constraints), "maxItems": len(constraints)}
    each = '{"constraint": its number, "reason": one sentence, "holds": "true", "false" or "unknown"}'
    every = f"one entry for each of the {len(constraints)} constraints: {each}"
    return Form(
        text=f"Reply with a JSON list and nothing else, {every}.",
        of_text=lambda reply: of_json(read_json(reply)),
        json=f'Reply with a JSON object whose member "verdicts" is a list, {every}.',
        of_json=of_json,
        schema=object_schema({"verdicts": rows}),
    )


def _holding(rows: object, count: int) -> list[tuple[Holds, str]]:
    """Verdict and reason for each constraint, in order."""
    if not isinstance(rows, list):
        raise Unreadable("a JSON list was expected")
    found: dict[int, tuple[Holds, str]] = {}
    for row in cast("list[object]", rows):
        entry = an_object(row, "constraint", "holds")
        number = entry["constraint"]
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise Unreadable(f"an entry's constraint is no number from 1 to {count}")
        if number in found:
            raise Unreadable(f"constraint {number} has two entries")
        found[number] = _holds(entry["holds"], number), a_text(entry.get("reason", ""), "reason")
    if missing := [str(n) for n in range(1, count + 1) if n not in found]:
        raise Unreadable(f"there is no entry for constraint {', '.join(missing[:5])}")
    return [found[n] for n in range(1, count + 1)]


def _holds(value: object, number: int) -> Holds:
    written = str(value).strip().lower() if isinstance(value, bool | str) else ""
    for known in _WORTH:
        if written == known:
            return known
    raise Unreadable(f'"holds" of constraint {number} is neither "true", "false" nor "unknown"')


def _judgement(constraints: Sequence[str], holding: Sequence[tuple[Holds, str]]) -> Judgement:
    verdicts: list[Holds] = [holds for holds, _ in holding]
    items: list[Json] = []
    feedback: list[str] = []
    for constraint, (holds, reason) in zip(constraints, holding, strict=True):
        items.append({"constraint": constraint, "holds": holds, "reason": reason})
        if holds != "true":
            lead = "does not hold" if holds == "false" else "not known to hold"
            feedback.append(f"{lead}: {constraint}" + (f" ({reason})" if reason else ""))
    decided = any(holds != "unknown" for holds in verdicts)
    score = sum(_WORTH[holds] for holds in verdicts) // len(verdicts) if decided else None
    return Judgement(score=score, feedback="\n".join(feedback), broken="false" in verdicts, items=tuple(items))


def _in_range(score: int) -> int:
    if not WORST <= score <= BEST:
        raise Unreadable(f"the score {one_line(str(score), 20)} is not between {WORST} and {BEST}")
    return score
