"""How one call is made: answered from the record, or sent once, with its intent before it and its outcome after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from .budget import Spend
from .completion import Completion, TokenCounts
from .errors import BudgetExhausted, BurnishError, Cancelled, GenerationFailed, ReplayMismatch, StoreError
from .ids import as_json
from .records import CallState, Intent, Outcome, RecordedCall

if TYPE_CHECKING:
    from .context import Context
    from .run import Run

Perform: TypeAlias = Callable[[], Awaitable[Any]]
"""Does what is recorded; a `Completion` comes of a model's call, plain JSON of everything else."""

_NOTHING = Spend()


async def call(
    ctx: Context, intent: Intent, held: Spend | None, perform: Perform, *, reads: bool = False
) -> RecordedCall | Outcome:
    """The call's result, from the record or made at its place in the run; its failure raised. A hot path.

    What only `reads` may be done twice and costs nothing: where results are queued, its intent is not waited for either.

    Raises:
        BurnishError: as `Context.generate`.
    """
    run = ctx.run
    recorded = run.journal.call(intent.position)
    if recorded and recorded.request_hash != intent.request_hash:
        raise ReplayMismatch(
            f"the {intent.kind} call at {intent.position} differs from the recorded one",
            position=intent.position,
            hint="code, settings or model changed since; start a new run",
        )
    if recorded and recorded.state != "intent":
        return _replayed(run, recorded, intent)
    if recorded is None and run.journal.step_done(intent.step) and "#" not in intent.step:
        raise ReplayMismatch(
            f"the record of the finished node {intent.step} has no {intent.kind} call at {intent.position}",
            position=intent.position,
            hint="code or settings changed since; start a new run",
        )
    if ctx.stop.requested or run.stop.requested:
        raise Cancelled(f"stopped: {ctx.stop.reason or run.stop.reason}")
    if not intent.engine:
        return _replayed(run, await _perform(ctx, intent, held, perform, reads), intent)
    with run.traffic:
        return _replayed(run, await _perform(ctx, intent, held, perform, reads), intent)


async def _perform(ctx: Context, intent: Intent, held: Spend | None, perform: Perform, reads: bool) -> Outcome:
    run = ctx.run
    if held is None:
        await run.settle(intent, queued=reads and ctx.queued)
        outcome = await _attempt(ctx, intent, perform)
        await run.settle(outcome, queued=ctx.queued)
        return outcome
    ledger, spent = run.ledger, _NOTHING
    try:
        await ledger.reserve(held, ctx.stop)
    except BudgetExhausted as e:
        run.limit = e.limit
        refusal = Outcome(position=intent.position, state="refused", error_code=e.limit, error=e.message)
        await run.journal.write(replace(intent, reserved=None), refusal)
        raise
    try:
        await run.journal.write(intent)
        outcome = await _attempt(ctx, intent, perform)
        spent = outcome.spent or _NOTHING
        await run.settle(outcome, queued=ctx.queued)
    finally:
        await ledger.settle(held, spent)
    return outcome


async def _attempt(ctx: Context, intent: Intent, perform: Perform) -> Outcome:
    began = time.perf_counter()
    try:
        # A search ends its calls itself, and keeps what they have; an effect that is under way is not torn apart.
        result = await (perform() if ctx.queued or intent.kind != "generate" else ctx.run.ledger.in_time(perform()))
    except GenerationFailed as e:
        return _ended(intent, "error", began, error_code=e.code, error=e.message)
    except BudgetExhausted as e:
        if intent.kind != "generate":
            raise
        # Recorded, since the code may go on from here: on resume it has to meet the same end.
        spent = intent.reserved and _NOTHING
        return Outcome(position=intent.position, state="refused", error_code=e.limit, error=e.message, spent=spent)
    except (BurnishError, asyncio.CancelledError):
        raise
    except Exception as e:
        if intent.kind != "generate":
            raise
        return _ended(intent, "error", began, error_code="engine_error", error=f"{type(e).__name__}: {e}")
    if not isinstance(result, Completion):
        return _ended(intent, "ok", began, value=as_json(cast(object, result)))
    if result.finish_reason == "aborted" and ctx.run.stop.requested:
        raise Cancelled(f"stopped: {ctx.run.stop.reason}")
    cancelled = result.finish_reason == "aborted" and ctx.stop.requested
    return _ended(intent, "cancelled" if cancelled else "ok", began, completion=result)


def _replayed(run: Run, done: RecordedCall | Outcome, intent: Intent) -> RecordedCall | Outcome:
    """A call's result, or its failure raised."""
    match done.state:
        case "error":
            raise GenerationFailed(done.error, code=done.error_code)
        case "refused":
            run.limit = done.error_code
            raise BudgetExhausted(done.error, limit=done.error_code)
        case _:
            if intent.kind == "generate" and done.completion is None:
                raise StoreError(
                    f"the recorded completion at {intent.position} is missing", hint="restore the store from a backup"
                )
            return done


def _ended(intent: Intent, state: CallState, began: float, **how: Any) -> Outcome:
    """The outcome of a call that was sent, with what it spent where that is counted."""
    took, spent = time.perf_counter() - began, None
    if intent.reserved:
        completion: Completion | None = how.get("completion")
        tokens = completion.tokens if completion else TokenCounts()
        cost = completion.cost_usd if completion else 0.0
        spent = Spend(calls=1, tokens=tokens.total, output_tokens=tokens.completion, usd=cost)
    return Outcome(position=intent.position, state=state, seconds=took, spent=spent, **how)
