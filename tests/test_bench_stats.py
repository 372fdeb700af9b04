import math
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.bench.stats import Interval, bootstrap, median, paired_bootstrap, pass_at_k, wilson
from burnish.core.errors import ConfigError


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


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_pass(case: tuple[int, int, int]):
    n, passed, k = case
    pool = [True] * passed + [False] * (n - passed)
    assert math.isclose(pass_at_k(n, passed, k), fmean(any(s) for s in combinations(pool, k)), abs_tol=1e-12)


def test_pass_at_k_differs_from_the_biased_form():
    assert pass_at_k(10, 3, 5) == pytest.approx(1 - 21 / 252)
    assert pass_at_k(10, 3, 5) > 1 - (1 - 0.3) ** 5
    assert math.isnan(pass_at_k(4, 4, 5))
    with pytest.raises(ConfigError):
        pass_at_k(4, 5, 1)


def test_bootstrap_of_equal_values_is_a_point_and_seeded():
    assert bootstrap([0.5] * 8) == Interval(0.5, 0.5, 0.5)
    values = [i % 3 / 2 for i in range(40)]
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)


def test_bootstrap_covers_like_the_normal_approximation():
    values = [float(i % 2) for i in range(200)]
    found = bootstrap(values)
    half = 1.96 * math.sqrt(0.25 / 200)
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - half, abs=0.012)
    assert found.high == pytest.approx(0.5 + half, abs=0.012)


def test_pairing_narrows_the_difference():
    base = [i / 50 for i in range(50)]
    better = [v + 0.1 for v in base]
    found = paired_bootstrap(better, base)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)
    with pytest.raises(ConfigError):
        paired_bootstrap([1.0], [1.0, 0.0])
    with pytest.raises(ConfigError):
        paired_bootstrap([], [])


def test_median():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    with pytest.raises(ConfigError):
        median([])


def test_intervals_print_short():
    assert str(Interval(0.264, 0.0, 1.0)) == ".26 [.00, 1.00]"
    assert str(Interval(-0.08, -0.2, 0.04)) == "-.08 [-.20, .04]"
