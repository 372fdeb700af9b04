"""One judgement, guarded: whatever a verifier does, what comes out is a verdict."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .candidate import Candidate
from .errors import BudgetExhausted, Cancelled, EngineUnavailable, ReplayMismatch, StoreError, VerifierFailed, Waiting
from .task import Task
from .text import one_line
from .verdict import Verdict, Verifier

if TYPE_CHECKING:
    from .context import Context

_RUN_EVENTS = (asyncio.CancelledError, BudgetExhausted, Cancelled, EngineUnavailable, ReplayMismatch, StoreError, Waiting)


async def judge(verifier: Verifier, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
    """Have a verifier judge a candidate.

    An empty answer fails without asking (`empty`). An answer cut at its limit is an abstention (`truncated`) unless
    the verifier says that it judges those; so is the beginning of one (`partial`) unless it `judges_prefixes`. A verifier
    that raises, or returns what is no verdict, abstains with the failure as its reason. Only events of the run itself
    (no engine, no storage, no budget, a person asked) are raised.
    """
    if not candidate.text.strip():
        return Verdict.failed("the answer is empty", reason="empty")
    if candidate.truncated and not candidate.partial and not verifier.judges_truncated:
        return Verdict.abstain("truncated", "the answer was cut at its token limit")
    if candidate.partial and not getattr(verifier, "judges_prefixes", False):
        return Verdict.abstain("partial", "only the beginning of an answer")
    try:
        return Verdict.of(await verifier.verify(task, candidate, ctx))
    except _RUN_EVENTS:
        raise
    except VerifierFailed as e:
        return _abstained(e.code, e.message)
    except Exception as e:
        return _abstained("verifier_error", f"{type(e).__name__}: {e}")


def _abstained(reason: str, error: str) -> Verdict:
    # Into the evidence, not the feedback: an exception of a verifier that sees the reference may quote it.
    return Verdict.abstain(reason, "the verifier could not judge", evidence={"error": one_line(error, 500)})
