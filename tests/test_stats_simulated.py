"""Intervals and tests on simulated experiments whose true rates are known.

Each quantity is counted over 2,000 experiments (the AUROC's over 200). A true share of .95 is then seen within 3 standard errors,
3 * sqrt(.95 * .05 / 2000) = .0146; the percentile bootstrap of 50 or 60 tasks is allowed another point, by which it is known to
fall short (its spread is the one that divides by n, and it knows no t distribution).
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import pytest

from burnish.stats import (
    Interval,
    Resampling,
    bootstrap,
    compare_paired,
    mcnemar,
    needed_tasks,
    non_inferior,
    paired_bootstrap,
    score_interval,
    t_interval,
    wilson,
    within_auroc,
)

EXPERIMENTS = 2000
NOISE = 3 * math.sqrt(0.95 * 0.05 / EXPERIMENTS)
SHORT = 0.01


def covered(intervals: Iterator[Interval], truth: float) -> float:
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


def rates(draw: np.random.Generator, tasks: int) -> np.ndarray:
    """Success rates of the tasks of each experiment: some hopeless, some easy, most between, 0.5 in the mean."""
    return draw.beta(0.8, 0.8, size=(EXPERIMENTS, tasks))


@pytest.mark.parametrize("n", [20, 100])
def test_wilson_covers_at_its_level(n: int):
    # Coverage of one rate swings with it, as counts are whole numbers; over many rates it settles at the level.
    draw, cached = np.random.default_rng(n), lru_cache(None)(lambda passed: wilson(passed, n))
    truth = draw.uniform(0.05, 0.95, size=EXPERIMENTS)
    passed = draw.binomial(n, truth)
    share = np.mean([cached(int(x)).low <= p <= cached(int(x)).high for x, p in zip(passed, truth, strict=True)])
    assert abs(share - 0.95) < NOISE


def test_wald_would_not_cover():
    """The same experiment finds out an interval that is known to be too narrow."""
    draw = np.random.default_rng(20)
    truth = draw.uniform(0.05, 0.95, size=EXPERIMENTS)
    share = draw.binomial(20, truth) / 20
    half = 1.96 * np.sqrt(share * (1 - share) / 20)
    assert np.mean(abs(share - truth) <= half) < 0.95 - NOISE - SHORT


@pytest.mark.parametrize(
    ("interval", "tasks", "short"),
    [(lambda v: bootstrap(v, replicates=400), 50, SHORT), (t_interval, 12, 0.0)],
    ids=["bootstrap", "t"],
)
def test_intervals_of_averaged_scores_cover(interval: Callable[[list[float]], Interval], tasks: int, short: float):
    draw = np.random.default_rng(1)
    scores = draw.binomial(4, rates(draw, tasks)) / 4
    assert 0.95 - NOISE - short < covered((interval(row) for row in scores.tolist()), 0.5) < 0.95 + NOISE


def test_the_bootstrap_over_clusters_covers_where_that_over_tasks_does_not():
    draw = np.random.default_rng(2)
    scores = draw.binomial(1, np.repeat(rates(draw, 50), 6, axis=1)).astype(float).tolist()
    labels = [i // 6 for i in range(300)]
    whole = covered((bootstrap(row, replicates=300, clusters=labels) for row in scores), 0.5)
    assert 0.95 - NOISE - SHORT < whole < 0.95 + NOISE
    assert covered((bootstrap(row, replicates=100) for row in scores[:500]), 0.5) < 0.85


def test_the_paired_bootstrap_covers():
    draw = np.random.default_rng(3)
    theirs = rates(draw, 60)
    ours = theirs + 0.3 * (1 - theirs)  # what the method adds: 0.15 in the mean
    a, b = draw.binomial(2, ours) / 2, draw.binomial(2, theirs) / 2
    found = (paired_bootstrap(x, y, replicates=400) for x, y in zip(a.tolist(), b.tolist(), strict=True))
    assert 0.95 - NOISE - SHORT < covered(found, 0.15) < 0.95 + NOISE


@pytest.mark.parametrize(("n", "b", "c"), [(30, 0.1, 0.1), (100, 0.02, 0.05), (300, 0.1, 0.05)])
def test_the_score_interval_covers_where_few_tasks_differ(n: int, b: float, c: float):
    draw, cached = np.random.default_rng(4), lru_cache(None)(lambda b, c: score_interval(b, c, n))
    tables = draw.multinomial(n, [b, c, 1 - b - c], size=EXPERIMENTS).tolist()
    # Two-sided tolerance with a point for the swing of whole numbers.
    assert abs(covered((cached(x, y) for x, y, _ in tables), b - c) - 0.95) < NOISE + 0.01


def test_a_method_worse_by_the_margin_seldom_passes_as_non_inferior():
    draw, cached = np.random.default_rng(5), lru_cache(None)(lambda b, c: score_interval(b, c, 60))
    for tables in (draw.multinomial(60, p, size=EXPERIMENTS).tolist() for p in ([0.0, 0.05, 0.95], [0.05, 0.1, 0.85])):
        passed = np.mean([non_inferior(cached(b, c), 0.05) for b, c, _ in tables])
        assert passed <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / EXPERIMENTS)


@pytest.mark.parametrize(
    ("tasks", "runs", "test"),
    [(30, 1, "mcnemar exact"), (200, 1, "mcnemar mid-p"), (30, 4, "sign flip"), (60, 4, "paired t")],
)
def test_the_paired_test_keeps_its_level(tasks: int, runs: int, test: str):
    """Two methods with the same rates: p <= .05 in at most 5 % of the experiments, 3 * sqrt(.05 * .95 / 2000) allowed."""
    draw = np.random.default_rng(tasks + runs)
    truth = rates(draw, tasks)
    ours, theirs = (draw.binomial(runs, truth) / runs for _ in range(2))
    if runs == 1:  # as `compare_paired` does, without its interval
        better, worse = (ours > theirs).sum(axis=1), (ours < theirs).sum(axis=1)
        found = [mcnemar(int(b), int(c)) for b, c in zip(better, worse, strict=True)]
        assert compare_paired(ours[0].tolist(), theirs[0].tolist()).p == found[0]
    else:
        pairs = [compare_paired(a, b, replicates=1) for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
        assert {pair.test for pair in pairs} == {test}
        found = [pair.p for pair in pairs]
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + NOISE


def test_the_needed_tasks_give_the_power_asked_for():
    n = needed_tasks(0.1, discordant=0.2)
    draw = np.random.default_rng(6)
    tables = draw.multinomial(n, [0.15, 0.05, 0.8], size=EXPERIMENTS).tolist()
    shown = np.mean([mcnemar(b, c, mid=True) <= 0.05 for b, c, _ in tables])
    # Three standard errors, and a point for the normal approximation.
    assert abs(shown - 0.8) < 3 * math.sqrt(0.8 * 0.2 / EXPERIMENTS) + 0.01


def test_auroc_covers():
    # Scores of right samples lie one standard deviation higher, so a right one exceeds a wrong one with P(N(1, 2) > 0).
    draw, truth = np.random.default_rng(7), 0.5 * math.erfc(-1 / math.sqrt(2) / math.sqrt(2))
    covers = 0
    for _ in range(200):
        right = draw.random((40, 8)) < draw.beta(2, 2, size=(40, 1))
        scores = draw.normal(size=(40, 8)) + draw.normal(size=(40, 1)) * 3 + right
        questions = [list(zip(s, r, strict=True)) for s, r in zip(scores.tolist(), right.tolist(), strict=True)]
        interval = within_auroc(questions, replicates=200).interval
        covers += interval.low <= truth <= interval.high
    assert covers / 200 > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200) - 0.02


def test_the_utility_is_what_a_simulated_verifier_earns():
    model = Resampling(types=[(0.58, 0.87), (0.42, 0.13)], tpr=0.9, fpr=0.25)
    draw, count, cap, fp_cost, cost = np.random.default_rng(8), 200_000, 5, 1.5, 0.02
    accuracy = np.where(draw.random(count) < 0.58, 0.87, 0.13)
    reward, active = np.zeros(count), np.ones(count, dtype=bool)
    for _ in range(cap):
        right = draw.random(count) < accuracy
        accepted = draw.random(count) < np.where(right, model.tpr, model.fpr)
        reward[active] -= cost
        reward[active & accepted] += np.where(right, 1.0, -fp_cost)[active & accepted]
        active &= ~accepted
    error = reward.std() / math.sqrt(count)
    assert model.utility(cap, fp_cost=fp_cost, sample_cost=cost) == pytest.approx(reward.mean(), abs=4 * error)
