"""The maker: turns one expansion into a judged candidate, one probe into a second verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..core.candidate import Candidate
from ..core.completion import Completion
from ..core.context import Context
from ..core.errors import BudgetExhausted, Cancelled
from ..core.extract import Extractor, answer_key
from ..core.policy import Expansion, Probe, Scored
from ..core.proposer import Proposal, Proposer
from ..core.stop import Stop
from ..core.verdict import Verdict, Verifier

Complete: TypeAlias = Callable[[Context, str], Awaitable[bool]]
"""Says of a text that ends at a step's boundary whether it is a whole solution. Model calls go through the context."""


@dataclass
class Flight:
    """One expansion or probe that is on its way."""

    stop: Stop
    task: asyncio.Task[None] | None = None
    judging: bool = False
    """Whether its candidate exists and only the verdict is outstanding."""


class Maker:
    """Makes and judges the candidates of one search, and keeps them by expansion id."""

    def __init__(
        self, ctx: Context, proposer: Proposer, verifier: Verifier | None, extract: Extractor | None, complete: Complete | None
    ) -> None:
        self.complete = complete
        self.ctx = ctx
        self.proposer = proposer
        self.verifier = verifier
        self.extract = extract
        self.candidates: dict[str, Candidate] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.errors: dict[str, str] = {}
        """By expansion id, what went wrong with those that came to nothing."""
        self.unjudged: set[str] = set()
        """Expansion ids of candidates whose verdict the budget did not allow."""

    async def expand(self, expansion: Expansion, flight: Flight) -> Scored:
        """Make one candidate and have it judged."""
        scope = self.ctx.scope(expansion.id, stop=flight.stop, queued=True)
        parents = tuple(self.candidates[p] for p in expansion.parents)
        said = tuple(self.verdicts.get(p) for p in expansion.parents)
        completion = await self.proposer.propose(scope, Proposal(expansion=expansion, parents=parents, verdicts=said))
        if flight.stop.requested:
            # What came back is a fragment: its tokens are accounted for with the call, but it is no candidate.
            raise Cancelled("no longer wanted")
        prefix, ids = _prefix(expansion, parents, said)
        text = prefix + completion.text
        tokens = None if ids is None or completion.token_ids is None else ids + completion.token_ids
        partial = expansion.step and not await self._complete(scope, text, completion)
        candidate = Candidate(
            id=self.ctx.id("candidate", scope.base),
            position=scope.base,
            text=text,
            reasoning=completion.reasoning,
            kind=expansion.kind,
            parents=tuple(p.id for p in parents),
            depth=max((p.depth + 1 for p in parents), default=0),
            finish_reason=completion.finish_reason,
            partial=partial,
            call_id=completion.call_id,
            token_ids=tokens,
            answer=None if partial else self._answer(text, completion),
        )
        self.ctx.run.journal.queue(candidate)
        self.candidates[expansion.id] = candidate
        self.ctx.run.note(candidate)
        if self.verifier:
            flight.judging = True
            await self._judge(expansion.id, scope, self.verifier, candidate)
        return _scored(expansion.id, candidate, self.verdicts.get(expansion.id), completion)

    async def _judge(self, name: str, scope: Context, verifier: Verifier, candidate: Candidate) -> None:
        try:
            self.verdicts[name] = await scope.verify(verifier, candidate)
        except BudgetExhausted as e:  # The candidate is there all the same.
            self.ctx.run.limit = e.limit
            self.unjudged.add(name)

    def _answer(self, text: str, completion: Completion) -> str | None:
        if self.extract is None:
            return None
        return answer_key(self.extract, text, truncated=completion.finish_reason == "length")

    async def _complete(self, scope: Context, text: str, completion: Completion) -> bool:
        """Whether a step was the last one: the model ended by itself, or the check finds a whole solution."""
        if completion.finish_reason == "boundary" and self.complete:
            return await self.complete(scope, text)
        return completion.finish_reason == "stop"

    async def probe(self, probe: Probe, flight: Flight) -> Scored:
        """Have an existing candidate judged once more."""
        candidate = self.candidates[probe.target]
        if self.verifier is None:
            return Scored(id=probe.id, error="no_verifier")
        flight.judging = True
        verdict = await self.ctx.verify(self.verifier, candidate, key=probe.id)
        return _scored(probe.id, candidate, verdict)


_UNJUDGED = Verdict.abstain("no_verifier")


def _scored(name: str, candidate: Candidate, verdict: Verdict | None, completion: Completion | None = None) -> Scored:
    verdict = verdict or _UNJUDGED
    return Scored(
        id=name,
        outcome=verdict.outcome,
        score=verdict.score,
        answer=candidate.answer,
        logprob=completion.logprob if completion else None,
        tokens=completion.tokens.completion if completion else 0,
        finish_reason=candidate.finish_reason,
        valid_prefix=verdict.valid_prefix,
        done=not candidate.partial,
    )


def _prefix(
    expansion: Expansion, parents: tuple[Candidate, ...], said: tuple[Verdict | None, ...]
) -> tuple[str, tuple[int, ...] | None]:
    """The text, and if known its tokens, that the new candidate begins with."""
    if not parents or expansion.kind not in ("continue", "repair"):
        return "", ()
    if expansion.kind == "continue":
        return parents[0].text, parents[0].token_ids
    verdict = said[0]
    return parents[0].text[: verdict.valid_prefix or 0] if verdict else "", None
