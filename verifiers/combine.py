"""Verifiers made of verifiers. Each part is judged on its own, so that one that fails abstains and the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.task import Task
from ..core.verdict import Verdict, Verifier
from ..core.verify import judge

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class _Combined:
    """What both kinds share."""

    name: ClassVar[str]

    verifiers: Sequence[Verifier]
    """The parts, asked in this order."""

    def __post_init__(self) -> None:
        if not self.verifiers:
            raise ConfigError(f"{self.name}: there are no verifiers in it", hint='"verifiers": ["numeric", "exact"]')

    @property
    def version(self) -> str:
        """Names and versions of the parts."""
        return "1 of " + ", ".join(f"{part.name} {part.version}" for part in self.verifiers)

    @property
    def oracle(self) -> bool:
        """Whether any part sees the reference."""
        return any(part.oracle for part in self.verifiers)

    @property
    def judges_truncated(self) -> bool:
        """Whether any part judges cut answers; those that do not abstain from them."""
        return any(part.judges_truncated for part in self.verifiers)

    @property
    def judges_prefixes(self) -> bool:
        """Whether any part judges the beginnings of answers; only those parts are asked about them."""
        return any(map(_judges_prefixes, self.verifiers))

    def _asked(self, candidate: Candidate) -> list[int]:
        """Numbers of the parts that are asked about a candidate."""
        every = range(len(self.verifiers))
        return [i for i in every if not candidate.partial or _judges_prefixes(self.verifiers[i])]

    def check(self, task: Task) -> None:
        """Refuse a task that a part refuses."""
        for part in self.verifiers:
            check_task(part, task)

    async def _judge(self, number: int, task: Task, candidate: Candidate, ctx: Context | None) -> Verdict:
        part = self.verifiers[number]
        return await judge(part, task, candidate, ctx and ctx.scope(f"{number}.{part.name}"))


@dataclass(frozen=True, kw_only=True)
class AllOf(_Combined):
    """Fails if any part fails; abstains if none fails and any abstains; else passes."""

    name: ClassVar[str] = "all_of"

    score: Literal["min", "mean"] = "min"
    """How the scores of the parts become one. None if a part has none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.score not in ("min", "mean"):
            raise ConfigError(f"all_of: score is {self.score!r}", hint="min or mean")

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        asked = self._asked(candidate)
        verdicts = [await self._judge(i, task, candidate, ctx) for i in asked]
        parts = [_summary(self.verifiers[i], v) for i, v in zip(asked, verdicts, strict=True)]
        evidence: dict[str, Json] = {"parts": parts}
        failed = [v for v in verdicts if v.outcome == "fail"]
        unsure = [v for v in verdicts if v.outcome == "abstain"]
        if unsure and not failed:
            return Verdict.abstain(unsure[0].reason, _joined(unsure), evidence=evidence)
        scores = [v.score for v in verdicts if v.outcome != "abstain"]
        known = [s for s in scores if s is not None]
        score = None if len(known) < len(scores) else min(known) if self.score == "min" else sum(known) / len(known)
        if not failed:
            return Verdict.passed(score, evidence=evidence)
        cuts = [v.valid_prefix for v in failed if v.valid_prefix is not None]
        cut = min(cuts) if len(cuts) == len(failed) else None
        reason = failed[0].reason
        return Verdict.failed(_joined(failed), score=score, reason=reason, evidence=evidence, valid_prefix=cut)


@dataclass(frozen=True, kw_only=True)
class FirstOf(_Combined):
    """A cascade: the verdict of the first part that does not abstain. Put the cheap and sure ones first."""

    name: ClassVar[str] = "first_of"

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        asked: list[Json] = []
        verdicts: list[Verdict] = []
        for number in self._asked(candidate):
            verdict = await self._judge(number, task, candidate, ctx)
            asked.append(_summary(self.verifiers[number], verdict))
            if verdict.outcome != "abstain":
                return verdict.but(evidence={"parts": asked})
            verdicts.append(verdict)
        return Verdict.abstain(verdicts[-1].reason, _joined(verdicts), evidence={"parts": asked})


def check_task(verifier: Verifier, task: Task) -> None:
    """Ask a verifier whether it can judge answers to a task at all; most need no asking.

    Raises:
        ConfigError: it cannot, such as for want of a reference.
    """
    check = getattr(verifier, "check", None)
    if callable(check):
        check(task)


def _judges_prefixes(verifier: Verifier) -> bool:
    return bool(getattr(verifier, "judges_prefixes", False))


def _joined(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(dict.fromkeys(v.feedback for v in verdicts if v.feedback))


def _summary(part: Verifier, verdict: Verdict) -> dict[str, Json]:
    return {
        "verifier": part.name,
        "version": part.version,
        "outcome": verdict.outcome,
        "score": verdict.score,
        "reason": verdict.reason,
        "feedback": verdict.feedback,
        "evidence": verdict.evidence,
    }
