"""What a graph is made of: the state that built-in graphs share, and the node that runs a search."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypedDict

from langgraph.runtime import Runtime

from ..core.context import Context
from ..core.extract import extractor
from ..core.ids import Json
from ..core.policy import Policy
from ..core.proposer import Proposer
from ..core.verdict import Verifier
from ..search.driver import run_search
from ..search.maker import Complete
from ..verifiers.registry import make_verifier


class State(TypedDict, total=False):
    """State of the built-in graphs. A graph of one's own may have any state; a run reads `answer` and `candidate_id`."""

    prompt: str
    """The task's prompt; given to every graph whose state has this key."""
    answer: str | None
    """The text returned; None if there is none."""
    candidate_id: str | None
    """The candidate that the answer is; None if it is none's."""
    selection: dict[str, Any]
    """Reason, confidence and details of the choice."""


class Node(Protocol):
    """A graph node that uses the run's context."""

    def __call__(self, state: Any, runtime: Runtime[Context]) -> Awaitable[dict[str, Any]]:
        """Changes to the state."""
        ...


def search_node(
    policy: Policy[Any],
    proposer: Proposer,
    verifier: Verifier | Json = "task",
    *,
    extract: str = "",
    width: int | None = None,
    complete: Complete | None = None,
) -> Node:
    """A graph node that runs a search and puts what it chose into the state.

    Args:
        policy: what to try next and what to return.
        proposer: makes the candidates.
        verifier: judges them: a verifier, its name or description, `task` for the task's own, or None for nobody.
        extract: name of the answer extractor; empty for the task's own, else `words` where the policy counts answers.
        width: most candidates in the making at once; None leaves it to the engine's limit.
        complete: for policies that go step by step: whether a text that ends at a step's boundary is a whole solution.
    """

    async def node(state: Any, runtime: Runtime[Context]) -> dict[str, Any]:
        ctx = runtime.context
        judge = task_verifier(ctx) if verifier == "task" else make_verifier(verifier) if verifier is not None else None
        named = extract or ctx.task.extract
        how = extractor(named) if named else None
        found = await run_search(ctx, policy, proposer, judge, extract=how, width=width, complete=complete)
        chosen, selection = found.candidate, found.selection
        return {
            "answer": chosen.text if chosen else None,
            "candidate_id": chosen.id if chosen else None,
            "selection": {"reason": selection.reason, "confidence": selection.confidence, "details": dict(selection.details)},
        }

    return node


def task_verifier(ctx: Context) -> Verifier | None:
    """The verifier that the task asks for; None if it asks for none."""
    return make_verifier(ctx.task.verifier) if ctx.task.verifier is not None else None
