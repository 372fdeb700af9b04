"""The policy of iterative decoding: rounds, acceptance, what is shown, moves, and when it ends."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import ConfigError, Scored
from burnish.search.iad import IAD
from tests.iad_kit import PASS, TASK, UNKNOWN, fail, play, table


def test_first_draws_then_rounds_one_after_the_other():
    played = play(IAD(n0=3, rounds=2, per_round=2), table(fail(0.1)))
    assert [[e.id for e in r] for r in played.rounds] == [["x0", "x1", "x2"], ["x3", "x4"], ["x5", "x6"]]
    assert played.kinds == ["fresh"] * 3 + ["refine"] * 4
    assert (played.details["stop"], played.details["rounds"]) == ("rounds", 2)


def test_the_best_is_returned_and_not_the_last():
    played = play(IAD(rounds=3), table(fail(0.2), fail(0.7), fail(0.4), fail(0.1)))
    assert (played.choice.id, played.choice.reason) == ("x1", "best_score")
    assert played.details["scores"] == [0.2, 0.7, 0.7, 0.7]
    assert played.details["accepted"] == 1


def test_a_rewrite_starts_from_the_best_and_shows_the_worst_beside_it():
    played = play(IAD(rounds=4), table(fail(0.5), fail(0.2), fail(0.8), fail(0.3)))
    assert [e.parents for e in played.asked] == [(), ("x0",), ("x0", "x1"), ("x2", "x1"), ("x2", "x1")]


def test_the_last_rejected_one_can_be_shown_instead():
    played = play(IAD(rounds=4, rejected="last_rejected"), table(fail(0.5), fail(0.2), fail(0.4), fail(0.3)))
    assert [e.parents for e in played.asked] == [(), ("x0",), ("x0", "x1"), ("x0", "x2"), ("x0", "x3")]
    played = play(IAD(rounds=3, rejected="none"), table(fail(0.5), fail(0.2)))
    assert [e.parents for e in played.asked[1:]] == [("x0",)] * 3


def test_no_answer_is_shown_in_both_roles():
    played = play(IAD(n0=3, rounds=1), table(fail(0.3)))
    assert played.asked[-1].parents == ("x0",)


@pytest.mark.parametrize(
    ("rule", "accepted"),
    [
        ({}, ["x0", "x2", "x3"]),
        ({"accept_ties": True}, ["x0", "x1", "x2", "x3"]),
        ({"min_delta": 0.25}, ["x0", "x3"]),
        ({"min_delta": 0.25, "accept_ties": True}, ["x0", "x3"]),
    ],
)
def test_the_acceptance_rule(rule, accepted):
    results = table(fail(0.5), fail(0.5), fail(0.625), fail(0.75), fail(0.625))
    played = play(IAD(rounds=5, rejected="none", **rule), results)
    assert list(dict.fromkeys(e.parents[0] for e in played.asked[1:])) == accepted
    assert played.details["accepted"] == len(accepted) - 1


def test_a_pass_replaces_a_failure_with_a_higher_score_and_no_failure_a_pass():
    results = table(fail(0.9), {"outcome": "pass", "score": 0.6}, fail(0.95))
    played = play(IAD(rounds=3, stop_at_pass=False), results)
    assert (played.choice.id, played.choice.reason) == ("x1", "passed")
    assert played.details["scores"] == [0.9, 0.6, 0.6, 0.6]


def test_scores_that_are_not_given_are_those_of_the_outcome():
    played = play(IAD(rounds=2, stop_at_pass=False, target=1.0), table(fail(None), {"outcome": "pass"}))
    assert (played.choice.id, played.details["stop"]) == ("x1", "target")
    assert played.details["scores"] == [0.0, 1.0]


def test_what_ends_a_search_and_that_it_is_told():
    assert play(IAD(rounds=5), table(fail(), PASS)).details["stop"] == "passed"
    assert play(IAD(rounds=5, target=0.5), table(fail(0.2), fail(0.5))).details["stop"] == "target"
    idle = play(IAD(rounds=9, patience=2), table(fail(0.2), fail(0.5), fail(0.1)))
    assert (idle.details["stop"], idle.details["rounds"], idle.choice.id) == ("patience", 3, "x1")
    assert play(IAD(rounds=0, n0=2), table(fail(0.2))).details["stop"] == "rounds"
    spent = play(IAD(rounds=5), table(fail(0.2), fail(0.3), {"error": "budget"}))
    assert (spent.details["stop"], spent.choice.id, len(spent.asked)) == ("budget", "x1", 3)
    assert play(IAD(rounds=5), table(fail(0.2)), tells=2).details["stop"] == "budget"


def test_a_pass_ends_its_round_before_the_others_land():
    played = play(IAD(n0=4), table(fail(), PASS, fail()))
    assert played.choice.id == "x1"
    assert len(played.state.now) == 2
    assert played.details["candidates"] == 2


def test_a_failure_with_a_score_at_the_target_beside_a_better_pass_ends_nothing():
    results = table({"outcome": "pass", "score": 0.5}, fail(0.9), fail(0.1), fail(0.2))
    played = play(IAD(rounds=1, per_round=3, stop_at_pass=False, target=0.8), results)
    assert (played.choice.id, played.details["stop"], played.details["candidates"]) == ("x0", "rounds", 4)


def test_a_crash_of_the_verifier_is_no_information():
    played = play(IAD(rounds=3), table(UNKNOWN, fail(0.0), UNKNOWN, fail(0.4)))
    assert played.kinds == ["fresh", "fresh", "refine", "refine"]
    assert played.asked[2].parents == played.asked[3].parents == ("x1",)
    assert played.choice.id == "x3"
    assert played.details["unjudged"] == 2


def test_all_abstain():
    played = play(IAD(n0=2, rounds=2), table(UNKNOWN))
    assert (played.choice.id, played.choice.reason) == ("x0", "unverified")
    assert set(played.kinds) == {"fresh"}
    assert played.details["scores"] == [None] * 3


def test_all_come_to_nothing():
    played = play(IAD(n0=2, rounds=2), table({"error": "generation"}))
    assert (played.choice.id, played.choice.reason) == (None, "no_candidate")
    assert played.details["failed"] == 4


def test_a_duplicate_counts_once_and_the_second_one_is_told_of():
    same = {"answer": "a"}
    played = play(IAD(rounds=4), table(fail(0.5, **same), fail(0.2), fail(0.5, **same), fail(0.5, **same), fail(0.6)))
    assert played.details["duplicates"] == 2
    assert [e.parents for e in played.asked[2:]] == [("x0", "x1"), ("x0", "x1"), ("x0", "x1", "x3")]


def test_of_a_repeated_answer_that_is_not_the_best_both_are_shown():
    again = {"answer": "b"}
    results = table(fail(0.5), fail(0.3, **again), fail(0.1), fail(0.3, **again), fail(0.3, **again), fail(0.6))
    played = play(IAD(rounds=5), results)
    assert played.asked[4].parents == ("x0", "x2")
    assert played.asked[5].parents == ("x0", "x1", "x4")


def test_the_same_answer_with_another_verdict_is_another_candidate():
    played = play(IAD(rounds=2), table(fail(0.5, answer="a"), fail(0.8, answer="a"), {**PASS, "answer": "a"}))
    assert played.choice.id == "x2"
    assert played.details["duplicates"] == 0


def test_candidates_without_an_answer_are_no_duplicates():
    assert play(IAD(rounds=3), table(fail(0.5, answer=None))).details["duplicates"] == 0


def test_repair_goes_on_from_the_longest_right_beginning():
    results = table(fail(), fail(valid_prefix=0), fail(valid_prefix=5), fail(valid_prefix=3), fail(valid_prefix=9), PASS)
    played = play(IAD(rounds=6, move="repair"), results)
    assert played.kinds == ["fresh", "fresh", "fresh", "repair", "repair", "repair"]
    assert [e.parents for e in played.asked[3:]] == [("x2",), ("x2",), ("x4",)]
    assert played.details["moves"]["repair"] == {"tries": 3, "gains": 2}


def test_resampling_asks_what_best_of_n_asks():
    played = play(IAD(n0=2, rounds=3, per_round=2, move="resample"), table(fail(0.1)))
    assert {(e.kind, e.parents) for e in played.asked} == {("fresh", ())}
    assert [e.id for e in played.asked] == [f"x{i}" for i in range(8)]


class Paying:
    """A world in which one move often gains a little, and the others never do."""

    def __init__(self, pays, rng):
        self.kind = {"resample": "fresh", "rewrite": "refine", "repair": "repair"}[pays]
        self.rng, self.best = rng, 0.0

    def __call__(self, expansion):
        if expansion.id == "x0":
            return Scored(id="x0", outcome="fail", score=0.0, valid_prefix=1)
        gained = expansion.kind == self.kind and self.rng.random() < 0.6
        self.best += 0.01 * gained
        return Scored(id=expansion.id, outcome="fail", score=self.best if gained else 0.0)


@pytest.mark.parametrize("pays", ["resample", "rewrite", "repair"])
def test_auto_finds_the_move_that_pays(pays):
    names = {"fresh": "resample", "refine": "rewrite", "repair": "repair"}
    counts = Counter()
    for seed in range(40):
        played = play(IAD(rounds=12, move="auto"), Paying(pays, random.Random(seed)))
        counts.update(names[e.kind] for e in played.asked[1:])
    assert counts[pays] > 0.6 * counts.total()


def test_auto_spreads_a_round_over_moves_that_are_about_as_good():
    played = play(IAD(rounds=1, per_round=3, move="auto"), table(fail(0.1, valid_prefix=4), fail(0.0)))
    assert played.kinds == ["fresh", "repair", "refine", "fresh"]


def test_self_refinement_goes_on_from_the_last_and_returns_it():
    policy = IAD(rounds=3, base="last", choose="last", rejected="none", name="self_refine")
    played = play(policy, table(UNKNOWN))
    assert [e.parents for e in played.asked] == [(), ("x0",), ("x1",), ("x2",)]
    assert (played.choice.id, played.choice.reason) == ("x3", "last")
    assert play(policy, table(fail(0.9), fail(0.2))).choice.id == "x3"
    assert play(policy, table(fail(0.9), PASS)).choice.id == "x1"


def test_first_draws_may_be_sampled_otherwise():
    played = play(IAD(n0=2, rounds=1, first={"temperature": 1.0}), table(fail(0.1)))
    assert [dict(e.sampling) for e in played.asked] == [{"temperature": 1.0}] * 2 + [{}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"n0": 0},
        {"rounds": -1},
        {"per_round": 0},
        {"patience": 0},
        {"min_delta": -0.1},
        {"min_delta": float("nan")},
        {"target": 1.5},
        {"move": "guess"},
        {"rejected": "all"},
        {"base": "first"},
        {"choose": "worst"},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        IAD(**wrong)


RESULTS = st.one_of(
    st.just({"error": "generation"}),
    st.just(UNKNOWN),
    st.builds(lambda s, p, a: fail(s, valid_prefix=p, answer=a), st.floats(0, 1), st.integers(0, 9), st.sampled_from("abc")),
    st.just({"outcome": "pass", "score": None}),
)


@given(
    st.lists(RESULTS, min_size=1, max_size=20),
    st.integers(1, 3),
    st.integers(0, 5),
    st.integers(1, 3),
    st.sampled_from(["rewrite", "resample", "repair", "auto"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_what_holds_for_every_course(results, n0, rounds, per_round, move, stop_at_pass, rng):
    policy = IAD(n0=n0, rounds=rounds, per_round=per_round, move=move, stop_at_pass=stop_at_pass)
    played, other = play(policy, table(*results)), play(policy, table(*results), rng)
    assert len(played.asked) <= n0 + rounds * per_round
    assert len({e.id for e in played.asked}) == len(played.asked)
    known = set()
    for one in played.rounds:
        assert all(set(e.parents) <= known for e in one)
        known |= {e.id for e in one}
    assert all(len(e.parents) == len(set(e.parents)) <= 3 for e in played.asked)
    assert all(bool(e.parents) == (e.kind != "fresh") for e in played.asked)
    if not stop_at_pass:
        assert [e.parents for e in played.asked] == [e.parents for e in other.asked]
        assert played.choice == other.choice
    part = play(policy, table(*results), tells=rng.randrange(1, len(played.asked) + 1))
    assert (part.choice.id is None) == (part.choice.reason == "no_candidate")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(1, 3))
def test_the_best_score_never_falls(scores, per_round):
    played = play(IAD(rounds=6, per_round=per_round), table(*(fail(s) for s in scores)))
    best = played.details["scores"]
    assert best == sorted(best)
    assert best[-1] == max(scores[: len(played.asked)])


def test_a_policy_starts_with_nothing():
    policy = IAD()
    assert policy.start(TASK, 1) == policy.start(TASK, 2)
    assert policy.finish(policy.start(TASK, 1), True).reason == "no_candidate"
