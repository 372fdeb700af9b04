"""Replays decide as live runs do on the same samples, and agree with brute force over all orders."""

import itertools
import math
from collections import Counter
from dataclasses import replace
from statistics import fmean

import pytest

from burnish import Budget
from burnish.compare.plan import Arm
from burnish.compare.replay import replay
from burnish.core.completion import Completion
from burnish.core.engine import EngineInfo
from burnish.core.sampling import Sampling
from burnish.engine.recorded import RecordedEngine, pool_key
from burnish.stats import majority_at_k, pass_at_k
from tests.pool_kit import drawn_pool, session, tasks

K = 3


async def permutation(drawn, order):
    """Numbers of a task's samples in the order in which they are given out."""
    engine = RecordedEngine(
        {drawn.key: [Completion(str(i)) for i in range(K)]}, info=EngineInfo(kind="e", model="m"), order=order
    )
    prompt, how = drawn.task.chat(), Sampling()
    assert pool_key(prompt, how) == drawn.key
    return tuple([int((await engine.generate(prompt, how)).text) for _ in range(K)])


async def one_order_each(drawn):
    """For each permutation of a task's samples the number of an order that gives it."""
    found = {}
    for order in itertools.count():
        found.setdefault(await permutation(drawn, order), order)
        if len(found) == math.factorial(K):
            return found


def right_of(trials, order, task):
    return next(t.right for t in trials if t.seed == order and t.task_id == task)


async def live(path, graph, settings, of, **options):
    """Runs of a graph as the pool's tasks were drawn; for each task its trial as the database tells it."""
    from burnish.compare.measure import _trial

    async with session(path) as s:
        name = f"live-{graph}"
        results = [r async for r in s.batch(graph, of, settings=settings, name=name, **options)]
        assert all(r.error is None for r in results)
        reader = s.store.reader()
        found = {}
        for r in results:
            trial = _trial(reader, reader.run(r.run_id), reader.usage(r.run_id), 0)
            # Candidates in the order of their samples, whatever landed first.
            landed = [c.position for c in reader.candidates(r.run_id)]
            order = sorted(range(len(landed)), key=lambda i: landed[i])
            found[r.task_id] = replace(trial, candidates=[trial.candidates[i] for i in order])
        return found


@pytest.mark.parametrize(
    ("graph", "settings"),
    [
        ("best_of_n", {"n": K, "stop_at_pass": False}),
        ("majority", {"n": K}),
        ("majority", {"n": K, "stop_early": True, "width": 1}),
        ("best_of_n", {"n": K, "width": 1}),
        ("single", {}),
    ],
)
async def test_a_replay_in_the_order_of_drawing_is_the_live_run(tmp_path, graph, settings):
    of = tasks(6)
    pool = await drawn_pool(tmp_path, of, K)
    runs = await live(tmp_path, graph, settings, of)
    identity = {d.task.id: (await one_order_each(d))[tuple(range(K))] for d in pool.drawn}
    trials = await replay(pool, [Arm(name="a", graph=graph, settings=settings)], orders=max(identity.values()) + 1)
    for task, order in identity.items():
        again = next(t for t in trials["a"] if t.seed == order and t.task_id == task)
        was = runs[task]
        assert (again.right, again.outcome, again.beyond) == (was.right, was.outcome, 0)
        assert [replace(c, answer=None) for c in again.candidates] == [replace(c, answer=None) for c in was.candidates]
        assert [c.answer for c in again.candidates] == [c.answer for c in was.candidates]
        assert again.usage == replace(was.usage, seconds=0.0)


@pytest.mark.parametrize("limits", [{"calls": 2}, {"output_tokens": 515}, {"verifier_calls": 1}, {"tokens": 520}])
async def test_budgets_end_a_replay_where_they_end_a_run(tmp_path, limits):
    of, settings = tasks(3), {"n": K, "stop_at_pass": False, "width": 1}
    pool = await drawn_pool(tmp_path, of, K)
    runs = await live(tmp_path, "best_of_n", settings, of, budget=limits)
    identity = {d.task.id: (await one_order_each(d))[tuple(range(K))] for d in pool.drawn}
    arm = Arm(name="a", graph="best_of_n", settings=settings)
    trials = await replay(pool, [arm], orders=max(identity.values()) + 1, budget=Budget(**limits))
    own = await replay(pool, [replace(arm, budget=Budget(**limits))], orders=max(identity.values()) + 1)
    assert own == trials
    for task, order in identity.items():
        again = next(t for t in trials["a"] if t.seed == order and t.task_id == task)
        assert again.usage == replace(runs[task].usage, seconds=0.0)
        assert again.outcome == runs[task].outcome
        assert again.usage.calls < K or again.usage.verdicts < K


async def test_over_all_orders_it_is_what_brute_force_says(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(4), K)
    orders = {d.task.id: await one_order_each(d) for d in pool.drawn}
    most = max(n for found in orders.values() for n in found.values()) + 1
    arms = [Arm(name=f"vote{n}", graph="majority", settings={"n": n}) for n in (1, 2, 3)]
    arms += [Arm(name=f"best{n}", graph="best_of_n", settings={"n": n}) for n in (1, 2, 3)]
    arms += [Arm(name=f"oracle{n}", graph="best_of_n", settings={"n": n}, verifier="grader") for n in (1, 2, 3)]
    trials = await replay(pool, arms, orders=most)
    assert all(len(t) == 4 * most for t in trials.values())
    for drawn in pool.drawn:
        samples, task = drawn.samples, drawn.task.id
        for n in (1, 2, 3):
            means = {"vote": [], "best": [], "oracle": []}
            for given, order in orders[task].items():
                taken = [samples[i] for i in given[:n]]
                votes = Counter(s.answer for s in taken)
                voted = next(s for s in taken if votes[s.answer] == max(votes.values()))
                passing = next((s for s in taken if s.completion.text[-1] in "13"), taken[0])
                truth = {"vote": voted.right, "best": passing.right, "oracle": any(s.right for s in taken)}
                for method, right in truth.items():
                    assert right_of(trials[f"{method}{n}"], order, task) is right
                    means[method].append(right)
            assert math.isclose(fmean(means["vote"]), majority_at_k([(s.answer, s.right) for s in samples], n))
            assert math.isclose(fmean(means["oracle"]), pass_at_k(K, sum(s.right for s in samples), n), abs_tol=1e-12)


async def test_arms_draw_the_same_samples_in_the_same_order(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(3), 6)
    arms = [Arm.of(f"majority:n={n}") for n in (2, 6)] + [Arm.of("single")]
    trials = await replay(pool, arms, orders=12)
    for two, six, one in zip(*(trials[a.name] for a in arms), strict=True):
        assert [c.answer for c in two.candidates] == [c.answer for c in six.candidates][:2]
        assert one.candidates[0].answer == six.candidates[0].answer
        assert one.task_id == two.task_id == six.task_id
    assert len({tuple(c.answer for c in t.candidates) for t in trials[arms[1].name]}) > 6
    assert await replay(pool, arms, orders=12) == trials
