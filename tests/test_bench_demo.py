"""The demo's machinery on a scripted engine: done once, gone on with after a cut, read from the store ever after."""

import json
from dataclasses import replace
from pathlib import Path

from burnish.bench import demo, quality
from burnish.bench.evaluate import carried_out
from burnish.compare.summary import summarise
from burnish.core.task import Task
from burnish.engine.replies import Call, Reply
from burnish.engine.scripted import ScriptedEngine

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
    path, engine, what = tmp_path / "demo.db", ScriptedEngine(right_every_third), replace(demo.plan(), tasks=TASKS)
    trials = await carried_out(f"sqlite:///{path}", what, engine)
    assert list(trials) == ["single", "majority", "best_of_n", "best_of_n, oracle"]
    single, _, first, oracle = arms = summarise(what, trials)
    # Any number passes the regular expression, so that verifier's best of eight is one sample; the oracle is pass@8.
    assert first.verification.accepted_right + first.verification.accepted_wrong == 6
    assert oracle.right > single.right
    assert single.total.calls == 6
    assert single.total.verdicts == 0
    calls = engine.calls
    assert await carried_out(f"sqlite:///{path}", what, engine) == trials
    assert engine.calls == calls
    table = demo.tables(what, arms)
    assert all(arm.name in table for arm in arms)
    assert "even" in table
    described = json.loads(json.dumps(demo.to_json(path, what, arms)))
    assert described["arms"][3]["right"] == oracle.right
    shown = demo.trace_commands(path, trials)
    assert any(f"burnish runs tree {t.run_id[-8:]} --store sqlite:///{path}" in shown for t in trials["best_of_n"])
    assert f"sqlite3 {path}" in shown


async def test_a_pool_gives_every_k(tmp_path: Path):
    what = replace(quality.plan(1, 8), tasks=TASKS)
    pool, families = await quality.measured(f"sqlite:///{tmp_path / 'pools.db'}", what, ScriptedEngine(right_every_third))
    assert list(pool.pass_at) == list(pool.majority_at) == [1, 2, 4, 8]
    assert pool.pass_at[8].value == pool.right / 6
    assert pool.pass_at[1] == pool.majority_at[1]
    assert set(families) == {"even", "odd"}
    found = quality.section(what, pool, families)
    assert [m.name.split()[0] for m in found.measures] == [f"{n}@{k}" for n in ("pass", "majority") for k in (1, 2, 4, 8)]


def test_the_tasks_are_the_micro_tasks():
    assert len(demo.plan().tasks) == 72
    assert len({t.metadata["family"] for t in quality.plan().tasks}) == 6
