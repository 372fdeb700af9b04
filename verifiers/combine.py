"""Verifiers made of verifiers. Each part is judged on its own, so that one that fails abstains and the others go on.

`AllOf` and `FirstOf` go by the verdicts of their parts; those in `ensemble` count votes or scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
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
class Combined:
    """What all kinds share."""

    name: ClassVar[str]

    verifiers: Sequence[Verifier]
    """The parts, asked in this order."""

    def __post_init__(self) -> None:
        if not self.verifiers:
            raise ConfigError(f"{self.name}: there are no verifiers in it", hint='"verifiers": ["numeric", "exact"]')

    @property
    def version(self) -> str:
        """Names and versions of the parts, and the settings that are not left at their defaults."""
        own = [(f.name, getattr(self, f.name), f.default) for f in fields(self) if f.name != "verifiers"]
        settings = "".join(f" {name}={value}" for name, value, default in own if value != default)
        return f"1{settings} of " + ", ".join(f"{part.name} {part.version}" for part in self.verifiers)

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

    def asked(self, candidate: Candidate) -> list[int]:
        """Numbers of the parts that are asked about a candidate."""
        every = range(len(self.verifiers))
        return [i for i in every if not candidate.partial or _judges_prefixes(self.verifiers[i])]

    def check(self, task: Task) -> None:
        """Refuse a task that a part refuses."""
        for part in self.verifiers:
            check_task(part, task)

    async def judge_part(self, number: int, task: Task, candidate: Candidate, ctx: Context | None) -> Verdict:
        """The verdict of one part."""
        part = self.verifiers[number]
        return await judge(part, task, candidate, ctx and ctx.scope(f"{number}.{part.name}"))


@dataclass(frozen=True, kw_only=True)
class AllOf(Combined):
    """Fails if any part fails; abstains if none fails and any abstains; else passes."""

    name: ClassVar[str] = "all_of"

    score: Literal["min", "mean"] = "min"
    """How the scores of the parts become one. None if a part has none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.score not in ("min", "mean"):
            raise ConfigError(f"all_of: score is {self.score!r}", hint="min or mean")

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        asked = self.asked(candidate)
        verdicts = [await self.judge_part(i, task, candidate, ctx) for i in asked]
        parts = [summary(self.verifiers[i], v) for i, v in zip(asked, verdicts, strict=True)]
        evidence: dict[str, Json] = {"parts": parts}
        failed = [v for v in verdicts if v.outcome == "fail"]
        unsure = [v for v in verdicts if v.outcome == "abstain"]
        if unsure and not failed:
            return Verdict.abstain(unsure[0].reason, joined(unsure), evidence=evidence)
        scores = [v.score for v in verdicts if v.outcome != "abstain"]
        known = [s for s in scores if s is not None]
        score = None if len(known) < len(scores) else min(known) if self.score == "min" else sum(known) / len(known)
        return failure(failed, score, evidence) if failed else Verdict.passed(score, evidence=evidence)


@dataclass(frozen=True, kw_only=True)
class FirstOf(Combined):
    """A cascade: the verdict of the first part that decides. Put the cheap and sure ones first, the dear ones last."""

    name: ClassVar[str] = "first_of"

    unsure: tuple[float, float] | None = None
    """A part whose score lies strictly between these two does not decide, the last one excepted; None: a part that does
    not abstain decides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unsure is not None and not 0 <= self.unsure[0] < self.unsure[1] <= 1:
            raise ConfigError(f"first_of: unsure is {self.unsure}", hint="two scores, the lower one first")

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        parts: list[Json] = []
        unsure: list[Verdict] = []
        asked = self.asked(candidate)
        for number in asked:
            verdict = await self.judge_part(number, task, candidate, ctx)
            parts.append(summary(self.verifiers[number], verdict))
            if verdict.outcome != "abstain" and (number == asked[-1] or self._sure(verdict)):
                return verdict.but(evidence={"parts": parts})
            unsure.append(verdict)
        return Verdict.abstain(unsure[-1].reason, joined(unsure), evidence={"parts": parts})

    def _sure(self, verdict: Verdict) -> bool:
        return self.unsure is None or verdict.score is None or not self.unsure[0] < verdict.score < self.unsure[1]


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


def failure(failed: Sequence[Verdict], score: float | None, evidence: Mapping[str, Json]) -> Verdict:
    """A failure for what these verdicts say; right as far as all of them say."""
    cuts = [v.valid_prefix for v in failed if v.valid_prefix is not None]
    cut = min(cuts) if len(cuts) == len(failed) else None
    return Verdict.failed(joined(failed), score=score, reason=failed[0].reason, evidence=evidence, valid_prefix=cut)


def joined(verdicts: Sequence[Verdict]) -> str:
    """What several verdicts say, each once."""
    return "; ".join(dict.fromkeys(v.feedback for v in verdicts if v.feedback))


def summary(part: Verifier, verdict: Verdict) -> dict[str, Json]:
    """A part's verdict, as evidence."""
    return {
        "verifier": part.name,
        "version": part.version,
        "outcome": verdict.outcome,
        "score": verdict.score,
        "reason": verdict.reason,
        "feedback": verdict.feedback,
        "evidence": verdict.evidence,
    }
