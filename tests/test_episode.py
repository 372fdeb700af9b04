"""An agent that acts: how its replies are read, what it is shown, and how an episode ends."""

import pytest

from burnish import ConfigError, ScriptedEngine
from burnish.agents.actor import Malformed, read_action
from burnish.core.completion import Completion
from burnish.graphs.registry import build_graph
from tests.environment_kit import Faulty, Noted
from tests.episode_kit import TASK, episode, said, script, turn
from tests.helpers import rows, session


@pytest.fixture(autouse=True)
def log(monkeypatch):
    fresh: list[str] = []
    monkeypatch.setattr(Noted, "log", fresh)
    return fresh


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Action: go", "go"),
        ("Thought: I go.\nAction: go north", "go north"),
        ("  action:  go  \n", "go"),
        ("Action: SELECT a\nFROM b", "SELECT a\nFROM b"),
        ("Action:\n```sql\nSELECT 1\n```", "SELECT 1"),
        ("I take Action: none\nAction: go", "go"),
    ],
)
def test_an_action_is_read(text, action):
    assert read_action(Completion(text)) == action


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line"),
        ("I go north.", "no line"),
        ("The Action: go", "no line"),
        ("Action: go\nAction: stay", "more than one"),
        ("Action:", "nothing stands behind"),
        ("Action: ```\n\n```", "nothing stands behind"),
    ],
)
def test_what_is_not_one_action(text, message):
    with pytest.raises(Malformed, match=message):
        read_action(Completion(text))


def test_a_reply_that_was_cut_is_no_action():
    with pytest.raises(Malformed, match="cut"):
        read_action(Completion("Action: go", finish_reason="length"))


async def test_an_episode_is_a_candidate(tmp_path, log):
    result = await episode(tmp_path, script("Thought: one\nAction: add 1", "Action: answer 3"))
    assert (result.answer, result.outcome, result.score) == ("3", "verified", 1.0)
    assert log == ["reset", "add 1", "answer 3", "close"]
    assert rows(tmp_path, "SELECT verifier, oracle, outcome FROM verdict") == [("environment_reward", 1, "pass")]
    calls = rows(tmp_path, "SELECT position FROM call ORDER BY seq")
    assert [c.rpartition("/")[2] for (c,) in calls] == ["reset", "turn0", "step0", "turn1", "step1"]


async def test_what_the_model_is_shown(tmp_path):
    seen = []

    def reply(call):
        seen.append(said(call))
        return "Thought: on\nAction: add 1" if turn(call) < 2 else "Action: answer 2"

    await episode(tmp_path, reply, steps=3)
    first, second, third = seen
    assert first[0].startswith("Reach 3.\n")
    assert "- add N: adds a number\n- answer N: ends the episode" in first[0]
    assert first[0].endswith("Observation: sum 0")
    assert second[1:] == ["Thought: on\nAction: add 1", "Observation: sum 1\n(2 steps left)"]
    assert third[:3] == second
    assert third[4] == "Observation: sum 2\n(1 step left)"


async def test_a_malformed_reply_costs_a_turn_and_touches_nothing(tmp_path, log):
    seen = []

    def reply(call):
        seen.append(call.text)
        return ("I add 1.", "Action: add 1\nAction: add 2", "Action: fly", "Action: answer 3")[turn(call)]

    result = await episode(tmp_path, reply)
    assert result.outcome == "verified"
    assert seen[1].startswith('Observation: Nothing was done: your reply has no line that begins with "Action:".')
    assert "more than one action" in seen[2]
    assert seen[3].startswith("Observation: no such action")
    assert log == ["reset", "fly", "answer 3", "close"]


async def test_an_episode_that_runs_out_of_steps_fails(tmp_path, log):
    result = await episode(tmp_path, script("Action: add 1"), steps=3)
    assert (result.answer, result.outcome) == ("", "rejected")
    assert log == ["reset", "add 1", "add 1", "add 1", "close"]


async def test_a_broken_environment_is_no_score(tmp_path):
    result = await episode(tmp_path, script("Action: raise"), env=Faulty)
    assert (result.answer, result.outcome, result.score) == (None, "no_answer", None)
    assert rows(tmp_path, "SELECT count(*) FROM verdict") == [(0,)]
    assert rows(tmp_path, "SELECT error_code FROM call WHERE kind = 'step'") == [("environment_error",)]


async def test_a_broken_episode_does_not_end_the_others(tmp_path):
    def reply(call):
        return "Action: raise" if call.seed % 2 and turn(call) else ("Action: add 1", "Action: answer 9")[min(turn(call), 1)]

    result = await episode(tmp_path, reply, env=Faulty, n0=8)
    assert result.answer == "9"
    broken = rows(tmp_path, "SELECT count(*) FROM call WHERE error_code = 'environment_error'")[0][0]
    assert 0 < broken < 8
    assert rows(tmp_path, "SELECT count(*) FROM candidate") == [(8 - broken,)]


async def test_best_of_several_episodes(tmp_path):
    result = await episode(tmp_path, lambda call: f"Action: answer {call.seed % 3 + 4}", n0=10)
    answers = rows(tmp_path, "SELECT DISTINCT preview FROM candidate ORDER BY 1")
    assert len(answers) > 1
    assert result.answer == answers[0][0]
    assert result.outcome == "rejected"


async def test_the_history_is_bounded_and_says_so(tmp_path):
    seen = []

    def reply(call):
        seen.append(said(call))
        return "Action: add 1" + "0" * 100

    await episode(tmp_path, reply, steps=9, history_chars=500)
    assert max(map(len, seen)) == 5
    assert seen[-1][0].endswith("[6 earlier turns are left out here]")
    assert "left out" not in seen[1][0]
    assert "(1 step left)" in seen[-1][-1]
    lengths = [sum(map(len, messages)) for messages in seen]
    assert max(lengths) < lengths[0] + 700


async def test_turns_that_do_not_fit_into_the_context_are_left_out(tmp_path):
    seen = []

    def reply(call):
        seen.append(said(call))
        return "Action: add 1" + "0" * 100

    engine = ScriptedEngine(reply, context_tokens=400)
    async with session(tmp_path, engine=engine) as open_session:
        await open_session.run("episode", TASK, settings={"env": Noted, "steps": 6, "max_tokens": 200})
    assert len(seen) == 6
    assert "earlier turns are left out here]" in seen[-1][0]
    assert 3 <= len(seen[-1]) < 11


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "env"),
        ({"env": "nowhere"}, "no environment"),
        ({"env": "sql", "steps": 0}, "steps"),
        ({"env": "sql", "move": "repair"}, "move"),
    ],
)
def test_wrong_settings_are_said_before_anything_runs(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_graph("episode", settings)
