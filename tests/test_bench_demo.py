"""The demo's machinery on a scripted engine: done once, gone on with after a cut, read from the store ever after."""

import json
from dataclasses import replace
from pathlib import Path

from burnish.bench import demo
from burnish.bench.evaluate import Method, batch_name, carry_out, finished, read
from burnish.bench.quality import Pool, pools, summary
from burnish.core.task import Task
from burnish.engine.replies import Call, Reply
from burnish.engine.scripted import ScriptedEngine
from burnish.session import Session

TASKS = [
    Task(
        id=f"sum-{i}",
        prompt=f"What is {i} + 1?",
        reference=str(i + 1),
        extract="last_number",
        grader={"name": "numeric", "expected": i + 1},
        verifier={"name": "regex", "pattern": r"\d+"},
        metadata={"family": "even" if i % 2 == 0 else "odd"},
    )
    for i in range(6)
]


def right_every_third(call: Call) -> Reply:
    number = int(call.text.split()[2])
    return Reply(f"It is {number + 1}." if call.seed % 3 == 0 else f"It is {call.seed % 7 + 100}.")


async def test_all_methods_once_and_then_from_the_store(tmp_path: Path):
    path, engine = tmp_path / "demo.db", ScriptedEngine(right_every_third)
    found = await demo.evaluate(f"sqlite:///{path}", TASKS, prefix="demo", engine=engine)
    assert [e.method for e in found] == ["single", "majority", "best_of_n", "best_of_n, oracle"]
    single, _, first, oracle = found
    # Any number passes the regular expression, so that verifier's best of eight is one sample; the oracle is pass@8.
    assert [g.outcome for g in first.graded] == ["verified"] * 6
    assert sum(oracle.passes) > sum(single.passes)
    assert single.total("calls") == 6
    assert single.total("verdicts") == 0
    calls = engine.calls
    again = await demo.evaluate(f"sqlite:///{path}", TASKS, prefix="demo", engine=engine)
    assert again == found
    assert engine.calls == calls
    table = demo.comparison(found)
    assert all(e.method in table for e in found)
    assert "even" in demo.by_family(found, TASKS)
    assert json.loads(json.dumps(demo.to_json(path, found)))["methods"][3]["right"] == sum(oracle.passes)
    shown = demo.trace_commands(path, found)
    assert any(f"burnish runs tree {g.run_id[-8:]} --store sqlite:///{path}" in shown for g in first.graded)
    assert f"sqlite3 {path}" in shown


async def test_what_was_cut_is_gone_on_with(tmp_path: Path):
    method = Method(name="oracle", graph="best_of_n", settings={"n": 4, "stop_at_pass": False}, oracle=True)
    url, engine = f"sqlite:///{tmp_path / 'cut.db'}", ScriptedEngine(right_every_third)
    async with Session(engine, store=url, concurrency=1) as session:
        async for _ in session.batch("best_of_n", method.prepared(TASKS), settings=method.settings, name="p/oracle"):
            session.stop.request("test")
    assert 0 < engine.calls < 24
    async with Session(engine, store=url) as session:
        assert not finished(session.store.reader(), "p/oracle", len(TASKS))
        await carry_out(session, method, TASKS, prefix="p", seed=0)
        assert finished(session.store.reader(), batch_name("p", method), len(TASKS))
        found = read(session.store.reader(), method, TASKS, prefix="p")
    assert engine.calls == 24
    assert [g.task_id for g in found.graded] == [t.id for t in TASKS]
    assert found.seconds > 0


async def test_an_answer_that_is_missing_counts_as_wrong(tmp_path: Path):
    method = Method(name="single", graph="single", settings={"verifier": None})
    tasks = [replace(TASKS[0], id="none"), TASKS[1]]
    failing = ScriptedEngine({"What is 0": RuntimeError("no answer"), "": "It is 2."})
    async with Session(failing, store=f"sqlite:///{tmp_path / 'missing.db'}", attempts=1) as session:
        await carry_out(session, method, tasks, prefix="p", seed=0)
        found = read(session.store.reader(), method, tasks, prefix="p")
    assert found.passes == [False, True]
    assert found.graded[0].outcome == "no_answer"


async def test_pools_keep_every_sample(tmp_path: Path):
    async with Session(ScriptedEngine(right_every_third), store=f"sqlite:///{tmp_path / 'pools.db'}") as session:
        found = await pools(session, TASKS, 8, prefix="q", seed=0)
        returned = read(session.store.reader(), Method(name="pool of 8", graph="", settings={}), TASKS, prefix="q").passes
    assert [len(p.votes) for p in found] == [8] * 6
    assert returned == [p.passed > 0 for p in found]
    assert {right for p in found for _, right in p.votes} == {True, False}
    section = summary(found, 8)
    assert [m.name.split()[0] for m in section.measures] == [f"{n}@{k}" for n in ("pass", "majority") for k in (1, 2, 4, 8)]


def test_a_pool_votes():
    pool = Pool("t", "f", [("7", False), ("5", True), ("5", True), (None, False)])
    assert pool.majority_at(4) == 1.0
    assert pool.majority_at(1) == pool.pass_at(1) == 0.5
    assert 0 < pool.majority_at(2) < 1
    assert Pool("t", "f", [(None, False)] * 2).majority_at(2) == 0.0
