"""Comparisons in which something is wrong: runs and calls that fail, answers that nobody can grade, another model, no budget."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from burnish import ConfigError, ScriptedEngine, Session, Task
from burnish.compare import report
from burnish.compare.plan import Arm, Plan
from burnish.compare.summary import summarise
from burnish.core.budget import Budget
from burnish.engine.replies import Call, Reply
from tests.compare_kit import carried, guess, plan, read, tasks


async def test_calls_that_fail_leave_runs_without_an_answer(tmp_path):
    path, what = tmp_path / "c.db", plan("single", n=6)

    def broken(call: Call) -> Reply:
        raise RuntimeError("out of order")

    failed, engine = await carried(path, what, ScriptedEngine(broken))
    (arm,) = summarise(what, read(path, what))
    assert (failed, arm.right, arm.runs, arm.verification.no_answer) == ([], 0, 6, 6)
    assert (await carried(path, what, engine))[0] == []
    assert engine.calls == 6


async def test_runs_that_fail_count_as_not_right_and_are_done_again(tmp_path):
    path, mended = tmp_path / "c.db", tmp_path / "mended"
    (tmp_path / "fragile.py").write_text(
        f"""
import pathlib
from burnish import Single, Solver, search_node
from burnish.graphs.builtin import one_node

search = search_node(Single(), Solver())

async def node(state, runtime):
    if runtime.context.task.id != "t0" and not pathlib.Path({str(mended)!r}).exists():
        raise RuntimeError("out of order")
    return await search(state, runtime)

graph = one_node("fragile", node)
"""
    )
    what = plan(f"single={tmp_path}/fragile.py:graph", n=6)
    failed, engine = await carried(path, what, ScriptedEngine(lambda call: (call.prompt.messages or ())[-1].text.split()[1][:-1]))
    (arm,) = summarise(what, read(path, what))
    assert (len(failed), arm.right, arm.runs, arm.verification.failed) == (5, 1, 6, 5)
    mended.touch()
    assert (await carried(path, what, engine))[0] == []
    (arm,) = summarise(what, read(path, what))
    assert (arm.right, arm.runs, arm.verification.failed, engine.calls) == (6, 6, 0, 6)


async def test_answers_that_nobody_can_grade_are_counted_apart(tmp_path):
    path = tmp_path / "c.db"
    unsure = {"name": "python_function", "function": f"{__file__}:unsure", "timeout": None}
    what = Plan.of("c", [Arm.of("single")], [replace(t, grader=unsure) for t in tasks()])
    await carried(path, what)
    (arm,) = summarise(what, read(path, what))
    assert (arm.right, arm.ungraded, arm.accuracy.value) == (0, 12, 0)
    assert any("12 answers could not be graded" in line for line in report.notes(what, [arm], []))


def unsure(task: Task, text: str) -> None:
    raise ValueError("who knows")


@pytest.mark.parametrize(
    ("limits", "says"), [("tokens=20", "tokens, the budget has 20"), ("output_tokens=100", "512 output_tokens")]
)
async def test_a_budget_that_allows_no_call_is_refused_before_any_run(tmp_path, limits, says):
    path = tmp_path / "c.db"
    with pytest.raises(ConfigError, match=says):
        await carried(path, plan("single", budget=Budget.of(limits)))
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (0,)


async def test_another_model_cannot_go_on_with_a_comparison(tmp_path):
    path = tmp_path / "c.db"
    await carried(path, plan("single"))
    what = plan("single", seeds=(0, 1), name="d")
    async with Session(ScriptedEngine(guess), store=f"sqlite:///{path}") as session:
        async for _ in session.batch("single", what.tasks, name="d/single/0", about={"comparison": what.to_json()}):
            pass
    with pytest.raises(ConfigError, match="begun by another engine: model was scripted, is other"):
        await carried(path, what, ScriptedEngine(guess, model="other"))
