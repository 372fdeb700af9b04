"""What became of one plan of PlanGEN: how it stands against others, what the bandit learns of it, what is told of it.

A beginning is no plan, whatever was said of it: it never passes, and a search that comes back with one has failed.
"""

from __future__ import annotations

from ..core.context import Context
from ..core.ids import Json
from ..core.rank import rank
from ..core.verdict import Verdict

_UNJUDGED = Verdict.abstain("unjudged")


def standing(ctx: Context, plan: str) -> tuple[int, float]:
    """A key that grows with how much speaks for a plan; beginnings come last."""
    said = _said(ctx, plan)
    return (-1, 0.0) if ctx.run.candidates[plan].partial else rank(said.outcome, said.score)


def failed(ctx: Context, plan: str) -> bool | None:
    """Whether a plan is known to be not good enough; None after an abstention."""
    if ctx.run.candidates[plan].partial:
        return True
    outcome = _said(ctx, plan).outcome
    return None if outcome == "abstain" else outcome == "fail"


def reward(ctx: Context, plan: str) -> float | None:
    """What the bandit learns of a plan, in [0, 1]: its score, without one 1 for a pass and 0 for a failure.

    None after an abstention, of which nothing can be learned.
    """
    lost, said = failed(ctx, plan), _said(ctx, plan)
    if lost is None:
        return None
    if ctx.run.candidates[plan].partial:
        return 0.0
    return float(not lost) if said.score is None else said.score


def reason(ctx: Context, plan: str | None) -> str:
    """Why a plan is returned, as searches say it."""
    if plan is None:
        return "no_candidate"
    if ctx.run.candidates[plan].partial:
        return "unfinished"
    said = _said(ctx, plan)
    if said.outcome == "fail":
        return "best_score" if said.score else "all_failed"
    return "passed" if said.outcome == "pass" else "unverified"


def told(ctx: Context, by: str, plan: str | None) -> dict[str, Json]:
    """One attempt in plain form."""
    if plan is None:
        return {"by": by, "candidate": None, "outcome": None, "score": None, "reason": "no_candidate", "unfinished": False}
    said, unfinished = _said(ctx, plan), ctx.run.candidates[plan].partial
    facts: dict[str, Json] = {"outcome": said.outcome, "score": said.score, "reason": said.reason, "unfinished": unfinished}
    return {"by": by, "candidate": plan, **facts}


def _said(ctx: Context, plan: str) -> Verdict:
    return ctx.run.verdicts.get(plan, _UNJUDGED)
