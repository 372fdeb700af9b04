"""What the tests of the judges share: a rubric, replies to it, and one candidate judged in a run."""

import json
import math
from dataclasses import replace

from burnish import (
    BestOfN,
    ScriptedEngine,
    Task,
)
from burnish.engine.replies import Reply
from burnish.engine.scripted import CAPABILITIES
from tests.helpers import rows, searching, session

ENFORCING = replace(CAPABILITIES, json_schema=True)
RUBRIC = {
    "criteria": [{"name": "correct", "description": "The sum is right.", "weight": 3}, {"name": "short"}],
    "scale": [0, 4],
    "levels": {"0": "wrong", "4": "right"},
}
TASK = Task(prompt="2 + 2?", id="sum")


def said(correct, short, reasoning="because"):
    return json.dumps({"reasoning": reasoning, "scores": {"correct": correct, "short": short}})


def engines(reply, judge_reply, **options):
    judge = judge_reply if isinstance(judge_reply, ScriptedEngine) else ScriptedEngine(judge_reply, **options)
    return {"default": ScriptedEngine(reply), "judge": judge}


async def ran(path, verifier, judge_reply, *, reply="It is 4", task=TASK, **options):
    """The verdict row of one candidate, and the judge's engine."""
    given = engines(reply, judge_reply, **options)
    async with session(path, engine=given["default"], engines={"judge": given["judge"]}) as open_session:
        result = await open_session.run(searching(BestOfN(1), verifier), task)
    [(outcome, score, reason, feedback, evidence)] = rows(
        path, "SELECT outcome, score, reason, feedback, evidence FROM verdict ORDER BY position"
    )
    return (outcome, score, reason, feedback or "", json.loads(evidence or "{}")), given["judge"], result


def one_token(**likely):
    """A reply of one token, with the likeliest tokens by their text (`_4` for 4)."""
    top = {name.lstrip("_"): math.log(p) for name, p in likely.items()}
    return Reply(max(top, key=top.__getitem__), top_logprobs=[top])
