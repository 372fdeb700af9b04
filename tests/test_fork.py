"""Forks: a new run that begins with the record of an old one, and goes on anew from a point."""

import json
import sqlite3

import pytest

from burnish import BestOfN, Cancelled, ConfigError, ReplayMismatch, ScriptedEngine, Session, Solver, Task, search_node
from burnish.graphs.builtin import one_node
from burnish.graphs.nodes import State
from burnish.traces.audit import audit
from burnish.traces.diff import compare_runs
from burnish.traces.fork import find_point
from tests.cli_kit import burnish as burnish
from tests.helpers import rows, session
from tests.test_traces_store import url as url

TASK = Task(prompt="What is 17 + 25?", id="sum", reference=42, verifier="numeric", grader="numeric")
ALL = {"n": 4, "stop_at_pass": False, "width": 1}


def counted(replies, model="scripted"):
    """An engine that answers in turn and remembers what it was asked for."""
    asked = []

    def reply(call):
        asked.append(call)
        return replies[min(len(asked), len(replies)) - 1]

    engine = ScriptedEngine(reply, model=model)
    return engine, asked


async def begun(path, replies=("1", "2", "42", "3"), settings=ALL, task=TASK, graph="best_of_n", **options):
    engine, _ = counted(replies)
    async with session(path, engine=engine) as s:
        return (await s.run(graph, task, settings=settings, **options)).run_id


def facts(path, run_id):
    """Numbers of all facts of a run."""
    found = []
    for table in ("step", "call", "candidate", "verdict", "decision", "tell"):
        found += [n for (n,) in rows(path, f"SELECT seq FROM {table} WHERE run_id = ?", run_id)]
    for table in ("step", "call"):
        found += [n for (n,) in rows(path, f"SELECT ended_seq FROM {table} WHERE run_id = ? AND ended_seq NOTNULL", run_id)]
    return sorted(found)


async def test_more_samples_behind_those_that_there_are(tmp_path):
    old = await begun(tmp_path)
    engine, asked = counted(["7", "8"])
    async with session(tmp_path, engine=engine) as s:
        made = await s.fork(old, "end", settings={"n": 6})
        reader = s.store.reader()
        assert (made.answer, made.usage.calls, len(asked)) == ("42", 6, 2)
        row = reader.run(made.run_id)
        assert (row.forked_from, row.forked_at) == (old, "end")
        assert [c.attempts for c in reader.calls(made.run_id)] == [0, 0, 0, 0, 1, 1]
        assert [c.preview for c in reader.candidates(made.run_id)] == ["1", "2", "42", "3", "7", "8"]
        assert reader.run(old).forked_from is None
        assert made.run_id != old
    numbers = facts(tmp_path, made.run_id)
    assert numbers == list(range(1, len(numbers) + 1))
    assert audit(f"sqlite:///{tmp_path}/runs.db") == []


async def test_a_fork_from_a_call_does_that_call_and_all_behind_it_anew(tmp_path):
    old = await begun(tmp_path)
    engine, asked = counted(["9"])
    async with session(tmp_path, engine=engine) as s:
        made = await s.fork(old, "/search@1/s0/x2/call")
        assert [c.preview for c in s.store.reader().candidates(made.run_id)] == ["1", "2", "9", "9"]
        assert len(asked) == 2
        compared = compare_runs(s.store.reader(), old, made.run_id)
        call = next(p for p in compared.parts if p.what == "call")
        assert (call.same, call.differ, call.first.position) == (2, 2, "/search@1/s0/x2/call")
        third = s.store.reader().calls(old)[2]
        again = await s.fork(old, str(third.seq))
        assert s.store.reader().run(again.run_id).forked_at == "/search@1/s0/x2/call"
        whole = await s.fork(old, "search")
        assert [c.preview for c in s.store.reader().candidates(whole.run_id)] == ["9"] * 4
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE attempts = 0 AND run_id = ?", whole.run_id) == [(0,)]


async def test_the_old_run_can_be_removed(tmp_path):
    old = await begun(tmp_path, budget="calls=9")
    async with session(tmp_path) as s:
        made = await s.fork(old, "end", settings={"n": 5})
    database = sqlite3.connect(tmp_path / "runs.db")
    database.execute("PRAGMA foreign_keys=ON")
    database.execute("DELETE FROM run WHERE id = ?", (old,))
    database.commit()
    database.close()
    assert audit(f"sqlite:///{tmp_path}/runs.db") == []
    async with session(tmp_path) as s:
        assert [c.preview for c in s.store.reader().candidates(made.run_id)] == ["1", "2", "42", "3", "42"]
    spent = rows(tmp_path, "SELECT kind, count(*) FROM budget_entry WHERE run_id = ? GROUP BY kind ORDER BY kind", made.run_id)
    assert spent == [("reserve", 5), ("settle", 5)]


async def test_what_was_taken_over_counts_against_the_budget(tmp_path):
    old = await begun(tmp_path)
    async with session(tmp_path) as s:
        made = await s.fork(old, "end", settings={"n": 8}, budget="calls=6")
    assert (made.budget_limit, made.usage.calls) == ("calls", 6)


async def test_another_verifier_judges_what_is_taken_over_too(tmp_path):
    old = await begun(tmp_path)
    engine, asked = counted(["2"])
    async with session(tmp_path, engine=engine) as s:
        made = await s.fork(old, "end", verifier="regex:^2$")
        assert (made.answer, asked, made.usage.verdicts) == ("2", [], 4)
        assert {v.verifier for v in s.store.reader().verdicts(made.run_id) if not v.grading} == {"regex"}
        # One of the same name with other arguments is another one as well.
        loose = await s.fork(old, "end", verifier={"name": "numeric", "expected": 3})
        assert loose.answer == "3"
        nobody = await s.fork(old, "end", verifier=None)
        assert (nobody.outcome, nobody.usage.verdicts) == ("unverified", 0)


async def test_a_difference_before_the_point_is_an_error(tmp_path):
    old = await begun(tmp_path)
    async with session(tmp_path) as s:
        with pytest.raises(ReplayMismatch, match="x0/call differs") as caught:
            await s.fork(old, "end", settings={"temperature": 1.5})
        assert "earlier" in caught.value.hint
        assert (await s.fork(old, "search", settings={"temperature": 1.5})).answer == "42"
        with pytest.raises(ReplayMismatch):
            await s.fork(old, "end", settings={"n": 2})


async def test_another_model_goes_on_behind_what_the_first_one_said(tmp_path):
    """Calls without keys stand at positions that the model is part of."""
    old = await begun(tmp_path, ("plan", "text"), settings=None, graph=f"{__file__}:two_nodes")
    engine, asked = counted(["better text"], model="larger")
    async with session(tmp_path, engine=engine) as s:
        made = await s.fork(old, "write")
        assert (made.answer, [c.text for c in asked]) == ("better text", ["write: plan"])
        assert [c.model for c in s.store.reader().calls(made.run_id)] == ["scripted", "larger"]
        again = await s.fork(made.run_id, "end" if s.store.reader().decisions(made.run_id) else "write")
        assert again.answer == "better text"


def two_nodes():
    from langgraph.graph import END, START, StateGraph

    from burnish.core.context import Context

    async def plan(state, runtime):
        return {"prompt": (await runtime.context.generate("plan")).text}

    async def write(state, runtime):
        return {"answer": (await runtime.context.generate(f"write: {state['prompt']}")).text}

    from langgraph.runtime import Runtime

    plan.__annotations__ = {"state": State, "runtime": Runtime[Context]}
    write.__annotations__ = {"state": State, "runtime": Runtime[Context]}
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("plan", plan)
    builder.add_node("write", write)
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "write")
    builder.add_edge("write", END)
    return builder.compile()


async def test_calls_that_came_to_nothing_are_not_taken_over(tmp_path):
    """The first sample passes and the others are cancelled: a fork that wants them all has to draw them."""
    waits = iter([0.0, 5.0, 5.0])
    slow = ScriptedEngine(lambda call: "42", latency=lambda call: next(waits))
    async with session(tmp_path, engine=slow) as s:
        old = (await s.run("best_of_n", TASK, settings={"n": 3})).run_id
    assert rows(tmp_path, "SELECT state FROM call WHERE run_id = ? ORDER BY seq", old) == [
        ("ok",),
        ("cancelled",),
        ("cancelled",),
    ]
    engine, asked = counted(["1"])
    async with session(tmp_path, engine=engine) as s:
        made = await s.fork(old, "end", settings={"stop_at_pass": False})
        texts = [c.preview for c in s.store.reader().candidates(made.run_id)]
    assert (texts, len(asked)) == (["42", "1", "1"], 2)


async def test_a_tree_is_forked_with_its_edges_on_both_databases(url):
    engine, _ = counted(["a\n", "b\n", "42", "x"])
    task = Task(prompt="go", verifier="regex:42")
    settings = {"n": 2, "width": 1, "stop_at_pass": False, "depth": 3}
    async with Session(engine, store=url) as s:
        reader = s.store.reader()
        old = (await s.run("rebase", task, settings=settings, budget="calls=20")).run_id
        made = await s.fork(old, "end")
        before, after = reader.candidates(old), reader.candidates(made.run_id)
        places = {c.id: c.position for c in [*before, *after]}
        assert any(c.parents for c in before)
        assert [[places[p] for p in c.parents] for c in before] == [[places[p] for p in c.parents] for c in after]
        assert [places[c.parent_id] for c in after if c.parent_id] == [places[c.parent_id] for c in before if c.parent_id]
        same = compare_runs(reader, old, made.run_id)
        assert all(part.first is None for part in same.parts if part.what != "decision")
        later = await s.fork(old, after[-1].position)
        assert [c.attempts for c in reader.calls(later.run_id)][-1] == 1
    assert audit(url) == []


@pytest.mark.parametrize(
    ("at", "told"),
    [("nowhere", "no node"), ("/search@9", "nothing came"), ("999", "nothing came"), ("", "no node"), ("0", "nothing came")],
)
async def test_points_that_are_none(tmp_path, at, told):
    old = await begun(tmp_path)
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match=told) as caught:
            await s.fork(old, at)
        assert "/search@1" in caught.value.hint
        assert len(s.store.reader().runs()) == 1


async def test_a_run_that_chose_nothing_has_no_end(tmp_path):
    old = await begun(tmp_path, ("plan", "text"), settings=None, graph=f"{__file__}:two_nodes")
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match="chosen nothing"):
            find_point(s.store.reader(), old, "end")


async def test_a_graph_given_as_an_object(tmp_path):
    graph = search_graph()
    engine, _ = counted(["1", "42"])
    async with session(tmp_path, engine=engine) as s:
        old = await s.run(graph, TASK)
        made = await s.fork(old.run_id, "end", graph=graph)
        assert made.answer == old.answer


def search_graph():
    return one_node("mine", search_node(BestOfN(2), Solver(), "task", width=1))


async def test_an_interrupted_fork_is_resumed_as_any_run(tmp_path):
    old = await begun(tmp_path)

    def reply(call):
        s.stop.request("enough")
        return "5"

    async with Session(ScriptedEngine(reply), store=f"sqlite:///{tmp_path}/runs.db") as s:
        with pytest.raises(Cancelled) as caught:
            await s.fork(old, "end", settings={"n": 6})
    async with session(tmp_path) as s:
        made = await s.resume(caught.value.run_id)
        assert (made.answer, len(s.store.reader().candidates(made.run_id))) == ("42", 6)


def test_on_the_command_line(burnish):
    run = ("run", "best_of_n", "What is 17 + 25?", "--reference", "42", "--verifier", "numeric", "--engine", "scripted")
    old = burnish(*run, "--engine-arg", "accuracy=0.5", "--set", "n=2", "--set", "stop_at_pass=false", "--json").data["run_id"]
    made = burnish("runs", "fork", old[-8:], "--at", "end", "--set", "n=5", "--json")
    assert (made.status, made.data["usage"]["calls"]) == (0, 5), made.err
    assert f"forked from {old[-8:]}" in made.err
    shown = burnish("runs", "show", made.data["run_id"])
    assert f"forked from: {old} at end" in shown.out
    assert burnish("runs", "show", made.data["run_id"], "--json").data["run"]["forked_from"] == old
    other = burnish("runs", "fork", old, "--at", "search", "--engine-arg", "accuracy=1.0", "--seed", "5", "--json")
    assert (other.status, other.data["answer"]) == (0, "42"), other.err
    assert burnish("runs", "diff", old, other.data["run_id"]).status == 0
    assert burnish("runs", "fork", old, "--at", "end", "--verifier", "none", "--json").data["outcome"] == "unverified"
    assert burnish("runs", "fork", old, "--at", "there").status == 2
    assert burnish("runs", "fork", "abcdabcd", "--at", "end").status == 2
    mismatch = burnish("runs", "fork", old, "--at", "end", "--set", "max_tokens=3", "--json")
    assert (mismatch.status, mismatch.error["kind"]) == (6, "replay_mismatch")
    assert json.loads(burnish("runs", "list", "--json").out)["data"][0]["forked_from"] == old
