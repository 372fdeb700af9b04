"""The scripted work that the benchmarks without a model run: one search of many candidates, everything journalled.

Texts have the size of a usual answer. The verifier costs nothing, so that what is measured is burnish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.candidate import Candidate
from ..core.context import Context
from ..core.sampling import Sampling
from ..core.task import Task
from ..core.verdict import Verdict
from ..engine.replies import Call, Reply

if TYPE_CHECKING:
    from ..graphs.builtin import Graph

SENTENCE = "The train leaves at nine and arrives at noon, so the journey takes three hours, and the answer follows. "
ANSWER_CHARACTERS = 1000
ANSWER_TOKENS = 250
PROMPT = "A train leaves the station in the morning. " * 12 + "How long does the journey take?"


def answer(seed: int) -> str:
    """An answer of the usual length, another one for each seed."""
    return (SENTENCE * (ANSWER_CHARACTERS // len(SENTENCE) + 1))[:ANSWER_CHARACTERS] + f" It is {seed}."


def reply(call: Call) -> Reply:
    """The scripted engine's reply: no latency, pretended tokens."""
    return Reply(answer(call.seed), tokens=ANSWER_TOKENS)


def task(number: int = 0) -> Task:
    """One of many tasks alike."""
    return Task(prompt=PROMPT, id=f"task-{number}")


class Quick:
    """A verifier that takes no time: an even number at the end passes, so that some are rejected."""

    name = "quick"
    version = "1"
    oracle = False
    judges_truncated = True

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """Judge by the last digit."""
        return Verdict.passed() if candidate.text[-2:-1] in "02468" else Verdict.failed("an odd number", reason="odd", score=0.5)


def search_graph(n: int, *, width: int | None = None, max_tokens: int = ANSWER_TOKENS) -> Graph:
    """A best-of-n search that waits for all its candidates."""
    from ..agents.solver import Solver
    from ..graphs.builtin import one_node
    from ..graphs.nodes import search_node
    from ..search.policies import BestOfN

    solver = Solver(sampling=Sampling(max_tokens=max_tokens))
    return one_node("best_of_n", search_node(BestOfN(n, stop_at_pass=False), solver, Quick(), width=width))
