"""LangGraph's own `interrupt()` in a graph of the user's, answered as `ctx.ask` is.

LangGraph goes on from an interrupt only where the graph has a checkpointer, one in memory included, and runs the node
that called it again from its top. That is all that is needed of it: across processes the run is done again from its
record, meets the same interrupt, and finds the recorded reply under the interrupt's node and number.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from langgraph.types import Command, Interrupt

from ..core.context import Context
from ..core.errors import ConfigError
from ..core.human import Question, Reply
from ..core.ids import Json, as_json, canonical_json

if TYPE_CHECKING:
    from .builtin import Graph
    from .position import Steps

_SCOPE = "interrupt"
_FIELDS = {f.name for f in fields(Question)}


async def invoke(graph: Graph, start: Mapping[str, Any], config: Any, ctx: Context, steps: Steps) -> object:
    """Run a graph to its end, with its interrupts answered; its final state.

    Raises:
        ConfigError: the graph interrupts and has no checkpointer.
        Waiting: an interrupt has no answer yet.
    """
    state: object = await graph.ainvoke(dict(start), config, context=ctx)
    asked: Counter[str] = Counter()
    scope: Context | None = None
    while interrupts := _interrupts(state):
        if not graph.checkpointer:
            raise ConfigError(
                "the graph called interrupt(), which needs a checkpointer",
                hint="ask with ctx.ask, or compile the graph with checkpointer=InMemorySaver()",
            )
        scope = scope or ctx.scope(_SCOPE)
        said = await _answers(scope, interrupts, steps, asked)
        state = await graph.ainvoke(Command(resume=said), config, context=ctx)
    return state


def _interrupts(state: object) -> Sequence[Interrupt[Any]]:
    if not isinstance(state, Mapping):
        return ()
    return cast("Mapping[str, Any]", state).get("__interrupt__") or ()


async def _answers(
    scope: Context, interrupts: Sequence[Interrupt[Any]], steps: Steps, asked: Counter[str]
) -> dict[str, bool | str]:
    """What is said to each interrupt, by its id."""

    async def answered(interrupt: Interrupt[Any]) -> tuple[str, bool | str]:
        node = steps.interrupted.get(interrupt.id, "")
        asked[node] += 1
        question = _question(as_json(interrupt.value))
        reply = await scope.ask(
            question.text,
            kind=question.kind,
            about=question.about,
            options=question.options,
            key=f"{node.lstrip('/').replace('/', '.')}.{asked[node] - 1}",
        )
        return interrupt.id, _resumed(question, reply)

    # All are asked before the run waits for one of them.
    results = await asyncio.gather(*map(answered, interrupts), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return dict(cast("list[tuple[str, bool | str]]", results))


def _question(value: Json) -> Question:
    """The value of an interrupt as a question: an object with the fields of one, or anything else as its text."""
    if isinstance(value, Mapping) and "text" in value and value.keys() <= _FIELDS:
        found = cast("dict[str, Any]", dict(value))
        found["options"] = tuple(found.get("options", ()))
        return Question(**found)
    return Question(text=value if isinstance(value, str) else canonical_json(value))


def _resumed(question: Question, reply: Reply) -> bool | str:
    return reply.approved if question.kind == "approve" else reply.text
