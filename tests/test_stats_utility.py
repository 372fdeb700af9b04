"""Utilities of capped resampling, against enumeration, simulation and closed forms."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.stats import Audit, Resampling
from burnish.stats.utility import Curve, Stakes, fitted, loss, marginal, task_utilities, utility_curve

unit = st.floats(0.02, 0.98)
FREE = Stakes(fp_cost=0)


def enumerated(audit: Audit, cap: int, stakes: Stakes) -> float:
    """The mean over all orders of the samples, one by one."""
    kinds = "r" * audit.accepted_right + "w" * audit.accepted_wrong
    kinds += "-" * (audit.right + audit.wrong - audit.accepted)
    total = 0.0
    orders = list(itertools.permutations(kinds))
    for order in orders:
        for kind in order[:cap]:
            total -= stakes.sample_cost
            if kind != "-":
                total += 1 if kind == "r" else -stakes.fp_cost
                break
    return total / len(orders)


@pytest.mark.parametrize(
    "audit",
    [
        Audit(accepted_right=2, accepted_wrong=1, rejected_wrong=3),
        Audit(accepted_right=1, rejected_right=1, abstained_right=1, accepted_wrong=2, abstained_wrong=1),
        Audit(accepted_wrong=3),
        Audit(accepted_right=4),
        Audit(rejected_wrong=2, abstained_right=2),
    ],
)
@pytest.mark.parametrize("stakes", [FREE, Stakes(), Stakes(fp_cost=4, sample_cost=0.05)])
def test_a_task_is_worth_what_all_orders_of_its_samples_give(audit, stakes):
    n = audit.right + audit.wrong
    expected = [enumerated(audit, cap, stakes) for cap in range(n + 1)]
    assert task_utilities(audit, n, stakes) == pytest.approx(expected)


def test_more_attempts_than_samples_are_not_made_up():
    with pytest.raises(ConfigError, match="5 attempts from 4"):
        task_utilities(Audit(accepted_right=4), 5, FREE)
    with pytest.raises(ConfigError, match="no audited tasks"):
        utility_curve([], FREE)


def drawn(model: Resampling, tasks: int, samples: int, seed: int) -> list[Audit]:
    """Audited samples of tasks as a model makes them."""
    draw = random.Random(seed)
    audits = []
    for _ in range(tasks):
        r = draw.choices([r for _, r in model.types], [p for p, _ in model.types])[0]
        judged = []
        for _ in range(samples):
            right = draw.random() < r
            judged.append(("pass" if draw.random() < (model.tpr if right else model.fpr) else "fail", right))
        audits.append(Audit.of(judged))
    return audits


PAPER = Resampling(types=[(0.58, 0.87), (0.42, 0.13)], tpr=0.95, fpr=0.25)


def simulated(model: Resampling, cap: int, stakes: Stakes, seed: int, runs: int = 40_000) -> float:
    draw, total = random.Random(seed), 0.0
    accuracies, shares = [r for _, r in model.types], [p for p, _ in model.types]
    for _ in range(runs):
        r = draw.choices(accuracies, shares)[0]
        for _ in range(cap):
            total -= stakes.sample_cost
            right = draw.random() < r
            if draw.random() < (model.tpr if right else model.fpr):
                total += 1 if right else -stakes.fp_cost
                break
    return total / runs


@pytest.mark.parametrize(("cap", "stakes"), [(1, Stakes()), (3, Stakes(fp_cost=2, sample_cost=0.02)), (8, FREE)])
def test_the_exact_utility_agrees_with_monte_carlo(cap, stakes):
    exact = PAPER.utility(cap, fp_cost=stakes.fp_cost, sample_cost=stakes.sample_cost)
    assert simulated(PAPER, cap, stakes, seed=cap) == pytest.approx(exact, abs=0.025)


def test_the_best_number_of_attempts_agrees_with_monte_carlo():
    stakes = Stakes(fp_cost=1)
    best = PAPER.best_cap(fp_cost=1)
    assert best is not None
    grid = [simulated(PAPER, cap, stakes, seed=7) for cap in (0, best, 12)]
    assert grid[1] == max(grid)


def test_audited_samples_tell_the_utility_of_the_model_that_made_them():
    stakes = Stakes(fp_cost=1, sample_cost=0.01)
    curve = utility_curve(drawn(PAPER, 4000, 8, seed=1), stakes)
    assert curve.utilities == pytest.approx(PAPER.utilities(8, fp_cost=1, sample_cost=0.01), abs=0.03)
    assert curve.best == PAPER.best_cap(fp_cost=1, sample_cost=0.01) == 2
    assert not curve.at_end


def test_one_task_that_fools_the_verifier_is_not_spread_over_all():
    # Half of the tasks fool it always, the others never: pooled rates would promise more from each further attempt.
    audits = [Audit(accepted_right=2, rejected_wrong=2)] * 5 + [Audit(accepted_wrong=4)] * 5
    assert utility_curve(audits, FREE).utilities[1:] == pytest.approx([1 / 4, 5 / 12, 1 / 2, 1 / 2])
    assert utility_curve(audits, Stakes(fp_cost=4)).best == 0


def test_a_curve_says_where_it_is_best_and_whether_it_may_rise_further():
    assert Curve.of([0.0, 0.2, 0.3, 0.1]).best == 2
    assert Curve.of([0.0, -0.2]).best == 0
    assert Curve.of([0.0, 0.1, 0.2]).at_end
    assert not Curve.of([0.0]).at_end
    assert Curve.of([0.0, 0.3, 0.3]).best == 1


def test_a_loss_has_its_interval_over_tasks():
    audits = drawn(PAPER, 400, 8, seed=3)
    found = loss(audits, 8, 2, Stakes(fp_cost=1.5))
    assert 0 < found.low < found.value < found.high
    assert loss(audits, 2, 2, Stakes()).high == 0.0


@given(st.lists(st.tuples(st.integers(1, 9), unit), min_size=1, max_size=4), unit, unit, st.floats(0, 8))
def test_margins_add_up_to_the_utility(weighted, tpr, fpr, fp_cost):
    total = sum(w for w, _ in weighted)
    model, stakes = (
        Resampling(types=[(w / total, r) for w, r in weighted], tpr=tpr, fpr=fpr),
        Stakes(fp_cost=fp_cost, sample_cost=0.01),
    )
    reached, value = 1.0, 0.0
    for attempt in range(1, 7):
        value += reached * marginal(model, attempt, stakes)
        reached -= sum(model.accepts(attempt))
    assert value == pytest.approx(model.utility(6, fp_cost=fp_cost, sample_cost=0.01), abs=1e-9)


@given(unit, unit, st.floats(0.5, 0.99), st.floats(0.01, 0.4), st.floats(0, 8))
def test_attempts_are_worthwhile_up_to_the_best_number_and_no_further(r1, r2, tpr, fpr, fp_cost):
    model = Resampling(types=[(0.5, r1), (0.5, r2)], tpr=tpr, fpr=fpr)
    best, stakes = model.best_cap(fp_cost=fp_cost), Stakes(fp_cost=fp_cost)
    for attempt in range(1, 40):
        worth = marginal(model, attempt, stakes)
        if abs(worth) > 1e-9:
            assert (worth > 0) == (best is None or attempt <= best)


def test_margins_at_the_edges():
    perfect = Resampling(types=[(1.0, 1.0)], tpr=1.0, fpr=0.0)
    assert marginal(perfect, 1, Stakes()) == 1.0
    assert math.isnan(marginal(perfect, 2, Stakes()))
    hopeless = Resampling(types=[(1.0, 0.0)], tpr=1.0, fpr=0.0)
    assert marginal(hopeless, 10_000, Stakes(sample_cost=0.1)) == -0.1
    # Belief does not underflow: after very many rejections only the hopeless type is left.
    mixed = Resampling(types=[(0.999, 0.9), (0.001, 0.0)], tpr=1.0, fpr=0.01)
    assert marginal(mixed, 5000, Stakes(fp_cost=1)) == pytest.approx(-0.01)
    with pytest.raises(ConfigError, match="attempt 0"):
        marginal(perfect, 0, Stakes())


def test_a_fit_finds_the_accuracies_that_made_the_samples():
    draw = random.Random(5)
    accuracies = [draw.betavariate(0.6, 1.4) for _ in range(3000)]
    audits = drawn(Resampling.of_tasks(accuracies, tpr=0.9, fpr=0.1), 3000, 4, seed=6)
    model = fitted(audits)
    assert sum(p * r for p, r in model.types) == pytest.approx(0.3, abs=0.02)
    assert sum(p * r * r for p, r in model.types) - 0.3**2 == pytest.approx(0.6 * 1.4 / (4 * 3), abs=0.015)
    true = Resampling.of_tasks(accuracies, tpr=0.9, fpr=0.1)
    # Far beyond the four samples of each task.
    assert model.utilities(100, fp_cost=1)[::20] == pytest.approx(true.utilities(100, fp_cost=1)[::20], abs=0.03)


def test_a_fit_at_the_edges():
    alike = fitted([Audit(accepted_right=1, rejected_wrong=1)] * 4)
    assert list(alike.types) == [(1.0, 0.5)]
    split = fitted([Audit(accepted_right=4)] * 3 + [Audit(rejected_wrong=4)])
    assert sorted(split.types) == [(0.25, 0.0), (0.75, 1.0)]
    with pytest.raises(ConfigError, match="two samples"):
        fitted([Audit(accepted_right=1), Audit(rejected_wrong=1)])
    with pytest.raises(ConfigError, match="no wrong candidate"):
        fitted([Audit(accepted_right=3)])


@pytest.mark.parametrize("bad", [{"fp_cost": -1}, {"sample_cost": math.nan}, {"fp_cost": math.inf}])
def test_costs_are_costs(bad):
    with pytest.raises(ConfigError, match="at least 0"):
        Stakes(**bad)
