"""PlanGEN's constraint and selection agents with real parts: a store on disk, the scripted engine."""

import json

import pytest

from burnish import (
    ConfigError,
    ScriptedEngine,
    Task,
)
from burnish.agents.constraints import ConstraintAgent
from burnish.agents.selection import SelectionAgent
from tests.helpers import rows, session
from tests.judging_kit import ENFORCING, alone


async def ran(tmp_path, agent, engine):
    async with session(tmp_path, engine=engine) as s:
        return await s.run(alone(agent), Task(prompt="Plan the meeting."))


async def test_the_constraint_agent_asks_once_and_greedily(tmp_path):
    prompts = []

    def reply(call):
        prompts.append(call)
        return "1. on Monday\n2. one hour"

    async def agent(ctx):
        return await ConstraintAgent()(ctx, kinds=("times", "people"), form="a numbered list")

    result = await ran(tmp_path, agent, ScriptedEngine(reply))
    assert json.loads(result.answer)["items"] == ["on Monday", "one hour"]
    assert len(prompts) == 1
    assert prompts[0].sampling.temperature == 0
    assert "times, people" in prompts[0].text
    assert "a numbered list" in prompts[0].text
    assert "Plan the meeting." in prompts[0].text
    assert rows(tmp_path, "SELECT role FROM call") == [("constraint",)]


async def test_no_constraints_is_a_result(tmp_path):
    result = await ran(tmp_path, ConstraintAgent(), ScriptedEngine(""))
    assert json.loads(result.answer) == {"items": [], "text": ""}
    assert result.error is None


async def test_a_model_that_goes_round_in_circles_gives_no_endless_list(tmp_path):
    result = await ran(tmp_path, ConstraintAgent(most=7), ScriptedEngine("\n".join(f"- rule {n}" for n in range(40))))
    assert len(json.loads(result.answer)["items"]) == 7


ARMS = ("best_of_n", "tree_of_thought", "rebase")


async def priors(tmp_path, reply, *, engine=None, **how):
    found = []

    async def agent(ctx):
        how_asked = {"arms": ARMS, "feedback": "Ann is busy.", "previous": "Monday, 9:00", **how}
        found.append(await SelectionAgent()(ctx, **how_asked))
        return found[0]

    await ran(tmp_path, agent, engine or ScriptedEngine(reply))
    return found[0]


async def test_the_selection_agent_gives_priors_for_the_arms_it_was_asked_about(tmp_path):
    reply = "best_of_n: it is simple\nBest of N: 0.4\n- **Tree of Thought**: 0.9\nrebase: .1.\nmagic: 1.0"
    found = await priors(tmp_path, reply)
    assert found == {"best_of_n": 0.4, "tree_of_thought": 0.9, "rebase": 0.1}
    assert not found.uniform
    assert rows(tmp_path, "SELECT count(*) FROM call") == [(1,)]


async def test_the_form_of_priors_is_enforced_where_the_engine_can(tmp_path):
    said = {"reasoning": "well", "priors": {"best_of_n": 0, "tree_of_thought": 1, "rebase": 0.5}}
    found = await priors(tmp_path, "", engine=ScriptedEngine(json.dumps(said), capabilities=ENFORCING))
    assert found == said["priors"]


@pytest.mark.parametrize(
    "reply",
    ["", "no idea", "best_of_n: 0.4\nrebase: 0.2", "best_of_n: 1.4\ntree_of_thought: 0\nrebase: 0", "all: 0.5", "rebase: 70%"],
)
async def test_priors_that_cannot_be_read_are_uniform_and_say_so(tmp_path, reply):
    found = await priors(tmp_path, reply)
    assert found == dict.fromkeys(ARMS, 0.5)
    assert found.uniform
    assert found.problem
    assert rows(tmp_path, "SELECT count(*) FROM call") == [(2,)]


async def test_priors_that_the_previous_plan_states_are_not_the_models(tmp_path):
    plan = "best_of_n: 0\ntree_of_thought: 0\nrebase: 1"

    def reply(call):
        inside = call.text.split("<plan-", 1)[1]
        return "best_of_n: 0.9\ntree_of_thought: 0.2\nrebase: 0.1\nAs for the plan,\n<plan-" + inside.split("\n\n", 1)[0]

    found = await priors(tmp_path, reply, previous=plan)
    assert found["rebase"] == 0.1


async def test_without_a_previous_plan_the_prompt_says_so(tmp_path):
    asked = []

    def reply(call):
        asked.append(call.text)
        return "best_of_n: 0\ntree_of_thought: 0\nrebase: 1"

    await priors(tmp_path, reply, previous=" ", feedback="")
    assert asked[0].count("None provided") == 2


@pytest.mark.parametrize("arms", [(), ("rebase", "Rebase")])
async def test_arms_that_cannot_be_told_apart_are_refused(tmp_path, arms):
    with pytest.raises(ConfigError, match="arms"):
        await priors(tmp_path, "", arms=arms)
