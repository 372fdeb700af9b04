"""What the fault tests kill: a small batch of every built-in graph, with a model by script whose words depend on the seed only.

Nothing in a batch depends on which of two calls lands first, so that one which was killed can be held against one which was not.
Retrieving graphs search a shelf in this process, the graph of episodes acts in an environment in this process.
"""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from burnish import GenerationFailed, Task
from burnish.graphs.registry import BUILTIN, build_graph, check_settings
from tests.environment_kit import Noted
from tests.rag_kit import GARDEN, Shelf

NUMERIC = {"name": "numeric", "expected": 2}
LINES = ("one\n", "two\n", "end")
"""The solution of the graphs that go step by step."""
PROCESS = {"name": "python_function", "function": f"{__file__}:right_lines", "timeout": None, "judges_prefixes": True}
_QUESTION = "Where does the Rill number {} end?"
_LINES = "The lines of number {}?"
SEARCHES = ("the Rill", "Ada Quill", "Dorn", "the Lenn", "Moss", "nothing of that")


def right_lines(task, text):
    """The share of lines that are right."""
    lines = text.splitlines(keepends=True)
    return sum(a == b for a, b in zip(lines, LINES, strict=False)) / len(lines)


@dataclass(frozen=True)
class Work:
    """One batch."""

    graph: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tasks: int = 2
    prompt: str = "number {}?"

    @property
    def searches(self) -> bool:
        """Whether it needs something to search in."""
        return self.prompt is _QUESTION


_RAG = {"verifier": NUMERIC, "stop_at_pass": False, "temperature": 0.5}
_STEPS = {"verifier": PROCESS, "stop_at_pass": False}
_ACTS = {"env": Noted, "steps": 4, "n0": 2, "rounds": 2, "per_round": 2}
_PLAN = {"children": 2, "depth": 3}
_REVISES = {"verifier": NUMERIC, "rounds": 3}
WORKS = {
    "single": Work("single", {"verifier": NUMERIC}, 3),
    "best_of_n": Work("best_of_n", {"verifier": NUMERIC, "n": 6, "stop_at_pass": False}, 3),
    "majority": Work("majority", {"n": 5, "extract": "last_number"}, 3),
    "draw": Work("draw", {"n": 4}, 3),
    "worthwhile": Work("worthwhile", {"verifier": NUMERIC, "n": 4, "types": [[1.0, 0.3]], "tpr": 1.0, "fpr": 0.1}),
    "iad": Work("iad", {**_REVISES, "per_round": 2, "stop_at_pass": False}),
    "self_refine": Work("self_refine", _REVISES),
    "sequential_revision": Work("sequential_revision", {**_REVISES, "stop_at_pass": False}),
    "tree_of_thought": Work("tree_of_thought", {**_STEPS, "nodes": 8, "children": 2}, prompt=_LINES),
    "rebase": Work("rebase", {**_STEPS, "n": 4, "depth": 4}, prompt=_LINES),
    "beam": Work("beam", {**_STEPS, "total_width": 4, "keep": 2, "depth": 4}, prompt=_LINES),
    "plan_mixture": Work("plangen", {**_PLAN, "algorithm": "mixture", "n": 2, "nodes": 6, "rounds": 3, "threshold": 95}, 1),
    "plan_tree": Work("plangen", {**_PLAN, "algorithm": "tree_of_thought", "nodes": 8, "width": 1}, 1),
    "plan_rebase": Work("plangen", {"algorithm": "rebase", "rebase_width": 3, "depth": 3}, 1),
    "closed_book": Work("closed_book", {**_RAG, "n": 3}),
    "naive_rag": Work("naive_rag", {**_RAG, "n": 2}, prompt=_QUESTION),
    "auto_rag": Work("auto_rag", {**_RAG, "n": 2, "rounds": 3, "elicit": 2, "k": 1, "retries": 2}, prompt=_QUESTION),
    "drag": Work("drag", {**_RAG, "n": 2, "shots": 1, "documents": 2}, prompt=_QUESTION),
    "iter_drag": Work("iter_drag", {**_RAG, "shots": 1, "documents": 1, "iterations": 3}, prompt=_QUESTION),
    "ircot": Work("ircot", {**_RAG, "rounds": 4, "k": 2, "shots": 1}, prompt=_QUESTION),
    "iter_retgen": Work("iter_retgen", {**_RAG, "rounds": 3, "k": 2}, prompt=_QUESTION),
    "episode": Work("episode", {**_ACTS, "feedback": "directional+critique", "stop_at_pass": False}),
}
"""By name; every built-in graph is among them."""
LIVE = {
    "live_best_of_n": Work("best_of_n", {"verifier": NUMERIC, "n": 4, "max_tokens": 24, "stop_at_pass": False}),
    "live_self_refine": Work("self_refine", {"verifier": NUMERIC, "rounds": 2, "max_tokens": 16, "critic_tokens": 16}),
}
"""For a real model, whose words are not known beforehand."""


def build(work: Work, note: Callable[[str], None] = lambda line: None) -> Any:
    """The graph of a work; `note` is told of each search."""
    if not work.searches:
        return build_graph(work.graph, work.settings)
    builtin = BUILTIN[work.graph]
    module, _, function = builtin.builder.partition(":")
    make = getattr(importlib.import_module(f"burnish.graphs.{module}"), function)
    return make(check_settings(builtin, work.settings), retriever=Noting(note))


def tasks(work: Work) -> list[Task]:
    """The tasks of a work."""
    return [Task(id=f"t{i}", prompt=work.prompt.format(i), reference=2) for i in range(work.tasks)]


class Noting(Shelf):
    """Takes its time for a search, and notes it down."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(GARDEN * 2)
        self.note = note

    async def search(self, queries, k, exclude=()):
        for query in queries:
            self.note(f"searched {query}")
        await asyncio.sleep(random.uniform(0, 0.005))
        return await super().search(queries, k, exclude)


def reply(call):
    """What the model says: by its role, which the prompt tells, and the seed."""
    rng = random.Random(call.seed)
    shown = "\n".join(message.text for message in call.prompt.messages)
    for mark, said in _ROLES:
        if mark in shown:
            return said(call, rng)
    if rng.random() < 0.05:
        return GenerationFailed("the script says no", code="scripted")
    return str(rng.randrange(4))


def _think(call, rng):
    draw = rng.randrange(12)
    if draw < 2:
        return f"Final Answer: {rng.randrange(4)}"
    return "Hm." if draw < 4 else f"Analysis: {draw}\nRefined Query: {rng.choice(SEARCHES)}"


def _reason(call, rng):
    return f"So the answer is: {rng.randrange(4)}." if rng.random() < 0.3 else f"It has to do with {rng.choice(SEARCHES)}."


def _follow_up(call, rng):
    """What may stand next depends on the last line that stands there."""
    last = call.prompt.messages[0].text.rstrip().splitlines()[-1]
    if last.endswith("So the final answer is:"):
        return str(rng.randrange(4))
    if rng.random() < 0.2:
        return f"So the final answer is: {rng.randrange(4)}"
    return f"Intermediate answer: {rng.randrange(4)}" if last.startswith("Follow up") else f"Follow up: {rng.choice(SEARCHES)}"


def _act(call, rng):
    number = rng.randrange(4)
    return f"Action: answer {number}" if rng.random() < 0.4 else f"Thought: on.\nAction: add {number}"


def _next_line(call, rng):
    written = call.prefix.count("\n")
    if written >= len(LINES) - 1:
        return LINES[-1]
    return (LINES[written] if rng.random() < 0.5 else "wrong\n") + "never seen"


_ROLES = (
    ("The lines of number", _next_line),
    ("You check plans, strictly", lambda call, rng: f"So it is.\nScore: {rng.choice((-20, 40, 90, 100))}"),
    ("expert at reading a problem", lambda call, rng: "- it is a number\n- it is even"),
    ("You choose the method", lambda call, rng: "best_of_n: 0.5\nrebase: 0.3\ntree_of_thought: 0.2"),
    ("contain the whole solution", lambda call, rng: rng.choice("01")),
    ("You answer a question by searching", _think),
    ("Write the paragraph", lambda call, rng: f"The Rill is brook number {rng.randrange(100)}."),
    ("Write the next sentence of the reasoning", _reason),
    ("Go on with the last question by one line", _follow_up),
    ("You act step by step", _act),
    ("You check an answer", lambda call, rng: f"It is off by {rng.randrange(4)}."),
)
