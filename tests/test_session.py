"""The session, its synchronous face, and what stands at which position."""

import asyncio
import json
import operator
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy, Send

import burnish
from burnish import (
    BestOfN,
    BudgetExhausted,
    Candidate,
    Completion,
    ConfigError,
    Context,
    EngineUnavailable,
    Fenced,
    Majority,
    ReplayMismatch,
    ScriptedEngine,
    Session,
    StoreError,
    Task,
    Verdict,
)
from burnish.engine.replies import Reply
from tests.helpers import rows, searching, session


class State(TypedDict, total=False):
    prompt: str
    parts: Annotated[list, operator.add]
    answer: str


def one(node, **options):
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("only", node, **options)
    builder.add_edge(START, "only")
    builder.add_edge("only", END)
    return builder


async def test_many_runs_at_once_give_one_result_each(tmp_path):
    async with session(tmp_path, "42", latency=0.002, concurrency=8) as s:
        tasks = [Task(id=f"t{i}", prompt=f"{i}?") for i in range(40)]
        results = [r async for r in s.batch(searching(Majority(3), None), tasks)]
    assert {r.task_id for r in results} == {t.id for t in tasks}
    assert all(r.answer == "42" and r.error is None for r in results)
    assert rows(tmp_path, "SELECT status, count(*) FROM run GROUP BY status") == [("done", 40)]


async def test_one_failing_run_leaves_the_batch_alone(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        if runtime.context.task.id == "bad":
            raise ValueError("this graph has a bug")
        return {"answer": (await runtime.context.generate("?")).text}

    async with session(tmp_path, "42") as s:
        tasks = [Task(id=name, prompt="?") for name in ("a", "bad", "c")]
        results = {r.task_id: r async for r in s.batch(one(node), tasks)}
        assert results["a"].answer == results["c"].answer == "42"
        assert results["bad"].error.code == "graph_error"
        assert "this graph has a bug" in str(results["bad"].error)
        # The bug is mended: the run goes on.
        assert (await s.resume(results["bad"].run_id, one(lambda s: {"answer": "mended"}))).answer == "mended"


async def test_a_grader_measures_and_decides_nothing(tmp_path):
    task = Task(prompt="?", reference=42, verifier={"name": "regex", "pattern": "^[0-9]+$"}, grader={"name": "numeric"})
    async with session(tmp_path, "41") as s:
        result = await s.run("best_of_n", task, budget={"verifier_calls": 8})
    assert result.verified
    assert result.grade.outcome == "fail"
    assert rows(tmp_path, "SELECT grading, outcome FROM verdict WHERE grading") == [(1, "fail")]


async def test_same_tasks_same_ids_are_refused(tmp_path):
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match="two tasks"):
            async for _ in s.batch("single", ["same", "same"]):
                pass
    assert rows(tmp_path, "SELECT count(*) FROM run") == [(0,)]


@pytest.mark.parametrize(
    ("graph", "settings", "match"),
    [
        ("best_of_m", {}, "did you mean best_of_n"),
        ("best_of_n", {"n": 0}, "n=0"),
        ("best_of_n", {"width": "wide"}, "width"),
        ("single", {"n": 2}, "no setting 'n'"),
        ("nowhere.py:graph", {}, "no file"),
        ("json:dumps", {}, "do not fit"),
        ("json:nothing", {}, "has no nothing"),
        (42, {}, "is no graph"),
    ],
)
async def test_what_is_no_graph_is_said_before_anything_is_stored(tmp_path, graph, settings, match):
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match=match):
            await s.run(graph, "?", settings=settings)
    assert rows(tmp_path, "SELECT count(*) FROM run") == [(0,)]


async def test_a_graph_without_an_answer_is_told_so(tmp_path):
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match="'answer'"):
            await s.run(one(lambda state: {"parts": [1]}), "?")


def sends(count, node_delay):
    """A graph that sends the same node many tasks, each of which invokes one subgraph twice, side by side."""

    async def inner(state: State, runtime: Runtime[Context]):
        text = (await runtime.context.generate("the same request")).text
        return {"parts": [text]}

    sub = one(inner).compile()

    async def work(state: State, runtime: Runtime[Context]):
        await asyncio.sleep(node_delay(len(state["prompt"])))
        ctx = runtime.context
        both = await asyncio.gather(*(sub.ainvoke({"prompt": "x"}, context=ctx.scope(f"w{i}")) for i in range(2)))
        return {"parts": [p for b in both for p in b["parts"]]}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("start", lambda s: {})
    builder.add_node("work", work)
    builder.add_node("end", lambda s: {"answer": ",".join(s["parts"])})
    builder.add_edge(START, "start")
    builder.add_conditional_edges("start", lambda s: [Send("work", {"prompt": "x" * i}) for i in range(count)], ["work"])
    builder.add_edge("work", "end")
    builder.add_edge("end", END)
    return builder


async def test_parallel_invocations_of_one_subgraph_keep_their_places(tmp_path):
    def reply(call):
        return str(call.seed)

    async with session(tmp_path, reply) as s:
        first = await s.run(sends(4, lambda i: 0.01 * i), "?", seed=5)
        second = await s.run(sends(4, lambda i: 0.04 - 0.01 * i), "?", seed=5)
    assert first.answer == second.answer
    positions = rows(tmp_path, "SELECT position, count(*) FROM call GROUP BY position ORDER BY 1")
    assert len(positions) == 8
    assert all(n == 2 for _, n in positions)
    assert len(set(first.answer.split(","))) == 8


async def test_identical_requests_in_turn_are_numbered_and_at_once_need_keys(tmp_path):
    async def in_turn(state: State, runtime: Runtime[Context]):
        return {"answer": " ".join([(await runtime.context.generate("?")).text for _ in range(3)])}

    async def at_once(state: State, runtime: Runtime[Context]):
        await asyncio.gather(*(runtime.context.generate("?") for _ in range(2)))

    async def with_keys(state: State, runtime: Runtime[Context]):
        texts = await asyncio.gather(*(runtime.context.generate("?", key=f"k{i}") for i in range(2)))
        return {"answer": " ".join(t.text for t in texts)}

    async with session(tmp_path, lambda call: str(call.seed), latency=0.01) as s:
        assert len(set((await s.run(one(in_turn), "?")).answer.split())) == 3
        with pytest.raises(ConfigError, match="give each call a key"):
            await s.run(one(at_once), "?")
        assert len(set((await s.run(one(with_keys), "?")).answer.split())) == 2


async def test_a_node_that_is_retried_repeats_no_finished_call(tmp_path):
    failures = 2

    async def node(state: State, runtime: Runtime[Context]):
        nonlocal failures
        text = (await runtime.context.generate("dear call")).text
        if failures:
            failures -= 1
            raise ConnectionError("not yet")
        return {"answer": text}

    retry = RetryPolicy(initial_interval=0.01, max_attempts=5)
    async with session(tmp_path, lambda call: str(call.seed)) as s:
        result = await s.run(one(node, retry_policy=retry), "?")
    assert result.usage.calls == 1
    assert rows(tmp_path, "SELECT attempts FROM call") == [(1,)]


async def test_an_effect_happens_once(tmp_path):
    count = 0

    async def tool():
        nonlocal count
        count += 1
        return {"count": count}

    def graph(fail):
        async def node(state: State, runtime: Runtime[Context]):
            value = await runtime.context.effect("tool", {"q": 1}, tool)
            if fail:
                raise RuntimeError("after the tool")
            return {"answer": str(value["count"])}

        return one(node)

    async with session(tmp_path) as s:
        with pytest.raises(burnish.BurnishError) as caught:
            await s.run(graph(True), "?")
        assert (await s.resume(caught.value.run_id, graph(False))).answer == "1"
    assert count == 1


async def test_changed_code_is_named_on_resume(tmp_path):
    def graph(prompt, key, fail):
        async def node(state: State, runtime: Runtime[Context]):
            await runtime.context.generate(prompt, key=key)
            if fail:
                raise RuntimeError("stop here")
            return {"answer": "x"}

        return one(node)

    async with session(tmp_path) as s:
        for key, where in (("k", "differs from the recorded"), (None, "no longer makes the recorded call")):
            with pytest.raises(burnish.BurnishError) as caught:
                await s.run(graph("one", key, True), "?")
            with pytest.raises(ReplayMismatch, match=where) as mismatch:
                await s.resume(caught.value.run_id, graph("two", key, False))
            assert mismatch.value.position.startswith("/only@1/")
            if key:
                assert (await s.resume(caught.value.run_id, graph("one", key, False))).answer == "x"


async def test_another_engine_is_refused_on_resume(tmp_path):
    async with session(tmp_path) as s:
        with pytest.raises(burnish.BurnishError) as caught:
            await s.run(one(lambda s: {"parts": [1]}), "?")

        async def call(state: State, runtime: Runtime[Context]):
            await runtime.context.generate("?")
            raise RuntimeError

        with pytest.raises(burnish.BurnishError) as caught:
            await s.run(one(call), "?")
    other = ScriptedEngine("x", model="another")
    async with session(tmp_path, engine=other) as s:
        with pytest.raises(EngineUnavailable, match="another engine: model"):
            await s.resume(caught.value.run_id, one(call))


async def test_a_role_that_gets_another_engine_on_resume_is_refused(tmp_path):
    again = []

    async def judged(state: State, runtime: Runtime[Context]):
        if not again:
            raise RuntimeError
        return {"answer": (await runtime.context.generate("?", role="judge")).text}

    url, small = f"sqlite:///{tmp_path}/runs.db", ScriptedEngine("small")
    async with Session(small, store=url) as s:
        with pytest.raises(burnish.BurnishError) as caught:
            await s.run(one(judged), "?")
    again.append(True)
    other = {"default": small, "judge": ScriptedEngine("large", model="big")}
    async with Session(engines=other, store=url) as s:
        with pytest.raises(EngineUnavailable, match="in the role 'judge', model was scripted, is big"):
            await s.resume(caught.value.run_id, one(judged))
    async with Session(engines={"default": small, "judge": small}, store=url) as s:
        assert (await s.resume(caught.value.run_id, one(judged))).answer == "small"


@pytest.mark.parametrize(
    ("settings", "sampling", "lacks"), [({"logprobs": True}, {}, "logprobs"), ({}, {"regex": "[0-9]+"}, "regex")]
)
async def test_what_the_engine_cannot_do_is_said_before_the_run(tmp_path, settings, sampling, lacks):
    engine = ScriptedEngine("x", capabilities=burnish.Capabilities(seed=True))
    async with session(tmp_path, engine=engine) as s:
        with pytest.raises(EngineUnavailable, match=f"needs {lacks}.*vllm"):
            await s.run("single", Task(prompt="?", sampling=sampling), settings=settings)
    assert rows(tmp_path, "SELECT count(*) FROM run") == [(0,)]


async def test_roles_have_engines_of_their_own(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        ctx = runtime.context
        texts = [(await ctx.generate("?", role=role)).text for role in ("proposer", "judge")]
        return {"answer": " ".join(texts)}

    engines = {"default": ScriptedEngine("small"), "judge": ScriptedEngine("large", model="big")}
    async with Session(engines=engines, store=f"sqlite:///{tmp_path}/runs.db") as s:
        assert (await s.run(one(node), "?")).answer == "small large"
    assert rows(tmp_path, "SELECT role, model FROM call ORDER BY seq") == [("proposer", "scripted"), ("judge", "big")]


async def test_a_stopped_session_leaves_runs_to_be_resumed(tmp_path):
    async with session(tmp_path, "42", latency=lambda call: s.stop.request("interrupted") or 0.05) as s:
        graph = searching(BestOfN(4, stop_at_pass=False), None)
        with pytest.raises(burnish.Cancelled) as caught:
            await s.run(graph, "?")
    assert rows(tmp_path, "SELECT status FROM run") == [("interrupted",)]
    async with session(tmp_path, "42") as s:
        assert (await s.resume(caught.value.run_id, graph)).answer == "42"


async def test_a_run_is_worked_on_by_one_only(tmp_path):
    async with session(tmp_path, "42", latency=0.2) as s:
        graph, started = searching(Majority(2), None), asyncio.get_running_loop().create_future()
        running = asyncio.create_task(s.run(graph, "?", on_start=started.set_result))
        run_id = await started
        while rows(tmp_path, "SELECT count(*) FROM call") == [(0,)]:
            await asyncio.sleep(0.01)
        with pytest.raises(Fenced):
            await s.resume(run_id, graph)
        assert (await running).answer == "42"


async def test_a_session_without_an_engine_or_a_limit_is_refused():
    with pytest.raises(ConfigError, match="no engine"):
        Session()
    with pytest.raises(ConfigError, match="concurrency is 0"):
        Session(ScriptedEngine("x"), concurrency=0)


def test_run_is_synchronous_and_may_be_called_twice(tmp_path):
    engine, store = ScriptedEngine("42"), f"sqlite:///{tmp_path}/runs.db"
    for _ in range(2):
        assert burnish.run("single", "?", engine, store=store).answer == "42"
    with pytest.raises(ConfigError, match="n=0"):
        burnish.run("best_of_n", "?", engine, store=store, settings={"n": 0})


async def test_run_works_within_a_running_loop(tmp_path):
    result = burnish.run("single", "?", ScriptedEngine("42"), store=f"sqlite:///{tmp_path}/runs.db")
    assert result.answer == "42"


def test_ctrl_c_ends_the_synchronous_run_and_it_can_be_resumed(tmp_path):
    store = f"sqlite:///{tmp_path}/runs.db"
    code = f"""
        import burnish
        engine = burnish.ScriptedEngine("42", latency=30)
        burnish.run("single", "?", engine, store={store!r})
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if rows(tmp_path, "SELECT count(*) FROM call")[0][0]:
                break
        except Exception:
            pass
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode != 0
    assert "KeyboardInterrupt" in err
    ((run_id, status),) = rows(tmp_path, "SELECT id, status FROM run")
    assert status in ("interrupted", "running")

    async def resume():
        async with session(tmp_path, "42") as s:
            return await s.resume(run_id)

    assert asyncio.run(resume()).answer == "42"


async def test_runs_of_a_batch_learn_from_each_other_and_resumed_ones_get_what_they_got(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        ctx = runtime.context
        journal = ctx.run.journal
        seen = await ctx.effect("seen", None, lambda: journal.shared("lesson"))

        async def lesson() -> str:
            return ctx.task.id

        await ctx.effect("lesson", None, lesson)
        return {"answer": json.dumps(sorted(seen))}

    graph = one(node)
    async with session(tmp_path, concurrency=1) as s:
        tasks = [Task(id=f"t{i}", prompt="?") for i in range(3)]
        answers = [json.loads(r.answer or "") async for r in s.batch(graph, tasks)]
        assert answers == [[], ["t0"], ["t0", "t1"]]
        assert (await s.run(graph, Task(id="alone", prompt="?"))).answer == "[]"


async def test_an_effect_that_is_no_async_function_is_refused_by_name(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        await runtime.context.effect("clock", None, lambda: 3)  # pyright: ignore[reportArgumentType]

    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match="'clock' returns nothing to await"):
            await s.run(one(node), "?")


async def test_seconds_end_a_call_outside_of_a_search_in_the_midst(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        ctx = runtime.context
        await ctx.add(await ctx.generate("quick"))
        return {"answer": (await ctx.generate("slow")).text}

    def reply(call):
        return Reply(call.text, latency=60.0 if call.text == "slow" else 0.0)

    async with session(tmp_path, reply) as s:
        result = await asyncio.wait_for(s.run(one(node), "?", budget="seconds=0.5"), 30)
    assert (result.answer, result.budget_limit) == ("quick", "seconds")


async def test_a_call_that_ran_out_of_time_is_recorded_so_whoever_catches_it(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        try:
            return {"answer": (await runtime.context.generate("slow")).text}
        except BudgetExhausted:
            return {"answer": "without it"}

    async with session(tmp_path, lambda call: Reply("late", latency=60.0)) as s:
        result = await asyncio.wait_for(s.run(one(node), "?", budget="seconds=0.3"), 30)
    assert (result.answer, result.budget_limit) == ("without it", "seconds")
    assert rows(tmp_path, "SELECT state, error_code FROM call") == [("refused", "seconds")]


class AsksTheModel:
    """A grader that asks for a model's word."""

    name, version, oracle, judges_truncated = "asks", "1", True, True

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        assert ctx is not None
        return Verdict.of((await ctx.generate(f"Is {candidate.text} right?")).text == "yes")


async def test_an_answer_stands_though_the_budget_leaves_its_grader_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.execution.make_verifier", lambda spec: AsksTheModel())
    async with session(tmp_path, lambda call: Reply("yes")) as s:
        result = await s.run("single", Task(prompt="?", grader="asks"), budget="calls=1")
    assert (result.answer, result.error) == ("yes", None)
    assert result.grade is not None
    assert (result.grade.outcome, result.grade.reason) == ("abstain", "budget")


async def test_a_run_whose_last_record_cannot_be_stored_gives_its_lease_back(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        candidate = await runtime.context.add(Completion(text="a", token_ids=(2**40,)))
        return {"answer": "a", "candidate_id": candidate.id}

    async with session(tmp_path) as s:
        with pytest.raises(StoreError) as failure:
            await s.run(one(node), "?")
        run = s.store.reader().run(getattr(failure.value, "run_id"))  # noqa: B009
        assert (run.status, run.error_code) == ("interrupted", "record")
        assert rows(tmp_path, "SELECT owner FROM run") == [(None,)]


async def test_an_effect_may_be_asked_for_by_a_mapping_of_numbers(tmp_path):
    async def node(state: State, runtime: Runtime[Context]):
        async def look() -> str:
            return "seen"

        return {"answer": await runtime.context.effect("look", {1: {2, 1}}, look)}  # pyright: ignore[reportArgumentType]

    async with session(tmp_path) as s:
        assert (await s.run(one(node), "?")).answer == "seen"


async def test_a_verifier_that_calls_the_model_meets_the_budget_too(tmp_path):
    """It holds a verifier call while it waits for a model call: nobody but itself could make room."""

    class Asks:
        name, version, oracle, judges_truncated = "asks", "1", False, True

        async def verify(self, task: Task, candidate: burnish.Candidate, ctx: Context | None = None) -> burnish.Verdict:
            assert ctx is not None
            await ctx.generate("right?", role="judge")
            return burnish.Verdict.passed()

    async with session(tmp_path) as s:
        graph = searching(BestOfN(4, stop_at_pass=False), Asks())
        result = await asyncio.wait_for(s.run(graph, "?", budget="calls=5"), 30)
    assert result.budget_limit == "calls"
    assert result.answer == "42"
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE state = 'ok'") == [(5,)]
