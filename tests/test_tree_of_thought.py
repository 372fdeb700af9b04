"""Tree of thoughts: its four strategies against exact chances, their order of visits, the contract."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish import ConfigError, Scored
from burnish.search.tree_of_thought import TreeOfThought
from tests.helpers import rows, session
from tests.steps_kit import (
    TASK,
    WORLDS,
    World,
    agrees,
    binomial,
    check_any_order,
    check_contract,
    check_graph,
    next_line,
    play,
    rate,
)

STRATEGIES = ("greedy", "bfs", "dfs", "best_first")


@st.composite
def policies(draw, **fixed):
    strategy = draw(st.sampled_from(STRATEGIES))
    keep = None if strategy == "greedy" else draw(st.none() | st.integers(1, 3))
    counts = [draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 40))]
    rest = {"tokens": draw(st.sampled_from([None, 12])), "stop_at_pass": draw(st.booleans()), **fixed}
    return TreeOfThought(strategy, *counts, keep, draw(st.sampled_from([0.0, 0.4, 0.6])), **rest)


@settings(deadline=None)
@given(policies(), WORLDS, st.randoms())
def test_it_keeps_the_contract_in_every_world(policy, world, rng):
    played = check_contract(policy, world, rng, most=policy.nodes, depth=policy.depth)
    nodes = played.state[0].nodes
    assert all(n.value(policy.unknown) >= policy.threshold for i, n in enumerate(nodes) if i in played.state[0].continued)


@settings(deadline=None)
@given(policies(stop_at_pass=False), WORLDS, st.randoms())
def test_the_order_of_landing_changes_nothing_unless_a_pass_ends_it(policy, world, rng):
    check_any_order(policy, world, rng)


def test_greedy_under_a_perfect_verifier_fails_only_at_a_level_without_any_right_step():
    exact = (1 - (1 - 0.4) ** 3) ** 4
    assert agrees(rate(TreeOfThought(), right=0.4, length=4), exact)


def test_greedy_under_a_verifier_that_errs_succeeds_as_often_as_enumeration_says():
    right, errs, children, length = 0.5, 0.2, 3, 3
    level = 0.0
    for steps in itertools.product((True, False), repeat=children):
        for flips in itertools.product((True, False), repeat=children):
            chance = 1.0
            for step, flip in zip(steps, flips, strict=True):
                chance *= (right if step else 1 - right) * (errs if flip else 1 - errs)
            said = [step != flip for step, flip in zip(steps, flips, strict=True)]
            level += chance * steps[said.index(True) if True in said else 0]
    assert agrees(rate(TreeOfThought(children=children), right=right, errs=errs, length=length), level**length)


def test_bfs_under_a_perfect_verifier_succeeds_as_often_as_enumeration_says():
    right, children, keep, length = 0.25, 2, 3, 4
    chances = {1: 1.0}  # how many right nodes are continued; the root is one
    for _ in range(length):
        after: dict[int, float] = {}
        for nodes, chance in chances.items():
            for good, p in enumerate(binomial(nodes * children, right)):
                after[min(keep, good)] = after.get(min(keep, good), 0.0) + chance * p
        chances = after
    policy = TreeOfThought("bfs", children, nodes=1000, keep=keep)
    assert agrees(rate(policy, right=right, length=length), 1 - chances[0])


@pytest.mark.parametrize("strategy", ["dfs", "best_first"])
def test_with_nodes_enough_a_right_solution_is_found_wherever_the_tree_has_one(strategy):
    right, children, length, exact = 0.45, 2, 4, 1.0
    for _ in range(length):
        exact = 1 - (1 - right * exact) ** children
    policy = TreeOfThought(strategy, children, nodes=1000, threshold=0.5)
    assert agrees(rate(policy, right=right, length=length), exact)


def visits(policy, scores, whole=()):
    """Ids in the order in which they were continued, where the table gives the scores; all else is worth 0."""

    def result(expansion):
        name = expansion.id
        return Scored(id=name, outcome="fail", score=scores.get(name, 0.0), done=name in whole, tokens=1)

    asked = play(policy, result).asked
    return list(dict.fromkeys(e.parents[0] for e in asked if e.parents))


@pytest.mark.parametrize(
    ("strategy", "order"),
    [
        ("greedy", ["x1", "x3"]),
        ("bfs", ["x1", "x0", "x3", "x2"]),
        ("dfs", ["x1", "x3", "x2", "x0"]),
        ("best_first", ["x1", "x0", "x3", "x2"]),
    ],
)
def test_each_strategy_visits_in_its_own_order(strategy, order):
    # x2 and x3 are the children of x1; whatever comes later is worth nothing, and so is pruned.
    scores = {"x0": 0.5, "x1": 0.9, "x2": 0.4, "x3": 0.45}
    policy = TreeOfThought(strategy, 2, keep=None if strategy == "greedy" else 2, threshold=0.2)
    assert visits(policy, scores) == order


@pytest.mark.parametrize(("strategy", "second"), [("bfs", "x0"), ("dfs", "x3"), ("best_first", "x0")])
def test_only_dfs_goes_down_first(strategy, second):
    assert visits(TreeOfThought(strategy, 2), {"x0": 0.5, "x1": 0.9, "x2": 0.4, "x3": 0.45})[:2] == ["x1", second]


def test_dfs_visits_so_many_children_and_comes_back():
    scores = {"x0": 0.9, "x1": 0.8, "x2": 0.7, "x3": 0.6, "x4": 0.5, "x5": 0.4}
    policy = TreeOfThought("dfs", 3, depth=2, nodes=100, keep=2)
    assert visits(policy, scores) == ["x0", "x1"]
    assert visits(TreeOfThought("dfs", 3, depth=2, nodes=100), scores) == ["x0", "x1", "x2"]
    assert visits(TreeOfThought("dfs", 3, depth=2, nodes=100, threshold=0.75), scores) == ["x0", "x1"]


def test_a_whole_solution_among_the_kept_ends_greedy_and_takes_a_place_in_bfs():
    scores = {"x0": 0.9, "x1": 0.8, "x2": 0.7}
    assert visits(TreeOfThought("greedy"), scores, whole={"x0"}) == []
    assert visits(TreeOfThought("bfs", keep=2, depth=2), scores, whole={"x0"}) == ["x1"]
    assert visits(TreeOfThought("greedy", depth=2), scores, whole={"x1"}) == ["x0"]


def test_ties_go_to_the_step_generated_first():
    assert visits(TreeOfThought(depth=2), {"x0": 0.5, "x1": 0.5, "x2": 0.5}) == ["x0"]


def test_greedy_stops_where_all_children_failed():
    policy = TreeOfThought(children=2)
    state, _ = policy.ask(policy.start(TASK, 0))
    state = policy.tell(state, Scored(id="x0", outcome="fail", score=0.2, done=False))
    state = policy.tell(state, Scored(id="x1", error="generation"))
    state, moves = policy.ask(state)
    assert [e.parents for e in moves.expansions] == [("x0",), ("x0",)]
    for name in ("x2", "x3"):
        state = policy.tell(state, Scored(id=name, error="generation"))
    choice = policy.finish(state, False)
    assert (choice.id, choice.reason, choice.details["failed"]) == ("x0", "unfinished", 3)


def test_the_beginning_that_is_returned_is_one_that_nothing_behind_it_replaces():
    choice = play(TreeOfThought(depth=3), World(right=0.0, length=9, errs=0.3, seed=1)).choice
    assert choice.reason == "unfinished"
    assert choice.details["depth"] == 3
    assert int(choice.id[1:]) >= 6 or choice.details["widths"] != [3, 3, 3]


def test_where_all_is_abstained_the_first_steps_are_followed_and_the_reason_says_so():
    played = play(TreeOfThought(depth=5), World(abstains=1.0, length=3))
    assert (played.choice.id, played.choice.reason) == ("x6", "unverified")
    assert played.choice.details["unjudged"] == 9


def test_a_cut_step_is_a_beginning_and_counted():
    policy = TreeOfThought(children=1, depth=2)
    state, _ = policy.ask(policy.start(TASK, 0))
    state = policy.tell(state, Scored(id="x0", done=False, finish_reason="length", tokens=9))
    _, moves = policy.ask(state)
    assert moves.expansions[0].parents == ("x0",)
    assert policy.finish(state, True).details["cut"] == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"strategy": "random"}, "no strategy"),
        ({"children": 0}, "children"),
        ({"depth": 0}, "depth"),
        ({"nodes": 0}, "nodes"),
        ({"strategy": "bfs", "keep": 0}, "keep"),
        ({"keep": 2}, "greedy keeps 1"),
        ({"threshold": 1.1}, "threshold"),
        ({"unknown": -0.1}, "unknown"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        TreeOfThought(**wrong)


@pytest.mark.parametrize("options", [{}, {"strategy": "bfs", "keep": 2}, {"strategy": "dfs"}, {"strategy": "best_first"}])
async def test_the_graph_finds_the_solution_and_goes_on_after_a_stop(tmp_path, options):
    await check_graph(tmp_path, "tree_of_thought", {"children": 4, "nodes": 32, **options})


async def test_a_verifier_of_whole_answers_leaves_all_beginnings_unknown(tmp_path):
    async with session(tmp_path, next_line) as s:
        result = await s.run("tree_of_thought", "?", settings={"verifier": {"name": "regex", "pattern": "end"}})
    assert result.verified
    assert rows(tmp_path, "SELECT DISTINCT reason FROM verdict v JOIN candidate c ON c.id = candidate_id WHERE partial") == [
        ("partial",)
    ]
