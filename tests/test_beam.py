"""Beam search and its independent trees: success against the exact chances, aggregation, the contract."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish import ConfigError, Scored
from burnish.search.apportion import apportion
from burnish.search.beam import Beam
from tests.steps_kit import TASK, WORLDS, World, agrees, binomial, check_any_order, check_contract, check_graph, play, rate


@st.composite
def beams(draw):
    trees, width = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    keep = draw(st.none() | st.integers(1, width))
    rest = {"tokens": draw(st.sampled_from([None, 12])), "stop_at_pass": draw(st.booleans())}
    return Beam(trees * width, keep, draw(st.sampled_from(["last", "min", "prod"])), trees, draw(st.integers(1, 6)), **rest)


@settings(deadline=None)
@given(beams(), WORLDS, st.randoms())
def test_it_keeps_the_contract_in_every_world(policy, world, rng):
    check_contract(policy, world, rng, most=policy.total_width * policy.depth, depth=policy.depth)


@settings(deadline=None)
@given(beams(), WORLDS, st.randoms())
def test_the_order_of_landing_changes_nothing_unless_a_pass_ends_it(policy, world, rng):
    patient = Beam(policy.total_width, policy.keep, policy.aggregate, policy.trees, policy.depth, stop_at_pass=False)
    check_any_order(patient, world, rng)


def exact(right, width, keep, length):
    """Chance that a beam under a perfect verifier ends right: over how many of those kept are right."""
    chances = {width: 1.0}
    for step in range(length):
        after: dict[int, float] = {}
        for children, chance in chances.items():
            for good, p in enumerate(binomial(children, right)):
                kept = min(keep, good)
                behind = sum(apportion([1.0] * min(keep, width), width)[:kept]) if step < length - 1 else kept
                after[behind] = after.get(behind, 0.0) + chance * p
        chances = after
    return 1 - chances.get(0, 0.0)


@pytest.mark.parametrize(("right", "width", "keep", "length"), [(0.3, 4, 1, 3), (0.3, 4, 2, 3), (0.25, 5, 2, 4), (0.3, 4, 4, 3)])
def test_under_a_perfect_verifier_it_succeeds_as_often_as_enumeration_says(right, width, keep, length):
    measured = rate(Beam(width, keep), right=right, length=length)
    assert agrees(measured, exact(right, width, keep, length))


def test_independent_trees_succeed_as_often_as_the_closed_form_says():
    one = (1 - (1 - 0.3) ** 3) ** 3
    assert agrees(rate(Beam(12, 1, trees=4), right=0.3, length=3), 1 - (1 - one) ** 4)


def told(policy, state, moves, scores):
    for expansion, score in zip(moves.expansions, scores, strict=True):
        result = Scored(id=expansion.id, outcome="fail", score=score, done=False)
        state = policy.tell(state, result)
    return policy.ask(state)


@pytest.mark.parametrize(("aggregate", "follows"), [("last", "x4"), ("min", "x3"), ("prod", "x3")])
def test_paths_are_ranked_by_the_aggregate(aggregate, follows):
    policy = Beam(3, 2, aggregate)
    state, moves = policy.ask(policy.start(TASK, 0))
    state, moves = told(policy, state, moves, [0.9, 0.4, 0.1])
    assert [e.parents[0] for e in moves.expansions] == ["x0", "x0", "x1"]
    _, moves = told(policy, state, moves, [0.6, 0.7, 0.8] if aggregate != "last" else [0.6, 0.8, 0.7])
    ranked = list(dict.fromkeys(e.parents[0] for e in moves.expansions))
    # 0.9 then 0.6 or 0.7 has the better minimum and product than 0.4 then 0.8, which has the better end.
    assert ranked == (["x4", "x5"] if aggregate == "last" else ["x4", "x3"])
    assert follows in ranked


def test_a_tree_does_not_wait_for_another():
    policy = Beam(4, 1, trees=2)
    state, moves = policy.ask(policy.start(TASK, 0))
    assert [e.id for e in moves.expansions] == ["t0.0", "t0.1", "t1.0", "t1.1"]
    for name in ("t1.0", "t1.1"):
        state = policy.tell(state, Scored(id=name, outcome="fail", score=0.5, done=False))
    _, moves = policy.ask(state)
    assert [(e.id, e.parents) for e in moves.expansions] == [("t1.2", ("t1.0",)), ("t1.3", ("t1.0",))]


def test_whole_solutions_narrow_the_beam():
    played = play(Beam(6, 2, stop_at_pass=False), World(seed=3, right=0.5, length=4, early=0.4))
    nodes, whole = played.state[0].nodes, 0
    for depth, width in enumerate(played.choice.details["widths"], 1):
        assert width == 6 - whole
        whole += sum(n.done for n in nodes if n.depth == depth)
    assert whole > 0


def test_a_quarter_is_kept_unless_it_is_said():
    policy = Beam(8)
    state, moves = policy.ask(policy.start(TASK, 0))
    _, moves = told(policy, state, moves, [0.1, 0.9, 0.3, 0.8, 0.2, 0.2, 0.2, 0.2])
    assert [e.parents[0] for e in moves.expansions] == ["x1"] * 4 + ["x3"] * 4


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"total_width": 0}, "total_width"),
        ({"total_width": 4, "trees": 3}, "divisible"),
        ({"total_width": 4, "trees": 2, "keep": 3}, "keep=3"),
        ({"keep": 0}, "keep"),
        ({"trees": 0}, "trees"),
        ({"depth": 0}, "depth"),
        ({"aggregate": "mean"}, "aggregate"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Beam(**wrong)


@pytest.mark.parametrize("options", [{"total_width": 4, "keep": 2}, {"total_width": 6, "trees": 2, "aggregate": "prod"}])
async def test_the_graph_finds_the_solution_and_goes_on_after_a_stop(tmp_path, options):
    await check_graph(tmp_path, "beam", options)
