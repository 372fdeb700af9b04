"""The policies, alone: no engine, no run."""

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import BestOfN, ConfigError, Majority, Scored, Single, TaskView
from burnish.core.rank import rank
from burnish.search.policies import Draw

TASK = TaskView(id="t")


def play(policy, results, order=None):
    """Tell the results of one full draw, in some order, until the policy chooses; then insist."""
    state, moves = policy.ask(policy.start(TASK, 0))
    assert [m.id for m in moves.expansions] == [f"x{i}" for i in range(policy.n)]
    for i in order or range(len(results)):
        state = policy.tell(state, results[i])
        if choice := policy.finish(state, False):
            return choice
    return policy.finish(state, True)


def scored(i, **fields):
    return Scored(id=f"x{i}", **fields)


OUTCOMES = st.sampled_from(
    [
        {"outcome": "pass", "score": 1.0},
        {"outcome": "pass"},
        {"outcome": "fail", "score": 0.0},
        {"outcome": "fail", "score": 0.6},
        {"outcome": "abstain"},
        {"error": "generation"},
    ]
)


@given(st.lists(OUTCOMES, min_size=1, max_size=8), st.randoms())
def test_best_of_n_takes_the_first_of_the_best_whatever_lands_first(outcomes, rng):
    results = [scored(i, **o) for i, o in enumerate(outcomes)]
    order = list(range(len(results)))
    rng.shuffle(order)
    choice = play(BestOfN(len(results), stop_at_pass=False), results, order)
    alive = [r for r in results if r.error is None]
    if not alive:
        assert choice.id is None
        assert choice.reason == "no_candidate"
        return
    top = max(rank(r.outcome, r.score) for r in alive)
    assert choice.id == next(r.id for r in alive if rank(r.outcome, r.score) == top)


@given(st.lists(OUTCOMES, min_size=1, max_size=8), st.randoms())
def test_a_pass_is_never_passed_over(outcomes, rng):
    results = [scored(i, **o) for i, o in enumerate(outcomes)]
    order = list(range(len(results)))
    rng.shuffle(order)
    for stop in (True, False):
        choice = play(BestOfN(len(results), stop_at_pass=stop), results, order)
        if any(r.outcome == "pass" for r in results if r.error is None):
            assert results[int(choice.id[1:])].outcome == "pass"
            assert choice.reason == "passed"


def test_stop_at_pass_does_not_wait():
    policy = BestOfN(4)
    state, _ = policy.ask(policy.start(TASK, 0))
    state = policy.tell(state, scored(2, outcome="fail", score=0.9))
    assert policy.finish(state, False) is None
    state = policy.tell(state, scored(3, outcome="pass"))
    assert policy.finish(state, False).id == "x3"


@pytest.mark.parametrize(("p", "n"), [(0.26, 8), (0.1, 4), (0.7, 2)])
def test_best_of_n_under_an_oracle_succeeds_as_often_as_the_closed_form_says(p, n):
    rng, trials = random.Random(1), 4000
    wins = 0
    for _ in range(trials):
        results = [scored(i, outcome="pass" if rng.random() < p else "fail") for i in range(n)]
        wins += play(BestOfN(n), results).reason == "passed"
    expected = 1 - (1 - p) ** n
    assert abs(wins / trials - expected) < 4 * math.sqrt(expected * (1 - expected) / trials)


@pytest.mark.parametrize("probabilities", [(0.5, 0.3, 0.2), (0.4, 0.4, 0.2)])
def test_majority_wins_as_often_as_enumeration_says(probabilities):
    n, exact = 5, 0.0
    for draw in itertools.product(range(3), repeat=n):
        chance = math.prod(probabilities[d] for d in draw)
        counts = Counter(draw)
        most = max(counts.values())
        first = next(d for d in draw if counts[d] == most)
        exact += chance * (first == 0)
    rng, trials = random.Random(2), 4000
    wins = 0
    for _ in range(trials):
        answers = rng.choices("abc", probabilities, k=n)
        choice = play(Majority(n), [scored(i, answer=a) for i, a in enumerate(answers)])
        wins += answers[int(choice.id[1:])] == "a"
    assert abs(wins / trials - exact) < 4 * math.sqrt(exact * (1 - exact) / trials)


@given(st.lists(st.sampled_from(["a", "b", "c", None, "lost"]), min_size=1, max_size=9), st.randoms())
def test_majority_does_not_depend_on_the_order_of_landing(answers, rng):
    results = [scored(i, error="generation") if a == "lost" else scored(i, answer=a) for i, a in enumerate(answers)]
    order = list(range(len(results)))
    rng.shuffle(order)
    first = play(Majority(len(results)), results)
    assert play(Majority(len(results)), results, order) == first


@given(st.lists(st.sampled_from(["a", "b", "c", None, "lost"]), min_size=1, max_size=9), st.randoms())
def test_in_rounds_majority_gives_the_same_answer_and_draws_none_in_vain(answers, rng):
    results = [scored(i, error="generation") if a == "lost" else scored(i, answer=a) for i, a in enumerate(answers)]
    policy = Majority(len(results), stop_early=True)
    state, early, drawn = policy.start(TASK, 0), None, 0
    while early is None:
        state, moves = policy.ask(state)
        asked = [int(m.id[1:]) for m in moves.expansions]
        assert asked == [*range(drawn, drawn + len(asked))]
        assert asked
        drawn += len(asked)
        rng.shuffle(asked)
        for i in asked:
            assert early is None  # The round's last sample may settle it, none before.
            state = policy.tell(state, results[i])
            early = policy.finish(state, False)
    whole = play(Majority(len(results)), results)
    if whole.id is None or whole.reason == "no_votes":
        assert (early.id is None, early.reason) == (whole.id is None, whole.reason)
    else:
        assert results[int(early.id[1:])].answer == results[int(whole.id[1:])].answer
    votes = Counter(a for a in answers[: drawn - 1] if a not in (None, "lost"))
    first, second = ([c for _, c in votes.most_common(2)] + [0, 0])[:2]
    assert first - second <= len(answers) - drawn + 1  # One sample less would not have settled it.


def test_majority_ties_go_to_the_answer_generated_first():
    choice = play(Majority(4), [scored(i, answer=a) for i, a in enumerate("baab")], order=[1, 2, 0, 3])
    assert choice.id == "x0"
    assert choice.confidence == 0.5
    assert choice.details["votes"] == {"b": 2, "a": 2}


def test_majority_counts_no_vote_for_what_has_no_answer():
    choice = play(Majority(4), [scored(0), scored(1), scored(2, answer="a"), scored(3, error="x")])
    assert choice.id == "x2"
    assert choice.confidence == 1.0
    assert choice.details["without_vote"] == 2
    assert play(Majority(2), [scored(0), scored(1)]).reason == "no_votes"


@pytest.mark.parametrize("policy", [Single(), BestOfN(3, stop_at_pass=False), Majority(3), Draw(3)])
def test_unknown_and_repeated_results_change_nothing(policy):
    state, _ = policy.ask(policy.start(TASK, 0))
    state = policy.tell(state, scored(0, outcome="fail", answer="a"))
    for result in (scored(0, outcome="pass", answer="b"), scored(99, outcome="pass"), Scored(id="probe", outcome="pass")):
        assert policy.tell(state, result) == state


@pytest.mark.parametrize("policy", [Single(), BestOfN(3), Majority(3), Draw(3)])
def test_a_policy_that_must_choose_does(policy):
    state = policy.start(TASK, 0)
    assert policy.finish(state, False) is None
    assert policy.finish(state, True).id is None
    state, _ = policy.ask(state)
    assert policy.finish(state, True).reason == "no_candidate"
    assert policy.ask(state)[1].expansions == ()


@pytest.mark.parametrize("make", [BestOfN, Majority, Draw])
def test_zero_samples_are_refused(make):
    with pytest.raises(ConfigError, match="n is 0"):
        make(0)


@given(st.lists(OUTCOMES, min_size=1, max_size=8), st.randoms())
def test_draw_waits_for_all_and_returns_the_first_that_came_to_be(outcomes, rng):
    results = [scored(i, **o) for i, o in enumerate(outcomes)]
    order = list(range(len(results)))
    rng.shuffle(order)
    policy = Draw(len(results))
    state, _ = policy.ask(policy.start(TASK, 0))
    for i in order:
        assert policy.finish(state, False) is None
        state = policy.tell(state, results[i])
    choice = policy.finish(state, False)
    alive = [r.id for r in results if r.error is None]
    assert choice.id == (alive[0] if alive else None)
    assert choice.reason == ("drawn" if alive else "no_candidate")
    assert choice.details == {"candidates": len(alive), "failed": len(results) - len(alive)}
