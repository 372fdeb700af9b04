"""Ensembles of judges that were already asked: made of the recorded verdicts, they cost no call.

What an ensemble would have asked is counted, so that a cascade shows what it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ..compare.audit_result import AuditResult, Judged
from ..core.candidate import Candidate
from ..core.task import Task
from ..core.verdict import Verdict, Verifier
from ..verifiers import AllOf, FirstOf, MeanOf, MinOf

if TYPE_CHECKING:
    from ..core.context import Context

Maker: TypeAlias = Callable[[Sequence[Verifier]], AllOf | FirstOf | MeanOf | MinOf]

_THRESHOLD = 0.75
"""That of `llm_judge`."""
ENSEMBLES: Mapping[str, tuple[Maker, tuple[str, ...]]] = {
    "mean": (lambda parts: MeanOf(verifiers=parts, threshold=_THRESHOLD), ("written", "probability")),
    "least": (lambda parts: MinOf(verifiers=parts, threshold=_THRESHOLD), ("written", "probability")),
    "cascade": (lambda parts: FirstOf(verifiers=parts, unsure=(0.25, 0.75)), ("probability", "written")),
    "checked": (lambda parts: AllOf(verifiers=parts), ("verifier", "probability")),
}
"""How each is made, and of which judges: `cascade` asks the dear one where the cheap one is unsure, `checked` is a program and a
judge that both have to pass an answer."""


@dataclass(frozen=True, kw_only=True)
class Combined:
    """What an ensemble says."""

    result: AuditResult
    asked: Mapping[str, int]
    """How many answers each part would have been asked about."""


class Recorded:
    """A judge that says of each answer what is recorded. The candidate's position names the answer."""

    version = "recorded"
    oracle = False
    judges_truncated = True

    def __init__(self, name: str, result: AuditResult) -> None:
        self.name = name
        self.asked = 0
        self._said = {_place(j): Verdict(outcome=j.said, score=j.score, reason=j.reason) for j in result.judged}

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """What was said."""
        self.asked += 1
        return self._said[candidate.position]


async def combined(name: str, results: Mapping[str, AuditResult]) -> Combined | None:
    """An ensemble of some judges' recorded verdicts; None if one of its parts was not asked."""
    make, names = ENSEMBLES[name]
    if not set(names) <= results.keys():
        return None
    parts = [Recorded(part, results[part]) for part in names]
    ensemble, first = make(parts), results[names[0]]
    judged: list[Judged] = []
    for one in first.judged:
        verdict = await ensemble.verify(Task(id=one.task_id, prompt="?"), Candidate(id="", position=_place(one), text="?"))
        judged.append(replace(one, said=verdict.outcome, reason=verdict.reason, score=verdict.score))
    result = replace(first, name=name, verifiers=[(ensemble.name, ensemble.version)], judged=judged)
    return Combined(result=result, asked={part.name: part.asked for part in parts})


def _place(judged: Judged) -> str:
    return f"{judged.task_id}/{judged.attempt}"
