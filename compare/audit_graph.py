"""The run of an audit: given answers become candidates, a verifier judges them, and what is known of them is recorded.

The graph is named by its target, so that an audit that was cut short can be resumed like any run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from ..core.candidate import Candidate
from ..core.completion import Completion, Scores, Watch
from ..core.context import Context
from ..core.engine import EngineInfo
from ..core.errors import EngineUnavailable
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from ..core.task import Task
from ..core.verdict import Verdict, Verifier
from ..graphs.builtin import Graph
from ..graphs.nodes import State
from ..verifiers.registry import make_verifier
from .audit import Answer, unpacked


def judged_answers() -> Graph:
    """A graph of one node that judges the answers in the task's metadata."""
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(State, context_schema=Context)
    builder.add_node("judge", _judge_all)
    builder.add_edge(START, "judge")
    builder.add_edge("judge", END)
    return builder.compile(name="audit")


async def _judge_all(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    ctx = runtime.context
    answers, task = unpacked(ctx.task)
    ctx.run.task = task  # What judges sees the task as it was, without the answers and their labels.
    verifier = make_verifier(task.verifier)
    grader = make_verifier(task.grader) if task.grader is not None else None
    work = (_judge(ctx, verifier, grader, number, answer) for number, answer in enumerate(answers))
    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
    return {"answer": None}


async def _judge(ctx: Context, verifier: Verifier, grader: Verifier | None, number: int, answer: Answer) -> None:
    made = Completion(text=answer.text, finish_reason="length" if answer.truncated else "stop", reasoning=answer.reasoning)
    candidate = await ctx.add(made, key=f"a{number}")
    await ctx.verify(verifier, candidate)
    truth = grader if answer.right is None else Label(answer.right)
    assert truth is not None  # Checked when the audit was ordered.
    await ctx.verify(truth, candidate, grading=True)


class Label:
    """A verifier that says what is known of one answer."""

    name = "label"
    version = "1"
    oracle = True
    judges_truncated = True

    def __init__(self, right: bool) -> None:
        self._right = right

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """Pass what is right."""
        return Verdict.passed() if self._right else Verdict.failed(reason="labelled_wrong")


class NoEngine:
    """Stands where an audit has no engine, for verifiers that ask no model."""

    info = EngineInfo(kind="none", model="none")

    async def start(self) -> None:
        """Nothing needs to be made ready."""

    async def close(self) -> None:
        """Nothing is held."""

    def count_tokens(self, prompt: Prompt) -> int:
        """Nothing is counted."""
        return 0

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """Refuse.

        Raises:
            EngineUnavailable: always.
        """
        raise EngineUnavailable("the verifier asks a model, and the audit has no engine", hint="name one: --engine NAME")

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Refuse, as `generate` does."""
        raise EngineUnavailable("the verifier asks a model, and the audit has no engine", hint="name one: --engine NAME")
