"""The bandit of a batch: what its tasks learn about the search algorithms, kept in the trace and nowhere else.

Each trial is one recorded effect whose value is the trial itself; the state is the sum of all that the batch has recorded.
Sums commute, and an effect stands at one position and is recorded once, so tasks may run at the same time, a resumed run
counts nothing twice, and there is no second store to keep in step with the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ..agents.selection import Priors
from ..core.context import Context
from ..core.ids import Json, as_json
from ..search.bandit import Bandit, State

UPDATE, READ, CHOICE = "bandit.update", "bandit.read", "bandit.choice"
"""Kinds of the effects: one trial; the sum of all trials as a choice saw it; a choice with all its terms."""


@dataclass(frozen=True)
class BatchBandit:
    """A bandit whose state is shared by the runs of a batch; a run by itself has its own."""

    rule: Bandit

    async def choose(self, ctx: Context, priors: Priors) -> str:
        """The arm to try next. What it was chosen by is recorded with it."""
        known = await self.known(ctx)
        request: dict[str, Json] = {"state": known.to_json(), "priors": dict(priors)}

        async def choice() -> Json:
            chosen = self.rule.choose(known, priors).to_json()
            return {"mode": self.rule.mode, **chosen, **request, "problem": priors.problem}

        recorded = cast("dict[str, Any]", await ctx.effect(CHOICE, request, choice, key=CHOICE))
        return str(recorded["arm"])

    async def known(self, ctx: Context) -> State:
        """All that the batch has learned so far. Trials of tasks that are still at work may be missing."""

        async def total() -> Json:
            state = State()
            for trial in await ctx.run.journal.shared(UPDATE):
                state += State.from_json(cast("Mapping[str, Any]", trial))
            return state.to_json()

        return State.from_json(await ctx.effect(READ, None, total, key=READ))

    async def learn(self, ctx: Context, arm: str, reward: float, recovered: bool | None) -> None:
        """Record one trial.

        Args:
            ctx: where in the run the trial ended; one for each position.
            arm: what was tried.
            reward: how good the result was, in [0, 1].
            recovered: whether it succeeded where the attempt before had failed; None if that had not failed.
        """
        trial = self.rule.update(State(), arm, reward, recovered).to_json()

        async def itself() -> Json:
            return as_json(trial)

        await ctx.effect(UPDATE, trial, itself, key=UPDATE)
