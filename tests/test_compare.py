"""Comparisons: what is carried out, what is counted, what is said of it."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from itertools import pairwise

import pytest

from burnish import ConfigError, ScriptedEngine, Session, Task
from burnish.compare import carry, report
from burnish.compare.plan import Arm, Plan
from burnish.compare.summary import summarise
from burnish.core.budget import Budget
from burnish.core.errors import Cancelled, Fenced
from burnish.core.runs import Usage
from burnish.engine.replies import Call, Reply
from burnish.traces.store import Store
from tests.compare_kit import ARMS, carried, guess, plan, read, tasks


@pytest.mark.parametrize(
    ("text", "name", "graph", "settings", "verifier", "budget"),
    [
        ("single", "single", "single", {}, "task", {}),
        ("a=best_of_n:n=8,verifier=grader", "a", "best_of_n", {"n": 8}, "grader", {}),
        ("m.py:graph:x=1.5,y=text", "m.py:graph:x=1.5,y=text", "m.py:graph", {"x": 1.5, "y": "text"}, "task", {}),
        ("b=pkg.mod:graph", "b", "pkg.mod:graph", {}, "task", {}),
        ('c=single:verifier={"name":"regex","pattern":"a,b"}', "c", "single", {}, {"name": "regex", "pattern": "a,b"}, {}),
        ("d=single:budget.calls=4,verifier=none", "d", "single", {}, "none", {"calls": 4}),
    ],
)
def test_an_arm_is_read_from_text(text, name, graph, settings, verifier, budget):
    arm = Arm.of(text)
    assert (arm.name, arm.graph, arm.settings, arm.verifier, arm.budget.to_json()) == (name, graph, settings, verifier, budget)
    assert Arm.from_json(arm.to_json()) == arm


@pytest.mark.parametrize("text", ["", "=single", "single:", "single:=3", "best_of_n:budget.cats=3", "x:budget.calls=0"])
def test_what_is_no_arm_is_said(text):
    with pytest.raises(ConfigError):
        Arm.of(text)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Plan.of("c", [], tasks()), "nothing to compare"),
        (lambda: Plan.of("c", [Arm.of("single")], []), "no tasks"),
        (lambda: plan("single", "single"), "two arms"),
        (lambda: Plan.of("c", [Arm.of("single")], [*tasks(2), *tasks(1)]), "two tasks"),
        (lambda: plan("single", baseline="other"), "no arm is called"),
        (lambda: Plan.of("c", [Arm.of("single")], [Task(prompt="?")]), "no grader"),
        (lambda: plan("single", seeds=(1, 1)), "not distinct"),
        (lambda: plan("single", budget="calls=0"), "nothing could start"),
        (lambda: carry.check(plan("best_of_n:m=3")), "no setting 'm'"),
        (lambda: carry.check(plan("nothing")), "no graph"),
        (lambda: carry.check(plan("single:verifier=nobody")), "no verifier"),
        (lambda: carry.check(replace(plan(), tasks=[Task(prompt="?", grader="exact")])), "reference"),
    ],
)
def test_a_wrong_plan_is_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


async def test_all_counts_are_those_of_the_trace(tmp_path):
    path, what = tmp_path / "c.db", plan(seeds=(3, 4))
    await carried(path, what)
    found = read(path, what)
    arms = {a.name: a for a in summarise(what, found)}
    with sqlite3.connect(path) as db:
        for arm in what.arms:
            names = [what.batch_name(arm, s) for s in what.seeds]
            runs = f"SELECT r.id FROM run r JOIN batch b ON b.id = r.batch_id WHERE b.name IN ('{names[0]}', '{names[1]}')"
            calls, generated, prompt = db.execute(
                f"SELECT count(*), sum(completion_tokens), sum(prompt_tokens) FROM call WHERE run_id IN ({runs})"
            ).fetchone()
            right = db.execute(
                f"SELECT count(*) FROM verdict v JOIN run r ON r.id = v.run_id AND r.candidate_id = v.candidate_id"
                f" WHERE v.grading AND v.outcome = 'pass' AND r.id IN ({runs})"
            ).fetchone()[0]
            made = db.execute(f"SELECT count(*) FROM candidate WHERE run_id IN ({runs})").fetchone()[0]
            graded = db.execute(f"SELECT count(*) FROM verdict WHERE grading AND run_id IN ({runs})").fetchone()[0]
            summary = arms[arm.name]
            assert (summary.total.calls, summary.total.output_tokens, summary.total.prompt_tokens) == (calls, generated, prompt)
            assert summary.right == right == sum(t.right is True for t in found[arm.name])
            assert round(summary.cost.samples * summary.runs) == made == graded
            assert summary.runs == 24
            assert summary.cost.tokens == pytest.approx((generated + prompt) / 24)


async def test_what_is_done_is_not_done_again(tmp_path):
    path, what = tmp_path / "c.db", plan()
    _, engine = await carried(path, what)
    before = engine.calls
    assert before == 12 * 11
    await carried(path, what, engine)
    assert engine.calls == before
    reader = Store.open_reader(f"sqlite:///{path}")
    assert carry.names(reader) == ["c"]
    again = carry.stored(reader, "c")
    assert again is not None
    assert again.to_json() == what.to_json()
    assert [t.to_json() for t in again.tasks] == [t.to_json() for t in what.tasks]
    with pytest.raises(ConfigError, match="another comparison called 'c'"):
        carry.left(reader, plan(n=11))
    reader.close()


async def test_a_batch_that_was_cut_before_its_runs_were_stored_is_begun_anew(tmp_path):
    path, what = tmp_path / "c.db", plan("single")
    async with Session(ScriptedEngine(guess), store=f"sqlite:///{path}") as session:
        await session.store.create_batch({"comparison": what.to_json()}, what.batch_name(what.arms[0], 0))
    _, engine = await carried(path, what)
    assert engine.calls == 12
    reader = Store.open_reader(f"sqlite:///{path}")
    assert carry.left(reader, what) == []
    reader.close()


async def test_a_comparison_that_was_stopped_goes_on(tmp_path):
    path, what, undisturbed = tmp_path / "c.db", plan(), tmp_path / "u.db"
    await carried(undisturbed, what)
    for stop_after in (7, 40, 50):
        made = 0

        def reply(call: Call, stop_after: int = stop_after) -> Reply:
            nonlocal made
            made += 1
            if made == stop_after:
                session.stop.request("interrupted")
            return guess(call)

        async with Session(ScriptedEngine(reply), store=f"sqlite:///{path}", grade_all=True) as session:
            with pytest.raises(Cancelled):
                await carry.carry_out(session, what)
    await carried(path, what)
    counted = [
        [(t.task_id, t.right, t.outcome, [(c.said, c.right) for c in t.candidates]) for t in read(p, what)[arm.name]]
        for p in (path, undisturbed)
        for arm in what.arms
    ]
    assert counted[:3] == counted[3:]


async def test_two_that_begin_one_comparison_share_its_runs(tmp_path):
    what, path = plan("single", "majority:n=3"), f"sqlite:///{tmp_path}/runs.db"
    engine = ScriptedEngine(guess)
    async with Session(engine, store=path, grade_all=True) as one, Session(engine, store=path, grade_all=True) as other:
        ended = await asyncio.gather(carry.carry_out(one, what), carry.carry_out(other, what))
        assert {type(r.error) for results in ended for r in results} <= {Fenced}
        assert engine.calls == 12 + 3 * 12
        assert sorted(b.name for b in one.store.reader().batches()) == sorted(what.batch_name(arm, 0) for arm in what.arms)


async def test_verifiers_are_measured_against_graders(tmp_path):
    path, what = (
        tmp_path / "c.db",
        plan("single", "best_of_n:n=8,stop_at_pass=false", "oracle=best_of_n:n=8,verifier=grader", n=40),
    )
    await carried(path, what)
    found = read(path, what)
    _, realistic, oracle = summarise(what, found)
    audit = realistic.verification.audit
    # The pattern accepts all numbers, right or wrong, and nothing else.
    assert audit.accepted_right + audit.accepted_wrong + audit.rejected_wrong == 320
    assert audit.rejected_right == audit.abstained == 0
    assert realistic.verification.tpr is not None
    assert realistic.verification.tpr.value == 1
    assert realistic.verification.fpr is not None
    assert realistic.verification.fpr.low < 0.5 < realistic.verification.fpr.high
    assert realistic.verification.accepted_wrong + realistic.verification.accepted_right == 40
    assert oracle.verification.accepted_wrong == 0
    assert oracle.against is not None
    assert oracle.against.difference.low > 0.2
    assert list(realistic.pass_at) == [1, 2, 4, 8]
    assert all(a.value <= b.value for a, b in pairwise(realistic.pass_at.values()))
    assert realistic.pass_at[8].value == pytest.approx(oracle.accuracy.value, abs=0.08)


async def test_an_arm_has_the_budget_of_all_or_its_own(tmp_path):
    path = tmp_path / "c.db"
    what = plan("majority:n=5", "own=majority:n=5,budget.calls=2", budget=Budget(calls=3))
    await carried(path, what)
    first, own = summarise(what, read(path, what))
    assert (first.cost.calls, own.cost.calls) == (3, 2)


async def test_the_tables_and_the_json_say_the_same(tmp_path):
    path, what = tmp_path / "c.db", plan()
    await carried(path, what)
    arms = summarise(what, read(path, what))
    as_json = report.to_json(what, arms, models=["default: scripted scripted"])
    listed = as_json["arms"]
    assert isinstance(listed, list)
    for rows in (report.accuracy_rows(arms), report.cost_rows(arms, {}), report.verifier_rows(arms), report.quality_rows(arms)):
        assert all(len(row) == len(rows[0]) for row in rows)
    assert [row[0] for row in report.accuracy_rows(arms)[1:]] == list(ARMS) == [a["name"] for a in listed]
    assert report.accuracy_rows(arms)[1][3] == "-"
    assert all(set(Usage.__dataclass_fields__) <= set(a["total"]) for a in listed)


@pytest.mark.parametrize("name", ["a.png", "a.svg"])
async def test_a_picture_is_drawn(tmp_path, name):
    pytest.importorskip("matplotlib")
    from burnish.compare.plot import plot

    what = plan()
    await carried(tmp_path / "c.db", what)
    plot(summarise(what, read(tmp_path / "c.db", what)), tmp_path / name, title="a comparison")
    head = (tmp_path / name).read_bytes()[:200]
    assert head.startswith(b"\x89PNG") or b"<?xml" in head


def test_a_picture_of_another_kind_is_refused(tmp_path):
    from burnish.compare.plot import check_format

    with pytest.raises(ConfigError, match=r"\.png or \.svg"):
        check_format(tmp_path / "a.gif")
    with pytest.raises(ConfigError, match="no folder"):
        check_format(tmp_path / "nowhere" / "a.png")
