"""Verifiers that count what several verifiers say: votes, or scores against a threshold.

One rule holds for all: an abstention is something unknown, never a 0. The whole passes if it would pass whatever those that
abstained had said, fails if it would fail whatever they had said, and otherwise decides only if enough parts did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.task import Task
from ..core.verdict import Verdict
from .combine import Combined, failure, joined, summary

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class _Counted(Combined):
    """What all ensembles share. Parts that are not asked, about the beginning of an answer, do not count."""

    quorum: int | None = None
    """How many parts must agree, or decide; None for the kind's own default. At most as many as are asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quorum is not None and not 1 <= self.quorum <= len(self.verifiers):
            hint = f"1 to {len(self.verifiers)}, as many as there are parts"
            raise ConfigError(f"{self.name}: quorum is {self.quorum}", hint=hint)

    def _parts(self, asked: Sequence[int], verdicts: Sequence[Verdict]) -> dict[str, Json]:
        """What those said that were asked so far."""
        return {"parts": [summary(self.verifiers[i], v) for i, v in zip(asked, verdicts, strict=False)]}


@dataclass(frozen=True, kw_only=True)
class Vote(_Counted):
    """Passes once `quorum` parts pass, a majority by default; fails once that many cannot be reached any more.

    Parts are asked in order and only until that is certain: put the cheap ones first. The score is the share of passes among
    those that decided.
    """

    name: ClassVar[str] = "vote"

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        asked = self.asked(candidate)
        need = min(self.quorum or len(self.verifiers) // 2 + 1, len(asked))
        verdicts: list[Verdict] = []
        passes = fails = 0
        for number in asked:
            verdicts.append(await self.judge_part(number, task, candidate, ctx))
            passes += verdicts[-1].outcome == "pass"
            fails += verdicts[-1].outcome == "fail"
            if passes >= need or fails > len(asked) - need:
                break
        evidence = self._parts(asked, verdicts)
        if passes >= need:
            return Verdict.passed(passes / (passes + fails), evidence=evidence)
        if fails > len(asked) - need:
            return failure([v for v in verdicts if v.outcome == "fail"], passes / (passes + fails), evidence)
        return _undecided(verdicts, evidence)


@dataclass(frozen=True, kw_only=True)
class _Scored(_Counted):
    """The scores of the parts made one, and held against a threshold. A part without a score counts as one that abstains."""

    threshold: float = 0.5
    """Least score that passes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"{self.name}: threshold is {self.threshold}", hint="a score, above 0 and at most 1")

    def _one(self, scores: Sequence[float]) -> float:
        raise NotImplementedError

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        asked = self.asked(candidate)
        verdicts = [await self.judge_part(i, task, candidate, ctx) for i in asked]
        evidence = self._parts(asked, verdicts)
        known = [v.score for v in verdicts if v.score is not None]
        if not known:
            return _undecided(verdicts, evidence)
        unknown = len(asked) - len(known)
        score, least, most = self._one(known), self._one([*known, *[0.0] * unknown]), self._one([*known, *[1.0] * unknown])
        certain = least >= self.threshold or most < self.threshold
        if not certain and len(known) < min(self.quorum or len(self.verifiers), len(asked)):
            return _undecided(verdicts, evidence)
        if score >= self.threshold:
            return Verdict.passed(score, evidence=evidence)
        if failed := [v for v in verdicts if v.outcome == "fail"]:
            return failure(failed, score, evidence)
        return Verdict.failed(score=score, reason="below_threshold", evidence=evidence)


@dataclass(frozen=True, kw_only=True)
class MeanOf(_Scored):
    """Passes if the mean score of the parts reaches the threshold; abstains if fewer than `quorum` parts, all by default,
    give a score and the others could turn the outcome.
    """

    name: ClassVar[str] = "mean_of"

    def _one(self, scores: Sequence[float]) -> float:
        return float(sum(map(Fraction, scores)) / len(scores))  # Exact, so that equal scores have themselves as mean.


@dataclass(frozen=True, kw_only=True)
class MinOf(_Scored):
    """Passes if the lowest score of the parts reaches the threshold; abstains like `mean_of`."""

    name: ClassVar[str] = "min_of"

    def _one(self, scores: Sequence[float]) -> float:
        return min(scores)


def _undecided(verdicts: Sequence[Verdict], evidence: Mapping[str, Json]) -> Verdict:
    unsure = [v for v in verdicts if v.outcome == "abstain"]
    return Verdict.abstain(unsure[0].reason if unsure else "no_score", joined(unsure), evidence=evidence)
