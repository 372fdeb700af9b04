"""Episodes in databases, shops and worlds of one's own, judged by verifiers, and killed in the midst."""

import os
import re
import signal
import subprocess
import sys
import time

from burnish import Task
from burnish.agents.actor import Actor
from burnish.bench.sets.registry import load_tasks
from burnish.environments import Toolbox
from burnish.environments.shop_products import products, shop_tasks
from tests.environment_kit import log, playing
from tests.episode_kit import QUERY, episode, script
from tests.helpers import rows, session

__all__ = ["log"]


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
