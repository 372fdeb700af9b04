"""What the tests of PlanGEN's agents share: an engine that enforces schemas, a model that plays all roles, one judged run."""

import json

from burnish import (
    BestOfN,
    ScriptedEngine,
    Task,
    Verdict,
)
from burnish.agents.constraints import Constraints
from burnish.agents.verification import VerificationAgent
from burnish.engine.scripted import CAPABILITIES
from burnish.graphs.builtin import one_node
from tests.helpers import rows, searching, session

ENFORCING = CAPABILITIES.__class__(**{n: True for n in (*CAPABILITIES.names(), "json_schema")})

TASK = Task(prompt="When do they meet?", metadata={"constraints": ["on Monday", "one hour"]})


def model(judgement, plan="Monday, 9:00 - 10:00", constraints="- on Monday"):
    """A model that proposes, finds constraints and judges. `judgement` is a text or a function of the call."""

    def reply(call):
        text = call.prompt.messages[0].text
        if text.startswith("You check plans"):
            return judgement(call) if callable(judgement) else judgement
        if text.startswith("You are an expert"):
            return constraints
        return plan(call) if callable(plan) else plan

    return reply


async def judged(tmp_path, judgement, verifier=None, *, task=TASK, n=1, engine=None, **how):
    reply = model(judgement, **how)
    graph = searching(BestOfN(n, stop_at_pass=False), verifier or VerificationAgent())
    async with session(tmp_path, engine=engine or ScriptedEngine(reply)) as s:
        result = await s.run(graph, task)
    found = rows(tmp_path, "SELECT outcome, score, reason FROM verdict")
    return result, found


async def evidence(tmp_path, run_id):
    """What the newest verdict rests on."""
    from burnish.traces.store import Store

    store = await Store.open(f"sqlite:///{tmp_path}/runs.db")
    try:
        return store.reader().verdicts(run_id)[-1].evidence
    finally:
        await store.close()


def rows_of(*holds):
    return [{"constraint": n, "reason": f"because {n}", "holds": h} for n, h in enumerate(holds, 1)]


def alone(agent):
    """A graph of one node, whose answer is what `agent(ctx)` gives."""

    async def node(state, runtime):
        found = await agent(runtime.context)
        return {"answer": json.dumps(found.to_json() if isinstance(found, Constraints) else found)}

    return one_node("alone", node)


def nine(task, text):
    """A check that knows one good plan and nothing of others."""
    return Verdict.passed() if "9:00" in text else Verdict.abstain("unknown_plan")


def by_seed(call):
    return "Monday, 9:00" if call.seed % 2 else "Tuesday"
