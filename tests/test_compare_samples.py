"""pass@k and the vote of k in a comparison: only where an arm's candidates are independent samples, with answers looked for."""

from __future__ import annotations

import random

import pytest

from burnish import ScriptedEngine, Session, Task
from burnish.compare import carry, measure
from burnish.compare.plan import Arm, Plan
from burnish.compare.summary import ArmSummary, summarise
from burnish.engine.replies import Call
from burnish.stats import wilson
from burnish.traces.store import Store


def guess(call: Call) -> str:
    """Right about every second time."""
    return "yes" if random.Random(call.seed).random() < 0.5 else "no"


async def compared(path: object, *arms: str, extract: tuple[str, ...] = ("",) * 6) -> list[ArmSummary]:
    """The arms, each on one task for each extractor."""
    asked = [
        Task(id=f"t{i}", prompt=f"is {i} right?", reference="yes", grader="exact", extract=named)
        for i, named in enumerate(extract)
    ]
    plan = Plan.of("c", [Arm.of(arm) for arm in arms], asked)
    async with Session(ScriptedEngine(guess), store=f"sqlite:///{path}", grade_all=True) as session:
        assert await carry.carry_out(session, plan) == []
    reader = Store.open_reader(f"sqlite:///{path}")
    try:
        return summarise(plan, measure.trials(reader, plan))
    finally:
        reader.close()


async def test_independent_samples_are_counted_in_both_ways(tmp_path):
    (votes,) = await compared(tmp_path / "c.db", "majority:n=4")
    assert list(votes.pass_at) == list(votes.majority_at) == [1, 2, 4]
    assert votes.majority_at[1] == votes.pass_at[1]
    assert votes.majority_at[4].value == votes.accuracy.value


async def test_what_has_no_exception_has_an_interval_all_the_same(tmp_path):
    (sure,) = await compared(tmp_path / "c.db", "majority:n=16")
    assert sure.pass_at[16].value == 1
    assert sure.pass_at[16] == wilson(6, 6)


async def test_candidates_made_from_others_are_no_samples(tmp_path):
    iad = "iad:n0=2,rounds=2,feedback=directional,verifier=regex:never"
    refined, drawn = await compared(tmp_path / "c.db", iad, f"{iad},move=resample")
    assert refined.cost.samples == drawn.cost.samples == 4
    assert (refined.pass_at, refined.majority_at) == ({}, {})
    assert list(drawn.pass_at) == [1, 2, 4]


async def test_there_is_no_vote_where_no_answers_are_extracted(tmp_path):
    (best,) = await compared(tmp_path / "c.db", "best_of_n:n=4,stop_at_pass=false")
    assert list(best.pass_at) == [1, 2, 4]
    assert best.majority_at == {}


@pytest.mark.parametrize(("extract", "there"), [(("words",) * 6, True), (("words", "") * 3, False)])
async def test_tasks_that_name_an_extractor_have_votes(tmp_path, extract, there):
    (best,) = await compared(tmp_path / "c.db", "best_of_n:n=4,stop_at_pass=false", extract=extract)
    assert bool(best.majority_at) == there
