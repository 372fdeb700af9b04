import math
from itertools import combinations, permutations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.stats import chosen_at_k, majority_at_k, pass_at_k, pass_hat_k, subset_mean, within_auroc

pools = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))
Vote = tuple[str | None, bool]


def vote(sample: tuple[Vote, ...]) -> float:
    """Whether the first of the most frequent answers is right, in the order given."""
    answers = [a for a, _ in sample if a is not None]
    if not answers:
        return 0.0
    winner = max(dict.fromkeys(answers), key=answers.count)
    return float(next(right for a, right in sample if a == winner))


@given(pools)
def test_pass_at_k_is_the_share_of_subsets_with_a_pass(case: tuple[int, int, int]):
    n, passed, k = case
    pool = [True] * passed + [False] * (n - passed)
    assert math.isclose(pass_at_k(n, passed, k), fmean(any(s) for s in combinations(pool, k)), abs_tol=1e-12)
    assert math.isclose(pass_hat_k(n, passed, k), fmean(all(s) for s in combinations(pool, k)), abs_tol=1e-12)


def test_pass_at_k_differs_from_the_biased_form():
    assert pass_at_k(10, 3, 5) == pytest.approx(1 - 21 / 252)
    assert pass_at_k(10, 3, 5) > 1 - (1 - 0.3) ** 5
    assert pass_at_k(10, 6, 5) == 1.0
    assert math.isnan(pass_at_k(4, 4, 5))
    assert math.isnan(pass_hat_k(4, 4, 5))


@pytest.mark.parametrize("function", [pass_at_k, pass_hat_k])
def test_impossible_pools_are_refused(function):
    for n, passed, k in ((4, 5, 1), (4, -1, 1), (4, 2, 0)):
        with pytest.raises(ConfigError):
            function(n, passed, k)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.booleans()), min_size=1, max_size=6), st.integers(1, 6))
def test_majority_at_k_is_the_mean_over_all_ordered_subsets(votes: list[Vote], k: int):
    if k > len(votes):
        assert math.isnan(majority_at_k(votes, k))
    else:
        assert majority_at_k(votes, k) == pytest.approx(fmean(vote(s) for s in permutations(votes, k)), abs=1e-12)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.booleans()), min_size=1, max_size=6), st.integers(1, 6))
def test_chosen_at_k_is_the_mean_over_all_ordered_subsets(samples: list[tuple[float, bool]], k: int):
    if k > len(samples):
        assert math.isnan(chosen_at_k(samples, k))
    else:
        first_best = [max(s, key=lambda sample: sample[0])[1] for s in permutations(samples, k)]
        assert chosen_at_k(samples, k) == pytest.approx(fmean(first_best), abs=1e-12)
        passed = sum(right for _, right in samples)
        assert chosen_at_k([(float(right), right) for _, right in samples], k) == pytest.approx(
            pass_at_k(len(samples), passed, k), abs=1e-12
        )


def test_scores_that_order_nothing_are_refused():
    for samples, k in (([(0.5, True)], 0), ([(math.nan, True), (0.1, False)], 1)):
        with pytest.raises(ConfigError):
            chosen_at_k(samples, k)


def test_majority_at_k_agrees_with_random_subsets():
    votes: list[Vote] = [(str(i * i % 7), i * i % 7 == 4) for i in range(40)] + [(None, False)] * 5
    exact = majority_at_k(votes, 16)
    drawn = subset_mean(votes, 16, lambda s: vote(tuple(s)), draws=4000, seed=1)
    assert 0.1 < exact < 0.9
    assert drawn == pytest.approx(exact, abs=3.5 * math.sqrt(exact * (1 - exact) / 4000))


def test_the_vote_of_one_is_the_share_right_and_of_none_wrong():
    assert majority_at_k([("a", True), ("b", False), (None, False), ("c", False)], 1) == 0.25
    assert majority_at_k([(None, False)] * 3, 2) == 0.0
    assert majority_at_k([("a", True)] * 3, 3) == 1.0
    with pytest.raises(ConfigError):
        majority_at_k([("a", True)], 0)


def test_large_pools_stay_exact():
    votes: list[Vote] = [("a", True)] * 300 + [("b", False)] * 300
    assert majority_at_k(votes, 64) == pytest.approx(0.5)
    assert majority_at_k([*votes, ("a", True)], 64) > 0.5


def test_subset_mean_refuses_more_than_the_pool_holds():
    for k, draws in ((3, 5), (0, 5), (1, 0)):
        with pytest.raises(ConfigError):
            subset_mean([1, 2], k, lambda s: 1.0, draws=draws, seed=0)


@given(st.lists(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), max_size=6), max_size=6))
def test_auroc_is_the_share_of_pairs_in_order(questions: list[list[tuple[float, bool]]]):
    pairs = [[(r > w) + (r == w) / 2 for r, right in q if right for w, other in q if not other] for q in questions]
    mixed = [p for p in pairs if p]
    if len(mixed) < 2:
        with pytest.raises(ConfigError):
            within_auroc(questions)
        return
    found = within_auroc(questions, replicates=20)
    assert found.interval.value == pytest.approx(fmean(v for p in mixed for v in p))
    assert 0 <= found.interval.low <= found.interval.value <= found.interval.high <= 1
    assert (found.questions, found.left_out) == (len(mixed), len(questions) - len(mixed))


def test_only_order_within_a_question_counts():
    # The easy question's samples all score high: across questions the score tells right from wrong, within none.
    blind = [[(0.9, True), (0.9, True), (0.9, False)], [(0.1, True), (0.1, False), (0.1, False)]] * 20
    assert within_auroc(blind).interval.value == 0.5
    assert not within_auroc(blind).informative
    telling = [[(0.8, True), (0.2, False), (0.5, i % 4 > 0), (0.4, i % 5 == 0)] for i in range(60)]
    assert within_auroc(telling).informative
    assert within_auroc([[(-s, right) for s, right in q] for q in telling]).interval.high < 0.5


def test_a_score_must_be_a_number():
    with pytest.raises(ConfigError, match="NaN"):
        within_auroc([[(math.nan, True), (0.1, False)]] * 3)
