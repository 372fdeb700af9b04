"""What a verifier says, and the verifier protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from .candidate import Candidate
from .errors import VerifierFailed
from .ids import Json
from .task import Task

if TYPE_CHECKING:
    from .context import Context

Outcome: TypeAlias = Literal["pass", "fail", "abstain"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A judgement of one candidate. A verifier that cannot decide abstains; it never invents a score."""

    outcome: Outcome
    score: float | None = None
    """How good, in [0, 1]; None if the verifier gives no grade. Never present on an abstention."""
    feedback: str = ""
    """What is wrong, for a reviser to read. Never contains the reference answer."""
    reason: str = ""
    """Machine-readable reason code: `mismatch`, `timeout`, `truncated`, `sql_error`, ..."""
    evidence: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What the judgement rests on: rows, failed constraints, parsed values."""
    valid_prefix: int | None = None
    """Characters from the beginning that are right; None if the verifier cannot tell."""

    def __post_init__(self) -> None:
        if self.score is not None and not (math.isfinite(self.score) and 0 <= self.score <= 1):
            raise VerifierFailed(f"the score is {self.score}", code="bad_score", hint="a score lies in [0, 1], or is None")
        if self.outcome not in ("pass", "fail", "abstain"):
            raise VerifierFailed(f"the outcome is {self.outcome!r}", code="bad_outcome", hint="pass, fail or abstain")
        if self.outcome == "abstain" and self.score is not None:
            raise VerifierFailed("an abstention has a score", code="bad_score", hint="abstain without a score")

    @staticmethod
    def passed(score: float | None = 1.0, **rest: Any) -> Verdict:
        """A pass."""
        return Verdict(outcome="pass", score=score, **rest)

    @staticmethod
    def failed(feedback: str = "", *, score: float | None = 0.0, reason: str = "wrong", **rest: Any) -> Verdict:
        """A failure, with what is wrong."""
        return Verdict(outcome="fail", score=score, feedback=feedback, reason=reason, **rest)

    @staticmethod
    def abstain(reason: str, feedback: str = "", **rest: Any) -> Verdict:
        """No judgement, and why."""
        return Verdict(outcome="abstain", reason=reason, feedback=feedback, **rest)

    @staticmethod
    def of(value: object) -> Verdict:
        """What a user's function returned, as a verdict: a verdict, a bool, or a score (1 passes).

        Raises:
            VerifierFailed: for anything else, NaN and numbers outside [0, 1] included.
        """
        match value:
            case Verdict():
                return value
            case bool():
                return Verdict.passed() if value else Verdict.failed()
            case int() | float():
                score = float(value)
                if not 0 <= score <= 1:
                    raise VerifierFailed(f"the score is {score}", code="bad_score", hint="a score lies in [0, 1]")
                return Verdict.passed() if score == 1 else Verdict.failed(score=score)
            case _:
                raise VerifierFailed(
                    f"the verifier returned a {type(value).__name__}",
                    code="bad_return",
                    hint="return a Verdict, a bool, or a score",
                )

    def but(self, **changes: Any) -> Verdict:
        """A copy with some fields changed."""
        return replace(self, **changes)


@runtime_checkable
class Verifier(Protocol):
    """Judges whole candidates.

    A verifier may raise; the run turns that into an abstention. It says what it reads by using `candidate.text`
    (the answer) or `candidate.reasoning`.
    """

    @property
    def name(self) -> str:
        """Short name, stored with each verdict."""
        ...

    @property
    def version(self) -> str:
        """Changes when the verifier judges differently."""
        ...

    @property
    def oracle(self) -> bool:
        """Whether it sees the reference answer."""
        ...

    @property
    def judges_truncated(self) -> bool:
        """Whether an answer cut at its token limit can be judged; otherwise it is an abstention (`truncated`)."""
        ...

    # A process verifier has `judges_prefixes = True` as well: it judges beginnings of answers, which for all others are
    # abstentions (`partial`). Optional, so that most verifiers need not know of it.

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """Judge a candidate. `ctx` gives model calls of its own to a verifier that needs them."""
        ...
