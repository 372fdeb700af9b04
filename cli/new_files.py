"""The files that `burnish new` writes. `$name` is what the user calls it, `$title` the same as the name of a class."""

from __future__ import annotations

_GRAPH = '''\
"""A graph for burnish: several answers, of which the verifier's best is returned.

    burnish run $name.py:$name "What is 17 + 25?" --verifier numeric --reference 42
    burnish graphs show $name.py:$name
"""

from typing import TypedDict

from burnish import BestOfN, Context, Solver, run_search
from burnish.graphs.nodes import task_verifier
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime


class State(TypedDict, total=False):
    """What nodes tell each other. A run gives `prompt`, and reads `answer` and `candidate_id`."""

    prompt: str
    answer: str | None
    candidate_id: str | None


def $name(n: int = 4) -> StateGraph:
    """The graph; its parameters are its settings (`--set n=8`)."""

    async def solve(state: State, runtime: Runtime[Context]) -> State:
        ctx = runtime.context
        found = await run_search(ctx, BestOfN(n), Solver(), task_verifier(ctx))
        best = found.candidate
        return {"answer": best.text if best else None, "candidate_id": best.id if best else None}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("solve", solve)
    builder.add_edge(START, "solve")
    builder.add_edge("solve", END)
    return builder
'''

_GRAPH_TEST = '''\
"""Tests of the graph $name, with scripted replies in place of a model."""

import burnish
from $name import $name

TASK = {"prompt": "What is 17 + 25?", "reference": 42, "verifier": "numeric"}


def run(tmp_path, replies, **settings):
    replies = iter(replies)
    engine = burnish.ScriptedEngine(lambda call: next(replies))
    return burnish.run($name, TASK, engine, store=f"sqlite:///{tmp_path}/runs.db", settings=settings)


def test_the_answer_that_passes_is_returned(tmp_path):
    result = run(tmp_path, ["40", "42", "41", "43"])
    assert (result.answer, result.verified) == ("42", True)


def test_n_answers_are_tried(tmp_path):
    result = run(tmp_path, ["0", "1", "2"], n=3)
    assert (result.outcome, result.usage.calls) == ("rejected", 3)
'''

_POLICY = '''\
"""A search policy for burnish: one sample after another until the verifier passes one.

    burnish run $name.py:graph "What is 17 + 25?" --verifier numeric --reference 42

A policy is pure: no model, no text, no clock. `ask` says what to try, `tell` takes one result, `finish` chooses.
"""

from dataclasses import dataclass, replace

from burnish import Expansion, Moves, Scored, Selection, Solver, TaskView, search_node
from burnish.core.rank import rank
from burnish.graphs.builtin import one_node


@dataclass(frozen=True)
class State:
    """Immutable: each step makes a new one."""

    asked: int = 0
    results: tuple[Scored, ...] = ()


@dataclass(frozen=True)
class $title:
    """Draws up to `most` samples."""

    most: int = 8
    name: str = "$name"

    def start(self, task: TaskView, seed: int) -> State:
        return State()

    def ask(self, state: State) -> tuple[State, Moves]:
        """What to start now; everything that is returned runs at the same time."""
        if len(state.results) < state.asked or state.asked == self.most:
            return state, Moves()
        return replace(state, asked=state.asked + 1), Moves(expansions=(Expansion(id=f"x{state.asked}"),))

    def tell(self, state: State, result: Scored) -> State:
        """One result. It may be a failure (`error`), and nobody may have judged it (`outcome` is abstain)."""
        return replace(state, results=(*state.results, result))

    def finish(self, state: State, must: bool) -> Selection | None:
        """The choice, or None to go on; with `must` never None."""
        alive = [r for r in state.results if r.error is None]
        best = max(alive, key=lambda r: rank(r.outcome, r.score), default=None)
        if best and best.outcome == "pass":
            return Selection(id=best.id, reason="passed")
        if must or len(state.results) == self.most:
            return Selection(id=best.id if best else None, reason="best_score" if best else "no_candidate")
        return None


def graph(most: int = 8):
    """A graph of one node that searches with the policy and has the task's verifier judge."""
    return one_node("$name", search_node($title(most), Solver()))
'''

_POLICY_TEST = '''\
"""Tests of the policy $title: alone, by telling it results, and in a run with scripted replies."""

import burnish
from burnish import Scored, TaskView
from $name import $title, graph


def told(policy, *results):
    """The policy's choice after these results, asked as the driver asks."""
    state = policy.start(TaskView(id="t"), 0)
    for i, fields in enumerate(results):
        state, moves = policy.ask(state)
        assert [e.id for e in moves.expansions] == [f"x{i}"]
        state = policy.tell(state, Scored(id=f"x{i}", **fields))
    return policy.finish(state, False)


def test_a_pass_ends_it():
    assert told($title(), {"outcome": "fail"}, {"outcome": "pass"}).id == "x1"


def test_it_goes_on_without_a_pass():
    assert told($title(), {"outcome": "fail"}, {"error": "generation"}) is None


def test_the_best_of_all_is_returned():
    assert told($title(most=2), {"outcome": "fail", "score": 0.6}, {"outcome": "fail", "score": 0.1}).id == "x0"


def test_without_a_candidate_nothing_is_chosen():
    policy = $title()
    assert policy.finish(policy.start(TaskView(id="t"), 0), True).id is None


def test_a_run_with_it(tmp_path):
    task = {"prompt": "What is 17 + 25?", "reference": 42, "verifier": "numeric"}
    replies = iter(["40", "41", "42", "43"])
    engine = burnish.ScriptedEngine(lambda call: next(replies))
    result = burnish.run(graph, task, engine, store=f"sqlite:///{tmp_path}/runs.db")
    assert (result.answer, result.usage.calls) == ("42", 3)
'''

_VERIFIER = '''\
"""A verifier for burnish: the answer is short enough.

    burnish run best_of_n "Name a colour." --verifier $name.py:$name
    burnish verifiers show $name.py:$name

It runs in a worker process that is killed after 30 seconds. If it raises, the verdict is an abstention, never a score.
"""

from burnish import Verdict

MOST_WORDS = 50


def $name(task, text):
    """At most 50 words, or as many as the task's metadata allow (`words`)."""
    most = task.metadata.get("words", MOST_WORDS)
    words = len(text.split())
    if words <= most:
        return Verdict.passed()
    return Verdict.failed(f"{words} words are too many, {most} are allowed", score=most / words, reason="too_long")
'''

_VERIFIER_TEST = '''\
"""Tests of the verifier $name."""

import burnish
from $name import $name

TASK = burnish.Task(prompt="Name a colour.", metadata={"words": 2})


def test_a_short_answer_passes():
    assert $name(TASK, "dark blue").outcome == "pass"


def test_a_long_answer_fails_and_is_told_why():
    verdict = $name(TASK, "it is dark blue")
    assert (verdict.outcome, verdict.score, verdict.reason) == ("fail", 0.5, "too_long")
    assert "2 are allowed" in verdict.feedback


def test_a_run_with_it(tmp_path):
    task = {"prompt": "Name a colour.", "metadata": {"words": 2}}
    replies = iter(["it is dark blue", "blue"])
    engine = burnish.ScriptedEngine(lambda call: next(replies))
    settings = {"n": 2, "verifier": {"name": "python_function", "function": "$name:$name"}}
    result = burnish.run("best_of_n", task, engine, store=f"sqlite:///{tmp_path}/runs.db", settings=settings)
    assert (result.answer, result.verified) == ("blue", True)
'''

FILES = {
    "graph": (_GRAPH, _GRAPH_TEST),
    "policy": (_POLICY, _POLICY_TEST),
    "verifier": (_VERIFIER, _VERIFIER_TEST),
}
"""By kind: the file, and its test."""
TRIES = {
    "graph": 'burnish run $name.py:$name "What is 17 + 25?" --verifier numeric --reference 42 --engine scripted',
    "policy": 'burnish run $name.py:graph "What is 17 + 25?" --verifier numeric --reference 42 --engine scripted',
    "verifier": 'burnish run best_of_n "Name a colour." --verifier $name.py:$name --engine scripted',
}
"""By kind: a command that needs no model."""
