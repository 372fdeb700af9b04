"""Where two runs part. What belongs together stands at the same position in both, so the database joins the two records.

Compared is what was said and decided, never ids, times or tokens, and of a candidate's parents the first. Nothing is loaded
but counts and the first difference of each kind, whatever the runs' size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Column, ColumnElement, Select, and_, case, func, or_, select

from ..core.ids import Json
from ..core.runs import Usage
from . import schema as s

if TYPE_CHECKING:
    from .reader import Reader

What = Literal["step", "call", "candidate", "verdict", "decision"]
How = Literal["asked", "answered", "only_a", "only_b"]

_ASKED: Mapping[str, str] = {
    "step": "",
    "call": "kind role engine model request_hash",
    "candidate": "kind depth",
    "verdict": "verifier version oracle grading",
    "decision": "policy",
}
"""Columns that say what was asked for: if they differ, the runs did different things there."""
_ANSWERED: Mapping[str, str] = {
    "step": "status error_code",
    "call": "state finish_reason text_sha reasoning_sha value_sha error_code",
    "candidate": "text_sha reasoning_sha answer answer_sha finish_reason partial",
    "verdict": "outcome score reason feedback feedback_sha evidence evidence_sha valid_prefix",
    "decision": "selected reason confidence details",
}
"""Columns that say what came of it."""
_FACTS = "task_id task_sha graph settings seed budget engines code_version"
_ENDS = "status outcome score answer answer_sha budget_limit error_code"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first of its kind."""

    position: str
    how: How
    """`asked`: they asked for different things. `answered`: what came of it differs. `only_a`, `only_b`: one has it only."""
    a: Mapping[str, Json] | None
    """What differs, as the first run has it; whole rows where only one has it."""
    b: Mapping[str, Json] | None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One kind of fact of two runs, compared."""

    what: What
    same: int
    differ: int
    only_a: int
    only_b: int
    first: Difference | None
    """None if nothing differs."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, compared."""

    a: str
    b: str
    facts: Mapping[str, tuple[Json, Json]]
    """What the runs were to do, where it differs."""
    parts: tuple[Part, ...]
    ends: Mapping[str, tuple[Json, Json]]
    """How they ended, where it differs."""
    usage: tuple[Usage, Usage]

    @property
    def same(self) -> bool:
        """Whether the runs did and said the same."""
        return not self.ends and all(part.first is None for part in self.parts)


def compare_runs(reader: Reader, a: str, b: str) -> Comparison:
    """Compare two runs, by their whole ids."""
    rows = {row["id"]: row for row in reader.rows(select(s.run).where(s.run.c.id.in_((a, b))))}
    usage = reader.usages((a, b))
    return Comparison(
        a=a,
        b=b,
        facts=_differing(rows[a], rows[b], _FACTS),
        parts=tuple(_part(reader, what, a, b) for what in ("step", "call", "candidate", "verdict", "decision")),
        ends=_differing(rows[a], rows[b], _ENDS),
        usage=(usage[a], usage[b]),
    )


def _differing(a: Mapping[str, Any], b: Mapping[str, Any], names: str) -> dict[str, tuple[Json, Json]]:
    return {name: (a[name], b[name]) for name in names.split() if a[name] != b[name]}


def _part(reader: Reader, what: What, a: str, b: str) -> Part:
    here, there = (s.metadata.tables[what].alias(name) for name in ("here", "there"))
    asked, answered = _differ(here, there, _ASKED[what]), _differ(here, there, _ANSWERED[what])
    if what == "candidate":
        asked = or_(asked, _parents(here).is_distinct_from(_parents(there)))
    if what in ("verdict", "decision"):
        asked_of = _position_of(here.c.candidate_id).is_distinct_from(_position_of(there.c.candidate_id))
        asked, answered = (or_(asked, asked_of), answered) if what == "verdict" else (asked, or_(answered, asked_of))
    differ = or_(asked, answered)
    ours, lone = _joined(here, there, a, b), _joined(there, here, b, a).where(here.c.id.is_(None))
    apart = or_(there.c.id.is_(None), differ)
    (count,) = reader.rows(
        ours.with_only_columns(
            func.count().label("all"),
            func.count(there.c.id).label("both"),
            func.count(case((and_(there.c.id.is_not(None), differ), 1))).label("differ"),
            func.min(case((apart, here.c.seq))).label("first"),
        )
    )
    (others,) = reader.rows(lone.with_only_columns(func.count().label("n"), func.min(there.c.seq).label("first")))
    mine, yours = count["first"], others["first"]
    first = None
    if yours is not None and (mine is None or yours < mine):
        first = _only_theirs(reader, what, there, b, yours)
    elif mine is not None:
        first = _of_ours(reader, what, ours.where(here.c.seq == mine), (here, there), asked)
    same, only_a = count["both"] - count["differ"], count["all"] - count["both"]
    return Part(what=what, same=same, differ=count["differ"], only_a=only_a, only_b=others["n"], first=first)


def _of_ours(reader: Reader, what: What, one: Select[Any], sides: Sequence[Any], asked: ColumnElement[bool]) -> Difference:
    """The difference at a fact of the first run."""
    here, there = sides
    names = [*_ASKED[what].split(), *_ANSWERED[what].split()]
    pairs = [here.c[name].label(f"a_{name}") for name in names] + [there.c[name].label(f"b_{name}") for name in names]
    columns = (here.c.position, there.c.id.is_(None).label("alone"), case((asked, 1), else_=0).label("asked"), *pairs)
    (found,) = reader.rows(one.with_only_columns(*columns))
    a, b = ({n: found[f"{side}_{n}"] for n in names} for side in "ab")
    if found["alone"]:
        return Difference(position=found["position"], how="only_a", a=a, b=None)
    apart = [n for n in names if a[n] != b[n]]
    how = "asked" if found["asked"] else "answered"
    return Difference(position=found["position"], how=how, a={n: a[n] for n in apart}, b={n: b[n] for n in apart})


def _only_theirs(reader: Reader, what: What, there: Any, run_id: str, seq: int) -> Difference:
    """The difference at a fact that only the second run has."""
    names = [*_ASKED[what].split(), *_ANSWERED[what].split()]
    query = select(there.c.position, *(there.c[n] for n in names)).where(there.c.run_id == run_id, there.c.seq == seq)
    (found,) = reader.rows(query)
    return Difference(position=found["position"], how="only_b", a=None, b={n: found[n] for n in names})


def _joined(left: Any, right: Any, left_run: str, right_run: str) -> Select[Any]:
    """Facts of a run, each beside that of the other run at its position, if there is one."""
    together = and_(right.c.run_id == right_run, right.c.position == left.c.position)
    return select(left.c.id).select_from(left.outerjoin(right, together)).where(left.c.run_id == left_run)


def _differ(here: Any, there: Any, names: str) -> ColumnElement[bool]:
    # The first term is never true; it stands where a kind has no columns to compare.
    return or_(here.c.id.is_(None), *(here.c[name].is_distinct_from(there.c[name]) for name in names.split()))


def _position_of(candidate_id: Column[Any]) -> ColumnElement[Any]:
    c = s.candidate.alias()
    return select(c.c.position).where(c.c.id == candidate_id).scalar_subquery()


def _parents(of: Any) -> ColumnElement[Any]:
    """The position of a candidate's first parent: ids are those of a run."""
    return _position_of(of.c.parent_id)
