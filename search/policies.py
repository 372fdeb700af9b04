"""Four policies: one sample, the best of several, the answer that most agree on, and samples to be kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from ..core.errors import ConfigError
from ..core.policy import Expansion, Moves, Scored, Selection, TaskView
from ..core.rank import rank


@dataclass(frozen=True)
class Pool:
    """State of a policy that draws independent samples: what was asked for, and what came back."""

    asked: int = 0
    results: tuple[Scored, ...] = ()
    """In the order of telling, one for each sample."""
    back: int = 0
    """Which samples have come back: a bit for each."""
    passed: str | None = None
    """The first sample told that passed; None while there is none."""

    def told(self, result: Scored) -> Pool:
        """With one more result; a duplicate or an unknown one changes nothing."""
        number = result.id[1:]
        i = int(number) if number.isdecimal() and len(number) < 10 else self.asked
        if i >= self.asked or self.back >> i & 1 or result.id != f"x{i}":
            return self
        passed = self.passed or (result.id if result.error is None and result.outcome == "pass" else None)
        return Pool(self.asked, (*self.results, result), self.back | 1 << i, passed)

    @property
    def alive(self) -> list[Scored]:
        """Results with a candidate, in the order of their ids."""
        return sorted((r for r in self.results if r.error is None), key=lambda r: int(r.id[1:]))


class _Sampler:
    """What all share: draw `n` samples at once, take each result as it comes."""

    n: int

    def start(self, task: TaskView, seed: int) -> Pool:
        """Nothing asked for. The samples' seeds derive from their positions, so `seed` is not needed."""
        return Pool()

    def ask(self, state: Pool) -> tuple[Pool, Moves]:
        """All samples, once."""
        return self._draw(state, self.n - state.asked)

    def tell(self, state: Pool, result: Scored) -> Pool:
        """One more result."""
        return state.told(result)

    def _draw(self, state: Pool, more: int) -> tuple[Pool, Moves]:
        """Ask for some more samples."""
        if more <= 0:
            return state, Moves()
        upto = state.asked + more
        return replace(state, asked=upto), Moves(expansions=tuple(Expansion(id=f"x{i}") for i in range(state.asked, upto)))


def _positive(n: int) -> None:
    if n < 1:
        raise ConfigError(f"n is {n}", hint="draw at least one sample")


@dataclass(frozen=True)
class Single(_Sampler):
    """One sample, returned as it is: the baseline of everything."""

    name: str = field(default="single", init=False)
    uses_verdicts: bool = field(default=False, init=False)
    uses_answers: bool = field(default=False, init=False)
    n: int = field(default=1, init=False)

    def finish(self, state: Pool, must: bool) -> Selection | None:
        """The sample, once it is there."""
        if state.alive:
            return Selection(id="x0", reason="only")
        return Selection(id=None, reason="no_candidate") if must else None


@dataclass(frozen=True)
class BestOfN(_Sampler):
    """`n` independent samples; the one that the verifier puts first, the earliest of equals."""

    n: int = 8
    stop_at_pass: bool = True
    """Whether to return the first sample that passes and cancel the rest; if not, all are judged and the best score wins."""
    name: str = field(default="best_of_n", init=False)
    uses_answers: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        _positive(self.n)

    def finish(self, state: Pool, must: bool) -> Selection | None:
        """The first pass, or the best of all that came back."""
        if state.passed and self.stop_at_pass:
            return Selection(id=state.passed, reason="passed")
        if not must and len(state.results) < self.n:
            return None
        if not state.alive:
            return Selection(id=None, reason="no_candidate")
        best = max(state.alive, key=lambda r: rank(r.outcome, r.score))
        reason = {"pass": "passed", "fail": "best_score" if best.score else "all_failed", "abstain": "unverified"}[best.outcome]
        return Selection(
            id=best.id, reason=reason, details={"candidates": len(state.alive), "failed": len(state.results) - len(state.alive)}
        )


@dataclass(frozen=True)
class Majority(_Sampler):
    """`n` independent samples; the answer that most of them give (self-consistency, Wang et al. 2022, section 2).

    A sample without an extracted answer has no vote. Among answers with equally many votes the one generated first
    wins, and it is returned as its first sample wrote it.
    """

    n: int = 8
    stop_early: bool = False
    """Whether to draw in rounds, each of as many samples as could settle the vote, until no other answer can catch up. The
    answer is that of all `n`, for fewer samples and in more time if there is nothing else to do meanwhile."""
    name: str = field(default="majority", init=False)
    uses_verdicts: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        _positive(self.n)

    def ask(self, state: Pool) -> tuple[Pool, Moves]:
        """All samples at once, or the next round of them."""
        if not self.stop_early:
            return super().ask(state)
        if len(state.results) < state.asked:
            return state, Moves()
        outstanding = self.n - state.asked
        return self._draw(state, min(outstanding, (outstanding - _lead(_votes(state))) // 2 + 1))

    def finish(self, state: Pool, must: bool) -> Selection | None:
        """The plurality, once all votes are in or the rest cannot change it."""
        outstanding = 0 if must else self.n - len(state.results)
        if outstanding and not self.stop_early:
            return None
        votes = _votes(state)
        if outstanding and _lead(votes) <= outstanding:
            return None
        if not state.alive:
            return Selection(id=None, reason="no_candidate")
        if not votes:
            return Selection(id=state.alive[0].id, reason="no_votes", confidence=0.0)
        # `alive` is in order of generation and Counter keeps first-seen order, so max() takes the first of equals.
        winner = max(votes, key=lambda a: votes[a])
        chosen = next(r for r in state.alive if r.answer == winner)
        cast = sum(votes.values())
        details = {"votes": dict(votes.most_common(20)), "without_vote": len(state.alive) - cast}
        return Selection(id=chosen.id, reason="plurality", confidence=votes[winner] / cast, details=details)


@dataclass(frozen=True)
class Draw(_Sampler):
    """`n` independent samples, all of them waited for and none judged: what stored pools are drawn with."""

    n: int = 16
    name: str = field(default="draw", init=False)
    uses_verdicts: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        _positive(self.n)

    def finish(self, state: Pool, must: bool) -> Selection | None:
        """The first of the samples that came to be, once all are back."""
        if not must and len(state.results) < self.n:
            return None
        drawn, failed = len(state.alive), len(state.results) - len(state.alive)
        first = state.alive[0].id if drawn else None
        reason = "drawn" if drawn else "no_candidate"
        return Selection(id=first, reason=reason, details={"candidates": drawn, "failed": failed})


def _votes(state: Pool) -> Counter[str]:
    """How often each answer was given, in the order of their first samples."""
    return Counter(r.answer for r in state.alive if r.answer is not None)


def _lead(votes: Counter[str]) -> int:
    """By how many votes the first answer is ahead of the second."""
    first, second = ([c for _, c in votes.most_common(2)] + [0, 0])[:2]
    return first - second
