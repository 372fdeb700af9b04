"""The bandit rule: the paper's worked numbers and oddities, commuting updates, and that it finds the better arm."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import ConfigError
from burnish.search.bandit import Bandit, State

ARMS = ("best_of_n", "tree_of_thought", "rebase")
PRIORS = {"best_of_n": 0.4, "tree_of_thought": 0.9, "rebase": 0.1}
MODES = ("normalized", "paper_eq", "paper_alg1")


def paper(**constants):
    """Algorithm 1 with the constants of the worked example."""
    return Bandit(ARMS, **{"mode": "paper_alg1", "alpha_div": 1.0, "alpha_rec": 0.0, **constants})


def reward(score):
    """A score of the verifier as a reward."""
    return (score + 100) / 200


def totals(choice):
    return [round(t.total, 2) for t in choice.terms.values()]


def tried(bandit, *trials):
    state = State()
    for arm, score in trials:
        state = bandit.update(state, arm, reward(score))
    return state


def test_the_worked_numbers_of_algorithm_1():
    first = paper().choose(State(), PRIORS)
    assert totals(first) == [0.90, 1.40, 0.60]
    assert first.arm == "tree_of_thought"
    for score in (5, 40, 100):
        assert totals(paper().choose(tried(paper(), ("tree_of_thought", score)), PRIORS)) == [1.88, 2.12, 1.73]


@pytest.mark.parametrize("mode", MODES)
def test_the_first_choice_is_the_priors(mode):
    choice = Bandit(ARMS, mode).choose(State(), {**PRIORS, "rebase": 0.95})
    assert choice.arm == "rebase"
    assert {t.exploration for t in choice.terms.values()} == {0.0}


def test_each_term_by_hand():
    bandit = Bandit(("a", "b"), lam_prior=2.0, alpha_div=0.3, alpha_rec=0.4)
    state = bandit.update(bandit.update(bandit.update(State(), "a", 0.25), "a", 0.75, True), "a", 0.5, False)
    terms = bandit.choose(state, {"a": 0.5, "b": 1.0}).terms
    assert terms["a"].reward == pytest.approx(0.5)
    assert terms["a"].exploration == pytest.approx(math.sqrt(2 * math.log(4) / 4))
    assert terms["a"].prior == pytest.approx(2 / 4 * 0.5)
    assert terms["a"].diversity == pytest.approx(0.3 / 4)
    assert terms["a"].recovery == pytest.approx(0.4 / 2)
    assert (terms["b"].reward, terms["b"].recovery) == (0.0, 0.0)
    assert terms["b"].exploration == pytest.approx(math.sqrt(2 * math.log(4)))
    assert terms["a"].total == pytest.approx(sum(v for k, v in terms["a"].to_json().items() if k != "total"))


def test_the_formula_of_the_text_takes_scores_as_they_are_and_counts_from_one():
    bandit = Bandit(("a", "b"), "paper_eq", alpha_div=1.0, alpha_rec=1.0)
    terms = bandit.choose(tried(bandit, ("a", 90), ("a", -30)), {}).terms
    assert terms["a"].reward == pytest.approx((90 - 30) / 3)
    assert terms["a"].diversity == pytest.approx(1 / 4)
    assert terms["b"].exploration == pytest.approx(math.sqrt(2 * math.log(3)))


def test_trap_the_size_of_rewards_cancels_in_algorithm_1_and_counts_in_normalized():
    def sequence(bandit, score):
        state, chosen = State(), []
        for _ in range(40):
            chosen.append(bandit.choose(state, PRIORS).arm)
            state = bandit.update(state, chosen[-1], reward(score))
        return chosen

    assert sequence(paper(), 95) == sequence(paper(), 40)
    state = tried(paper(), ("rebase", 95))
    weak = tried(paper(), ("rebase", 40))
    assert paper().choose(state, {}).terms["rebase"].reward == paper().choose(weak, {}).terms["rebase"].reward == 1 / 2
    plain = Bandit(ARMS)
    assert plain.choose(state, {}).terms["rebase"].reward > plain.choose(weak, {}).terms["rebase"].reward


def test_trap_one_negative_reward_swamps_all_else_in_algorithm_1():
    state = tried(paper(), ("tree_of_thought", -50))
    terms = paper().choose(state, PRIORS).terms
    assert terms["tree_of_thought"].reward == -25
    assert Bandit(ARMS).choose(state, PRIORS).terms["tree_of_thought"].reward == 0.25


def test_trap_the_sign_flips_in_algorithm_1_once_all_are_negative():
    state = tried(paper(), ("best_of_n", -10), ("tree_of_thought", -90), ("rebase", -20))
    terms = paper().choose(state, {}).terms
    assert terms["tree_of_thought"].reward > terms["rebase"].reward > terms["best_of_n"].reward > 0
    terms = Bandit(ARMS).choose(state, {}).terms
    assert terms["tree_of_thought"].reward < terms["rebase"].reward < terms["best_of_n"].reward


def test_algorithm_1_divides_by_one_where_all_sums_are_zero():
    state = tried(paper(), ("rebase", 0))
    assert {t.reward for t in paper().choose(state, {}).terms.values()} == {0.0}


def test_trap_the_cap_binds_only_after_some_hundred_thousand_trials():
    def exploration(bandit, trials):
        tally = {"pulls": trials, "reward": 0, "opportunities": 0, "recoveries": 0}
        return bandit.choose(State.from_json({"best_of_n": tally}), {}).terms["rebase"].exploration

    assert exploration(paper(), 268_336) < 5
    assert exploration(paper(), 268_337) == 5
    assert exploration(Bandit(ARMS, "paper_eq"), 268_337) > 5
    assert exploration(paper(cap=1.0), 10) == 1


@pytest.mark.parametrize("mode", MODES)
def test_trap_the_weight_of_the_prior_does_not_decay_by_being_asked(mode):
    bandit, state = Bandit(ARMS, mode, lam_prior=1.0), State()
    for trial in range(5):
        asked = [bandit.choose(state, PRIORS) for _ in range(3)]
        assert asked[0] == asked[2]
        assert asked[0].terms["tree_of_thought"].prior == pytest.approx(0.9 / (1 + trial))
        state = bandit.update(state, "rebase", 0.5)


def test_ties_go_to_the_larger_prior_then_to_the_first():
    assert Bandit(ARMS).choose(State(), dict.fromkeys(ARMS, 0.5)).arm == "best_of_n"
    level = Bandit(ARMS, lam_prior=0.0)
    assert level.choose(State(), PRIORS).arm == "tree_of_thought"
    assert level.choose(State(), {}).arm == "best_of_n"


TRIALS = st.lists(st.tuples(st.sampled_from(ARMS), st.floats(0, 1), st.sampled_from([None, True, False])), max_size=30)


@given(TRIALS, st.randoms(use_true_random=False), st.integers(0, 30))
def test_updates_commute_exactly_and_may_be_added_up_in_parts(trials, rng, cut):
    bandit = Bandit(ARMS)

    def after(some):
        state = State()
        for trial in some:
            state = bandit.update(state, *trial)
        return state

    shuffled = list(trials)
    rng.shuffle(shuffled)
    assert after(shuffled) == after(trials) == after(trials[cut:]) + after(trials[:cut])


@given(TRIALS)
def test_the_state_goes_through_json_unchanged(trials):
    bandit, state = Bandit(ARMS), State()
    for trial in trials:
        before = state.to_json()
        later = bandit.update(state, *trial)
        assert state.to_json() == before
        state = later
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


@given(TRIALS, st.dictionaries(st.sampled_from(ARMS), st.floats(0, 1)), st.sampled_from(MODES))
def test_every_term_is_finite_and_the_choice_has_the_largest_sum(trials, priors, mode):
    bandit, state = Bandit(ARMS, mode), State()
    for trial in trials:
        state = bandit.update(state, *trial)
    choice = bandit.choose(state, priors)
    shown = json.loads(json.dumps(choice.to_json(), allow_nan=False))
    assert shown["arm"] == choice.arm
    assert list(shown["terms"]) == list(ARMS)
    assert shown["terms"][choice.arm]["total"] == max(t["total"] for t in shown["terms"].values())


def test_a_recovery_counts_only_where_the_attempt_before_had_failed():
    bandit = Bandit(("a",), alpha_rec=1.0)
    state = bandit.update(State(), "a", 1.0)
    assert bandit.choose(state, {}).terms["a"].recovery == 0
    state = bandit.update(state, "a", 1.0, True)
    assert bandit.choose(state, {}).terms["a"].recovery == 1
    state = bandit.update(state, "a", 0.0, False)
    assert bandit.choose(state, {}).terms["a"].recovery == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Bandit(()),
        lambda: Bandit(("a", "a")),
        lambda: Bandit(("a",), "greedy"),
        lambda: Bandit(("a",), lam_prior=-1.0),
        lambda: Bandit(("a",), cap=math.nan),
        lambda: Bandit(("a",)).update(State(), "b", 0.5),
        lambda: Bandit(("a",)).update(State(), "a", 1.01),
        lambda: Bandit(("a",)).update(State(), "a", math.nan),
        lambda: Bandit(("a",)).choose(State(), {"a": 2.0}),
        lambda: Bandit(("a",)).choose(State(), {"b": 0.5}),
        lambda: State.from_json({"a": {"pulls": 1}}),
        lambda: State.from_json({"a": 3}),
        lambda: State.from_json({"a": {"pulls": -1, "reward": 0, "opportunities": 0, "recoveries": 0}}),
        lambda: State.from_json({"a": {"pulls": 1, "reward": 0, "opportunities": 2, "recoveries": 0}}),
        lambda: State.from_json({"a": {"pulls": 1, "reward": 2_000_000, "opportunities": 0, "recoveries": 0}}),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(ConfigError):
        make()


def simulated(priors, *, at_once=1, trials=400, seed=0):
    """The share of the last half of the trials that went to the better of two arms."""
    bandit, state, rng = Bandit(("worse", "better")), State(), random.Random(seed)
    chance = {"worse": 0.35, "better": 0.65}
    chosen = []
    for _ in range(trials // at_once):
        arms = [bandit.choose(state, priors).arm for _ in range(at_once)]
        rewards = [(arm, float(rng.random() < chance[arm])) for arm in arms]
        rng.shuffle(rewards)
        for arm, won in rewards:
            state = bandit.update(state, arm, won)
        chosen += arms
    return chosen[trials // 2 :].count("better") / (trials // 2)


@pytest.mark.parametrize("priors", [{}, {"worse": 1.0, "better": 0.0}], ids=["no prior", "a prior that misleads"])
@pytest.mark.parametrize("at_once", [1, 8])
def test_it_moves_to_the_better_arm(priors, at_once):
    shares = [simulated(priors, at_once=at_once, seed=seed) for seed in range(10)]
    assert sum(shares) / len(shares) > 0.75
    assert min(shares) > 0.5
