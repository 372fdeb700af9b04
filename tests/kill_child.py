"""The program that the kill tests kill: several runs at once, searches two scopes deep, all of it logged.

    python kill_child.py STORE LOG SHAPE [RUN_ID ...]

Without ids it starts a batch, else it resumes the runs. LOG gets one line for each request that reaches the engine
(`sent SEED`) and one for each record that is acknowledged as durable (`ack KIND POSITION`), in their true order.
"""

import asyncio
import operator
import os
import random
import sys
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from burnish import BestOfN, Context, Majority, ScriptedEngine, Session, Solver, Task, run_search
from burnish.core.ids import derived_seed
from burnish.core.policy import Expansion, Moves, Selection
from burnish.core.records import Record, Told
from burnish.search.policies import Single
from burnish.traces.journal import RunJournal
from burnish.verifiers.registry import make_verifier

TASKS = 3
log_fd = -1


def log(line: str) -> None:
    os.write(log_fd, (line + "\n").encode())


class Eager:
    """Asks for one at a time but keeps three in flight, cancels the two others at each result, ends after four."""

    name = "eager"

    def start(self, task, seed):
        return (0, (), ())

    def ask(self, state):
        asked, flying, told = state
        wanted = tuple(f"e{asked + i}" for i in range(3 - len(flying))) if len(told) < 4 else ()
        moves = Moves(expansions=tuple(Expansion(id=w) for w in wanted), cancel=flying if len(flying) == 2 else ())
        flying = () if len(flying) == 2 else flying
        return (asked + len(wanted), flying + wanted, told), moves

    def tell(self, state, result):
        asked, flying, told = state
        if result.id not in flying:
            return state
        return (asked, tuple(f for f in flying if f != result.id), (*told, None if result.error else result.id))

    def finish(self, state, must):
        told = state[2]
        last = next((name for name in reversed(told) if name), None)
        return Selection(id=last, reason="last") if must or len(told) >= 4 else None


class Inner(TypedDict, total=False):
    part: int
    found: Annotated[list, operator.add]


class Outer(TypedDict, total=False):
    prompt: str
    found: Annotated[list, operator.add]
    answer: str
    candidate_id: str


def inner(eager: bool) -> Any:
    async def explore(state: Inner, runtime: Runtime[Context]) -> Inner:
        policy = Eager() if eager else BestOfN(6, stop_at_pass=False) if state["part"] else Majority(5)
        found = await run_search(runtime.context, policy, Solver(), make_verifier("numeric"))
        second = await run_search(runtime.context, Single(), Solver(), make_verifier("numeric"))
        return {"found": [(f.candidate.text, f.candidate.id) for f in (found, second) if f.candidate]}

    builder = StateGraph(Inner, context_schema=Context)
    builder.add_node("explore", explore)
    builder.add_edge(START, "explore")
    builder.add_edge("explore", END)
    return builder.compile()


def graph(shape: str) -> StateGraph:
    sub = inner(eager=shape == "eager")

    async def plan(state: Outer, runtime: Runtime[Context]) -> Outer:
        ctx = runtime.context
        for _ in range(2):
            await ctx.generate("plan it")
        await asyncio.gather(ctx.generate("left", key="left"), ctx.generate("right", key="right"))
        await ctx.effect("dice", None, lambda: asyncio.sleep(0, random.random()))
        return {}

    async def branch(state: Inner, runtime: Runtime[Context]) -> Outer:
        ctx = runtime.context
        both = await asyncio.gather(*(sub.ainvoke({"part": state["part"]}, context=ctx.scope(f"way{i}")) for i in range(2)))
        return {"found": [f for b in both for f in b["found"]]}

    async def choose(state: Outer, runtime: Runtime[Context]) -> Outer:
        text, name = max(state["found"])
        return {"answer": text, "candidate_id": name}

    builder = StateGraph(Outer, context_schema=Context)
    for name, node in (("plan", plan), ("branch", branch), ("choose", choose)):
        builder.add_node(name, node)
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", lambda s: [Send("branch", {"part": i}) for i in range(2)], ["branch"])
    builder.add_edge("branch", "choose")
    builder.add_edge("choose", END)
    return builder


def reply(call: Any) -> Any:
    rng = random.Random(call.seed)
    if rng.random() < 0.1:
        from burnish import GenerationFailed

        return GenerationFailed("the script says no", code="scripted")
    return str(rng.randrange(4))


class Logged(ScriptedEngine):
    """Logs each request that reaches it."""

    async def generate(self, prompt, sampling, *, watch=None, stop=None):
        log(f"sent {sampling.seed}")
        return await super().generate(prompt, sampling, watch=watch, stop=stop)


def latency(call: Any) -> float:
    # Another order of landing in each process.
    return random.Random(derived_seed(call.seed, os.getpid())).uniform(0, 0.03)


async def main(store: str, shape: str, ids: list[str]) -> None:
    written, queued = RunJournal.write, RunJournal.queue
    behind: dict[str, list[Record]] = {}

    async def write(self, *records):
        # What is durable vouches for all that was queued before it.
        vouched = [*behind.pop(self.run_id, ()), *records]
        await written(self, *records)
        for r in vouched:
            log(f"ack {self.run_id} {type(r).__name__} {r.scope if isinstance(r, Told) else r.position}")

    def queue(self, *records):
        queued(self, *records)
        behind.setdefault(self.run_id, []).extend(records)

    RunJournal.write, RunJournal.queue = write, queue
    engine = Logged(reply, latency=latency)
    async with Session(engine, store=store, concurrency=TASKS, calls=64) as session:
        if ids:
            results = [session.resume(i, graph(shape)) for i in ids]
            await asyncio.gather(*results)
        else:
            tasks = [Task(id=f"t{i}", prompt=f"number {i}?", reference=2) for i in range(TASKS)]
            budget = {"calls": 1000, "output_tokens": 200_000}
            async for result in session.batch(graph(shape), tasks, seed=7, budget=budget):
                if result.error:
                    raise result.error


if __name__ == "__main__":
    log_fd = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    asyncio.run(main(sys.argv[1], sys.argv[3], sys.argv[4:]))
