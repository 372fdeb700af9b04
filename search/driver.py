"""The driver: runs any policy, with everything in flight at once.

It starts what the policy asks for, tells each result as it lands, and records the order of tells. On resume the
recorded tells come first, in their order, and nothing that has no record starts before they are through; so the
policy passes through the same states, whatever lands first this time. One failing candidate is a result like any
other: its siblings go on.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.candidate import Candidate
from ..core.context import Context
from ..core.errors import BudgetExhausted, BurnishError, Cancelled, ConfigError, GenerationFailed, ReplayMismatch
from ..core.extract import Extractor, words
from ..core.ids import Json
from ..core.policy import Expansion, Policy, Probe, Scored, Selection, TaskView
from ..core.proposer import Proposer
from ..core.records import Decided, Told
from ..core.redact import redact_text
from ..core.stop import Stop
from ..core.text import one_line
from ..core.verdict import Verdict, Verifier
from .maker import Complete, Flight, Maker

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
        self.flights: dict[str, Flight] = {}
        self.width = width or sys.maxsize
        self.flying = 0
        self.waiting: deque[tuple[Expansion | Probe, Flight]] = deque()
        """Launched, but without room while `width` others fly."""
        self.ending: set[asyncio.Task[None]] = set()
        """Tasks of cancelled flights that are still handing over what they have."""
        self.landed: asyncio.Queue[tuple[str, Scored | BaseException]] = asyncio.Queue()
        self.early: dict[str, Scored] = {}
        """Results that landed before their turn in the recorded order."""
        self.told: list[Scored] = []
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
            for flight in list(self.flights):
                self._cancel(flight)
            if self.ending:
                await asyncio.wait(self.ending)
            found = await self._decide(decided or selection, recorded=decided is not None)
            # Calls of cancelled candidates may be recorded and not be asked for again: that is no change of the code.
            self.ctx.run.claims.cover(self.ctx.base)
            return found
        finally:
            await self._abandon()

    async def _loop(self, decided: Selection | None) -> Selection:
        task = self.ctx.task
        state = self.policy.start(TaskView(id=task.id, metadata=task.metadata), self.ctx.seed("policy"))
        while True:
            selection = self.policy.finish(state, False)
            if selection is None and not self.spent:
                state, moves = self.policy.ask(state)
                for name in moves.cancel:
                    self._cancel(name)
                for move in (*moves.expansions, *moves.probes):
                    self._start(move)
            if self.replay:
                selection = None
            elif decided:
                return decided
            elif selection is None:
                self._release()
                if not self.flights:
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
        self.asked.add(move.id)
        if self.replay and move.id not in self.recorded:
            self.held[move.id] = move
        else:
            self._launch(move)

    def _release(self) -> None:
        """Launch what was held back; once the budget is spent, give up what has not begun: nobody could judge it."""
        held, self.held = self.held, {}
        if self.spent:
            for name in [name for name, flight in self.flights.items() if flight.task is None]:
                self._cancel(name)
            return
        for move in held.values():
            self._launch(move)

    def _launch(self, move: Expansion | Probe) -> None:
        flight = self.flights[move.id] = Flight(Stop(self.ctx.stop))
        self.waiting.append((move, flight))
        self._take_off()

    def _take_off(self) -> None:
        while self.waiting and self.flying < self.width:
            move, flight = self.waiting.popleft()
            if not flight.stop.requested or self.ctx.stop.requested:
                self.flying += 1
                flight.task = asyncio.create_task(self._fly(move, flight))

    def _cancel(self, name: str) -> None:
        self.held.pop(name, None)
        self.early.pop(name, None)
        flight = self.flights.pop(name, None)
        if flight is None:
            return
        flight.stop.request()
        if flight.task is None:
            flight.stop.close()
            return
        if flight.judging:
            flight.task.cancel()
        self.ending.add(flight.task)
        flight.task.add_done_callback(self.ending.discard)

    async def _next(self) -> Scored | None:
        """The next result to tell, in the recorded order first; None once the deadline has passed."""
        if self.replay:
            name = self.replay.popleft()
            while name not in self.early:
                if name not in self.flights:
                    raise ReplayMismatch(
                        f"the record tells of {name!r} in {self.ctx.base}, which the policy does not ask for",
                        position=self.ctx.base,
                        hint="the policy or its settings changed since; start a new run",
                    )
                await self._land()
            scored = self.early.pop(name)
        else:
            while not self.early:
                if not await self._land(deadline=True):
                    return None
            scored = self.early.pop(next(iter(self.early)))
            self.ctx.run.journal.queue(Told(scope=self.ctx.base, number=len(self.told), id=scored.id))
        self.flights.pop(scored.id, None)
        self.told.append(scored)
        if scored.error == BudgetExhausted.default_code or scored.id in self.maker.unjudged:
            self.spent = True
        return scored

    async def _land(self, *, deadline: bool = False) -> bool:
        left = self.ctx.run.ledger.seconds_left if deadline else None
        try:
            name, result = await (self.landed.get() if left is None else asyncio.wait_for(self.landed.get(), left))
        except TimeoutError:
            self.ctx.run.limit = "seconds"
            return False
        if isinstance(result, BaseException):
            raise result
        if name in self.flights:
            self.early[name] = result
        return True

    async def _fly(self, move: Expansion | Probe, flight: Flight) -> None:
        try:
            if isinstance(move, Probe):
                result: Scored | BaseException = await self.maker.probe(move, flight)
            else:
                result = await self.maker.expand(move, flight)
        except Cancelled as e:
            if flight.stop.requested and not self.ctx.stop.requested:
                return
            result = e
        except BudgetExhausted as e:
            self.ctx.run.limit = e.limit
            result = Scored(id=move.id, error=e.code)
        except GenerationFailed as e:
            self.maker.errors[move.id] = e.message
            result = Scored(id=move.id, error=e.code)
        except BurnishError as e:
            result = e
        except Exception as e:
            self.maker.errors[move.id] = f"{type(e).__name__}: {e}"
            result = Scored(id=move.id, error="proposer_error")
        finally:
            flight.stop.close()
            self.flying -= 1
            self._take_off()
        self.landed.put_nowait((move.id, result))

    async def _decide(self, selection: Selection, *, recorded: bool) -> Found:
        chosen = self.maker.candidates.get(selection.id) if selection.id else None
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

    async def _abandon(self) -> None:
        self.waiting.clear()
        tasks = [f.task for f in self.flights.values() if f.task] + list(self.ending)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


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
