"""The same fan-out as LangGraph users write it: one `Send` a candidate, with the SQLite checkpoint saver."""

from __future__ import annotations

import operator
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from .workload import answer


class State(TypedDict, total=False):
    """State of the comparison graph."""

    wanted: int
    number: int
    candidates: Annotated[list[dict[str, Any]], operator.add]
    best: str


def fan_out(state: State) -> list[Send]:
    """One task for each candidate."""
    return [Send("propose", {"number": i}) for i in range(state.get("wanted", 0))]


async def propose(state: State) -> State:
    """One candidate and its verdict."""
    number = state.get("number", 0)
    text = answer(number)
    passed = text[-2:-1] in "02468"
    return {"candidates": [{"id": f"x{number}", "text": text, "outcome": "pass" if passed else "fail", "score": float(passed)}]}


async def select(state: State) -> State:
    """The best candidate."""
    return {"best": max(state.get("candidates", []), key=lambda c: c["score"])["text"]}


async def run(path: Path, candidates: int, wide: int) -> float:
    """Make candidates, `wide` at once; the seconds that it took, the opening of the database left out."""
    builder: Any = StateGraph(State)
    builder.add_node("propose", propose)
    builder.add_node("select", select)
    builder.add_conditional_edges(START, fan_out, ["propose"])
    builder.add_edge("propose", "select")
    builder.add_edge("select", END)
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()
        graph = builder.compile(checkpointer=saver)
        began = time.perf_counter()
        await graph.ainvoke({"wanted": candidates}, {"configurable": {"thread_id": "bench"}, "max_concurrency": wide})
        return time.perf_counter() - began
