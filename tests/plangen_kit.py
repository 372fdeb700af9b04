"""A scripted model that plays all of PlanGEN's roles, told apart by their prompts; tests set how well it does."""

from contextlib import asynccontextmanager

from burnish import ScriptedEngine
from burnish.engine.replies import Reply
from burnish.graphs.plangen import plangen
from burnish.graphs.plangen_settings import PlangenSettings
from burnish.graphs.registry import Builtin, check_settings
from tests.helpers import rows, session

PLANGEN = Builtin(name="plangen", summary="", settings=PlangenSettings, builder="plangen:plangen")
ROLES = {
    "expert at reading a problem": "constrain",
    "You check plans, strictly": "judge",
    "You choose the method": "select",
    "contain the whole solution": "complete",
    "Write the next step only": "step",
    "Carry the plan out": "execute",
}
SMALL = {"rebase_width": 2, "n": 2, "nodes": 6, "children": 2, "depth": 4}
"""Searches of a few calls."""


def role(call):
    return next((name for mark, name in ROLES.items() if mark in call.text), "plan")


class Model:
    """Replies by role: a text, a `Reply`, an exception, or a function of the call."""

    def __init__(self, **replies):
        self.asked = []
        """Role and text of each request, in the order of arrival."""
        self.replies = {
            "constrain": "- it lasts one hour\n- it is on Monday",
            "judge": lambda call: score(100 if "right" in plan_of(call) else -20),
            "select": "best_of_n: 0.5\nrebase: 0.5\ntree_of_thought: 0.5",
            "complete": "1",
            "step": "right",
            "execute": "carried out",
            "plan": "right",
            **replies,
        }

    def __call__(self, call):
        name = role(call)
        self.asked.append((name, call.text))
        reply = self.replies[name]
        return reply(call) if callable(reply) else reply

    def texts(self, name):
        return [text for asked, text in self.asked if asked == name]

    def count(self, *names):
        return sum(asked in names for asked, _ in self.asked)


def score(number):
    return f"Step by step it is so.\nScore: {number}"


def plan_of(call):
    """The plan that a judge's prompt quotes."""
    return call.text.split("<plan-", 1)[1].split("</plan-", 1)[0]


def again(call):
    """Whether the planner is told of an earlier attempt."""
    return "An earlier attempt was:" in call.text


def graph(**settings):
    return plangen(check_settings(PLANGEN, settings))


async def solve(path, model, task="When do we meet?", *, budget=None, seed=0, **settings):
    async with session(path, engine=ScriptedEngine(model)) as s:
        return await s.run(graph(**settings), task, budget=budget, seed=seed)


def calls(path):
    """Finished model calls by role, from the trace."""
    found = rows(path, "SELECT role, count(*) FROM call WHERE kind = 'generate' AND state = 'ok' GROUP BY role")
    return dict(found)


@asynccontextmanager
async def stopping(path, model, after):
    """A session that is interrupted when its engine is asked for the call number `after`."""
    served = 0

    def reply(call):
        nonlocal served
        served += 1
        if served == after:
            s.stop.request("interrupted")
        return model(call)

    async with session(path, engine=ScriptedEngine(reply)) as s:
        yield s


def lines(*texts):
    """Steps by what is written already: the next of the texts."""

    def reply(call):
        written = call.text.split("Steps so far:", 1)[1]
        return Reply(next((t for t in texts if t not in written), "nothing more"))

    return reply
