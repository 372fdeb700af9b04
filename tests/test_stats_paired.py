import math
from itertools import product
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.stats import (
    Interval,
    compare_paired,
    holm,
    mcnemar,
    non_inferior,
    paired_bootstrap,
    score_interval,
    sign_flip,
)

counts = st.integers(0, 40)
tables = st.tuples(counts, counts, counts).filter(lambda t: sum(t) > 0)


def scores(b: int, c: int, same: int) -> tuple[list[float], list[float]]:
    """Right-or-wrong scores with so many discordant tasks either way."""
    return [1.0] * b + [0.0] * c + [1.0] * same, [0.0] * b + [1.0] * c + [1.0] * same


@pytest.mark.parametrize(("b", "c", "exact"), [(10, 2, 0.039), (6, 0, 0.031), (5, 0, 0.063), (8, 3, 0.23)])
def test_mcnemar_meets_published_values(b: int, c: int, exact: float):
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(exact, abs=0.0006 if exact < 0.1 else 0.004)


def test_mcnemar_is_mid_p_where_tasks_are_many():
    assert mcnemar(10, 2, mid=True) == pytest.approx(0.023, abs=0.0006)
    assert mcnemar(17, 7) == mcnemar(17, 7, mid=False)
    assert mcnemar(17, 8) == mcnemar(17, 8, mid=True) < mcnemar(17, 8, mid=False)
    assert mcnemar(3000, 3200) == pytest.approx(math.erfc(200 / math.sqrt(6200) / math.sqrt(2)), rel=0.02)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_is_the_binomial_test(b: int, c: int):
    n = b + c
    chance = [math.comb(n, i) / 2**n for i in range(n + 1)]
    assert mcnemar(b, c, mid=False) == pytest.approx(
        min(1.0, sum(p for i, p in enumerate(chance) if abs(2 * i - n) >= abs(b - c)))
    )
    mid = sum(
        p * (0.5 if abs(2 * i - n) == abs(b - c) and b != c else 1) for i, p in enumerate(chance) if abs(2 * i - n) >= abs(b - c)
    )
    assert mcnemar(b, c, mid=True) == pytest.approx(mid)


def score(b: int, c: int, n: int, d: float) -> float:
    """The score statistic of a difference `d`, its discordant shares fitted by maximising the likelihood step by step."""

    def slope(q: float) -> float:
        parts = ((b, q + d), (c, q), (-2 * (n - b - c), 1 - 2 * q - d))
        return sum(count / share for count, share in parts if count)

    low, high = max(0.0, -d), (1 - d) / 2
    for _ in range(100):
        q = (low + high) / 2
        low, high = (q, high) if slope(q) > 0 else (low, q)
    q = (low + high) / 2
    return (b - c - n * d) / math.sqrt(n * (2 * q + d - d * d))


@given(tables)
def test_the_score_interval_ends_where_the_hypothesis_is_rejected(table: tuple[int, int, int]):
    b, c, same = table
    n = b + c + same
    found, mirror = score_interval(b, c, n), score_interval(c, b, n)
    assert -1 <= found.low <= found.value == (b - c) / n <= found.high <= 1
    assert found.low == pytest.approx(-mirror.high, abs=1e-9)
    if found.low > -1:
        assert score(b, c, n, found.low) == pytest.approx(1.96, abs=1e-3)
    if found.high < 1:
        assert score(b, c, n, found.high) == pytest.approx(-1.96, abs=1e-3)


def test_the_score_interval_at_the_edges():
    assert score_interval(0, 0, 100).high == pytest.approx(1.96**2 / (100 + 1.96**2), abs=1e-5)
    assert score_interval(9, 0, 9).high == 1.0
    assert score_interval(0, 9, 9).low == -1.0
    for b, c, n in ((1, 1, 1), (-1, 0, 5), (0, 0, 0)):
        with pytest.raises(ConfigError):
            score_interval(b, c, n)


def test_equal_methods_on_few_tasks_are_not_shown_to_be_equal():
    same = [1.0, 0.0] * 15
    found = compare_paired(same, same)
    assert (found.b, found.c, found.p, found.interval) == (0, 0, 1.0, "score")
    assert not non_inferior(found.difference, 0.03)
    assert non_inferior(compare_paired(same * 5, same * 5).difference, 0.03)
    averaged = [0.25, 0.75] * 15
    assert compare_paired(averaged, averaged).difference == found.difference
    assert compare_paired([20.0, 30.0], [20.0, 30.0]).difference == Interval(0.0, 0.0, 0.0)


def test_right_or_wrong_scores_get_mcnemar():
    found = compare_paired(*scores(10, 2, 38))
    assert (found.b, found.c, found.tasks, found.test) == (10, 2, 50, "mcnemar exact")
    assert found.p == mcnemar(10, 2)
    assert found.difference == score_interval(10, 2, 50)
    assert found.error == pytest.approx(math.sqrt(12 - 64 / 50) / 50 * math.sqrt(50 / 49))
    assert compare_paired(*scores(20, 8, 38)).test == "mcnemar mid-p"
    assert str(found) == ".16 [.03, .30], 10 against 2 of 50 tasks, p 0.039 (mcnemar exact)"


def test_averaged_scores_are_tested_by_their_number():
    few = compare_paired([0.5, 0.75, 1.0, 0.5] * 5, [0.25, 0.75, 0.5, 0.75] * 5)
    assert (few.test, few.interval, few.b, few.c) == ("sign flip", "bootstrap", 10, 5)
    many = compare_paired([0.5, 0.75, 1.0, 0.5] * 15, [0.25, 0.75, 0.5, 0.75] * 15)
    differences = [0.25, 0.0, 0.5, -0.25] * 15
    assert many.test == "paired t"
    assert many.error == pytest.approx(stdev(differences) / math.sqrt(60))
    t = fmean(differences) / many.error
    assert many.p == pytest.approx(math.erfc(t / math.sqrt(2)), abs=0.003)
    assert many.p > math.erfc(t / math.sqrt(2))
    constant = compare_paired([0.75] * 60, [0.25] * 60)
    assert constant.test == "sign flip"
    assert constant.p < 0.001


def test_clustered_tasks_are_compared_by_cluster():
    ours, theirs = scores(10, 2, 28)
    copied = compare_paired(ours * 3, theirs * 3, clusters=list(range(40)) * 3)
    alone = compare_paired(ours, theirs)
    assert copied.test == "sign flip"
    assert copied.error == pytest.approx(alone.error)
    assert copied.p == pytest.approx(mcnemar(10, 2))
    assert copied.difference.low == pytest.approx(alone.difference.low, abs=0.05)


def test_pairing_narrows_the_difference():
    base = [i / 50 for i in range(50)]
    better = [v + 0.1 for v in base]
    found = paired_bootstrap(better, base)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0, 0.0]), ([], []), ([1.0, math.nan], [0.0, 0.0])])
def test_pairs_must_be_pairs(ours: list[float], theirs: list[float]):
    for function in (paired_bootstrap, compare_paired):
        with pytest.raises(ConfigError):
            function(ours, theirs)


def test_one_pair_shows_no_spread():
    with pytest.raises(ConfigError, match="two"):
        compare_paired([1.0], [0.0])


@given(st.lists(st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.1, 0.3, 1.0]), min_size=1, max_size=8))
def test_few_signs_are_flipped_in_all_ways(differences: list[float]):
    sums = [
        abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = fmean(s >= sums[0] - 1e-9 for s in sums)
    assert sign_flip(differences) == pytest.approx(expected)


def test_many_signs_are_flipped_at_random():
    differences = [0.25, -0.25, 0.5, 0.0] * 10
    assert sign_flip(differences) == sign_flip(differences)
    z = sum(differences) / math.sqrt(sum(d * d for d in differences))
    assert sign_flip(differences, flips=40_000) == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.01)
    assert sign_flip([1.0] * 40) == 1 / 10_001
    assert sign_flip([0.0, 0.0]) == 1.0
    with pytest.raises(ConfigError):
        sign_flip([])


def test_right_or_wrong_signs_flip_as_mcnemar_counts():
    assert sign_flip([1.0] * 9 + [-1.0] * 3 + [0.0] * 20) == pytest.approx(mcnemar(9, 3))


def test_non_inferior_is_the_low_end_above_the_margin():
    assert non_inferior(Interval(0.0, -0.029, 0.03), 0.03)
    assert not non_inferior(Interval(0.0, -0.03, 0.03), 0.03)
    with pytest.raises(ConfigError):
        non_inferior(Interval(0.0, -0.1, 0.1), 0.0)


def test_holm_adjusts_in_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7]) == [0.7]
    for wrong in (1.2, -0.1, math.nan):
        with pytest.raises(ConfigError):
            holm([0.5, wrong])


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float], level: float):
    rejected = 0
    for p in sorted(p_values):
        if p * (len(p_values) - rejected) > level:
            break
        rejected += 1
    assert sum(p <= level for p in holm(p_values)) == rejected
