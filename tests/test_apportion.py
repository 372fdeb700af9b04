"""Sharing out a width: nothing lost, nothing added, and the published cases."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import ConfigError
from burnish.search.apportion import apportion, balanced

WEIGHTS = st.lists(st.floats(0, 1e6) | st.floats(0, 1e-300) | st.just(0.0), min_size=1, max_size=20)


@given(WEIGHTS, st.integers(0, 300))
def test_shares_sum_to_the_total(weights, total):
    shares = apportion(weights, total)
    assert sum(shares) == total
    assert min(shares) >= 0


@given(WEIGHTS, st.integers(1, 300))
def test_more_weight_never_gets_less_nor_does_the_earlier_of_equals(weights, total):
    shares = apportion(weights, total)
    in_order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    assert [shares[i] for i in in_order] == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("weights", "total", "shares"),
    [
        ([1] * 8, 3, [1, 1, 1, 0, 0, 0, 0, 0]),  # rounded one by one: nothing, and the search dies
        ([1, 1], 5, [3, 2]),  # rounded: 4 or 6
        ([1, 1, 1], 3, [1, 1, 1]),
        ([0.1] * 10, 10, [1] * 10),
        ([0.3, 0.3, 0.3], 9, [3, 3, 3]),
        ([1, 3], 4, [1, 3]),
        ([5], 7, [7]),
        ([0, 0, 0], 4, [2, 1, 1]),
        ([0, 1, 0], 4, [0, 4, 0]),
        ([1e308, 1e308, 1e308], 3, [1, 1, 1]),
        ([2, 1], 0, [0, 0]),
        ([1, 2], -1, [0, 0]),
        ([], 5, []),
    ],
)
def test_known_cases(weights, total, shares):
    assert apportion(weights, total) == shares


def test_the_published_example_of_a_sequential_ceiling():
    weights = balanced([0.9, 0.8, 0.5, 0.1], 0.1)
    # 4 of 1, e^-1, e^-4, e^-8: ceil(4 * 0.721) = 3, then ceil(1 * 0.952) = 1.
    assert apportion(weights, 4) == [3, 1, 0, 0]


@pytest.mark.parametrize(("balance", "factor"), [(0.1, 5.754603), (0.2, 2.398875)])
def test_a_gap_of_35_points_on_the_scale_of_200_is_the_stated_factor(balance, factor):
    high, low = balanced([(95 + 100) / 200, (60 + 100) / 200], balance)
    assert high / low == pytest.approx(factor, rel=1e-6)


def test_the_maximum_is_subtracted_before_exp():
    assert balanced([1.0, 0.0], 1e-6) == [1.0, 0.0]
    assert balanced([-100.0, 95.0], 0.1)[1] == 1.0
    assert balanced([], 0.1) == []


@pytest.mark.parametrize("balance", [0, -0.1, math.nan])
def test_a_balance_that_is_none_is_refused(balance):
    with pytest.raises(ConfigError, match="balance"):
        balanced([0.5], balance)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(ConfigError, match="weights"):
        apportion([1.0, weight], 3)
