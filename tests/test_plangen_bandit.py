"""The bandit of a batch: what is recorded, that all tasks see it, that nothing is counted twice, and that it learns."""

from collections import Counter

import pytest

from burnish import ConfigError, ScriptedEngine, Task
from burnish.agents.selection import Priors
from burnish.core.budget import Budget, Ledger
from burnish.core.context import Context
from burnish.core.run import Run
from burnish.core.runs import RunSpec
from burnish.graphs.plangen_bandit import BatchBandit
from burnish.search.bandit import Bandit, State
from burnish.traces.memory import MemoryJournal
from tests.helpers import rows, session
from tests.plangen_kit import Model, again, graph, plan_of, score, solve, stopping

ARMS = ("best_of_n", "rebase", "tree_of_thought")
SMALL = {"n": 1, "rebase_width": 1, "nodes": 1, "children": 1, "depth": 1}
NEUTRAL = Priors(dict.fromkeys(ARMS, 0.5))
TERMS = {"reward", "exploration", "prior", "diversity", "recovery", "total"}


def context():
    task = Task(prompt="?")
    return Context(Run(task, 0, MemoryJournal(RunSpec(id="0" * 32, task=task, graph="")), {}, Ledger(Budget())))


def effects(s, kind, run_id):
    return s.store.reader().effects(kind, run_id)


def tallies(updates):
    """Pulls by arm."""
    return Counter(arm for update in updates for arm in update)


async def test_the_state_is_the_sum_of_all_trials():
    bandit, ctx = BatchBandit(Bandit(ARMS)), context()
    assert await bandit.known(ctx.scope()) == State()
    await bandit.learn(ctx.scope(), "rebase", 0.75, None)
    await bandit.learn(ctx.scope(), "rebase", 0.25, True)
    await bandit.learn(ctx.scope(), "best_of_n", 1.0, False)
    known = await bandit.known(ctx.scope())
    assert known == State.from_json(
        {
            "rebase": {"pulls": 2, "reward": 1_000_000, "opportunities": 1, "recoveries": 1},
            "best_of_n": {"pulls": 1, "reward": 1_000_000, "opportunities": 1, "recoveries": 0},
        }
    )
    # By hand: the other two have a mean of 0.5 and of 1, and one recovery in one opportunity speaks for rebase.
    assert await bandit.choose(ctx.scope(), NEUTRAL) == Bandit(ARMS).choose(known, NEUTRAL).arm


async def test_a_trial_of_an_unknown_arm_is_refused():
    with pytest.raises(ConfigError, match="no arm"):
        await BatchBandit(Bandit(ARMS)).learn(context(), "beam", 0.5, None)


async def test_every_term_of_every_choice_is_in_the_trace(tmp_path):
    async with session(tmp_path, engine=ScriptedEngine(Model(plan="wrong", step="wrong"))) as s:
        result = await s.run(graph(rounds=3, **SMALL), "?")
        choices = effects(s, "bandit.choice", result.run_id)
        updates = effects(s, "bandit.update", result.run_id)
    assert rows(tmp_path, "SELECT kind, count(*) FROM call WHERE kind LIKE 'bandit.%' GROUP BY kind") == [
        ("bandit.choice", 3),
        ("bandit.read", 3),
        ("bandit.update", 3),
    ]
    assert all(set(choice["terms"]) == set(ARMS) for choice in choices)
    assert all(set(terms) == TERMS for choice in choices for terms in choice["terms"].values())
    for choice in choices:
        best = max(choice["terms"].values(), key=lambda t: t["total"])
        assert choice["terms"][choice["arm"]]["total"] == best["total"]
        assert choice["priors"] == NEUTRAL
    # All failed, so the arm not tried yet comes first: each is tried once. A score of -20 is worth 0.4.
    assert tallies(updates) == dict.fromkeys(ARMS, 1)
    assert {tuple(tally.values()) for update in updates for tally in update.values()} == {(1, 400_000, 1, 0)}


async def test_a_recovery_is_a_success_after_a_failure(tmp_path):
    model = Model(plan=lambda call: "right" if again(call) else "wrong", select="best_of_n: 1\nrebase: 0\ntree_of_thought: 0")
    async with session(tmp_path, engine=ScriptedEngine(model)) as s:
        result = await s.run(graph(**SMALL), "?")
        (update,) = effects(s, "bandit.update", result.run_id)
    assert update == {"best_of_n": {"pulls": 1, "reward": 1_000_000, "opportunities": 1, "recoveries": 1}}


async def test_an_unfinished_plan_earns_nothing_and_an_abstention_teaches_nothing(tmp_path):
    for name, model, earned in (
        ("unfinished", Model(plan="wrong", step="right", complete="0"), 0),
        ("abstained", Model(plan="wrong", judge=lambda call: score(-20) if "wrong" in plan_of(call) else "?"), None),
    ):
        path = tmp_path / name
        path.mkdir()
        model.replies["select"] = "best_of_n: 0\nrebase: 1\ntree_of_thought: 0"
        async with session(path, engine=ScriptedEngine(model)) as s:
            result = await s.run(graph(rounds=1, **SMALL), "?")
            updates = effects(s, "bandit.update", result.run_id)
        assert [update["rebase"]["reward"] for update in updates] == ([] if earned is None else [earned])


async def test_tasks_of_a_batch_learn_for_each_other_and_other_runs_do_not(tmp_path):
    tasks = [Task(id=f"t{i}", prompt=f"{i}?") for i in range(2)]
    async with session(tmp_path, engine=ScriptedEngine(Model(plan="wrong", step="wrong")), concurrency=1) as s:
        await s.run(graph(rounds=2, **SMALL), "another run")
        results = [r async for r in s.batch(graph(rounds=2, **SMALL), tasks)]
        seen = [sum(t["pulls"] for t in known.values()) for known in effects(s, "bandit.read", results[0].run_id)]
    assert all(r.error is None for r in results)
    assert sorted(seen) == [0, 1, 2, 3]


async def test_tasks_at_the_same_time_lose_no_trial(tmp_path):
    tasks = [Task(id=f"t{i}", prompt=f"{i}?") for i in range(8)]
    engine = ScriptedEngine(Model(plan="wrong", step="wrong"), latency=lambda call: 0.004 * call.random.random())
    async with session(tmp_path, engine=engine, concurrency=8) as s:
        results = [r async for r in s.batch(graph(rounds=3, **SMALL), tasks)]
        reads = effects(s, "bandit.read", results[0].run_id)
        updates = effects(s, "bandit.update", results[0].run_id)
    assert all(r.error is None for r in results)
    assert len(updates) == 24
    assert sum(tallies(updates).values()) == 24
    # Each read saw at least its own run's trials, and none more than there were.
    pulls = sorted(sum(t["pulls"] for t in known.values()) for known in reads)
    assert len(pulls) == 24
    assert pulls[0] == 0
    assert pulls[-1] <= 23
    assert sum(p >= 2 for p in pulls) >= 8


async def test_a_stopped_batch_goes_on_without_counting_a_trial_twice(tmp_path):
    tasks = [Task(id=f"t{i}", prompt=f"{i}?") for i in range(4)]
    model = Model(plan="wrong", step="wrong")
    async with stopping(tmp_path, model, 25) as s:
        first = [r async for r in s.batch(graph(rounds=3, **SMALL), tasks)]
    assert any(r.error for r in first)
    before = rows(tmp_path, "SELECT run_id, position, value_sha FROM call WHERE kind LIKE 'bandit.%' AND state = 'ok'")
    async with session(tmp_path, engine=ScriptedEngine(model)) as s:
        for r in first:
            if r.error:
                await s.resume(r.run_id, graph(rounds=3, **SMALL))
        updates = effects(s, "bandit.update", first[0].run_id)
    assert len(updates) == 12
    after = rows(tmp_path, "SELECT run_id, position, value_sha FROM call WHERE kind LIKE 'bandit.%' AND state = 'ok'")
    assert before
    assert set(before) < set(after)


@pytest.mark.parametrize(("good", "whole", "step"), [(("best_of_n",), 0.9, 0.1), (ARMS[1:], 0.1, 0.9)])
async def test_the_bandit_moves_to_the_better_arm_over_a_batch(tmp_path, good, whole, step):
    def plan(call):
        return "right" if again(call) and call.random.random() < whole else "wrong"

    model = Model(plan=plan, step=lambda call: "right" if call.random.random() < step else "wrong")
    tasks = [Task(id=f"t{i}", prompt=f"{i}?") for i in range(40)]
    async with session(tmp_path, engine=ScriptedEngine(model), concurrency=1) as s:
        results = [r async for r in s.batch(graph(rounds=2, **SMALL), tasks, seed=3)]
        choices = [c["arm"] for c in effects(s, "bandit.choice", results[0].run_id)]
        known = State()
        for update in effects(s, "bandit.update", results[0].run_id):
            known += State.from_json(update)
    assert all(r.error is None for r in results)
    assert len(choices) >= 40
    share = sum(arm in good for arm in choices) / len(choices)
    assert share > 0.6 if len(good) == 1 else share > 0.8
    means = {arm: known[arm].reward / max(1, known[arm].pulls) for arm in ARMS}
    assert min(means[arm] for arm in good) > max(means[arm] for arm in ARMS if arm not in good)


async def test_the_rules_of_the_paper_can_be_chosen(tmp_path):
    for mode in ("paper_eq", "paper_alg1"):
        path = tmp_path / mode
        path.mkdir()
        result = await solve(path, Model(plan="wrong", step="wrong"), bandit=mode, lam_prior=2, alpha_div=0, **SMALL)
        assert result.outcome == "rejected"
        async with session(path) as s:
            choices = effects(s, "bandit.choice", result.run_id)
        first = next(c for c in choices if not c["state"])
        assert {t["prior"] for t in first["terms"].values()} == {1.0}
        assert {t["diversity"] for t in first["terms"].values()} == {0.0}
        assert {c["mode"] for c in choices} == {mode}
