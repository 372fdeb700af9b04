"""What the tests of comparisons share: tasks, an engine that is right now and then, a plan, and what is read of it."""

from __future__ import annotations

import random

from burnish import ScriptedEngine, Session, Task
from burnish.compare import carry, measure
from burnish.compare.plan import Arm, Plan
from burnish.compare.trial import Trials
from burnish.engine.replies import Call, Reply
from burnish.traces.store import Store

ARMS = ("single", "majority:n=5", "best_of_n:n=5,verifier=grader,stop_at_pass=false")


def tasks(n: int = 12, **more: object) -> list[Task]:
    return [
        Task(
            id=f"t{i}",
            prompt=f"number {i}?",
            reference=str(i),
            grader="exact",
            verifier={"name": "regex", "pattern": "^[0-9]+$"},
            **more,
        )  # type: ignore[arg-type]
        for i in range(n)
    ]


def guess(call: Call) -> Reply:
    """Right with probability 0.4, else another number, or no number at all."""
    draw = random.Random(call.seed)
    asked = (call.prompt.messages or ())[-1].text.split()[1].rstrip("?")
    text = asked if draw.random() < 0.4 else draw.choice([str(100 + draw.randrange(3)), "no idea"])
    return Reply(text, tokens=1 + draw.randrange(20))


def plan(*arms: str, name: str = "c", n: int = 12, **more: object) -> Plan:
    return Plan.of(name, [Arm.of(a) for a in arms or ARMS], tasks(n), **more)  # type: ignore[arg-type]


async def carried(path: object, what: Plan, engine: ScriptedEngine | None = None) -> tuple[list[object], ScriptedEngine]:
    engine = engine or ScriptedEngine(guess)
    async with Session(engine, store=f"sqlite:///{path}", grade_all=True) as session:
        return list(await carry.carry_out(session, what)), engine


def read(path: object, what: Plan) -> Trials:
    reader = Store.open_reader(f"sqlite:///{path}")
    try:
        return measure.trials(reader, what)
    finally:
        reader.close()
