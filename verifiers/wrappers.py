"""Verifiers made worse on purpose: with noise, or with less to say, to see how a search bears it.

What a wrapper does to a verdict depends on its seed, the task and the candidate's text alone. So the same candidate gets
the same noise in every arm of a comparison, however often and in whatever order it is judged.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.ids import text_hash
from ..core.task import Task
from ..core.verdict import Outcome, Verdict, Verifier
from ..core.verify import judge
from .combine import check_task

if TYPE_CHECKING:
    from ..core.context import Context


@dataclass(frozen=True, kw_only=True)
class _Wrapper:
    """What both kinds share."""

    name: ClassVar[str]

    verifier: Verifier
    """The one whose verdicts are made worse."""
    seed: int = 0
    """Of equal seeds the same candidate gets the same noise."""

    @property
    def version(self) -> str:
        """Name and version of the verifier within, and what is done to it."""
        told = ", ".join(f"{key}={value}" for key, value in self._settings().items())
        return f"1 of {self.verifier.name} {self.verifier.version}, {told}"

    @property
    def oracle(self) -> bool:
        """Whether the verifier within sees the reference."""
        return self.verifier.oracle

    @property
    def judges_truncated(self) -> bool:
        """Whether the verifier within judges cut answers."""
        return self.verifier.judges_truncated

    @property
    def judges_prefixes(self) -> bool:
        """Whether the verifier within judges the beginnings of answers."""
        return bool(getattr(self.verifier, "judges_prefixes", False))

    def check(self, task: Task) -> None:
        """Refuse a task that the verifier within refuses."""
        check_task(self.verifier, task)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        verdict = await judge(self.verifier, task, candidate, ctx and ctx.scope(self.verifier.name))
        if verdict.outcome == "abstain":
            return verdict
        return self._worse(verdict, random.Random(f"{self.name} {self.seed} {task.id} {text_hash(candidate.text)}"))

    def _settings(self) -> dict[str, Any]:
        raise NotImplementedError

    def _worse(self, verdict: Verdict, rng: random.Random) -> Verdict:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Noisy(_Wrapper):
    """Errs. Abstentions stay as they are."""

    name: ClassVar[str] = "noisy"

    flip: float = 0.0
    """Chance that a pass becomes a failure or the other way round, the score turned with it."""
    sigma: float = 0.0
    """Standard deviation of what is added to scores, which stay in [0, 1]."""
    shuffle: float = 0.0
    """Chance that a score is replaced by one drawn evenly from [0, 1], so that it says nothing of the rank."""
    pass_at: float | None = None
    """Score from which on a candidate passes, once there is noise in it; None leaves outcomes to `flip`."""

    def __post_init__(self) -> None:
        for name in ("flip", "shuffle", "pass_at"):
            _share(self.name, name, getattr(self, name))
        if not 0 <= self.sigma < math.inf:
            raise ConfigError(f"noisy: sigma is {self.sigma}", hint="a number, 0 or more")

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("flip", "sigma", "shuffle", "pass_at", "seed")}

    def _worse(self, verdict: Verdict, rng: random.Random) -> Verdict:
        # All is drawn whether it is used or not, so that one kind of noise does not change the other kinds.
        flipped, shuffled, anything, error = (
            rng.random() < self.flip,
            rng.random() < self.shuffle,
            rng.random(),
            rng.gauss(0.0, 1.0),
        )
        if flipped:
            verdict = _turned(verdict, "fail" if verdict.outcome == "pass" else "pass")
        if verdict.score is None or not (shuffled or self.sigma):
            return verdict
        score = min(1.0, max(0.0, (anything if shuffled else verdict.score) + self.sigma * error))
        if self.pass_at is None:
            return verdict.but(score=score)
        outcome = "pass" if score >= self.pass_at else "fail"
        return _as(verdict, outcome).but(score=score)


@dataclass(frozen=True, kw_only=True)
class Sparse(_Wrapper):
    """Says less. Abstentions stay as they are."""

    name: ClassVar[str] = "sparse"

    reveal: float = 1.0
    """Chance that a verdict is given at all; the others are abstentions (`hidden`)."""
    threshold: float | None = None
    """Score from which on a candidate passes with 1; below it fails with 0. None leaves scores as they are."""
    levels: int | None = None
    """Number of different scores, evenly spaced from 0 to 1, to which scores are rounded; None for no rounding."""
    feedback: bool = True
    """Whether the words and the right part of a failure are told as well."""

    def __post_init__(self) -> None:
        for name in ("reveal", "threshold"):
            _share(self.name, name, getattr(self, name))
        if self.levels is not None and self.levels < 2:
            raise ConfigError(f"sparse: levels is {self.levels}", hint="at least 2")

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("reveal", "threshold", "levels", "feedback", "seed")}

    def _worse(self, verdict: Verdict, rng: random.Random) -> Verdict:
        if rng.random() >= self.reveal:
            return Verdict.abstain("hidden")
        if not self.feedback:
            verdict = verdict.but(feedback="", valid_prefix=None, evidence={})
        if verdict.score is None:
            return verdict
        if self.threshold is not None:
            outcome = "pass" if verdict.score >= self.threshold else "fail"
            return _as(verdict, outcome).but(score=1.0 if outcome == "pass" else 0.0)
        if self.levels is not None:
            return verdict.but(score=round(verdict.score * (self.levels - 1)) / (self.levels - 1))
        return verdict


def _as(verdict: Verdict, outcome: Outcome) -> Verdict:
    """The verdict with an outcome, its own or the opposite."""
    return verdict if outcome == verdict.outcome else _turned(verdict, outcome)


def _turned(verdict: Verdict, outcome: Outcome) -> Verdict:
    """The verdict turned into its opposite. What was said of the true one is left out."""
    score = None if verdict.score is None else 1 - verdict.score
    return Verdict(outcome=outcome, score=score, reason="turned" if outcome == "fail" else "")


def _share(who: str, name: str, value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise ConfigError(f"{who}: {name} is {value}", hint="0 to 1")
