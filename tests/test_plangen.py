"""The graph `plangen`: what it costs, what each agent is asked, who judges, and the second stage."""

import pytest

from burnish import ConfigError, GenerationFailed, Task, Verdict
from burnish.engine.replies import Reply
from tests.helpers import rows
from tests.plangen_kit import SMALL, Model, again, calls, lines, plan_of, score, solve

# What it costs, as the paper counts: best of n 2 n, a step three calls, and one for the constraints.


async def test_best_of_n_takes_ten_calls_and_one_for_the_constraints(tmp_path):
    result = await solve(tmp_path, Model(), algorithm="best_of_n")
    assert calls(tmp_path) == {"constraint": 1, "proposer": 5, "judge": 5}
    assert result.usage.calls == 11
    assert result.verified
    assert result.answer == "right"


async def test_each_step_of_a_tree_takes_three_calls(tmp_path):
    model = Model(step=lines("first", "second", "right"), complete=lambda call: "1" if "right" in call.text else "0")
    result = await solve(tmp_path, model, algorithm="tree_of_thought")
    assert calls(tmp_path) == {"constraint": 1, "proposer": 9, "completion": 9, "judge": 9}
    assert result.answer == "first\nsecond\nright\n"
    assert result.verified


async def test_rebase_narrows_with_each_whole_plan(tmp_path):
    model = Model(step=lines("first", "right"), complete=lambda call: "1" if "right" in call.text else "0")
    result = await solve(tmp_path, model, algorithm="rebase")
    assert calls(tmp_path) == {"constraint": 1, "proposer": 20, "completion": 20, "judge": 20}
    assert result.answer == "first\nright\n"


async def test_a_mixture_whose_first_plan_passes_asks_three_times(tmp_path):
    result = await solve(tmp_path, Model())
    assert calls(tmp_path) == {"constraint": 1, "proposer": 1, "judge": 1}
    assert result.verified


async def test_a_round_of_the_mixture_is_a_choice_and_a_search(tmp_path):
    model = Model(plan=lambda call: "right" if again(call) else "wrong", select="best_of_n: 1\nrebase: 0\ntree_of_thought: 0")
    result = await solve(tmp_path, model)
    assert calls(tmp_path) == {"constraint": 1, "proposer": 1 + 5, "judge": 1 + 5, "selection": 1}
    assert result.verified
    assert rows(tmp_path, "SELECT policy, reason FROM decision ORDER BY seq") == [("single", "only"), ("best_of_n", "passed")]


async def test_sequential_runs_all_three_and_takes_the_best(tmp_path):
    model = Model(judge=lambda call: score(90 if "step" in plan_of(call) else 10), step="step", plan="whole")
    result = await solve(tmp_path, model, algorithm="sequential", **SMALL)
    policies = rows(tmp_path, "SELECT policy FROM decision ORDER BY seq")
    assert policies == [("best_of_n",), ("rebase",), ("tree_of_thought",)]
    assert result.answer == "step\n"
    assert result.outcome == "rejected"
    assert result.score == 0.95


# What each agent is told.


async def test_constraints_go_to_the_judge_and_to_the_planner_only_if_wished(tmp_path):
    for name, wished in (("no", False), ("yes", True)):
        path, model = tmp_path / name, Model()
        path.mkdir()
        await solve(path, model, algorithm="best_of_n", n=1, constraints_to_generator=wished, kinds=["times"], form="a haiku")
        assert "1. it lasts one hour\n2. it is on Monday" in model.texts("judge")[0]
        assert ("it lasts one hour" in model.texts("plan")[0]) == wished
        assert "times" in model.texts("constrain")[0]
        assert "a haiku" in model.texts("constrain")[0]


async def test_the_chosen_search_is_told_of_the_plan_before_or_not(tmp_path):
    for name, wished in (("yes", True), ("no", False)):
        path = tmp_path / name
        path.mkdir()
        model = Model(plan="wrong", judge="It is too late.\nScore: 10", select="best_of_n: 1\nrebase: 0\ntree_of_thought: 0")
        await solve(path, model, rounds=1, n=1, feedback=wished)
        first, second = model.texts("plan")
        assert "An earlier attempt" not in first
        assert ("An earlier attempt was:\nwrong\n\nWhat was said of it:\nIt is too late." in second) == wished
        assert "It is too late." in model.texts("select")[0]
        assert "wrong" in model.texts("select")[0]


async def test_steps_are_asked_for_with_those_before_them_or_continued(tmp_path):
    model = Model(step=lines("first", "right"), complete=lambda call: "1" if "right" in call.text else "0")
    await solve(tmp_path, model, algorithm="tree_of_thought", children=1)
    assert "(none yet)" in model.texts("step")[0]
    assert "Steps so far:\nfirst\n" in model.texts("step")[1]
    other = tmp_path / "other"
    other.mkdir()
    model = Model(plan=lambda call: Reply(call.rest("first\nright\n")), complete=model.replies["complete"])
    result = await solve(other, model, algorithm="tree_of_thought", children=1, steps="continue")
    assert result.answer == "first\nright\n"
    assert model.count("step") == 0


async def test_worked_examples_stay_before_every_request_for_a_plan(tmp_path):
    seen = []

    def step(call):
        seen.append([m.text for m in call.prompt.messages])
        return "right"

    task = Task.from_json(
        {"prompt": "Q", "messages": [{"role": "user", "content": "E?"}, {"role": "assistant", "content": "E!"}]}
    )
    await solve(tmp_path, Model(step=step), task, algorithm="tree_of_thought", children=1)
    assert seen[0][:2] == ["E?", "E!"]
    assert "Problem:\nQ" in seen[0][2]


@pytest.mark.parametrize(
    ("reply", "whole"),
    [
        *((yes, True) for yes in ("1", " 1\n")),
        *((no, False) for no in ("1.", "10", "yes", "", "1 1", "0", Reply("1", finish_reason="length"), GenerationFailed("no"))),
    ],
)
async def test_only_an_exact_1_completes_a_plan(tmp_path, reply, whole):
    result = await solve(tmp_path, Model(complete=reply), algorithm="tree_of_thought", children=1, depth=2)
    assert result.answer == ("right\n" if whole else "right\nright\n")
    assert result.verified == whole
    assert rows(tmp_path, "SELECT sum(partial) FROM candidate") == [(0 if whole else 2,)]


# Who judges.


async def test_the_tasks_verifier_can_take_the_agents_place(tmp_path):
    task = Task(prompt="?", verifier={"name": "regex", "pattern": "right"})
    result = await solve(tmp_path, Model(), task, judge="task")
    assert calls(tmp_path) == {"proposer": 1}
    assert result.verified


def knows_numbers(task, text):
    """A verifier that decides on numbers only."""
    return text == "3" if text.isdecimal() else Verdict.abstain("no_number")


async def test_the_agent_is_asked_where_the_tasks_verifier_abstains(tmp_path):
    task = Task(prompt="?", verifier={"name": "python_function", "function": f"{__file__}:knows_numbers", "timeout": None})
    model = Model(plan=lambda call: ["3", "4", "right"][call.seed % 3])
    result = await solve(tmp_path, model, task, algorithm="best_of_n", n=12, judge="both", seed=1)
    assert result.verified
    told = dict(rows(tmp_path, "SELECT c.preview, v.outcome FROM candidate c JOIN verdict v ON v.candidate_id = c.id"))
    assert told["4"] == "fail"
    assert told["3"] == "pass"
    numbers = rows(tmp_path, "SELECT count(*) FROM candidate WHERE preview IN ('3', '4')")[0][0]
    assert 0 < numbers < 12
    assert model.count("judge") == 12 - numbers


@pytest.mark.parametrize("tokens", [50, None])
async def test_short_replies_of_agents_leave_room_in_a_small_budget(tmp_path, tokens):
    model = Model(plan=lambda call: "right" if again(call) else "wrong", step="right")
    short = {"max_tokens": 20, "step_tokens": 10, "agent_tokens": tokens}
    result = await solve(tmp_path, model, budget={"output_tokens": 300}, **short, **SMALL)
    assert result.verified == (tokens is not None)
    for role in ("constrain", "judge", "select"):
        assert bool(model.count(role)) == result.verified


async def test_any_verifier_can_be_described(tmp_path):
    result = await solve(tmp_path, Model(plan="42"), judge={"name": "numeric", "expected": 42})
    assert result.verified
    assert calls(tmp_path) == {"proposer": 1}


async def test_a_task_without_verifier_is_refused_where_it_is_to_judge(tmp_path):
    with pytest.raises(ConfigError, match="has no verifier"):
        await solve(tmp_path, Model(), judge="task")
    other = tmp_path / "both"
    other.mkdir()
    assert (await solve(other, Model(), judge="both")).verified


# The second stage.


async def test_a_plan_is_carried_out_and_the_answer_judged_by_the_task(tmp_path):
    model = Model(execute=lambda call: "the answer is 42" if "right" in call.text else "?")
    task = Task(prompt="?", verifier={"name": "numeric", "expected": 42})
    result = await solve(tmp_path, model, task, execute=True)
    assert result.answer == "the answer is 42"
    assert result.verified
    assert calls(tmp_path) == {"constraint": 1, "proposer": 1, "judge": 1, "executor": 1}
    found = rows(tmp_path, "SELECT p.preview FROM candidate_parent e JOIN candidate p ON p.id = e.parent_id")
    assert found == [("right",)]
    assert rows(tmp_path, "SELECT preview FROM candidate WHERE id = ?", result.candidate_id) == [("the answer is 42",)]


async def test_a_plan_that_cannot_be_carried_out_gives_no_answer(tmp_path):
    result = await solve(tmp_path, Model(execute=GenerationFailed("no")), execute=True)
    assert result.outcome == "no_answer"
