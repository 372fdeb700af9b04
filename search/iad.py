"""Iterative agent decoding (arXiv 2504.01931): rounds of samples, each made with what was said of those before.

The first draws come from the task alone. Each later round rewrites the best answer so far under feedback, samples anew, or
goes on from the part of an answer that is known to be right. A round runs side by side; the next begins when all of it is
told. What is returned is the best candidate, not the last, so the best score never falls from round to round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast, get_args

from ..core.errors import BudgetExhausted, ConfigError
from ..core.ids import Json
from ..core.policy import Expansion, Moves, Scored, Selection, TaskView
from .iad_history import MOVES, Attempt, Gain, History, Move, Rule, standing

Rejected: TypeAlias = Literal["worst_of_all", "last_rejected", "none"]
"""Which rejected candidate a rewrite is shown beside the one that it starts from."""
Which: TypeAlias = Literal["best", "last"]

_REPEATS_TOLD = 2
_REACHED = ("passed", "target")
"""Ends that one candidate alone brings about."""


@dataclass(frozen=True)
class State:
    """The history, and the round under way."""

    history: History = field(default_factory=History)
    flying: tuple[Attempt, ...] = ()
    """Attempts of the round under way, with their results as they land; empty between rounds."""
    asked: int = 0
    rounds: int = 0
    """Rounds that were begun after the first draws."""
    begun: bool = False
    idle: int = 0
    """Rounds in a row without an accepted candidate."""
    scores: tuple[float | None, ...] = ()
    """The best score after the first draws and after each round; None while nothing was judged."""
    out_of_budget: bool = False

    @property
    def now(self) -> tuple[Attempt, ...]:
        """Attempts of the round under way that have landed."""
        return tuple(a for a in self.flying if a.result is not None)


@dataclass(frozen=True)
class IAD:
    """Refines in rounds. Every number of the algorithm is a field; `docs/iad.md` says what was published and what is ours."""

    n0: int = 1
    """First draws, from the task alone."""
    rounds: int = 4
    """Most rounds after them."""
    per_round: int = 1
    """Candidates of a round."""
    move: Move | Literal["auto"] = "rewrite"
    """How the candidates of a round are made. `auto` gives each to the move that has most often led further."""
    min_delta: float = 0.0
    """Least gain in score with which a candidate becomes the best; without any gain none does."""
    accept_ties: bool = False
    """Whether an equally good candidate becomes the best, where `min_delta` is 0."""
    rejected: Rejected = "worst_of_all"
    """Which rejected candidate is shown."""
    target: float | None = None
    """Score that ends the search; None for none."""
    stop_at_pass: bool = True
    """Whether the first pass ends the search."""
    patience: int | None = None
    """Rounds in a row without an accepted candidate that end the search; None for no such limit."""
    base: Which = "best"
    """Which candidate is rewritten."""
    choose: Which = "best"
    """Which candidate is returned. One that ends the search, by a pass or its score, is returned either way."""
    first: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Sampling fields of the first draws that differ from those of later ones."""
    name: str = "iad"

    def __post_init__(self) -> None:
        for name, least in (("n0", 1), ("rounds", 0), ("per_round", 1), ("patience", 1)):
            number = getattr(self, name)
            if number is not None and number < least:
                raise ConfigError(f"iad: {name} is {number}", hint=f"at least {least}")
        for name in ("min_delta", "target"):
            score = getattr(self, name)
            if score is not None and not 0 <= score <= 1:
                raise ConfigError(f"iad: {name} is {score}", hint="a number from 0 to 1")
        known = {"move": (*MOVES, "auto"), "rejected": get_args(Rejected), "base": get_args(Which), "choose": get_args(Which)}
        for name, names in known.items():
            if getattr(self, name) not in names:
                raise ConfigError(f"iad: {name} is {getattr(self, name)!r}", hint=f"one of {', '.join(names)}")

    @property
    def rule(self) -> Rule:
        """When a candidate becomes the best."""
        return Rule(min_delta=self.min_delta, accept_ties=self.accept_ties)

    def start(self, task: TaskView, seed: int) -> State:
        """Nothing asked for. The samples' seeds derive from their ids, so `seed` is not needed."""
        return State()

    def ask(self, state: State) -> tuple[State, Moves]:
        """The first draws, then one round after the other."""
        if state.flying or self._ended(state):
            return state, Moves()
        if not state.begun:
            fresh = tuple(Expansion(id=f"x{i}", sampling=self.first) for i in range(self.n0))
            flying = tuple(Attempt(id=e.id) for e in fresh)
            return replace(state, begun=True, asked=self.n0, flying=flying), Moves(expansions=fresh)
        asked = tuple(
            _expansion(f"x{state.asked + i}", move, self._parents(state.history, move))
            for i, move in enumerate(self._moves(state.history))
        )
        flying = tuple(Attempt(id=e.id, move=m) for e, m in asked)
        state = replace(state, rounds=state.rounds + 1, asked=state.asked + len(asked), flying=flying)
        return state, Moves(expansions=tuple(e for e, _ in asked))

    def tell(self, state: State, result: Scored) -> State:
        """One more result; the round is counted once all of it is told."""
        if not any(a.id == result.id and a.result is None for a in state.flying):
            return state
        flying = tuple(replace(a, result=result) if a.id == result.id else a for a in state.flying)
        spent = state.out_of_budget or result.error == BudgetExhausted.default_code
        state = replace(state, flying=flying, out_of_budget=spent)
        return state if len(state.now) < len(flying) else self._counted(state)

    def finish(self, state: State, must: bool) -> Selection | None:
        """The candidate that reaches the target, or the choice after the last round."""
        early = bool(state.flying) and not must
        if early and not any(self._reaches(a) for a in state.now):
            return None
        if state.flying:
            state = self._counted(state)
        stop = self._ended(state)
        if (early and stop not in _REACHED) or not (stop or must):
            return None
        return self._selection(state, stop or "budget")

    def _counted(self, state: State) -> State:
        """After the round under way, as far as it has landed."""
        first = state.rounds == 0
        history = state.history.after(state.flying, None if first else self.rule)
        idle = 0 if first or history.accepted > state.history.accepted else state.idle + 1
        best = history.best.score if history.best else None
        return replace(state, history=history, flying=(), idle=idle, scores=(*state.scores, best))

    def _ended(self, state: State) -> str:
        """Why the search ends here, between rounds; empty if it goes on."""
        best = state.history.best
        if best and self.stop_at_pass and best.passed:
            return "passed"
        if best and self.target is not None and best.score >= self.target:
            return "target"
        if state.out_of_budget:
            return "budget"
        if not state.begun:
            return ""
        if state.rounds >= self.rounds:
            return "rounds"
        return "patience" if self.patience is not None and state.idle >= self.patience else ""

    def _reaches(self, attempt: Attempt) -> bool:
        """Whether a result alone ends the search, so that the rest of its round need not be waited for."""
        new = standing(attempt.result) if attempt.result and attempt.result.error is None else None
        if new is None:
            return False
        return (self.stop_at_pass and new.passed) or (self.target is not None and new.score >= self.target)

    def _moves(self, history: History) -> list[Move]:
        """How the candidates of the next round are made."""
        can = _possible(history, self._base(history))
        if self.move != "auto":
            return [self.move if self.move in can else "resample"] * self.per_round
        gains, chosen = {move: history.gain(move) for move in can}, list[Move]()
        for _ in range(self.per_round):
            move = max(can, key=lambda m: gains[m].rate)
            # What is on its way counts as tried in vain, so that a round is spread over moves that are about as good.
            gains[move] = Gain(tries=gains[move].tries + 1, gains=gains[move].gains)
            chosen.append(move)
        return chosen

    def _base(self, history: History) -> str | None:
        """The candidate to rewrite."""
        if self.base == "last":
            return history.newest
        return history.best.id if history.best else None

    def _parents(self, history: History, move: Move) -> tuple[str, ...]:
        """What a candidate is made from. For a rewrite: the one to rewrite, then rejected ones, a repeated one last."""
        if move == "repair" and history.prefix:
            return (history.prefix[0],)
        base = self._base(history)
        if move != "rewrite" or base is None:
            return ()
        shown = [base]
        again = history.repeated if history.duplicates >= _REPEATS_TOLD else None
        if again and again[0] != base:
            shown.append(again[0])
        elif other := self._shown_rejected(history, base):
            shown.append(other)
        if again and again[1] not in shown:
            shown.append(again[1])
        return tuple(shown)

    def _shown_rejected(self, history: History, base: str) -> str | None:
        """The rejected candidate to be shown; None where none differs from the best in what was said of it."""
        if self.rejected == "none" or history.best is None:
            return None
        other = history.worst if self.rejected == "worst_of_all" else history.rejected
        return other.id if other and other.id != base and other.value != history.best.value else None

    def _selection(self, state: State, stop: str) -> Selection:
        history, details = state.history, _details(state, stop)
        best = history.best
        passed = best is not None and best.passed
        if self.choose == "last" and history.newest and stop not in _REACHED:
            return Selection(id=history.newest, reason="last", details=details)
        if best is not None:
            reason = "passed" if passed else "best_score" if best.score else "all_failed"
            return Selection(id=best.id, reason=reason, details=details)
        if history.unjudged is not None:
            return Selection(id=history.unjudged, reason="unverified", details=details)
        return Selection(id=None, reason="no_candidate", details=details)


def _possible(history: History, base: str | None) -> list[Move]:
    """Moves that can be made, in the order that decides ties."""
    can = {"repair": history.prefix is not None, "rewrite": base is not None, "resample": True}
    return [cast("Move", move) for move, possible in can.items() if possible]


def _expansion(name: str, move: Move, parents: tuple[str, ...]) -> tuple[Expansion, Move]:
    match move:
        case "resample":
            return Expansion(id=name), move
        case "rewrite":
            return Expansion(id=name, kind="refine", parents=parents), move
        case "repair":
            return Expansion(id=name, kind="repair", parents=parents), move


def _details(state: State, stop: str) -> dict[str, Json]:
    """What is stored with the choice."""
    history = state.history
    moves: dict[str, Json] = {m: {"tries": g.tries, "gains": g.gains} for m, g in sorted(history.gains.items())}
    return {
        "stop": stop,
        "rounds": state.rounds,
        "scores": list(state.scores),
        "candidates": history.candidates,
        "accepted": history.accepted,
        "duplicates": history.duplicates,
        "unjudged": history.abstained,
        "failed": history.failed,
        "moves": moves,
    }
