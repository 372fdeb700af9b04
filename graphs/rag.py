"""The graph of a method that retrieves, and the proposer that makes several of its answers for a search to choose from.

    think -> search -> think | recall -> think | close -> finish

The answer is a candidate like any other: verifiers and graders judge it, comparisons count it. How the dialogue ended stands in
the record as a choice, with its rounds; what each search found stands there as an effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from ..agents.rounds import told
from ..core.candidate import Candidate
from ..core.completion import Completion
from ..core.context import Context
from ..core.errors import BudgetExhausted, GenerationFailed
from ..core.extract import answer_key, extractor
from ..core.ids import Json
from ..core.policy import Selection
from ..core.proposer import Proposal
from ..core.records import Decided
from ..search.policies import BestOfN
from ..verifiers.registry import make_verifier
from .builtin import Graph, one_node
from .nodes import Node, State, search_node
from .rag_loop import Dialogue, RagLoop, Step
from .rag_settings import ReaderSettings
from .rag_support import judge_of, passages

_WAYS: dict[Step, tuple[Step, ...]] = {
    "think": ("think", "search", "recall", "close", "finish"),
    "search": ("think", "recall", "close", "finish"),
    "recall": ("think", "close", "finish"),
    "close": ("finish",),
    "finish": (),
}
"""Where each step can lead."""


class RagState(State, total=False):
    """State of the graphs that retrieve."""

    dialogue: Dialogue
    """How far the question has come."""


def rag_graph(loop: RagLoop, settings: ReaderSettings) -> Graph:
    """The graph of a method; with `n` above 1, a search over that many of its dialogues.

    Raises:
        ConfigError: the verifier that the settings name cannot be made.
    """
    if settings.verifier not in ("task", None):
        make_verifier(settings.verifier)
    if settings.n == 1:
        return _dialogue(loop, settings)
    return one_node(loop.name, _several(loop, settings))


def _dialogue(loop: RagLoop, settings: ReaderSettings) -> Graph:
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(RagState, context_schema=Context)

    first = loop.after(loop.first(""))  # Which step is the first depends on the method alone.
    for name, ways in _reachable(loop, first).items():
        if name == "finish":
            builder.add_node(name, _finish(loop, settings))
            builder.add_edge(name, END)
        else:
            builder.add_node(name, _node(loop, name), destinations=ways)
    builder.add_edge(START, first)
    return builder.compile(name=loop.name)


def _reachable(loop: RagLoop, first: Step) -> dict[Step, tuple[Step, ...]]:
    """The steps that the method's limits allow, each with where it can lead: a graph shows no others."""
    limited: dict[Step, int] = {"search": loop.limits.rounds, "recall": loop.limits.elicit}
    found: dict[Step, tuple[Step, ...]] = {}
    ahead: list[Step] = [first]
    while ahead:
        step = ahead.pop()
        if step not in found:
            found[step] = tuple(way for way in _WAYS[step] if limited.get(way, 1))
            ahead += found[step]
    return found


def _several(loop: RagLoop, settings: ReaderSettings) -> Node:
    """The node that searches over dialogues."""
    policy = BestOfN(settings.n, settings.stop_at_pass)

    async def node(state: RagState, runtime: Runtime[Context]) -> dict[str, Any]:
        ctx, found = runtime.context, dict[str, list[str]]()
        proposer, judge = RagProposer(loop=loop, found=found), judge_of(ctx, settings, found)
        return await search_node(policy, proposer, judge, extract=settings.extract, width=settings.width)(state, runtime)

    return node


def _node(loop: RagLoop, step: Step) -> Any:
    # A node says itself where to go on: a conditional edge would be one more call of LangGraph's, in a thread, at each step.
    async def node(state: RagState, runtime: Runtime[Context]) -> Command[Step]:
        ctx = runtime.context
        dialogue = state.get("dialogue") or loop.first(ctx.task.prompt)
        try:
            dialogue = await loop.step(step, ctx, dialogue)
        except BudgetExhausted as e:
            ctx.run.limit = e.limit
            dialogue = replace(dialogue, cause="budget", error=e.message, closed=True)
        except BaseException:
            await loop.leave(ctx)
            raise
        return Command(update={"dialogue": dialogue}, goto=loop.after(dialogue))

    return node


def _finish(loop: RagLoop, settings: ReaderSettings) -> Node:
    async def finish(state: RagState, runtime: Runtime[Context]) -> dict[str, Any]:
        ctx = runtime.context
        dialogue = state.get("dialogue") or loop.first(ctx.task.prompt)
        await loop.leave(ctx)
        candidate = await _candidate(ctx, dialogue, settings)
        await record(ctx, ctx.position, loop.name, dialogue, candidate.id if candidate else None)
        return {
            "answer": candidate.text if candidate else None,
            "candidate_id": candidate.id if candidate else None,
            "selection": {"reason": dialogue.reason, "confidence": None, "details": facts(dialogue)},
        }

    return finish


async def _candidate(ctx: Context, dialogue: Dialogue, settings: ReaderSettings) -> Candidate | None:
    """The answer as a candidate, judged by the verifier that the settings name; None without an answer."""
    if dialogue.answer is None:
        return None
    extract = extractor(settings.extract or ctx.task.extract or "words")
    text = dialogue.answer.text
    candidate = await ctx.add(_completion(dialogue), key="answer", answer=answer_key(extract, text, truncated=False))
    verifier = judge_of(ctx, settings, {candidate.position: passages(dialogue)})
    if verifier is not None:
        try:
            await ctx.verify(verifier, candidate)
        except BudgetExhausted as e:
            ctx.run.limit = e.limit
    return candidate


def _completion(dialogue: Dialogue) -> Completion:
    """The call that answered, with the answer alone as its text: what came before it is the dialogue's."""
    assert dialogue.answer is not None
    return replace(dialogue.answer.completion, text=dialogue.answer.text, token_ids=None, logprobs=None, top_logprobs=None)


async def record(ctx: Context, position: str, name: str, dialogue: Dialogue, candidate_id: str | None) -> None:
    """Write down, once, how a dialogue ended."""
    if ctx.run.journal.decision(position) is not None:
        return
    selection = Selection(id=None, reason=dialogue.reason, details=facts(dialogue))
    decided = Decided(position=position, policy=name, selection=selection, candidate_id=candidate_id)
    if ctx.queued:
        ctx.run.journal.queue(decided)
    else:
        await ctx.run.journal.write(decided)


def facts(dialogue: Dialogue) -> dict[str, Json]:
    """What is recorded of a dialogue beside its reason."""
    d = dialogue
    out: dict[str, Json] = {
        **told(d.rounds),
        "calls": d.calls,
        "effective_context_tokens": d.tokens.prompt,
        "rounds": [r.to_json() for r in d.rounds],
    }
    rest: dict[str, Json] = {"unreadable": d.unreadable, "cause": d.cause, "error": d.error}
    return out | {key: value for key, value in rest.items() if value}


@dataclass(frozen=True, kw_only=True)
class RagProposer:
    """Makes answers by dialogues, so that any search over fresh candidates chooses between them."""

    loop: RagLoop
    found: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Filled with the passages that each answer was given from, by its candidate's position."""

    async def propose(self, ctx: Context, proposal: Proposal) -> Completion:
        """One answer.

        Raises:
            GenerationFailed: the dialogue ended without one; the code is how it ended.
        """
        if proposal.expansion.kind != "fresh":
            raise GenerationFailed(f"a dialogue cannot make a {proposal.expansion.kind} candidate", code="unknown_kind")
        dialogue = await self.loop.walk(ctx)
        candidate_id = ctx.id("candidate", ctx.base) if dialogue.answer else None
        await record(ctx, ctx.base, self.loop.name, dialogue, candidate_id)
        if candidate_id is None:
            raise GenerationFailed(f"the dialogue ended without an answer: {dialogue.reason}", code=dialogue.reason)
        self.found[ctx.base] = passages(dialogue)
        return _completion(dialogue)
