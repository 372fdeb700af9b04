"""What the tests of episodes share: tasks, a model that says one line after the other, a run of the graph."""

from burnish import Task
from tests.environment_kit import Noted
from tests.helpers import session

TASK = Task(prompt="Reach 3.", reference=3)
SCHEMA = "CREATE TABLE person(name TEXT, age INT); INSERT INTO person VALUES ('Ann', 30), ('Bo', 40);"
QUERY = Task(prompt="Who is older than 35?", context={"schema": SCHEMA}, reference="SELECT name FROM person WHERE age > 35")


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
