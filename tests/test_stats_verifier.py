import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.stats import Audit, Resampling, allowed_fpr, ceiling, rate_over_tasks, rule_of_three, wilson

# The parameters at which section 5 of arXiv 2411.17501 plots its utilities.
PAPER = Resampling(types=[(0.58, 0.87), (0.42, 0.13)], tpr=1.0, fpr=0.25)
unit = st.floats(0.01, 0.99)


def test_an_audit_counts_and_adds_up():
    judged = [
        ("pass", True),
        ("pass", False),
        ("fail", True),
        ("fail", False),
        ("abstain", True),
        ("abstain", False),
        ("pass", True),
    ]
    audit = Audit.of(judged)  # pyright: ignore[reportArgumentType]
    assert audit == Audit(
        accepted_right=2, accepted_wrong=1, rejected_right=1, rejected_wrong=1, abstained_right=1, abstained_wrong=1
    )
    assert (audit.right, audit.wrong, audit.accepted, audit.abstained, audit.accuracy) == (4, 3, 3, 2, 4 / 7)
    assert audit + Audit() == audit
    assert (audit + audit).right == 8


def test_rates_count_abstentions_as_no_accept():
    audit = Audit(
        accepted_right=24, rejected_right=4, abstained_right=2, accepted_wrong=10, rejected_wrong=80, abstained_wrong=10
    )
    assert audit.tpr() == wilson(24, 30)
    assert audit.fpr() == wilson(10, 100)
    assert audit.precision() == wilson(24, 34)


def test_what_was_never_seen_is_bounded_not_zero():
    audit = Audit(accepted_right=50, rejected_wrong=300)
    assert (audit.fpr().value, audit.fpr().high) == (0.0, rule_of_three(300))
    assert (audit.tpr().low, audit.tpr().high) == (1 - rule_of_three(50), 1.0)


def test_empty_audits_say_what_they_lack():
    for function, lacks in (
        (lambda: Audit(accepted_wrong=1).tpr(), "no right candidate"),
        (lambda: Audit(accepted_right=1).fpr(), "no wrong candidate"),
        (lambda: Audit(rejected_right=1).precision(), "no accepted candidate"),
        (lambda: Audit().accuracy, "no candidate"),
        (lambda: rate_over_tasks([Audit(accepted_right=1)], "fpr"), "no wrong candidate"),
        (lambda: rate_over_tasks([], "tpr"), "no right candidate"),
    ):
        with pytest.raises(ConfigError, match=lacks):
            function()
    with pytest.raises(ConfigError, match="accepted_wrong"):
        Audit(accepted_wrong=-1)
    with pytest.raises(ConfigError, match="maybe"):
        Audit.of([("maybe", True)])  # pyright: ignore[reportArgumentType]


def test_candidates_judged_alike_within_tasks_widen_the_interval():
    # Twenty wrong candidates for each of 40 tasks; a verifier that is fooled by a task is fooled by all of them.
    audits = [Audit(accepted_wrong=20) if i % 8 == 0 else Audit(rejected_wrong=20) for i in range(40)]
    over_candidates, over_tasks = sum(audits, Audit()).fpr(), rate_over_tasks(audits, "fpr")
    assert over_tasks.value == over_candidates.value == 1 / 8
    assert over_tasks.high - over_tasks.low > 3 * (over_candidates.high - over_candidates.low)


def test_tasks_without_any_false_accept_bound_it_by_their_number():
    audits = [Audit(rejected_wrong=20)] * 30 + [Audit(accepted_right=5)] * 10
    assert rate_over_tasks(audits, "fpr").high == rule_of_three(30)
    assert rate_over_tasks(audits, "tpr").low == 1 - rule_of_three(10)
    with pytest.raises(ConfigError, match="two"):
        rate_over_tasks([Audit(accepted_wrong=1, rejected_wrong=3)], "fpr")


def test_the_requirement_on_a_verifier():
    assert allowed_fpr(0.13, 0.9) == pytest.approx(0.017, abs=0.0005)
    assert allowed_fpr(0.95, 0.9) == 1.0
    assert allowed_fpr(1.0, 0.9) == 1.0
    assert allowed_fpr(0.5, 1.0) == 0.0
    for accuracy, precision in ((1.2, 0.9), (0.5, 0.0), (math.nan, 0.9)):
        with pytest.raises(ConfigError):
            allowed_fpr(accuracy, precision)


@given(unit, unit, unit)
def test_the_requirement_is_the_ceiling_turned_round(accuracy: float, precision: float, tpr: float):
    fpr = allowed_fpr(accuracy, precision, tpr=tpr)
    if fpr < 1:
        assert ceiling(accuracy, tpr=tpr, fpr=fpr) == pytest.approx(precision)
    else:
        assert ceiling(accuracy, tpr=tpr, fpr=fpr) >= precision - 1e-9


def test_a_ceiling_needs_accepts():
    assert ceiling(0.5, tpr=1.0, fpr=0.0) == 1.0
    with pytest.raises(ConfigError, match="accepts nothing"):
        ceiling(0.0, tpr=1.0, fpr=0.0)


def test_precision_falls_with_every_rejection():
    assert [round(PAPER.precision(k), 3) for k in (1, 2, 3, 4, 1000)] == [0.835, 0.580, 0.418, 0.381, 0.374]
    assert [round(PAPER.break_even(k), 2) for k in (1, 2, 3, 4, 1000)] == [5.07, 1.38, 0.72, 0.62, 0.60]
    assert PAPER.precision(1) == pytest.approx(ceiling(0.58 * 0.87 + 0.42 * 0.13, tpr=1, fpr=0.25))


def test_unlimited_attempts_reach_what_no_budget_lifts():
    assert round(PAPER.unlimited_accuracy(), 3) == 0.716
    assert PAPER.utility(2000, fp_cost=0) == pytest.approx(PAPER.unlimited_accuracy())


@pytest.mark.parametrize(("fp_cost", "cap"), [(0, None), (0.6, 5), (0.7, 3), (1, 2), (2, 1), (4, 1), (8, 0)])
def test_best_caps_meet_published_values(fp_cost: float, cap: int | None):
    assert PAPER.best_cap(fp_cost=fp_cost) == cap


def test_the_utility_is_the_mean_over_what_can_happen():
    model = Resampling(types=[(0.3, 0.6), (0.7, 0.2)], tpr=0.9, fpr=0.2)
    expected = 0.0
    for share, r in model.types:
        right, wrong = 0.9 * r, 0.2 * (1 - r)
        rejected = 1 - right - wrong
        for accepted_at in (1, 2, 3):
            reached = share * rejected ** (accepted_at - 1)
            expected += reached * (right * (1 - 0.01 * accepted_at) + wrong * (-2 - 0.01 * accepted_at))
        expected -= share * rejected**3 * 0.03
    assert model.utility(3, fp_cost=2, sample_cost=0.01) == pytest.approx(expected)
    assert model.utilities(3, fp_cost=2, sample_cost=0.01)[0] == 0.0


@given(
    st.lists(st.tuples(st.integers(1, 9), unit), min_size=1, max_size=4),
    unit,
    unit,
    st.floats(0, 8),
    st.sampled_from([0.0, 0.02, 0.1]),
)
def test_best_cap_is_the_best_of_the_grid(weighted: list[tuple[int, float]], tpr: float, fpr: float, fp_cost: float, cost: float):
    total = sum(w for w, _ in weighted)
    model = Resampling(types=[(w / total, r) for w, r in weighted], tpr=tpr, fpr=fpr)
    cap, grid = model.best_cap(fp_cost=fp_cost, sample_cost=cost), model.utilities(400, fp_cost=fp_cost, sample_cost=cost)
    best = max(grid)
    if cap is None:
        accepts = [(p, tpr * r, fpr * (1 - r)) for p, r in model.types]
        unlimited = sum(p * (right - fp_cost * wrong - cost) / (right + wrong) for p, right, wrong in accepts)
        assert unlimited >= best - 1e-9
    elif cap > 400:
        assert grid == sorted(grid)
    else:
        assert grid[cap] == pytest.approx(best, abs=1e-9)
        assert all(value < best + 1e-12 for value in grid[:cap])


def test_two_types_by_formula_agree_with_many_types_by_search():
    for fp_cost in (0.61, 0.65, 0.8, 1.3, 3.0):
        split = Resampling(types=[(0.29, 0.87), (0.29, 0.87), (0.42, 0.13)], tpr=1.0, fpr=0.25)
        assert split.best_cap(fp_cost=fp_cost) == PAPER.best_cap(fp_cost=fp_cost)


def test_caps_at_the_edges():
    perfect = Resampling.of_tasks([0.0, 0.5, 0.9], tpr=1.0, fpr=0.0)
    assert perfect.best_cap() is None
    assert perfect.precision(7) == 1.0
    assert perfect.break_even(7) == math.inf
    assert Resampling.of_tasks([1.0], tpr=1.0, fpr=0.5).best_cap() == 1
    assert Resampling.of_tasks([0.6], tpr=1.0, fpr=1.0).best_cap() == 1
    assert Resampling.of_tasks([0.4], tpr=1.0, fpr=1.0).best_cap() == 0
    assert Resampling.of_tasks([0.0], tpr=1.0, fpr=0.0).best_cap() == 0
    hopeless = Resampling.of_tasks([0.0, 0.5], tpr=1.0, fpr=0.0)
    assert hopeless.best_cap(sample_cost=0.01) == math.ceil(math.log(0.49 / 0.01) / math.log(2))
    assert math.isnan(Resampling.of_tasks([0.0], tpr=1.0, fpr=0.0).precision(1))


def test_a_hopeless_task_among_many_stops_late():
    model = Resampling.of_tasks([0.5] * 999 + [0.0], tpr=1.0, fpr=1e-6)
    cap = model.best_cap(fp_cost=1)
    assert cap is not None
    margins = [b - a for a, b in pairwise(model.utilities(cap + 1, fp_cost=1))]
    assert margins[-2] > 0 > margins[-1]


@pytest.mark.parametrize(
    "function",
    [
        lambda: Resampling(types=[(0.5, 0.5)], tpr=1, fpr=0),
        lambda: Resampling(types=[], tpr=1, fpr=0),
        lambda: Resampling(types=[(1, 0.5)], tpr=1.2, fpr=0),
        lambda: Resampling(types=[(1, math.nan)], tpr=1, fpr=0),
        lambda: Resampling.of_tasks([], tpr=1, fpr=0),
        lambda: PAPER.accepts(0),
        lambda: PAPER.utilities(-1),
        lambda: PAPER.best_cap(fp_cost=-1),
        lambda: PAPER.best_cap(sample_cost=math.nan),
    ],
)
def test_impossible_models_are_refused(function):
    with pytest.raises(ConfigError):
        function()
