"""Questions about one run that are answered by the database, however long the run: counts, sums by node, and single pages.

The reader's lists are for runs that fit in memory. What is here takes the same time for the first page of a run of a
hundred thousand calls as for a small one, but for sums, which read the run's rows once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Integer, Select, Table, case, cast, func, select

from ..core.verdict import Outcome
from . import schema as s
from .views import CallRow, CandidateRow, DecisionRow, StepRow, VerdictRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from .reader import Reader

_DEEPEST = 500
"""Ancestors of a candidate that are followed at most."""

Tally: TypeAlias = Mapping[Outcome, int]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much there is of a run."""

    steps: int
    calls: int
    """Model calls and other recorded effects."""
    candidates: int
    verdicts: int
    decisions: int


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one verifier said of a run's candidates, in numbers."""

    verifier: str
    grading: bool
    outcomes: Tally
    """How often it said what; outcomes that it never gave are left out."""
    seconds: float
    """Over all its verdicts."""


def counts(reader: Reader, run: str) -> Counts:
    """How many facts of each kind a run has."""
    kinds = {"steps": s.step, "calls": s.call, "candidates": s.candidate, "verdicts": s.verdict, "decisions": s.decision}
    each = [
        select(func.count()).select_from(table).where(table.c.run_id == run).scalar_subquery().label(name)
        for name, table in kinds.items()
    ]
    return Counts(**reader.rows(select(*each))[0])


def said(reader: Reader, run: str) -> list[Said]:
    """What each verifier said, those that decided before the graders."""
    v = s.verdict.c
    query = (
        select(v.verifier, v.grading, v.outcome, func.count().label("times"), func.sum(v.seconds).label("seconds"))
        .where(v.run_id == run)
        .group_by(v.verifier, v.grading, v.outcome)
        .order_by(v.grading, v.verifier)
    )
    tallies: dict[tuple[str, bool], dict[Outcome, int]] = {}
    seconds: dict[tuple[str, bool], float] = {}
    for row in reader.rows(query):
        key = row["verifier"], row["grading"]
        tallies.setdefault(key, {})[row["outcome"]] = row["times"]
        seconds[key] = seconds.get(key, 0.0) + (row["seconds"] or 0.0)
    return [Said(verifier=k[0], grading=k[1], outcomes=tally, seconds=seconds[k]) for k, tally in tallies.items()]


def call_at(reader: Reader, run: str, seq: int) -> CallRow | None:
    """The call that began as a run's fact number `seq`; None if that is none."""
    found = reader.calls(run, after=seq - 1, limit=1)
    return found[0] if found and found[0].seq == seq else None


def seq_at(reader: Reader, run: str, position: str) -> int | None:
    """The number of the call at a position; None if there is none."""
    c = s.call.c
    found = reader.rows(select(c.seq).where(c.run_id == run, c.position == position))
    return found[0]["seq"] if found else None


def candidate_at(reader: Reader, run: str, position: str) -> str | None:
    """Id of the candidate at a position, or of the one that the verdict there judges; None if there is neither."""
    c, v = s.candidate.c, s.verdict.c
    made = select(c.id).where(c.run_id == run, c.position == position)
    judged = select(v.candidate_id.label("id")).where(v.run_id == run, v.position == position)
    found = reader.rows(made.union_all(judged).limit(1))
    return found[0]["id"] if found else None


def neighbours(reader: Reader, run: str, seq: int) -> tuple[int | None, int | None]:
    """The numbers of the calls before and behind one; None where there is none."""
    c = s.call.c
    before = select(func.max(c.seq)).where(c.run_id == run, c.seq < seq).scalar_subquery()
    behind = select(func.min(c.seq)).where(c.run_id == run, c.seq > seq).scalar_subquery()
    row = reader.rows(select(before.label("before"), behind.label("behind")))[0]
    return row["before"], row["behind"]


def seqs(reader: Reader, run: str, calls: Collection[str]) -> dict[str, int]:
    """The numbers of those of a run's calls that have these ids."""
    c = s.call.c
    rows = reader.rows(select(c.id, c.seq).where(c.run_id == run, c.id.in_(calls))) if calls else []
    return {row["id"]: row["seq"] for row in rows}


def effects(reader: Reader, run: str, *, limit: int) -> list[CallRow]:
    """The first recorded effects of a run that are no model calls."""
    c = s.call.c
    query = _all(CallRow).where(c.run_id == run, c.engine == "").order_by(c.seq).limit(limit)
    return [CallRow(**row) for row in reader.rows(query)]


def first_steps(reader: Reader, run: str, *, limit: int) -> list[StepRow]:
    """The first steps of a run."""
    c = s.step.c
    return [StepRow(**row) for row in reader.rows(_all(StepRow).where(c.run_id == run).order_by(c.seq).limit(limit))]


def candidates(reader: Reader, run: str, *, after: int = 0, limit: int) -> list[CandidateRow]:
    """A page of a run's candidates in the order in which they came to be, behind the number `after`."""
    c = s.candidate.c
    return _candidates(reader, _all(CandidateRow).where(c.run_id == run, c.seq > after).order_by(c.seq).limit(limit))


def best_candidates(reader: Reader, run: str, *, skip: int = 0, limit: int) -> list[CandidateRow]:
    """A page of a run's candidates, those with the best verdicts first: passes, then by score; graders do not count."""
    c, v = s.candidate.c, s.verdict.c
    standing = (
        select(
            v.candidate_id,
            func.max(case((v.outcome == "pass", 3), (v.score > 0, 2), (v.outcome == "abstain", 1), else_=0)).label("outcome"),
            func.max(v.score).label("score"),
        )
        .where(v.run_id == run, v.grading.is_(False))
        .group_by(v.candidate_id)
        .subquery()
    )
    best = (func.coalesce(standing.c.outcome, 1).desc(), func.coalesce(standing.c.score, -1).desc(), c.seq)
    query = _all(CandidateRow).outerjoin(standing, standing.c.candidate_id == c.id).where(c.run_id == run)
    return _candidates(reader, query.order_by(*best).offset(skip).limit(limit))


def with_ids(reader: Reader, run: str, ids: Collection[str]) -> list[CandidateRow]:
    """Those of a run's candidates that have these ids."""
    c = s.candidate.c
    return _candidates(reader, _all(CandidateRow).where(c.run_id == run, c.id.in_(ids)).order_by(c.seq)) if ids else []


def lineage(reader: Reader, run: str, candidate: str) -> list[CandidateRow]:
    """A candidate with the first parents above it, the root first; at most the nearest five hundred."""
    c = s.candidate.c
    start = select(c.id, c.parent_id, cast(0, Integer).label("steps")).where(c.run_id == run, c.id == candidate)
    line = start.cte("line", recursive=True)
    above = select(c.id, c.parent_id, line.c.steps + 1).where(c.run_id == run, c.id == line.c.parent_id, line.c.steps < _DEEPEST)
    line = line.union_all(above)
    return with_ids(reader, run, [row["id"] for row in reader.rows(select(line.c.id))])


def children(reader: Reader, candidate: str, *, limit: int) -> list[CandidateRow]:
    """What was made of a candidate, by itself or together with others."""
    p, c = s.candidate_parent.c, s.candidate.c
    made = select(p.candidate_id).where(p.parent_id == candidate)
    return _candidates(reader, _all(CandidateRow).where(c.id.in_(made)).order_by(c.seq).limit(limit))


def with_children(reader: Reader, ids: Collection[str]) -> dict[str, int]:
    """How many candidates were made of each of these; those without any are left out."""
    p = s.candidate_parent.c
    query = select(p.parent_id, func.count().label("children")).where(p.parent_id.in_(ids)).group_by(p.parent_id)
    return {row["parent_id"]: row["children"] for row in reader.rows(query)} if ids else {}


def made_by(reader: Reader, run: str, call: str) -> list[str]:
    """Ids of the candidates that a call made."""
    c = s.candidate.c
    return [row["id"] for row in reader.rows(select(c.id).where(c.run_id == run, c.call_id == call).order_by(c.seq).limit(20))]


def verdicts_of(reader: Reader, ids: Collection[str]) -> list[VerdictRow]:
    """The verdicts on these candidates, in the order in which they were given."""
    if not ids:
        return []
    query = _all(VerdictRow).where(s.verdict.c.candidate_id.in_(ids)).order_by(s.verdict.c.seq)
    return [VerdictRow(**{**row, "evidence": json.loads(row["evidence"])}) for row in reader.rows(query)]


def decisions(reader: Reader, run: str, *, limit: int) -> list[DecisionRow]:
    """The last choices of a run's searches, in their order."""
    d = s.decision.c
    return _decisions(reader, _all(DecisionRow).where(d.run_id == run).order_by(d.seq.desc()).limit(limit))[::-1]


def decisions_about(reader: Reader, run: str, scopes: Collection[str], ids: Collection[str]) -> list[DecisionRow]:
    """The choices of the searches at these positions, and those that took one of these candidates."""
    d = s.decision.c
    about = d.position.in_(scopes) | d.candidate_id.in_(ids)
    return _decisions(reader, _all(DecisionRow).where(d.run_id == run, about).order_by(d.seq)) if scopes or ids else []


def _decisions(reader: Reader, query: Select[Any]) -> list[DecisionRow]:
    parsed = ({**r, "details": json.loads(r["details"]), "options": json.loads(r["options"])} for r in reader.rows(query))
    return [DecisionRow(**row) for row in parsed]


_TABLES: Mapping[type, Table] = {
    StepRow: s.step,
    CallRow: s.call,
    CandidateRow: s.candidate,
    VerdictRow: s.verdict,
    DecisionRow: s.decision,
}


def _all(view: type[DataclassInstance]) -> Select[Any]:
    """Selects the columns that a view has."""
    table = _TABLES[view]
    return select(*(table.c[f.name] for f in fields(view) if f.name in table.c))


def _candidates(reader: Reader, query: Select[Any]) -> list[CandidateRow]:
    rows: Sequence[dict[str, Any]] = reader.rows(query)
    p = s.candidate_parent.c
    ids = [row["id"] for row in rows]
    edges = select(p.candidate_id, p.parent_id).where(p.candidate_id.in_(ids)).order_by(p.candidate_id, p.number)
    parents: dict[str, list[str]] = {}
    for edge in reader.rows(edges) if ids else ():
        parents.setdefault(edge["candidate_id"], []).append(edge["parent_id"])
    return [CandidateRow(**row, parents=tuple(parents.get(row["id"], ()))) for row in rows]
