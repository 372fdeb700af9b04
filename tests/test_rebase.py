"""REBASE: how wide its levels are, how often it succeeds, what it does with failures, abstentions and votes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish import ConfigError, Scored
from burnish.search.rebase import Rebase
from tests.helpers import rows, session
from tests.steps_kit import (
    PROCESS,
    TASK,
    WORLDS,
    World,
    agrees,
    check_any_order,
    check_contract,
    check_graph,
    next_line,
    play,
    rate,
)

POLICIES = st.builds(
    Rebase,
    n=st.integers(1, 8),
    balance=st.sampled_from([0.01, 0.1, 0.2, 10.0]),
    depth=st.integers(1, 6),
    tokens=st.sampled_from([None, 12]),
    stop_at_pass=st.booleans(),
    choose=st.sampled_from(["best", "vote"]),
)


def level(policy, results):
    """The parents asked for after a first level with these results."""
    state, moves = policy.ask(policy.start(TASK, 0))
    for expansion, result in zip(moves.expansions, results, strict=True):
        state = policy.tell(state, Scored(id=expansion.id, **result))
    return state, [e.parents[0] for e in policy.ask(state)[1].expansions]


def begun(score):
    return {"outcome": "fail", "score": score, "done": False, "finish_reason": "boundary"}


@settings(deadline=None)
@given(POLICIES, WORLDS, st.randoms())
def test_it_keeps_the_contract_in_every_world(policy, world, rng):
    played = check_contract(policy, world, rng, most=policy.n * policy.depth, depth=policy.depth)
    nodes, whole = played.state[0].nodes, 0
    for depth, width in enumerate(played.choice.details["widths"], 1):
        assert width == policy.n - whole
        whole += sum(n.depth == depth and (n.done or policy.spent(n)) for n in nodes)


@settings(deadline=None)
@given(POLICIES, WORLDS, st.randoms())
def test_the_order_of_landing_changes_nothing_unless_a_pass_ends_it(policy, world, rng):
    check_any_order(Rebase(policy.n, policy.balance, policy.depth, stop_at_pass=False), world, rng)


@pytest.mark.parametrize(("right", "n", "length"), [(0.3, 4, 3), (0.2, 8, 4)])
def test_with_a_perfect_verifier_only_a_level_without_any_right_step_is_fatal(right, n, length):
    exact = (1 - (1 - right) ** n) ** length
    assert agrees(rate(Rebase(n), right=right, length=length), exact)


def test_without_balance_it_is_as_good_as_independent_samples():
    exact = 1 - (1 - 0.6**3) ** 4
    assert agrees(rate(Rebase(4, balance=1e9), right=0.6, length=3), exact)
    assert agrees(rate(Rebase(4), right=0.6, length=3, abstains=1.0), exact=0.6**3)


def test_width_falls_by_the_whole_ones_and_follows_the_scores():
    policy = Rebase(6, stop_at_pass=False)
    done = {"outcome": "fail", "score": 0.4, "done": True}
    _, asked = level(policy, [begun(0.2), done, begun(0.9), begun(0.8), {"error": "generation"}, done])
    # Four are wanted: ceil(4 / (1 + e^-1 + e^-7)) = 3 for 0.9, the last one for 0.8.
    assert asked == ["x2", "x2", "x2", "x3"]


def test_a_level_of_equals_does_not_die():
    policy = Rebase(8, stop_at_pass=False)
    done = {"outcome": "fail", "score": 0.5, "done": True}
    _, asked = level(policy, [begun(0.5)] * 3 + [done] * 5)
    assert asked == ["x0", "x1", "x2"]


def test_it_waits_for_the_whole_level_and_no_longer():
    policy = Rebase(3)
    state, moves = policy.ask(policy.start(TASK, 0))
    for expansion in moves.expansions:
        assert policy.ask(state)[1].expansions == ()
        state = policy.tell(state, Scored(id=expansion.id, **begun(0.5)))
    assert len(policy.ask(state)[1].expansions) == 3


def test_what_is_unfinished_at_the_deepest_level_is_dropped_and_counted():
    choice = play(Rebase(4, depth=2), World(length=5, right=1)).choice
    assert choice.reason == "unfinished"
    assert choice.details["unfinished"] == 4
    assert choice.details["widths"] == [4, 4]
    policy = Rebase(2, depth=1)
    state, _ = level(policy, [begun(1.0), {"outcome": "fail", "score": 0.1, "done": True}])
    choice = policy.finish(state, False)
    assert (choice.id, choice.reason, choice.details["unfinished"]) == ("x1", "best_score", 1)


def test_a_solution_out_of_tokens_is_charged_and_not_continued():
    played = play(Rebase(3, tokens=12), World(right=1, length=9))
    assert played.choice.details["widths"] == [3, 3, 3]  # 5, 10, 15 tokens along each path
    assert played.choice.reason == "unfinished"


@pytest.mark.parametrize(
    ("results", "reason", "chosen"),
    [
        ([{"done": True}, {"done": True}], "unverified", "x0"),
        ([{"done": True}, {"outcome": "fail", "score": 0.2, "done": True}], "best_score", "x1"),
        ([{"done": True}, {"outcome": "fail", "score": 0.0, "done": True}], "unverified", "x0"),
        ([{"outcome": "fail", "done": True}, {"error": "generation"}], "all_failed", "x0"),
        ([{"error": "generation"}, {"error": "generation"}], "no_candidate", None),
    ],
)
def test_the_reason_says_what_is_known(results, reason, chosen):
    policy = Rebase(2)
    state, asked = level(policy, results)
    assert asked == []
    choice = policy.finish(state, False)
    assert (choice.reason, choice.id) == (reason, chosen)


def test_abstentions_count_as_unknown():
    _, asked = level(Rebase(4, unknown=0.5), [begun(0.9), {"done": False}, begun(0.1), begun(0.1)])
    assert asked == ["x0"] * 4
    _, asked = level(Rebase(4, unknown=1.0), [begun(0.9), {"done": False}, begun(0.1), begun(0.1)])
    assert asked == ["x0", "x1", "x1", "x1"]


def test_a_vote_weighs_answers_by_their_scores():
    def voted(*pairs):
        policy = Rebase(len(pairs), choose="vote")
        results = [{"answer": a, "outcome": "fail", "score": s, "done": True} for a, s in pairs]
        state, _ = level(policy, results)
        return policy.finish(state, False)

    # One heavy vote wins over several light ones, also if its answer comes late and only once.
    choice = voted(("a", 0.1), ("a", 0.2), ("b", 0.9))
    assert (choice.id, choice.reason, choice.confidence) == ("x2", "weighted_vote", pytest.approx(0.75))
    assert voted(("a", 0.3), ("b", 0.5), ("a", 0.4)).id == "x2"  # the better one of the answer's two
    assert voted(("b", 0.5), ("a", 0.5)).id == "x0"
    assert voted((None, 1.0), ("a", 0.1)).id == "x1"
    assert voted((None, 0.2), (None, 0.6)).reason == "best_score"
    assert voted(("a", 0.0), ("b", 0.0)).confidence == 0.0


def test_a_vote_is_not_ended_by_a_pass():
    policy = Rebase(2, choose="vote")
    state, _ = policy.ask(policy.start(TASK, 0))
    passed = Scored(id="x0", outcome="pass", score=1.0, answer="a")
    assert policy.finish(policy.tell(state, passed), False) is None
    assert Rebase(2).finish(policy.tell(state, passed), False).reason == "passed"


@pytest.mark.parametrize("wrong", [{"n": 0}, {"depth": 0}, {"balance": 0}, {"tokens": 0}, {"unknown": 1.5}, {"choose": "worst"}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Rebase(**wrong)


async def test_the_graph_finds_the_solution_and_goes_on_after_a_stop(tmp_path):
    await check_graph(tmp_path, "rebase", {"n": 4})


@pytest.mark.parametrize("calls", [1, 5, 9])
async def test_a_budget_ends_it_with_the_best_beginning(tmp_path, calls):
    async with session(tmp_path, next_line) as s:
        result = await s.run("rebase", "?", settings={"verifier": PROCESS, "n": 3}, budget={"calls": calls}, seed=2)
    assert result.usage.calls == calls
    assert result.budget_limit == "calls"
    assert result.answer
    assert rows(tmp_path, "SELECT reason FROM decision") == [("unfinished",)]


@pytest.mark.parametrize(
    ("complete", "lines"), [("two", 2), ("two\n", 2), ("regex:^t", 2), ("regex:three\\s*$", 3), ("never", 4), ("", 4)]
)
async def test_the_graph_knows_a_whole_solution_by_the_check(tmp_path, complete, lines):
    options = {"verifier": PROCESS, "n": 6, "complete": complete}
    async with session(tmp_path, next_line) as s:
        result = await s.run("rebase", "?", settings=options)
    assert result.answer.count("\n") + result.answer.endswith("end") == lines


@pytest.mark.parametrize("complete", ["regex:(", " \n"])
async def test_a_check_that_is_none_is_refused(tmp_path, complete):
    async with session(tmp_path, next_line) as s:
        with pytest.raises(ConfigError):
            await s.run("rebase", "?", settings={"complete": complete})
