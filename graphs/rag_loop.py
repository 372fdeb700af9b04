"""The loop that all methods of iterative retrieval share: think, search, recall, close.

Pure but for the calls that its steps make: a dialogue is an immutable value, `after` says which step comes next, each step gives
the dialogue after it. So a graph can walk it node by node and a search can run many side by side, and a run that goes on
after a kill walks the same way by its record.

    think    the asker's move: a query, an answer, or a reply that could not be read, which is asked for again a few times
    search   passages for the query, without those that were shown
    recall   a document of the model's own, once searching has ended
    close    the last resort: an answer without passages, or none

Results are queued to be written and not waited for: nobody outside sees one before the next call, or the end of the dialogue,
is durable, and that vouches for all before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ..agents.rounds import Answer, Asker, Limits, Problem, Query, Recaller, Round, StopReason, Turn, seen
from ..core.completion import TokenCounts
from ..core.context import Context
from ..core.errors import ConfigError, GenerationFailed
from ..retrieval.record import retrieve
from .rag_corpus import RagCorpus

Step: TypeAlias = Literal["think", "search", "recall", "close", "finish"]
Cause: TypeAlias = Literal["", "exhausted", "format_failure", "retrieval_failed", "generation_failed", "budget"]
"""Why an asker gave no answer; empty while it still may, or if it did."""

_REASONS: dict[Cause, StopReason] = {
    "format_failure": "format_failure",
    "retrieval_failed": "failed",
    "generation_failed": "failed",
}


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """How far a question has come."""

    rounds: tuple[Round, ...] = ()
    pending: Query | None = None
    """The query that is to be searched for or recalled next."""
    problems: tuple[Problem, ...] = ()
    """Replies of the present turn that could not be read."""
    answer: Answer | None = None
    cause: Cause = ""
    error: str = ""
    """What the failed search or call said."""
    forced: bool = False
    """Whether the asker was told that only an answer is of use, and asked for more all the same."""
    closed: bool = False
    """Whether the last resort has been tried."""
    turns: int = 0
    unreadable: int = 0
    """Replies that could not be read, of all turns."""
    calls: int = 0
    """Model calls that gave a reply."""
    tokens: TokenCounts = field(default_factory=TokenCounts)
    """Of these calls."""

    @property
    def searches(self) -> int:
        """Searches so far."""
        return sum(r.source == "search" for r in self.rounds)

    @property
    def recalls(self) -> int:
        """Documents so far that the model wrote itself."""
        return len(self.rounds) - self.searches

    @property
    def reason(self) -> StopReason:
        """How the dialogue ended."""
        if self.answer is None:
            return _REASONS.get(self.cause, "exhausted")
        if self.closed:
            return "closed_book"
        return "answered_parametric" if self.recalls else "answered"

    def spent(self, tokens: TokenCounts, calls: int = 1) -> Dialogue:
        """With what more was spent."""
        return replace(self, calls=self.calls + calls, tokens=self.tokens + tokens)


class RagLoop:
    """A method's dialogue: its asker under its limits."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        asker: Asker,
        reader: Asker,
        recaller: Recaller,
        corpus: RagCorpus | None,
    ) -> None:
        """Put a method together.

        Args:
            name: stored with how each dialogue ended.
            limits: what the loop does around the asker.
            asker: the method.
            reader: answers the bare question as the last resort.
            recaller: writes documents, where the limits allow any.
            corpus: what is searched; None for a method without a search.

        Raises:
            ConfigError: the limits allow searches, and there is nothing to search in.
        """
        if corpus is None and limits.rounds > 0:
            raise ConfigError(f"{name} has no corpus to search in", hint="give one, or Limits(rounds=0)")
        self.name, self.limits = name, limits
        self.asker, self.reader, self.recaller, self.corpus = asker, reader, recaller, corpus

    def first(self, question: str) -> Dialogue:
        """The dialogue before anything happened."""
        return Dialogue(pending=Query(text=question, calls=0) if self.limits.first == "question" else None)

    def after(self, d: Dialogue) -> Step:
        """The step that comes next."""
        if d.answer or d.closed:
            return "finish"
        if d.cause not in ("", "retrieval_failed"):
            return "close"
        if d.pending is None:
            return "think"
        if self._searchable(d):
            return "search"
        if d.recalls < self.limits.elicit:
            return "recall"
        return "think" if self.limits.at_end == "force" and not d.forced else "close"

    async def step(self, step: Step, ctx: Context, d: Dialogue) -> Dialogue:
        """Take one step. A model call that fails is a cause to close.

        Raises:
            RetrievalFailed: a search failed, and that is to end the run.
        """
        try:
            match step:
                case "think":
                    return await self._think(ctx, d)
                case "search":
                    return await self._search(ctx, d)
                case "recall":
                    return await self._recall(ctx, d)
                case "close":
                    return await self._close(ctx, d)
                case "finish":
                    return d
        except GenerationFailed as e:
            closing = step == "close"
            return replace(d, cause=(closing and d.cause) or "generation_failed", error=e.message, closed=closing)

    async def walk(self, ctx: Context) -> Dialogue:
        """The whole dialogue, in a scope of its own."""
        d = self.first(ctx.task.prompt)
        try:
            while (step := self.after(d)) != "finish":
                d = await self.step(step, ctx, d)
            return d
        finally:
            await self.leave(ctx)

    async def leave(self, ctx: Context) -> None:
        """The dialogue of this scope searches no more."""
        if self.corpus is not None:
            await self.corpus.leave(_borrower(ctx))

    def _searchable(self, d: Dialogue) -> bool:
        return d.searches < self.limits.rounds and d.cause != "retrieval_failed"

    async def _think(self, ctx: Context, d: Dialogue) -> Dialogue:
        must = self.limits.at_end == "force" and not self._searchable(d) and d.recalls >= self.limits.elicit
        turn = Turn(question=ctx.task.prompt, rounds=d.rounds, problems=d.problems, must=must)
        move = await self.asker.step(ctx.scope(f"turn{d.turns}", queued=True), turn)
        d = replace(d, turns=d.turns + 1, pending=None).spent(move.tokens, move.calls)
        match move:
            case Query():
                return replace(d, pending=move, problems=(), forced=must)
            case Answer():
                return replace(d, answer=move, problems=())
            case Problem():
                failed = len(d.problems) >= self.limits.retries
                cause = "format_failure" if failed else d.cause
                return replace(d, problems=(*d.problems, move), unreadable=d.unreadable + 1, cause=cause)

    async def _search(self, ctx: Context, d: Dialogue) -> Dialogue:
        assert d.pending is not None
        assert self.corpus is not None
        retriever = await self.corpus.borrow(_borrower(ctx))
        found = await retrieve(
            ctx.scope(f"round{len(d.rounds) + 1}", queued=True),
            retriever,
            d.pending.text,
            self.limits.k,
            seen(d.rounds) if self.limits.unseen else (),
            key="search",
            on_failure="raise" if self.limits.on_failure == "raise" else "record",
        )
        if found.error_code:
            return replace(d, cause="retrieval_failed", error=found.error)
        one = Round(query=found.query, hits=found.hits, said=d.pending.said)
        return replace(d, rounds=(*d.rounds, one), pending=None)

    async def _recall(self, ctx: Context, d: Dialogue) -> Dialogue:
        assert d.pending is not None
        wrote = await self.recaller.recall(ctx.scope(f"recall{len(d.rounds) + 1}", queued=True), ctx.task.prompt, d.pending.text)
        one = Round(query=d.pending.text, source="recall", recalled=wrote.text, said=d.pending.said)
        return replace(d, rounds=(*d.rounds, one), pending=None).spent(wrote.tokens)

    async def _close(self, ctx: Context, d: Dialogue) -> Dialogue:
        d = replace(d, closed=True, cause=d.cause or "exhausted")
        if self.limits.at_end != "closed_book":
            return d
        move = await self.reader.step(ctx.scope("closed_book", queued=True), Turn(question=ctx.task.prompt))
        d = d.spent(move.tokens, move.calls)
        return replace(d, answer=move) if isinstance(move, Answer) else d


def _borrower(ctx: Context) -> str:
    return f"{ctx.run.journal.run_id}{ctx.base}"
