"""An agent that acts: how its replies are read, what it is shown, and searches over whole episodes."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from burnish import ConfigError, ScriptedEngine, Task
from burnish.agents.actor import Actor, Malformed, read_action
from burnish.bench.sets.registry import load_tasks
from burnish.core.completion import Completion
from burnish.environments import Toolbox
from burnish.environments.shop_products import products, shop_tasks
from burnish.graphs.registry import build_graph
from tests.environment_kit import Faulty, Noted, playing
from tests.helpers import rows, session

TASK = Task(prompt="Reach 3.", reference=3)
SCHEMA = "CREATE TABLE person(name TEXT, age INT); INSERT INTO person VALUES ('Ann', 30), ('Bo', 40);"
QUERY = Task(prompt="Who is older than 35?", context={"schema": SCHEMA}, reference="SELECT name FROM person WHERE age > 35")


@pytest.fixture(autouse=True)
def log(monkeypatch):
    fresh: list[str] = []
    monkeypatch.setattr(Noted, "log", fresh)
    return fresh


def said(call):
    """All messages of a call as text."""
    return [message.text for message in call.prompt.messages]


def turn(call):
    """Which turn of its episode a call is, from 0."""
    return sum(message.role == "assistant" for message in call.prompt.messages)


def script(*lines):
    """A model that says one line after the other, the last one again and again."""
    return lambda call: lines[min(turn(call), len(lines) - 1)]


async def episode(path, reply, task=TASK, *, env=Noted, **settings):
    async with session(path, reply) as open_session:
        return await open_session.run("episode", task, settings={"env": env, **settings})


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


async def test_a_round_is_told_of_the_best_and_a_rejected_attempt(tmp_path):
    seen = []

    def reply(call):
        opening = said(call)[0]
        if turn(call) == 0:
            seen.append(opening)
            return "Action: add 1"
        number = opening.count("attempt at this task")
        return f"Action: answer {(8, 5, 3)[number]}"

    result = await episode(tmp_path, reply, rounds=3)
    assert (result.answer, result.outcome) == ("3", "verified")
    first, second, third = seen
    assert "attempt" not in first
    assert "The best attempt at this task (score 0.17 of 1):\nAction: add 1\nObservation: sum 1\nAction: answer 8" in second
    assert "What is wrong with the best answer: it is off by 5" in second
    assert "The best attempt at this task (score 0.33 of 1)" in third
    assert "A rejected attempt at this task (score 0.17 of 1)" in third
    assert third.index("The best") < third.index("A rejected") < third.index("from the beginning") < third.index("sum 0\n"[:-1])
    assert rows(tmp_path, "SELECT kind, preview FROM candidate ORDER BY seq") == [
        ("fresh", "8"),
        ("refine", "5"),
        ("refine", "3"),
    ]


@pytest.mark.parametrize(
    ("feedback", "score", "words"), [("none", False, False), ("scalar", True, False), ("directional", True, True)]
)
async def test_what_each_mode_tells(tmp_path, feedback, score, words):
    seen = []

    def reply(call):
        seen.append(said(call)[0])
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=1, feedback=feedback)
    assert ("score 0.33" in seen[1]) == score
    assert ("off by 2" in seen[1]) == words


async def test_a_critic_reads_the_transcript(tmp_path):
    seen = []

    def reply(call):
        if "Action:" in call.text and "You act step by step" not in call.text:
            seen.append(call.text)
            return "Count better."
        seen.append(call.text)
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=1, feedback="critique")
    assert "Observation: over" in seen[1]
    assert "A critic says of the best attempt: Count better." in seen[2]


async def test_attempts_that_come_to_the_same_are_told_so(tmp_path):
    seen = []

    def reply(call):
        seen.append(said(call)[0])
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=4)
    assert "More than one attempt came to the same" not in seen[1]
    assert "More than one attempt came to the same" in seen[-1]


async def test_without_telling_a_round_begins_from_the_task(tmp_path):
    seen = []

    def reply(call):
        seen.append(said(call)[0])
        return "Action: answer 5"

    await episode(tmp_path, reply, rounds=2, move="resample")
    assert len(seen) == 3
    assert len(set(seen)) == 1


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


async def test_an_attempt_that_is_shown_is_bounded(tmp_path):
    seen = []

    def reply(call):
        if turn(call) == 0:
            seen.append(said(call)[0])
        return "Action: shout"

    await episode(tmp_path, reply, env=Faulty, steps=3, rounds=1, attempt_chars=300, observation_chars=1000)
    assert "(it did not come to an end; score 0.00 of 1)" in seen[1]
    assert "characters left out]" in seen[1]
    assert len(seen[1]) < len(seen[0]) + 700


async def test_the_tasks_own_verifier_comes_before_the_reward(tmp_path):
    task = Task(prompt="Reach 3.", verifier="numeric", reference=4)
    result = await episode(tmp_path, script("Action: answer 4"), task)
    assert rows(tmp_path, "SELECT verifier FROM verdict") == [("numeric",)]
    assert result.outcome == "verified"


async def test_sql_over_several_turns(tmp_path):
    result = await episode(
        tmp_path,
        script("Action: SELECT nam FROM person", "Action: SELECT name FROM person WHERE age > 35", "Action: submit"),
        QUERY,
        env="sql",
    )
    assert (result.answer, result.score) == ("SELECT name FROM person WHERE age > 35", 1.0)


async def test_what_comes_out_of_an_episode_is_graded_like_any_query(tmp_path):
    task = Task.from_json({**QUERY.to_json(), "verifier": {"name": "sqlite_query", "oracle": False}, "grader": "sqlite_query"})
    result = await episode(tmp_path, script("Action: SELECT name FROM person", "Action: submit"), task, env="sql")
    assert (result.outcome, result.grade.outcome) == ("verified", "fail")


async def test_the_tasks_of_a_set_can_be_acted_on(tmp_path):
    task = next(t for t in load_tasks("micro") if "schema" in t.context)

    def reply(call):
        return "Action: submit" if call.text.startswith("Observation: ") else f"Action: {task.reference}"

    result = await episode(tmp_path, reply, task, env="sql")
    assert (result.outcome, result.grade.outcome) == ("verified", "pass")


async def test_no_round_is_told_the_reference(tmp_path):
    seen = []

    def reply(call):
        seen.append("\n".join(said(call)))
        return ("Action: SELECT name FROM person", "Action: submit")[turn(call)]

    task = Task.from_json({**QUERY.to_json(), "reference": "SELECT name FROM person WHERE 1 = 1 AND age > 35"})
    await episode(tmp_path, reply, task, env="sql", rounds=2)
    assert len(seen) == 6
    assert not any("1 = 1" in text for text in seen)


async def test_shopping(tmp_path):
    task = shop_tasks(7, 1)[0]
    goal = products(7, 60)[int(task.reference["product"][1:])]
    clicks = [f"Action: click[{what}]" for what in (goal.id, *task.reference["options"].values(), "buy now")]
    result = await episode(
        tmp_path, script(f"Action: search[{goal.title}]", *clicks), task, env={"name": "shop", "page_size": 60}
    )
    assert (result.outcome, result.score) == ("verified", 1.0)


async def test_an_actor_in_a_node_of_ones_own(tmp_path):
    box = Toolbox(functions={"double": lambda text: 2 * int(text)})
    actor = Actor(environment=lambda: box)

    async def play(ctx):
        played = await actor.act(ctx.scope())
        return f"{played.answer} after {len(played.turns)} turns, {played.tokens.completion > 0}"

    def reply(call):
        found = re.search(r"Observation: (\d+)", call.text)
        return f"Action: answer[{found[1]}]" if found else "Action: double[21]"

    async with session(tmp_path, reply) as open_session:
        assert (await open_session.run(playing(play), "2 * 21?")).answer == "42 after 2 turns, True"


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


CHILD = '''
import asyncio, os, sys, time
from burnish import ScriptedEngine, Session, Task
from burnish.environments import Toolbox

STORE, LOG, RUN = sys.argv[1:4]

def note(text):
    """Notes a number, slowly."""
    file = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, (text + "\\n").encode())
    time.sleep(0.02)
    return text

def box():
    return Toolbox(functions={"note": note})

def reply(call):
    turn = sum(m.role == "assistant" for m in call.prompt.messages)
    return f"Action: note[{turn}]" if turn < 30 else "Action: answer[done]"

async def main():
    async with Session(ScriptedEngine(reply), store=STORE) as session:
        settings = {"env": sys.argv[0] + ":box", "steps": 40, "verifier": None}
        if RUN == "new":
            await session.run("episode", Task(prompt="Count."), settings=settings)
        else:
            print((await session.resume(RUN)).answer)

if __name__ == "__main__":
    asyncio.run(main())
'''


def test_a_killed_episode_goes_on_without_touching_the_world_again(tmp_path):
    program, log_file = tmp_path / "child.py", tmp_path / "log"
    program.write_text(CHILD)
    command = [sys.executable, str(program), f"sqlite:///{tmp_path}/runs.db", str(log_file)]

    def noted():
        return log_file.read_text().split() if log_file.exists() else []

    child = subprocess.Popen([*command, "new"])
    deadline = time.monotonic() + 60
    while len(noted()) < 8 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    before = noted()
    assert 8 <= len(before) < 30
    run_id = rows(tmp_path, "SELECT id FROM run")[0][0]
    out = subprocess.run([*command, run_id], capture_output=True, text=True, timeout=120)
    assert out.stdout.strip() == "done", out.stderr
    after = noted()[len(before) :]
    # Only the one that was in flight may be repeated.
    assert after[0] in (before[-1], str(int(before[-1]) + 1))
    assert after == [str(n) for n in range(int(after[0]), 30)]
    assert before == [str(n) for n in range(len(before))]
