"""The record in memory answers and counts as the database does."""

import inspect
from dataclasses import replace
from typing import TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy

from burnish import BestOfN, Budget, Candidate, Context, GenerationFailed, ScriptedEngine, StoreError, Task, Verdict
from burnish.core.completion import Completion, TokenCounts
from burnish.core.ids import new_run_id
from burnish.core.journal import Journal, RunRecord
from burnish.core.records import Intent, Judged, Outcome
from burnish.core.runs import RunEnd, RunSpec
from burnish.core.stop import Stop
from burnish.engine.layer import Layer
from burnish.engine.replies import Reply
from burnish.execution import execute
from burnish.graphs.registry import build_graph
from burnish.traces.memory import MemoryJournal
from burnish.traces.store import Store
from tests.helpers import searching


class Paid(Layer):
    """An engine that bills each call, with parts of a cent that do not add up in binary."""

    async def generate(self, prompt, sampling, **how):
        return replace(await self.engine.generate(prompt, sampling, **how), cost_usd=0.0001003)


class Judge:
    """A verifier that asks the model, and abstains on some answers."""

    name, version, oracle, judges_truncated = "judge", "1", False, False

    async def verify(self, task, candidate, ctx=None):
        said = await ctx.generate(f"Is {candidate.text} right?", role="judge", key="ask")
        return Verdict.abstain("unsure") if candidate.text.startswith("3") else Verdict.of(said.text.startswith("1"))


def reply(call):
    if "Is " in call.text:
        return Reply("1" if call.seed % 3 == 0 else "0", cached=2)
    if call.seed % 5 == 0:
        return Reply(error=GenerationFailed("no luck", code="scripted"))
    return Reply(str(call.seed), reasoning="hm, well" if call.seed % 2 else "", cached=1)


TASK = Task(id="t", prompt="What is it?", verifier={"name": "regex", "pattern": "[02468]$"}, grader="regex:^[0-9]+$")
BUILT = {
    "vote": ("majority", {"n": 12}, Budget()),
    "best": ("best_of_n", {"n": 12, "stop_at_pass": False}, Budget()),
    "limited": ("best_of_n", {"n": 12, "stop_at_pass": False, "width": 1}, Budget(calls=5)),
    "refused": ("best_of_n", {"n": 12, "stop_at_pass": False, "width": 1}, Budget(verifier_calls=3, usd=1.0)),
}


async def both(tmp_path, graph, task=TASK, budget=None, engine=None, grade_all=False):
    """The same run on a database and in memory."""
    spec = RunSpec(id=new_run_id(), task=task, graph="given", budget=budget or Budget(), seed=3)
    store = await Store.open(f"sqlite:///{tmp_path}/runs.db")
    try:
        await store.create_run(spec)
        found = []
        for journal in (await store.acquire(spec.id), MemoryJournal(spec)):
            engines = {"default": engine() if engine else Paid(ScriptedEngine(reply))}
            found.append(await execute(graph, journal, engines, Stop(), grade_all=grade_all))
        rows = store.reader()
        return found, rows.candidates(spec.id), rows.verdicts(spec.id), journal
    finally:
        await store.close()


@pytest.mark.parametrize("name", BUILT)
async def test_a_run_ends_and_counts_the_same(tmp_path, name):
    graph, settings, budget = BUILT[name]
    (stored, kept), _, verdicts, journal = await both(tmp_path, build_graph(graph, settings), budget=budget)
    for result in (stored, kept):
        assert result.error is None
    assert replace(kept.usage, seconds=0) == replace(stored.usage, seconds=0)
    assert stored.usage.calls > 1
    assert kept.usage.seconds > 0
    same = ("answer", "outcome", "score", "candidate_id", "grade", "budget_limit")
    assert [getattr(kept, n) for n in same] == [getattr(stored, n) for n in same]
    assert journal.end.status == "done"
    assert len(journal.judged) == len(verdicts)


async def test_calls_of_verifiers_are_a_line_of_their_own(tmp_path):
    graph = searching(BestOfN(10, stop_at_pass=False), Judge())
    (stored, kept), candidates, verdicts, journal = await both(tmp_path, graph, grade_all=True)
    assert stored.usage.verifier_calls > 3
    assert stored.usage.abstentions > 0
    assert stored.usage.failed_calls > 0
    assert stored.usage.cached_tokens > 0
    assert stored.usage.reasoning_tokens > 0
    assert replace(kept.usage, seconds=0) == replace(stored.usage, seconds=0)
    assert {c.id for c in candidates} == set(journal.candidates)
    said = {(v.candidate_id, v.verifier, v.grading, v.outcome) for v in verdicts}
    assert said == {(j.candidate_id, j.verifier, j.grading, j.verdict.outcome) for j in journal.judged}


async def test_the_tokens_of_cancelled_calls_count(tmp_path):
    def engine():
        # The first sample passes at once, the others are cut short by that.
        seeds = []

        def slow(call):
            seeds.append(call.seed)
            return Reply("2", latency=0.0) if len(seeds) == 1 else Reply("1 " * 400, latency=30.0)

        return ScriptedEngine(slow)

    graph = build_graph("best_of_n", {"n": 4})
    (stored, kept), *_ = await both(tmp_path, graph, engine=engine)
    assert stored.answer == kept.answer == "2"
    assert stored.usage.calls == kept.usage.calls == 4
    assert kept.usage.output_tokens < 400


class State(TypedDict, total=False):
    prompt: str
    answer: str


async def test_a_node_that_is_run_again_finds_its_calls(tmp_path):
    runs = []

    async def node(state: State, runtime: Runtime[Context]):
        text = (await runtime.context.generate("?", key="only")).text
        value = await runtime.context.effect("clock", {}, lambda: _value(len(runs)), key="now")
        runs.append(value)
        if len(runs) % 2:
            raise OSError("again")
        return {"answer": f"{text} {value}"}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("only", node, retry_policy=RetryPolicy(initial_interval=0.01, retry_on=OSError))
    builder.add_edge(START, "only")
    builder.add_edge("only", END)
    engines = []

    def engine():
        engines.append(ScriptedEngine("42"))
        return engines[-1]

    (stored, kept), *_ = await both(tmp_path, builder.compile(), engine=engine)
    assert (stored.answer, kept.answer) == ("42 0", "42 2")
    assert runs == [0, 0, 2, 2]
    assert [e.calls for e in engines] == [1, 1]
    assert kept.usage.calls == stored.usage.calls == 1


async def _value(n):
    return n


def intent(position, **fields):
    return Intent(position=position, step="", kind="generate", request_hash="h", request={}, engine="e", **fields)


def journal():
    return MemoryJournal(RunSpec(id=new_run_id(), task=TASK, graph="single"))


async def test_duplicates_and_calls_without_an_end_do_not_count():
    j = journal()
    done = Outcome(position="/a", state="ok", completion=Completion("x", tokens=TokenCounts(2, 0, 3)))
    await j.write(intent("/a"), done, intent("/a"), done, Outcome(position="/never", state="ok"), intent("/open"))
    verdict = Judged(position="/a/v", candidate_id="c", verifier="v", version="1", oracle=False, verdict=Verdict.passed())
    await j.write(verdict, verdict, replace(verdict, position="/a/g", grading=True))
    candidate = Candidate(id="c", position="/a", text="x")
    j.queue(candidate, candidate)
    usage = await j.usage()
    assert (usage.calls, usage.output_tokens, usage.verdicts) == (1, 3, 1)
    assert list(j.candidates) == ["c"]
    assert j.call("/open").state == "intent"
    assert j.call("/a").completion.text == "x"
    assert j.call("/never") is None
    assert j.unclaimed("", lambda p: p == "/a") is None
    assert j.unclaimed("", lambda p: False) == "/a"


async def test_a_finished_journal_takes_nothing_more_and_keeps_what_it_counted():
    j = journal()
    j.queue(Candidate(id="c", position="/a", text="x"))
    await j.finish(RunEnd(status="done", outcome="unverified"), 1.5)
    assert (await j.usage()).seconds == 1.5
    assert list(j.candidates) == ["c"]
    with pytest.raises(StoreError):
        await j.write(intent("/b"))


def test_it_has_all_that_the_protocol_has():
    wanted = {n for p in (Journal, RunRecord) for n, v in vars(p).items() if not n.startswith("_")}
    wanted |= set(RunRecord.__annotations__)
    assert {"write", "usage", "spec", "elapsed"} <= wanted
    j = journal()
    assert [n for n in wanted if not hasattr(j, n)] == []
    for name in ("write", "finish", "usage"):
        assert inspect.iscoroutinefunction(getattr(j, name))
