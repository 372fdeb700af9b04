"""Which search algorithm to try next: an upper-confidence rule with a prior, after PlanGEN (section 2.1.3, algorithm 1).

Pure: the state is a value of counts and sums. Rewards are kept as whole millionths, so that updates commute exactly and
tasks that run at the same time may apply theirs in any order. All modes read the same state.

| mode | rule |
|---|---|
| `normalized` | mean reward over true pulls in [0, 1]; what one would use |
| `paper_eq` | the formula in the paper's text: counts begin at 1, rewards are the scores from -100 to 100 |
| `paper_alg1` | the paper's algorithm 1: rewards over the largest sum, the exploration term capped |

The paper's two rules are kept for comparison, with what is odd about them: see `docs/plangen-agents.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias, cast

from ..core.errors import ConfigError
from ..core.ids import Json

Mode: TypeAlias = Literal["normalized", "paper_eq", "paper_alg1"]
_MODES = ("normalized", "paper_eq", "paper_alg1")
_UNITS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What is known of one arm. All are sums, so tallies add up."""

    pulls: int = 0
    """How often it was tried."""
    reward: int = 0
    """Sum of the rewards in [0, 1], in millionths."""
    opportunities: int = 0
    """How often it was tried after an attempt at the same task that had failed."""
    recoveries: int = 0
    """How often it then succeeded."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)})

    @property
    def scores(self) -> int:
        """Sum of the rewards on the paper's scale from -100 to 100, in millionths."""
        return 200 * self.reward - 100 * _UNITS * self.pulls

    @property
    def recovery(self) -> float:
        """Share of the opportunities that were used."""
        return self.recoveries / max(1, self.opportunities)


@dataclass(frozen=True)
class State:
    """What is known of all arms; an arm that is not in it was never tried."""

    arms: Mapping[str, Tally] = field(default_factory=dict[str, Tally])

    def __getitem__(self, arm: str) -> Tally:
        return self.arms.get(arm, Tally())

    def __add__(self, other: State) -> State:
        return State({arm: self[arm] + other[arm] for arm in sorted({*self.arms, *other.arms})})

    def to_json(self) -> dict[str, Json]:
        """Plain form for storing."""
        return {arm: asdict(tally) for arm, tally in sorted(self.arms.items())}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> State:
        """Read the plain form.

        Raises:
            ConfigError: it is none, or counts that cannot be.
        """
        return State({arm: _tally(arm, counts) for arm, counts in value.items()})


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What speaks for one arm, term by term."""

    reward: float
    """How it fared so far."""
    exploration: float
    """How little it was tried."""
    prior: float
    """The model's opinion, which counts less with each trial."""
    diversity: float
    """A bonus for arms that were tried seldom."""
    recovery: float
    """How often it succeeded where the attempt before had failed."""

    @property
    def total(self) -> float:
        """The sum, by which arms are chosen."""
        return self.reward + self.exploration + self.prior + self.diversity + self.recovery

    def to_json(self) -> dict[str, Json]:
        """The terms and their sum."""
        return {**asdict(self), "total": self.total}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The arm to try, and why."""

    arm: str
    terms: Mapping[str, Terms]
    """By arm, in the order of the arms."""

    def to_json(self) -> dict[str, Json]:
        """Plain form for storing."""
        return {"arm": self.arm, "terms": {arm: terms.to_json() for arm, terms in self.terms.items()}}


@dataclass(frozen=True)
class Bandit:
    """The rule. The constants are ours: the paper gives none but the cap."""

    arms: tuple[str, ...]
    """Names, in the order that decides ties last."""
    mode: Mode = "normalized"
    lam_prior: float = 1.0
    """Weight of the prior before the first trial; after T trials it is divided by T + 1."""
    alpha_div: float = 0.5
    """Weight of the bonus for arms that were tried seldom."""
    alpha_rec: float = 0.5
    """Weight of recoveries."""
    cap: float = 5.0
    """Most that the exploration term may be; `paper_eq` has none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", tuple(self.arms))
        if not self.arms or len(set(self.arms)) < len(self.arms):
            raise ConfigError(f"the bandit's arms are {', '.join(self.arms) or 'none'}", hint="name each once, at least one")
        if self.mode not in _MODES:
            raise ConfigError(f"the bandit has no mode {self.mode!r}", hint=f"one of: {', '.join(_MODES)}")
        for name in ("lam_prior", "alpha_div", "alpha_rec", "cap"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ConfigError(f"the bandit's {name} is {getattr(self, name)}", hint="0 or more")

    def choose(self, state: State, priors: Mapping[str, float]) -> Choice:
        """The arm with the largest sum of terms; of equals the one with the larger prior, then the first.

        An arm that `priors` lacks has the prior 0.

        Raises:
            ConfigError: a prior outside [0, 1], or of no arm.
        """
        for arm, prior in priors.items():
            self._known(arm)
            if not 0 <= prior <= 1:
                raise ConfigError(f"the prior of {arm} is {prior}", hint="0 to 1")
        trials = sum(state[arm].pulls for arm in self.arms)
        rewards = self._rewards(state)
        terms = {
            arm: Terms(
                reward=rewards[arm],
                exploration=self._exploration(trials, state[arm].pulls + 1),
                prior=self.lam_prior / (1 + trials) * priors.get(arm, 0.0),
                diversity=self.alpha_div / (state[arm].pulls + (1 if self.mode == "normalized" else 2)),
                recovery=self.alpha_rec * state[arm].recovery,
            )
            for arm in self.arms
        }
        return Choice(arm=max(self.arms, key=lambda arm: (terms[arm].total, priors.get(arm, 0.0))), terms=terms)

    def update(self, state: State, arm: str, reward: float, recovered: bool | None = None) -> State:
        """The state after one trial.

        Args:
            state: the state before; newer than that of the choice if other tasks came in between.
            arm: what was tried.
            reward: how good the result was, in [0, 1].
            recovered: whether it succeeded where the attempt before had failed; None if that had not failed.

        Raises:
            ConfigError: an unknown arm, or a reward outside [0, 1].
        """
        self._known(arm)
        if not 0 <= reward <= 1:
            raise ConfigError(f"the reward of {arm} is {reward}", hint="0 to 1")
        tried = Tally(
            pulls=1,
            reward=round(reward * _UNITS),
            opportunities=int(recovered is not None),
            recoveries=int(bool(recovered)),
        )
        return state + State({arm: tried})

    def _rewards(self, state: State) -> dict[str, float]:
        if self.mode == "normalized":
            return {arm: state[arm].reward / _UNITS / max(1, state[arm].pulls) for arm in self.arms}
        if self.mode == "paper_eq":
            return {arm: state[arm].scores / _UNITS / (state[arm].pulls + 1) for arm in self.arms}
        # The paper takes 1 where all sums are 0; a largest sum of 0 beside negative ones would divide by zero as well.
        largest = max(state[arm].scores for arm in self.arms) or _UNITS
        return {arm: state[arm].scores / (largest * (state[arm].pulls + 1)) for arm in self.arms}

    def _exploration(self, trials: int, count: int) -> float:
        term = math.sqrt(2 * math.log(trials + 1) / count)
        return term if self.mode == "paper_eq" else min(term, self.cap)

    def _known(self, arm: str) -> None:
        if arm not in self.arms:
            raise ConfigError(f"the bandit has no arm {arm!r}", hint=f"one of: {', '.join(self.arms)}")


def _tally(arm: str, counts: object) -> Tally:
    values = dict(cast("Mapping[str, Any]", counts)) if isinstance(counts, Mapping) else {}
    counted = all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in values.values())
    if counted and set(values) == {f.name for f in fields(Tally)}:
        tally = Tally(**values)
        if tally.reward <= tally.pulls * _UNITS and tally.recoveries <= tally.opportunities <= tally.pulls:
            return tally
    raise ConfigError(f"the bandit's state of {arm!r} is damaged", hint="start it anew")
