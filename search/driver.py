"""The driver: runs any policy, with everything in flight at once.

It starts what the policy asks for, tells each result as it lands, and records the order of tells. On resume the
recorded tells come first, in their order, and nothing that has no record starts before they are through; so the
policy passes through the same states, whatever lands first this time. One failing candidate is a result like any
other: its siblings go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ..core.candidate import Candidate, Kind
from ..core.context import Context
from ..core.errors import BudgetExhausted, ConfigError, ReplayMismatch
from ..core.extract import Extractor, words
from ..core.ids import Json
from ..core.policy import Expansion, Policy, Probe, Scored, Selection, TaskView
from ..core.proposer import Proposer
from ..core.records import Decided, Told
from ..core.redact import redact_text
from ..core.text import one_line
from ..core.verdict import Verdict, Verifier
from .flights import Flights
from .maker import Complete, Maker

_KINDS = get_args(Kind)
_OPTIONS_KEPT = 256


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search returns."""

    selection: Selection
    candidate: Candidate | None
    """The chosen candidate; None if there was none to choose."""
    verdict: Verdict | None
    """What the verifier said of it; None without a verifier."""


class Search:
    """One search within a run. Use `run_search`."""

    def __init__(
        self,
        ctx: Context,
        policy: Policy[Any],
        proposer: Proposer,
        verifier: Verifier | None,
        extract: Extractor | None,
        width: int | None,
        complete: Complete | None,
    ) -> None:
        self.ctx = ctx
        self.policy = policy
        self.verifier = verifier
        judge = verifier if getattr(policy, "uses_verdicts", True) else None
        counted = words if getattr(policy, "uses_answers", True) else None
        self.maker = Maker(ctx, proposer, judge, extract or counted, complete)
        self.asked: set[str] = set()
        self.flights = Flights(ctx, self.maker, width)
        self.told: list[Scored] = []
        self.usable: set[str] = set()
        """What the policy was told without an error: candidates that it may go on from."""
        self.replay = deque(ctx.run.journal.told(ctx.base))
        self.recorded = frozenset(self.replay)
        self.held: dict[str, Expansion | Probe] = {}
        """Asked for, but without a record while recorded tells are outstanding."""
        self.spent = False
        """Whether the budget allows nothing more."""

    async def run(self) -> Found:
        """Run the policy to its end."""
        decided = self.ctx.run.journal.decision(self.ctx.base)
        try:
            selection = await self._loop(decided)
            await self.flights.end()
            found = await self._decide(decided or selection, recorded=decided is not None)
            # Calls of cancelled candidates may be recorded and not be asked for again: that is no change of the code.
            self.ctx.run.claims.cover(self.ctx.base)
            return found
        finally:
            await self.flights.abandon()

    async def _loop(self, decided: Selection | None) -> Selection:
        task = self.ctx.task
        state = self.policy.start(TaskView(id=task.id, metadata=task.metadata), self.ctx.seed("policy"))
        while True:
            selection = self.policy.finish(state, False)
            if selection is None and not self.spent:
                state, moves = self.policy.ask(state)
                for name in moves.cancel:
                    self.held.pop(name, None)
                    self.flights.cancel(name)
                for move in (*moves.expansions, *moves.probes):
                    self._start(move)
            if self.replay:
                selection = None
            elif decided:
                return decided
            elif selection is None:
                self._release()
                if not self.flights.open:
                    return self._must(state)
            if selection:
                return selection
            scored = await self._next()
            if scored is None:
                return self._must(state)
            state = self.policy.tell(state, scored)

    def _must(self, state: Any) -> Selection:
        selection = self.policy.finish(state, True)
        if selection is None:
            raise ConfigError(
                f"the policy {self.policy.name} chose nothing although it must",
                hint="finish(state, must=True) returns a Selection",
            )
        return selection

    def _start(self, move: Expansion | Probe) -> None:
        if move.id in self.asked:
            raise ConfigError(
                f"the policy {self.policy.name} used the id {move.id!r} twice", hint="each expansion and probe has its own id"
            )
        self._check(move)
        self.asked.add(move.id)
        if self.replay and move.id not in self.recorded:
            self.held[move.id] = move
        else:
            self.flights.launch(move)

    def _check(self, move: Expansion | Probe) -> None:
        """Refuse a wish that nobody could fulfil, before it is recorded."""
        made = (move.target,) if isinstance(move, Probe) else move.parents
        if (unknown := next((name for name in made if name not in self.usable), None)) is not None:
            raise ConfigError(
                f"the policy {self.policy.name} goes on from {unknown!r}, which is no candidate",
                hint="name what was told without an error",
            )
        if isinstance(move, Expansion) and move.kind not in _KINDS:
            raise ConfigError(
                f"the policy {self.policy.name} asks for a {move.kind!r} candidate", hint=f"one of: {', '.join(_KINDS)}"
            )

    def _release(self) -> None:
        """Launch what was held back; once the budget is spent, give up what has not begun: nobody could judge it."""
        held, self.held = self.held, {}
        if self.spent:
            self.flights.give_up_waiting()
            return
        for move in held.values():
            self.flights.launch(move)

    async def _next(self) -> Scored | None:
        """The next result to tell, in the recorded order first; None once the deadline has passed."""
        flights = self.flights
        if self.replay:
            name = self.replay.popleft()
            while name not in flights.early:
                if name not in flights.open:
                    raise ReplayMismatch(
                        f"the record tells of {name!r} in {self.ctx.base}, which the policy does not ask for",
                        position=self.ctx.base,
                        hint="the policy or its settings changed since; start a new run",
                    )
                await flights.land()
            scored = flights.take(name)
        else:
            while not flights.early:
                if not await flights.land(deadline=True):
                    return None
            scored = flights.take(next(iter(flights.early)))
            self.ctx.run.journal.queue(Told(scope=self.ctx.base, number=len(self.told), id=scored.id))
        self.told.append(scored)
        if scored.error is None and scored.id in self.maker.candidates:
            self.usable.add(scored.id)
        if scored.error == BudgetExhausted.default_code or scored.id in self.maker.unjudged:
            self.spent = True
        return scored

    async def _decide(self, selection: Selection, *, recorded: bool) -> Found:
        chosen = self.maker.candidates.get(selection.id) if selection.id else None
        if selection.id and chosen is None and not recorded:
            raise ConfigError(
                f"the policy {self.policy.name} chose {selection.id!r}, which is no candidate",
                hint="choose what was told without an error, or None",
            )
        verdict = self.maker.verdicts.get(selection.id) if selection.id else None
        if chosen and verdict is None and self.verifier and selection.id not in self.maker.unjudged:
            try:
                verdict = await self.ctx.verify(self.verifier, chosen)
            except BudgetExhausted as e:
                self.ctx.run.limit = e.limit
        if not recorded:
            position, name = self.ctx.base, self.policy.name
            await self.ctx.run.journal.write(
                Decided(
                    position=position,
                    policy=name,
                    selection=selection,
                    candidate_id=chosen.id if chosen else None,
                    options=self._options(),
                )
            )
        return Found(selection=selection, candidate=chosen, verdict=verdict)

    def _options(self) -> Sequence[Json]:
        rows: list[Json] = []
        for s in self.told[:_OPTIONS_KEPT]:
            row: dict[str, Json] = {"id": s.id, "outcome": s.outcome, "score": s.score, "answer": s.answer, "error": s.error}
            if s.id in self.maker.errors:
                row["message"] = one_line(redact_text(self.maker.errors[s.id]), 300)
            rows.append(row)
        return rows


async def run_search(
    ctx: Context,
    policy: Policy[Any],
    proposer: Proposer,
    verifier: Verifier | None = None,
    *,
    extract: Extractor | None = None,
    width: int | None = None,
    complete: Complete | None = None,
) -> Found:
    """Run a policy and return what it chose. Opens a scope of its own in `ctx`.

    Args:
        ctx: where in the run the search stands.
        policy: decides what to try next and what to return.
        proposer: makes each candidate.
        verifier: judges each candidate, or only the chosen one for policies that set `uses_verdicts = False`.
        extract: finds the answer in a candidate's text; None for its words, or for nothing if the policy sets
            `uses_answers = False`.
        width: most candidates in the making at once; None leaves it to the engine's limit.
        complete: for policies that go step by step: whether a text that ends at a step's boundary is a whole solution; None
            leaves it to the model's own end.

    Raises:
        EngineUnavailable, StoreError, Cancelled, ReplayMismatch: events of the run; it can be resumed.
        ConfigError: the policy broke its contract.
    """
    return await Search(ctx.scope(), policy, proposer, verifier, extract, width, complete).run()
