"""What runs used, as sums over their stored calls and verdicts; never a counter that could be lost.

Only calls to engines whose end is known count: one that the budget refused was not made, and what became of one that was
in flight when its process died nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Executable, Row, case, cast, func, select

from ..core.budget import Spend
from ..core.runs import Usage
from . import schema as s

_IDS_AT_ONCE = 10_000
_NO_CALLS, _NO_VERDICTS = (0,) * 9, (0,) * 3


def usages(connection: Connection, run_ids: Sequence[str]) -> dict[str, Usage]:
    """What each run used; ids that no run has are left out."""
    found: dict[str, Usage] = {}
    for at in range(0, len(run_ids), _IDS_AT_ONCE):
        ids = run_ids[at : at + _IDS_AT_ONCE]
        calls, verdicts = _by_run(connection, _calls(ids)), _by_run(connection, _verdicts(ids))
        for run_id, elapsed_ns in connection.execute(select(s.run.c.id, s.run.c.elapsed_ns).where(s.run.c.id.in_(ids))):
            found[run_id] = _usage(calls.get(run_id, _NO_CALLS), verdicts.get(run_id, _NO_VERDICTS), elapsed_ns)
    return found


def spend(connection: Connection, run_id: str) -> Spend:
    """What a run spent of its budget."""
    calls = _by_run(connection, _calls([run_id])).get(run_id, _NO_CALLS)
    verdicts = _by_run(connection, _verdicts([run_id])).get(run_id, _NO_VERDICTS)
    return Spend(
        calls=calls[0], tokens=calls[2] + calls[4], output_tokens=calls[4], verifier_calls=verdicts[0], usd=calls[8] / 1e6
    )


def _by_run(connection: Connection, query: Executable) -> dict[str, tuple[int, ...]]:
    rows: Sequence[Row[Any]] = connection.execute(query).all()
    return {row[0]: tuple(int(n or 0) for n in row[1:]) for row in rows}


def _usage(calls: Sequence[int], verdicts: Sequence[int], elapsed_ns: int) -> Usage:
    return Usage(
        calls=calls[0],
        failed_calls=calls[1],
        prompt_tokens=calls[2],
        cached_tokens=calls[3],
        output_tokens=calls[4],
        reasoning_tokens=calls[5],
        verifier_calls=calls[6],
        verifier_tokens=calls[7],
        usd=calls[8] / 1e6,
        verdicts=verdicts[0],
        abstentions=verdicts[1],
        seconds=elapsed_ns / 1e9,
    )


def _calls(ids: Sequence[str]) -> Executable:
    c = s.call.c
    verifiers = c.purpose == "verifier"
    return (
        select(
            c.run_id,
            func.count(),
            _sum(case((c.state == "error", 1), else_=0)),
            _sum(c.prompt_tokens),
            _sum(c.cached_tokens),
            _sum(c.completion_tokens),
            _sum(c.reasoning_tokens),
            _sum(case((verifiers, 1), else_=0)),
            _sum(case((verifiers, c.prompt_tokens + c.completion_tokens), else_=0)),
            _sum(c.cost_micro_usd),
        )
        .where(c.run_id.in_(ids), c.engine != "", c.state.in_(("ok", "error", "cancelled")))
        .group_by(c.run_id)
    )


def _verdicts(ids: Sequence[str]) -> Executable:
    v = s.verdict.c
    return (
        select(v.run_id, func.count(), _sum(case((v.outcome == "abstain", 1), else_=0)))
        .where(v.run_id.in_(ids), v.grading.is_(False))
        .group_by(v.run_id)
    )


def _sum(value: Any) -> Any:
    return cast(func.coalesce(func.sum(value), 0), BigInteger)
