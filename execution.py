"""One run from its lease to its end: graph, context, grading, terminal status."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from .core.budget import Ledger
from .core.candidate import Candidate
from .core.completion import Completion
from .core.context import Context
from .core.engine import Engine
from .core.errors import BudgetExhausted, BurnishError, Cancelled, ConfigError, ReplayMismatch, StoreError, Waiting
from .core.human import Asker
from .core.ids import new_run_id
from .core.journal import RunRecord
from .core.result import Result
from .core.run import Run
from .core.runs import RunEnd, RunOutcome
from .core.stop import Stop
from .core.text import one_line
from .core.verdict import Verdict
from .graphs.interrupts import invoke
from .graphs.position import Steps
from .verifiers.registry import make_verifier

if TYPE_CHECKING:
    from .graphs.builtin import Graph

_RECURSION_LIMIT = 1000


async def execute(
    graph: Graph,
    journal: RunRecord,
    engines: Mapping[str, Engine],
    stop: Stop,
    *,
    grade_all: bool = False,
    asker: Asker | None = None,
) -> Result:
    """Run a graph under a lease that is already held, and record how it ends.

    With `grade_all` the task's grader judges every candidate, else only the answer. `asker` asks a person at once.

    Raises:
        StoreError: the storage failed, or the run was taken over: nothing can be recorded any more.
        asyncio.CancelledError: the calling task was cancelled; the run is left to be resumed.
    """
    spec = journal.spec
    steps = Steps()
    ledger = Ledger(spec.budget, spent=journal.spent, elapsed=journal.elapsed)
    run = Run(
        task=spec.task,
        seed=spec.seed,
        journal=journal,
        engines=engines,
        ledger=ledger,
        stop=Stop(stop),
        locate=steps.locate,
        asker=asker,
    )
    steps.run = run
    ctx = Context(run, stop=run.stop)
    grade: Verdict | None = None
    error: BurnishError | None = None
    try:
        state = await _invoke(graph, ctx, steps)
        end, chosen = await _ended(ctx, state)
        if journal.resumed:
            _all_asked_for(run)
        grade = await _grade(ctx, chosen, [c for c in run.candidates.values() if grade_all and not c.partial])
    except StoreError as e:
        await _lost(journal, e, ledger)
        raise
    except asyncio.CancelledError:
        await asyncio.shield(journal.finish(RunEnd(status="interrupted", error_code="cancelled"), ledger.elapsed))
        raise
    except Exception as e:
        error = e if isinstance(e, BurnishError) else _unexpected(e)
        end = RunEnd(status=_status(error), error_code=error.code, error=one_line(str(error), 1000))
    finally:
        run.stop.close()
    try:
        await journal.finish(end, ledger.elapsed)
    except StoreError as e:  # A record that was queued last may have been lost.
        await _lost(journal, e, ledger)
        raise
    return Result(
        run_id=journal.run_id,
        task_id=spec.task.id,
        answer=end.answer,
        outcome=end.outcome,
        score=end.score,
        candidate_id=end.candidate_id,
        grade=grade,
        budget_limit=end.budget_limit,
        usage=replace(await journal.usage(), seconds=ledger.elapsed),
        error=error,
    )


async def _invoke(graph: Graph, ctx: Context, steps: Steps) -> Mapping[str, Any]:
    """The graph's final state; what there is so far if the budget ends it."""
    given: dict[str, Any] = {"prompt": ctx.task.prompt, "task": ctx.task}
    start = {k: v for k, v in given.items() if k in graph.channels} or {"prompt": ctx.task.prompt}
    config: Any = {
        "callbacks": [steps],
        "recursion_limit": _RECURSION_LIMIT,
        # Of this execution: a checkpointer of the graph must not go on where an earlier one stopped.
        "configurable": {"thread_id": f"{ctx.run.journal.run_id}.{new_run_id()}"},
    }
    try:
        state = await ctx.run.stop.race(invoke(graph, start, config, ctx, steps))
    except BudgetExhausted as e:
        ctx.run.limit = e.limit
        _not_waiting(ctx.run)
        best = ctx.run.best
        return {"answer": best.text if best else None, "candidate_id": best.id if best else None}
    _not_waiting(ctx.run)
    if not isinstance(state, Mapping):
        raise ConfigError(f"the graph's final state is a {type(state).__name__}", hint="use a state with the key 'answer'")
    return cast("Mapping[str, Any]", state)


async def _ended(ctx: Context, state: Mapping[str, Any]) -> tuple[RunEnd, Candidate | None]:
    """The run's end out of the graph's final state; an answer that is no candidate yet becomes one."""
    if "answer" not in state:
        raise ConfigError("the graph ended without the key 'answer' in its state", hint="return {'answer': text} from a node")
    answer, candidate_id = state["answer"], state.get("candidate_id")
    if answer is not None and not isinstance(answer, str):
        raise ConfigError(f"the graph's answer is a {type(answer).__name__}", hint="return the answer as text")
    limit = ctx.run.limit
    if answer is None:
        return RunEnd(status="done", outcome="no_answer", budget_limit=limit), None
    if candidate_id is None:
        chosen = await ctx.add(Completion(text=answer), key="answer")
    elif (known := ctx.run.candidates.get(str(candidate_id))) is not None:
        chosen = known
    else:
        raise ConfigError(
            f"the run has no candidate {candidate_id!r}", hint="return the id of a candidate from ctx.add or a search"
        )
    verdict = ctx.run.verdicts.get(chosen.id)
    end = RunEnd(
        status="done",
        outcome=_outcome(chosen, verdict),
        answer=answer,
        candidate_id=chosen.id,
        score=verdict.score if verdict and not chosen.partial else None,
        budget_limit=limit,
    )
    return end, chosen


def _outcome(chosen: Candidate, verdict: Verdict | None) -> RunOutcome:
    # That a beginning is right so far says nothing of an answer.
    if chosen.partial or verdict is None or verdict.outcome == "abstain":
        return "unverified"
    return "verified" if verdict.outcome == "pass" else "rejected"


async def _grade(ctx: Context, chosen: Candidate | None, others: Sequence[Candidate]) -> Verdict | None:
    """Measure the answer, and the other candidates, with the task's grader, which decides nothing."""
    if ctx.task.grader is None:
        return None
    grader = make_verifier(ctx.task.grader)

    async def measured(candidate: Candidate) -> Verdict:
        try:
            return await ctx.verify(grader, candidate, grading=True)
        except BudgetExhausted as e:  # The answer stands, though its grader may ask no model any more.
            return Verdict.abstain("budget", e.message)

    await asyncio.gather(*(measured(c) for c in others if chosen is None or c.id != chosen.id))
    return await measured(chosen) if chosen else Verdict.failed("there is no answer", reason="no_answer")


async def _lost(journal: RunRecord, error: StoreError, ledger: Ledger) -> None:
    """End a run whose record cannot be stored. Where it was only this run's, the lease goes back at once."""
    with suppress(StoreError):
        end = RunEnd(status="interrupted", error_code=error.code, error=one_line(str(error), 1000))
        await journal.finish(end, ledger.elapsed)


def _status(error: BurnishError) -> Literal["interrupted", "waiting", "failed"]:
    return "interrupted" if isinstance(error, Cancelled) else "waiting" if isinstance(error, Waiting) else "failed"


def _not_waiting(run: Run) -> None:
    """A node may have caught what says that a question has no reply; the run waits all the same."""
    if run.waiting:
        raise run.waiting


def _all_asked_for(run: Run) -> None:
    left = run.journal.unclaimed("", run.claims.has)
    if left is not None:
        raise ReplayMismatch(
            f"the graph no longer makes the recorded call {left}",
            position=left,
            hint="code or settings changed since; start a new run",
        )


def _unexpected(e: Exception) -> BurnishError:
    error = BurnishError(f"{type(e).__name__}: {one_line(str(e), 500)}", code="graph_error", hint="the graph itself raised this")
    error.__cause__ = e
    return error
