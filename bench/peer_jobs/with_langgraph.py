"""Plain LangGraph: one Send a candidate. It keeps nothing."""

import operator
from typing import Annotated, TypedDict

from fake import answer, score
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send


class State(TypedDict, total=False):
    wanted: int
    number: int
    candidates: Annotated[list, operator.add]
    best: str


async def propose(state):
    text = answer(state["number"])
    return {"candidates": [(score(text), text)]}


async def select(state):
    return {"best": max(state["candidates"])[1]}


def graph():
    builder = StateGraph(State)
    builder.add_node("propose", propose)
    builder.add_node("select", select)
    builder.add_conditional_edges(START, lambda s: [Send("propose", {"number": i}) for i in range(s["wanted"])], ["propose"])
    builder.add_edge("propose", "select")
    builder.add_edge("select", END)
    return builder


async def job(n, width):
    return (await graph().compile().ainvoke({"wanted": n}, {"max_concurrency": width}))["best"]
