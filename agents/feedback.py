"""Feedback in words, made from verdicts alone: how the best answer stands to a rejected one, what failed, what is missing.

Pure, and no channel for the reference answer. Of a verdict's evidence only the names, outcomes and scores of combined
verifiers are read, since the rest may hold anything. A verifier's feedback is not to contain the reference; where it
does so against its contract, it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from ..core.candidate import Candidate
from ..core.extract import words
from ..core.ids import Json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict

Mode: TypeAlias = Literal["none", "scalar", "directional", "critique", "directional+critique"]
"""What a rewrite is told: nothing; the scores; how the answers stand to each other and what is wrong with the best; what a
critic says; both."""

_LONGEST = 1000


@dataclass(frozen=True)
class Part:
    """What one of several combined verifiers said."""

    name: str
    outcome: str
    score: float | None


def scored(verdict: Verdict | None) -> str:
    """The verdict as a score in a few words; empty if there is none."""
    if verdict is None or verdict.outcome == "abstain":
        return ""
    if verdict.score is None:
        return "judged right" if verdict.outcome == "pass" else "judged wrong"
    return f"score {verdict.score:.2f} of 1"


def direction(best: Verdict | None, rejected: Verdict | None = None) -> str:
    """Where to go from here, as lines of text; empty if nothing is known of the best."""
    if best is None or best.outcome == "abstain":
        return ""
    lines = [*_gap(best), *_relation(best, rejected), *_checks(best, rejected)]
    if best.outcome == "fail" and best.feedback.strip():
        lines.append(f"What is wrong with the best answer: {one_line(best.feedback, _LONGEST)}")
    if rejected and rejected.outcome == "fail" and rejected.feedback.strip() and rejected.feedback != best.feedback:
        lines.append(f"What is wrong with the rejected answer: {one_line(rejected.feedback, _LONGEST)}")
    return "\n".join(lines)


def without_reference(verdict: Verdict | None, task: Task, candidate: Candidate) -> Verdict | None:
    """The verdict, its feedback left out where that quotes the reference answer.

    What the question or the candidate itself says may be quoted.
    """
    if verdict is None or not verdict.feedback or not _quotes(verdict.feedback, task, candidate):
        return verdict
    return verdict.but(feedback="")


def _gap(best: Verdict) -> list[str]:
    if best.score is None or not 0 < best.score < 1:
        return []
    return [f"The best answer lacks {1 - best.score:.2f} of the full score."]


def _relation(best: Verdict, rejected: Verdict | None) -> list[str]:
    if rejected is None or rejected.outcome == "abstain":
        return []
    if best.score is None or rejected.score is None:
        return ["The rejected answer is worse than the best one: do not go back to it."]
    by = best.score - rejected.score
    if by <= 0:
        return ["The rejected answer is no better than the best one: do not go back to it."]
    return [
        f"The rejected answer is worse by {by:.2f}: keep what the best one does better, and avoid what is wrong with this one."
    ]


def _checks(best: Verdict, rejected: Verdict | None) -> list[str]:
    """By name, the checks that the best fails, and those in which it wins or loses against the rejected one."""
    ours, lines = parts(best), list[str]()
    if failed := [p.name for p in ours if p.outcome == "fail"]:
        lines.append(f"Checks that the best answer fails: {', '.join(failed)}.")
    theirs = {p.name: p for p in parts(rejected)} if rejected else {}
    pairs = [(p.name, _worth(p), _worth(theirs[p.name])) for p in ours if p.name in theirs]
    if won := [name for name, a, b in pairs if a is not None and b is not None and a > b]:
        lines.append(f"It is better than the rejected one at: {', '.join(won)}.")
    if lost := [name for name, a, b in pairs if a is not None and b is not None and a < b]:
        lines.append(f"It is worse than the rejected one at: {', '.join(lost)}.")
    return lines


def parts(verdict: Verdict) -> list[Part]:
    """What the parts of a combined verifier said; empty for any other verdict."""
    found = verdict.evidence.get("parts")
    if not isinstance(found, Sequence) or isinstance(found, str):
        return []
    made = [_part(cast("Mapping[str, Any]", p)) for p in found if isinstance(p, Mapping)]
    return [p for p in made if p.name]


def _part(value: Mapping[str, Any]) -> Part:
    name, outcome, score = value.get("verifier"), value.get("outcome"), value.get("score")
    return Part(
        name=one_line(name, 60) if isinstance(name, str) else "",
        outcome=outcome if isinstance(outcome, str) else "",
        score=float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None,
    )


def _worth(part: Part) -> float | None:
    return part.score if part.score is not None else {"pass": 1.0, "fail": 0.0}.get(part.outcome)


def _quotes(feedback: str, task: Task, candidate: Candidate) -> bool:
    """Whether feedback contains a reference that stands neither in the question nor in the candidate."""
    known = (_plain(task.prompt), _plain(candidate.text))
    said = _plain(feedback)
    return any(_holds(said, key) and not any(_holds(text, key) for text in known) for key in _keys(task.reference))


def _keys(reference: Json) -> list[str]:
    """The reference, or each of several, as text; structured ones count as a whole."""
    several = isinstance(reference, list | tuple)
    values = cast("Sequence[Json]", reference) if several else [reference]
    made = (_plain(v if isinstance(v, str) else repr(v)) for v in values if isinstance(v, str | int | float))
    return [key for key in made if key and key not in ("true", "false")]


def _plain(text: str) -> str:
    return words(text) or ""


def _holds(text: str, key: str) -> bool:
    """Whether a text contains a key, not as part of a longer word or number."""
    return re.search(rf"(?<![\w.]){re.escape(key)}(?!\w|\.\d)", text) is not None
