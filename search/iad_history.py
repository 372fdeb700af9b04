"""What an iterative search has seen so far: the best and the rejected answer, repeats, verified beginnings, what moves gained.

The history is folded attempt by attempt, in the order in which they were asked for, so that it does not depend on the
order in which the results of one round land. Like all state of policies it holds ids and counts, never text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ..core.policy import Scored
from ..core.verdict import Outcome

Move: TypeAlias = Literal["resample", "rewrite", "repair"]
"""How a candidate of a round is made: anew from the task alone, by rewriting an earlier one under feedback, or by going on
from the part of an earlier one that is right."""

Seen: TypeAlias = tuple[str, Outcome, float | None]
"""Two candidates with the same answer and the same verdict are one. Where the verdicts differ, so do the candidates: an
answer's key leaves out what its verifier may look at, such as case."""

MOVES: tuple[Move, ...] = ("resample", "rewrite", "repair")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One candidate that was asked for."""

    id: str
    """Id of its expansion."""
    move: Move = "resample"
    result: Scored | None = None
    """None while it is on its way."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A candidate about which the verifier said something."""

    id: str
    passed: bool
    score: float
    """The verifier's; without one 1 for a pass and 0 for a failure."""

    @property
    def value(self) -> tuple[bool, float]:
        """By what candidates are compared: a pass comes before every failure."""
        return self.passed, self.score


@dataclass(frozen=True, kw_only=True)
class Gain:
    """How often a move was tried, and how often that led further."""

    tries: int = 0
    gains: int = 0

    @property
    def rate(self) -> float:
        """The mean of its chances after these tries, all chances being equally likely before them."""
        return (self.gains + 1) / (self.tries + 2)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a candidate takes the place of the best one."""

    min_delta: float = 0.0
    """Least gain in score."""
    accept_ties: bool = False
    """Whether an equally good candidate is accepted too, where `min_delta` is 0."""

    def accepts(self, new: Standing, best: Standing) -> bool:
        """Whether `new` replaces `best`. A pass always replaces a failure, a failure never a pass."""
        if new.passed != best.passed:
            return new.passed
        return new.score >= best.score + self.min_delta and (new.score > best.score or self.accept_ties)


@dataclass(frozen=True, kw_only=True)
class History:
    """All that an iterative search decides on."""

    best: Standing | None = None
    """None while no candidate was judged."""
    worst: Standing | None = None
    """The lowest of all judged candidates, the earliest of equals."""
    rejected: Standing | None = None
    """The newest one that was judged and not accepted."""
    newest: str | None = None
    """The newest candidate, whatever was said of it; None while there is none."""
    unjudged: str | None = None
    """The first candidate that the verifier said nothing of; None if there is none."""
    prefix: tuple[str, int] | None = None
    """The candidate with the longest beginning that is right, and its length in characters; None while there is none."""
    repeated: tuple[str, str] | None = None
    """The candidate that was given again last, and the one that repeats it; None while there was no repeat."""
    seen: Mapping[Seen, str] = field(default_factory=dict[Seen, str])
    """By answer and verdict, the first candidate with both."""
    gains: Mapping[Move, Gain] = field(default_factory=dict[Move, Gain])
    """What the moves after the first draws led to."""
    candidates: int = 0
    accepted: int = 0
    """How often a later candidate became the best."""
    duplicates: int = 0
    abstained: int = 0
    failed: int = 0
    """Attempts that came to nothing."""

    def gain(self, move: Move) -> Gain:
        """What a move led to."""
        return self.gains.get(move, Gain())

    def after(self, attempts: Sequence[Attempt], rule: Rule | None) -> History:
        """With the results of those attempts that have one. Without a rule they are the first draws: the best one stands."""
        now = self
        for attempt in attempts:
            if attempt.result is not None:
                now = now._with(attempt, attempt.result, rule)
        return now

    def _with(self, attempt: Attempt, result: Scored, rule: Rule | None) -> History:
        if result.error is not None:
            return self._tried(attempt, False, rule, failed=self.failed + 1)
        now = replace(self, newest=result.id, candidates=self.candidates + 1)
        if result.answer is not None:
            key = (result.answer, result.outcome, result.score)
            if key in self.seen:
                repeated = (self.seen[key], result.id)
                return now._tried(attempt, False, rule, duplicates=self.duplicates + 1, repeated=repeated)
            now = replace(now, seen={**self.seen, key: result.id})
        new = standing(result)
        if new is None:
            return now._tried(attempt, False, rule, abstained=self.abstained + 1, unjudged=self.unjudged or result.id)
        farther = _farther(result, self.prefix)
        accepted = self.best is None or (rule.accepts(new, self.best) if rule else new.value > self.best.value)
        return now._tried(
            attempt,
            accepted or farther is not self.prefix,
            rule,
            best=new if accepted else self.best,
            rejected=self.rejected if accepted else new,
            worst=new if self.worst is None or new.value < self.worst.value else self.worst,
            prefix=farther,
            accepted=self.accepted + (accepted and rule is not None),
        )

    def _tried(self, attempt: Attempt, gained: bool, rule: Rule | None, **changes: object) -> History:
        gains = self.gains
        if rule is not None:
            before = self.gain(attempt.move)
            gains = {**gains, attempt.move: Gain(tries=before.tries + 1, gains=before.gains + gained)}
        return replace(self, gains=gains, **changes)  # pyright: ignore[reportArgumentType]


def standing(result: Scored) -> Standing | None:
    """Where a candidate stands; None if the verifier abstained."""
    if result.outcome == "abstain":
        return None
    passed = result.outcome == "pass"
    return Standing(id=result.id, passed=passed, score=float(passed) if result.score is None else result.score)


def _farther(result: Scored, longest: tuple[str, int] | None) -> tuple[str, int] | None:
    """The longest right beginning, once that of a failed candidate is counted in; the earliest of equals."""
    right = result.valid_prefix or 0
    if result.outcome != "fail" or right <= (longest[1] if longest else 0):
        return longest
    return result.id, right
