"""Sampling until the verifier accepts, for as long as one more attempt is worth its risk; then abstaining.

Each rejection makes it likelier that the task is a hard one, on which accepts are less often right. The policy keeps that
belief, over the types of tasks of a model that was fitted to an audit, and returns nothing rather than try on where the
expected utility of one more attempt is not above nought (Stroebl, Kapoor and Narayanan 2024, arXiv 2411.17501).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..core.errors import ConfigError
from ..core.policy import Expansion, Moves, Scored, Selection, TaskView
from ..stats import Resampling
from ..stats.utility import Stakes, marginal
from .policies import Pool


@dataclass(frozen=True)
class Worthwhile:
    """One sample at a time until one passes, none is worth trying any more, or `n` are drawn.

    An abstention of the verifier is no accept, as in the rates of an audit. A sample that failed to come to be says nothing
    of the task, but counts as one of the `n`.
    """

    model: Resampling
    """What the generator and the verifier are known to be: types of tasks, and the verifier's rates."""
    n: int = 64
    """Most samples."""
    fp_cost: float = 1.0
    """What returning a wrong answer costs, in right answers."""
    sample_cost: float = 0.0
    """What a sample costs, in right answers."""
    name: str = field(default="worthwhile", init=False)
    uses_answers: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigError(f"n is {self.n}", hint="draw at least one sample")
        _ = self._stakes

    def start(self, task: TaskView, seed: int) -> Pool:
        """Nothing asked for."""
        return Pool()

    def ask(self, state: Pool) -> tuple[Pool, Moves]:
        """The next sample once the last one was rejected, if it is worth it."""
        if state.passed or len(state.results) < state.asked or self._ended(state):
            return state, Moves()
        return replace(state, asked=state.asked + 1), Moves(expansions=(Expansion(id=f"x{state.asked}"),))

    def tell(self, state: Pool, result: Scored) -> Pool:
        """One more result."""
        return state.told(result)

    def finish(self, state: Pool, must: bool) -> Selection | None:
        """The sample that passed, with the probability that it is right as far as the model knows; or none, and why."""
        rejected = len(state.alive) - (state.passed is not None)
        if state.passed:
            return Selection(id=state.passed, reason="passed", confidence=self._precision(rejected + 1))
        ended = self._ended(state) if len(state.results) == state.asked else ""
        if not (ended or must):
            return None
        details = {"rejected": rejected, "lost": len(state.results) - rejected, "worth": self._worth(state)}
        return Selection(id=None, reason=ended or "no_pass", details=details)

    def _ended(self, state: Pool) -> str:
        """Why no further sample is drawn; empty if one is."""
        if not self._worth(state) > 0:
            return "negative_marginal_utility"
        return "no_pass" if state.asked == self.n else ""

    def _worth(self, state: Pool) -> float:
        """The expected utility of one more sample after those that were rejected.

        Where the model rules out that so many were, it knows nothing of this task, and more of it is worth nothing.
        """
        worth = marginal(self.model, len(state.alive) + 1, self._stakes)
        return worth if worth == worth else 0.0

    def _precision(self, attempt: int) -> float | None:
        """None where the model rules out an accept at this attempt."""
        found = self.model.precision(attempt)
        return found if found == found else None

    @property
    def _stakes(self) -> Stakes:
        return Stakes(fp_cost=self.fp_cost, sample_cost=self.sample_cost)
