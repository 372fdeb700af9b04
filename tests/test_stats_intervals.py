import math
import sys
from collections.abc import Sequence
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.stats import (
    Interval,
    bootstrap,
    bootstrap_statistic,
    median,
    quantile,
    rule_of_three,
    standard_error,
    t_interval,
    wilson,
)
from burnish.stats.extras import library
from burnish.stats.intervals import mean_share

shares = st.lists(st.floats(0, 1), min_size=2, max_size=30)


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"), [(30, 30, 0.886, 1.0), (24, 30, 0.627, 0.905), (310, 500, 0.577, 0.661), (0, 30, 0.0, 0.114)]
)
def test_wilson_meets_published_values(passed: int, n: int, low: float, high: float):
    found = wilson(passed, n)
    assert found.value == passed / n
    assert (round(found.low, 3), round(found.high, 3)) == (low, high)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(pair: tuple[int, int]):
    passed, n = pair
    found, mirror = wilson(passed, n), wilson(n - passed, n)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert math.isclose(found.low, 1 - mirror.high, abs_tol=1e-9)


@pytest.mark.parametrize(("passed", "n"), [(1, 0), (0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_no_test_gives(passed: int, n: int):
    with pytest.raises(ConfigError):
        wilson(passed, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_a_level_is_a_share(level: float):
    for function in (
        lambda: wilson(1, 2, level=level),
        lambda: bootstrap([0.0, 1.0], level=level),
        lambda: rule_of_three(9, level=level),
    ):
        with pytest.raises(ConfigError, match="level"):
            function()


def test_the_rule_of_three_bounds_what_was_never_seen():
    assert rule_of_three(300) == pytest.approx(3 / 300, rel=0.002)
    assert rule_of_three(1) == 1.0
    # The bound holds: a rate above it would have shown an event with more than 95 %.
    assert (1 - rule_of_three(50)) ** 50 <= 0.05
    with pytest.raises(ConfigError):
        rule_of_three(0)


def test_bootstrap_of_equal_values_is_a_point_and_seeded():
    assert bootstrap([0.5] * 8) == Interval(0.5, 0.5, 0.5)
    values = [i % 3 / 2 for i in range(40)]
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)


def test_tasks_that_are_all_right_leave_room_for_others():
    assert mean_share([1.0] * 20) == wilson(20, 20)
    assert mean_share([0, 1, 1.0]) == wilson(2, 3)
    assert mean_share([1.0, 0.5, 1.0]) == bootstrap([1.0, 0.5, 1.0])
    with pytest.raises(ConfigError):
        mean_share([])


def test_bootstrap_covers_like_the_normal_approximation():
    values = [float(i % 2) for i in range(200)]
    found = bootstrap(values)
    half = 1.96 * math.sqrt(0.25 / 200)
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - half, abs=0.012)
    assert found.high == pytest.approx(0.5 + half, abs=0.012)


@given(shares, st.integers(0, 5))
def test_an_interval_holds_its_estimate(values: list[float], seed: int):
    found = bootstrap(values, replicates=50, seed=seed)
    assert found.low <= found.value == fmean(values) <= found.high
    assert min(values) - 1e-12 <= found.low
    assert found.high <= max(values) + 1e-12


def test_many_tasks_are_resampled_in_blocks():
    values = [float(i % 2) for i in range(300_000)]
    found = bootstrap(values, replicates=20)
    assert 0.49 < found.low < 0.5 < found.high < 0.51


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [0.5, math.inf]])
def test_bootstrap_refuses_what_is_no_value(values: list[float]):
    with pytest.raises(ConfigError):
        bootstrap(values)


def test_bootstrap_refuses_no_replicates():
    with pytest.raises(ConfigError, match="replicates"):
        bootstrap([0.0, 1.0], replicates=0)


def test_the_t_interval_is_students():
    values = [0.1, 0.4, 0.5, 0.9]
    found = t_interval(values)
    half = 3.182446 * stdev(values) / 2
    assert (found.low, found.high) == pytest.approx((fmean(values) - half, fmean(values) + half), rel=1e-6)
    with pytest.raises(ConfigError):
        t_interval([0.5])


@given(shares)
def test_clusters_of_one_task_change_nothing(values: list[float]):
    labels = range(len(values))
    assert standard_error(values) == pytest.approx(stdev(values) / math.sqrt(len(values)), abs=1e-12)
    assert standard_error(values, clusters=labels) == pytest.approx(standard_error(values))
    assert bootstrap(values, replicates=40, clusters=labels) == bootstrap(values, replicates=40)


def test_copies_of_a_task_add_nothing():
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 0.5]
    copied, labels = [v for v in values for _ in range(5)], [i for i in range(6) for _ in range(5)]
    assert standard_error(copied, clusters=labels) == pytest.approx(standard_error(values))
    assert t_interval(copied, clusters=labels).low == pytest.approx(t_interval(values).low)
    whole, naive = bootstrap(copied, clusters=labels), bootstrap(copied)
    assert (whole.low, whole.high) == pytest.approx((bootstrap(values).low, bootstrap(values).high))
    assert naive.high - naive.low < 0.6 * (whole.high - whole.low)


def test_clusters_need_a_label_for_each_task_and_two_of_them():
    with pytest.raises(ConfigError, match="labels"):
        bootstrap([0.0, 1.0], clusters=["a"])
    with pytest.raises(ConfigError, match="two"):
        standard_error([0.0, 1.0], clusters=["a", "a"])


def test_any_statistic_over_tasks():
    values = [float(v) for v in range(41)]
    found = bootstrap_statistic(values, median, seed=3)
    assert found.value == 20
    assert 10 < found.low < 20 < found.high < 30
    of_means = bootstrap_statistic(values, fmean, replicates=4000)
    assert (of_means.low, of_means.high) == pytest.approx((bootstrap(values).low, bootstrap(values).high))
    clustered = bootstrap_statistic(values, fmean, clusters=[v // 10 for v in values])
    assert clustered.high - clustered.low > of_means.high - of_means.low


def test_replicates_without_a_statistic_are_left_out_unless_they_are_most():
    def share(tasks: Sequence[tuple[int, int]]) -> float:
        trials = sum(n for _, n in tasks)
        return sum(e for e, _ in tasks) / trials if trials else math.nan

    found = bootstrap_statistic([(1, 2), (1, 1), (0, 0)], share)
    assert (found.low, found.high) == (0.5, 1.0)
    with pytest.raises(ConfigError, match="undefined"):
        bootstrap_statistic([(0, 0), (0, 0)], share)
    with pytest.raises(ConfigError, match="most"):
        bootstrap_statistic([0] * 10 + [1], lambda t: 1.0 if list(t) == [0] * 10 + [1] else math.nan)
    with pytest.raises(ConfigError):
        bootstrap_statistic([], share)


def test_median_and_quantiles():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert quantile(range(101), 0.95) == 95
    assert quantile([7], 0.2) == 7
    for values, q in (([], 0.5), ([1], 1.5)):
        with pytest.raises(ConfigError):
            quantile(values, q)


def test_intervals_print_short():
    assert str(Interval(0.264, 0.2, 0.33)) == ".26 [.20, .33]"
    assert str(Interval(-0.08, -0.2, 0.04)) == "-.08 [-.20, .04]"
    assert str(Interval(0.0, -0.001, 0.999)) == ".00 [.00, 1.00]"
    assert str(Interval(20.5, 10.0, -1.5)) == "20.50 [10.00, -1.50]"
    assert Interval(0.5, 0.25, 0.75).to_json() == {"value": 0.5, "low": 0.25, "high": 0.75}


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ConfigError, match=r"scipy.*burnish\[compare\]"):
        library("scipy.special")
