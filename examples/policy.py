"""A search policy of one's own: draw few, and more only while the verifier is not content.

    burnish run examples/policy.py:graph "What is 17 + 25?" --verifier '{"name": "numeric", "expected": 42}' --engine scripted

A policy is pure: no model, no text, no clock. `ask` says what to try, `tell` takes one result, `finish` chooses.
"""

from dataclasses import dataclass, replace

from burnish import Expansion, Moves, Scored, Selection, Solver, TaskView, search_node
from burnish.core.rank import rank
from burnish.graphs.builtin import one_node


@dataclass(frozen=True)
class State:
    asked: int = 0
    results: tuple[Scored, ...] = ()


@dataclass(frozen=True)
class Doubling:
    """Draws 1, 1, 2, 4, ... samples, up to `most`; a new round starts when the one before has landed without a pass."""

    most: int = 16
    name: str = "doubling"

    def start(self, task: TaskView, seed: int) -> State:
        return State()

    def ask(self, state: State) -> tuple[State, Moves]:
        if len(state.results) < state.asked:
            return state, Moves()
        upto = min(self.most, max(1, 2 * state.asked))
        wanted = tuple(Expansion(id=f"x{i}") for i in range(state.asked, upto))
        return replace(state, asked=upto), Moves(expansions=wanted)

    def tell(self, state: State, result: Scored) -> State:
        return replace(state, results=(*state.results, result))

    def finish(self, state: State, must: bool) -> Selection | None:
        alive = [r for r in state.results if r.error is None]
        best = max(alive, key=lambda r: rank(r.outcome, r.score), default=None)
        if best and best.outcome == "pass":
            return Selection(id=best.id, reason="passed")
        if must or len(state.results) >= self.most:
            return Selection(id=best.id if best else None, reason="best_score" if best else "no_candidate")
        return None


def graph(most: int = 16):
    """The graph to run: one node that searches with this policy and has the task's verifier judge."""
    return one_node("doubling", search_node(Doubling(most), Solver()))
