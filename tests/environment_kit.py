"""Environments for tests: one that notes all that is done to it, and one that does what it is told to do wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from burnish import Context, Task, Verdict
from burnish.core.environment import Observation, Tool
from burnish.graphs.nodes import State


@pytest.fixture(autouse=True)
def log(monkeypatch):
    """What is done to `Noted`, afresh for each test of a module that imports this."""
    fresh: list[str] = []
    monkeypatch.setattr(Noted, "log", fresh)
    return fresh


class Noted:
    """Counts up; `answer N` ends it. Notes resets, steps and closes in `log`, which outlives it."""

    name = "noted"
    version = "1"
    oracle = True
    tools = (Tool(usage="add N", about="adds a number"), Tool(usage="answer N", about="ends the episode"))
    log: list[str] = []

    def __init__(self) -> None:
        self.sum = 0

    def check(self, task: Task) -> None:
        pass

    async def reset(self, task: Task, seed: int) -> Observation:
        self.log.append("reset")
        self.sum = 0
        return Observation(text="sum 0")

    async def step(self, action: str) -> Observation:
        self.log.append(action)
        verb, _, number = action.partition(" ")
        if verb == "answer":
            return Observation(text="over", done=True, answer=number)
        if verb != "add" or not number.isdigit():
            return Observation(text="no such action", refused=True)
        self.sum += int(number)
        return Observation(text=f"sum {self.sum}")

    async def reward(self, task: Task, answer: str) -> Verdict:
        if not answer.isdigit():
            return Verdict.failed("that is no number")
        off = abs(int(answer) - int(str(task.reference)))
        return Verdict.passed() if off == 0 else Verdict.failed(f"it is off by {off}", score=1 / (1 + off))

    async def close(self) -> None:
        self.log.append("close")


class Faulty(Noted):
    """Does what is wrong when it is told to."""

    async def step(self, action: str) -> Any:
        match action:
            case "raise":
                raise RuntimeError("the world ended")
            case "hang":
                await asyncio.sleep(60)
            case "lie":
                return "text"
            case "shout":
                return Observation(text="x" * 100_000 + "END")
            case "surrogate":
                return Observation(text="\ud800\0", done=True, answer="\ud800")
            case _:
                return await super().step(action)

    async def close(self) -> None:
        raise RuntimeError("the door is stuck")


def playing(play: Any) -> Any:
    """A graph of one node whose answer is what `play(ctx)` returns."""

    async def node(state: State, runtime: Runtime[Context]) -> State:
        return {"answer": await play(runtime.context)}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("play", node)
    builder.add_edge(START, "play")
    builder.add_edge("play", END)
    return builder
