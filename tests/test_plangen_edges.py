"""The graph `plangen` where things go wrong: bad input, failing agents, budgets, stops."""

import pytest

from burnish import Cancelled, ConfigError, GenerationFailed, Task
from burnish.graphs.registry import check_settings
from tests.helpers import rows, session
from tests.plangen_kit import PLANGEN, SMALL, Model, again, calls, graph, plan_of, score, solve, stopping

SINGLE = ("best_of_n", "rebase", "tree_of_thought")


# Bad input.


@pytest.mark.parametrize("algorithm", [*SINGLE, "mixture", "sequential"])
async def test_no_constraints_is_a_result(tmp_path, algorithm):
    model = Model(constrain="There are no specific constraints in this problem.")
    result = await solve(tmp_path, model, algorithm=algorithm, **SMALL)
    assert result.verified
    assert "(none beyond the problem itself)" in model.texts("judge")[0]


async def test_without_constraints_there_is_nothing_to_judge_one_by_one(tmp_path):
    result = await solve(tmp_path, Model(constrain="None."), judgement="items", rounds=1, **SMALL)
    assert result.outcome == "unverified"
    assert result.answer
    assert rows(tmp_path, "SELECT DISTINCT reason FROM verdict") == [("no_constraints",)]


async def test_constraints_that_contradict_each_other_are_judged_like_any(tmp_path):
    model = Model(
        constrain="- it is on Monday\n- it is not on Monday",
        judge='[{"constraint": 1, "holds": "true", "reason": ""}, {"constraint": 2, "holds": "false", "reason": "Monday"}]',
    )
    result = await solve(tmp_path, model, judgement="items", rounds=2, **SMALL)
    assert result.outcome == "rejected"
    assert result.score == 0.5
    assert "1. it is on Monday\n2. it is not on Monday" in model.texts("judge")[0]


async def test_a_failing_constraint_agent_leaves_the_judge_without(tmp_path):
    model = Model(constrain=GenerationFailed("no"))
    result = await solve(tmp_path, model)
    assert result.verified
    assert "(none beyond the problem itself)" in model.texts("judge")[0]


@pytest.mark.parametrize("algorithm", [*SINGLE, "mixture", "sequential"])
async def test_a_plan_without_steps_is_wrong_without_asking(tmp_path, algorithm):
    model = Model(plan="", step="")
    result = await solve(tmp_path, model, algorithm=algorithm, **SMALL)
    assert result.outcome == "rejected"
    assert not (result.answer or "").strip()
    assert model.count("judge") == 0


@pytest.mark.parametrize("algorithm", [*SINGLE, "mixture", "sequential"])
async def test_all_abstained_returns_a_plan_that_nobody_judged(tmp_path, algorithm):
    result = await solve(tmp_path, Model(judge="I cannot say."), algorithm=algorithm, **SMALL)
    assert result.outcome == "unverified"
    assert result.answer.strip() == "right"
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE kind = 'bandit.update'") == [(0,)]


@pytest.mark.parametrize("algorithm", [*SINGLE, "mixture", "sequential"])
async def test_no_plan_at_all_is_no_answer(tmp_path, algorithm):
    model = Model(plan=GenerationFailed("no"), step=GenerationFailed("no"), select=GenerationFailed("no"))
    result = await solve(tmp_path, model, algorithm=algorithm, **SMALL)
    assert result.outcome == "no_answer"
    assert result.answer is None
    assert model.count("judge", "complete") == 0


async def test_a_selection_agent_that_fails_leaves_the_choice_to_the_bandit(tmp_path):
    model = Model(plan=lambda call: "right" if again(call) else "wrong", step="right", select=GenerationFailed("it is down"))
    result = await solve(tmp_path, model)
    assert result.verified


async def test_where_a_budget_has_no_room_for_priors_the_bandit_chooses_without(tmp_path):
    task = Task(prompt="?", verifier={"name": "regex", "pattern": "right"})
    model = Model(plan=lambda call: "right" if again(call) else "wrong", step="right")
    short = {"judge": "task", "max_tokens": 20, "step_tokens": 10}
    result = await solve(tmp_path, model, task, budget={"output_tokens": 300}, **short, **SMALL)
    assert result.verified
    assert model.count("select") == 0
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE kind = 'bandit.choice'") == [(1,)]


async def test_a_beginning_never_passes(tmp_path):
    model = Model(plan="wrong", step="right", complete="0")
    result = await solve(tmp_path, model, algorithm="tree_of_thought", **SMALL)
    assert result.outcome == "unverified"
    assert result.answer == "right\n" * 3
    assert rows(tmp_path, "SELECT DISTINCT outcome FROM verdict") == [("pass",)]


async def test_a_whole_plan_that_fails_comes_before_a_beginning_that_passes(tmp_path):
    model = Model(plan="wrong", step="right", complete="0")
    result = await solve(tmp_path, model, algorithm="sequential", **SMALL)
    assert (result.answer, result.outcome) == ("wrong", "rejected")


async def test_the_best_plan_seen_is_returned_and_not_the_last(tmp_path):
    model = Model(plan=lambda call: "worse" if again(call) else "first", step="worse")
    model.replies["judge"] = lambda call: score(60 if "first" in plan_of(call) else 10)
    result = await solve(tmp_path, model, **SMALL)
    assert (result.answer, result.score) == ("first", 0.8)
    assert len(set(rows(tmp_path, "SELECT policy FROM decision"))) == 4


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"algorithm": "beam"}, "algorithm='beam'"),
        ({"threshold": 101}, "threshold=101"),
        ({"threshold": -101}, "threshold=-101"),
        ({"rounds": -1}, "rounds=-1"),
        ({"bandit": "ucb"}, "bandit='ucb'"),
        ({"lam_prior": float("inf")}, "lam_prior=inf"),
        ({"judge": "agnet"}, "agnet"),
        ({"judge": None}, "is no verifier"),
        ({"nodes": 0}, "nodes=0"),
        ({"speed": 1}, "no setting 'speed'"),
    ],
)
def test_settings_are_refused_before_a_run(settings, match):
    with pytest.raises(ConfigError, match=match):
        graph(**settings)


def test_the_threshold_may_be_any_score():
    assert check_settings(PLANGEN, {"threshold": -100}).threshold == -100


# Budgets, stops.


@pytest.mark.parametrize("most", [1, 3, 4, 6, 8, 9, 15, 23, 24, 30])
async def test_a_spent_budget_returns_the_best_so_far(tmp_path, most):
    model = Model(
        plan=lambda call: "better" if again(call) else "wrong",
        judge=lambda call: score(50 if "better" in plan_of(call) else 0),
        select="best_of_n: 1\nrebase: 0\ntree_of_thought: 0",
    )
    result = await solve(tmp_path, model, budget={"calls": most}, alpha_div=0, n=3)
    assert sum(calls(tmp_path).values()) == min(most, 3 + 3 * 7)
    assert result.budget_limit == ("calls" if most < 3 + 3 * 7 else "")
    # Wherever the budget ends, the graph comes to its end.
    assert rows(tmp_path, "SELECT count(*) FROM step WHERE node = 'finish'") == [(1,)]
    # Three calls for the first plan and its verdict, one for the choice, three for better plans; then a verdict on one of them.
    assert result.answer == ("better" if most >= 3 + 1 + 3 + 1 else "wrong" if most >= 3 else None)


def stumbling():
    """A model with which the mixture takes all its rounds, one in each search."""

    def select(call):
        arm = SINGLE[len(call.text) % 3]
        return "\n".join(f"{name}: {1 if name == arm else 0.2}" for name in SINGLE)

    def judge(call):
        return score(call.random.randrange(-50, 90))

    def step(call):
        return f"step {call.random.randrange(100)}"

    return Model(select=select, judge=judge, step=step, plan=step, complete=lambda call: str(call.random.randrange(2)))


def recorded(path):
    """All that the trace says was done: positions and results of calls and effects, verdicts, choices."""
    return (
        sorted(rows(path, "SELECT position, state, preview, request_hash FROM call")),
        sorted(rows(path, "SELECT position, outcome, score FROM verdict")),
        sorted(rows(path, "SELECT policy, reason FROM decision")),
    )


@pytest.mark.parametrize("algorithm", ["mixture", "sequential"])
async def test_stopped_at_any_point_and_resumed_gives_the_same_and_repeats_no_call(tmp_path, algorithm):
    settings = {"algorithm": algorithm, "seed": 4, **SMALL}
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = await solve(whole, stumbling(), **settings)
    made = sum(calls(whole).values())
    assert made > 15
    if algorithm == "mixture":
        assert rows(whole, "SELECT count(*) FROM call WHERE kind = 'bandit.update'") == [(3,)]
        assert len(set(rows(whole, "SELECT policy FROM decision"))) > 2
    for after in (1, 2, 3, 4, 5, 6, made // 2, made // 2 + 1, 3 * made // 4, made - 1):
        path = tmp_path / f"at{after}"
        path.mkdir()
        await _stopped_and_resumed(path, after, expected, settings)
        assert recorded(path) == recorded(whole)


async def _stopped_and_resumed(path, after, expected, settings):
    settings = dict(settings)
    seed = settings.pop("seed")
    async with stopping(path, stumbling(), after) as s:
        with pytest.raises(Cancelled) as stopped:
            await s.run(graph(**settings), "When do we meet?", seed=seed)
    finished = sum(calls(path).values())
    model = stumbling()
    async with session(path, model) as s:
        result = await s.resume(stopped.value.run_id, graph(**settings))
    assert (result.answer, result.score, result.outcome) == (expected.answer, expected.score, expected.outcome)
    assert len(model.asked) == sum(calls(path).values()) - finished
