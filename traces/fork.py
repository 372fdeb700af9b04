"""Forks: a new run that begins with the record of an old one up to a point, and goes on from there by itself.

A record is written in one order, so the facts before a point are what a kill at that point would have left. A fork is
therefore that beginning, copied, and resumed: what it holds is answered from it, and the first difference before the point is
an error as on any resume. Texts are shared, rows are copied, so that either run can be removed without the other. Calls that
were in flight at the point are not taken over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Table, func, select

from ..core.errors import ConfigError
from ..core.ids import derived_id, json_hash
from ..core.text import one_line
from . import schema as s
from .pending import Row
from .statements import INSERT_ORDER

if TYPE_CHECKING:
    from .reader import Reader

END = "end"
"""Names the point before the last choice: all that was generated and judged is taken over, and chosen from anew."""
_NUMBERED = ("step", "call", "candidate", "verdict", "decision", "tell")
_COMES_TO_BE: Mapping[str, str] = {"call": "ended_seq"}
"""Columns with the number at which something is there, where that is not `seq`: a call is, once it has a result."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place in a run's record."""

    position: str
    """What is done anew first; `end` for the last choice."""
    number: int
    """Of the first fact that is not taken over."""


def find_point(reader: Reader, run_id: str, at: str) -> Point:
    """The point that a text names: a position, a node that was executed once, a fact's number (`seq`), or `end`.

    Of a node or scope it is its beginning, of a call its result.

    Raises:
        ConfigError: the run has no such place, or several.
    """
    at = at.strip()
    if at == END:
        return Point(position=END, number=_end(reader, run_id))
    if at.isdecimal():
        return _numbered(reader, run_id, int(at))
    position = at if at.startswith("/") else _step_of(reader, run_id, at)
    number = _first(reader, run_id, position)
    if number is None:
        raise ConfigError(f"nothing came of {one_line(position)!r} in the run", hint=_places(reader, run_id))
    return Point(position=position, number=number)


@dataclass
class _Old:
    """What is taken over, by tables, with what the copying needs to know of all of it."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    moved: dict[str, str] = field(default_factory=dict[str, str])
    """Positions of calls that another model would ask at another position."""
    hashes: dict[str, str] = field(default_factory=dict[str, str])
    """Request hashes of such calls, by their old positions."""


def inherit(
    reader: Reader,
    run_id: str,
    point: Point,
    fork_id: str,
    models: Mapping[str, str] | None = None,
    unsaid: Collection[str] | None = None,
) -> dict[str, list[Row]]:
    """The rows that a fork begins with, by table, under its own id.

    Args:
        reader: of the database that holds the run.
        run_id: the old run.
        point: where they part.
        fork_id: the new run.
        models: by role, the models that the fork asks; a call that another model answered counts as asked of the new one.
        unsaid: names of verifiers whose verdicts are not taken over, nor what was chosen; None if all is.
    """
    old = _Old()
    for name in INSERT_ORDER:
        if name not in ("candidate_parent", "budget_entry"):
            old.rows[name] = _before(reader, s.metadata.tables[name], run_id, point.number)
    if unsaid is not None:
        _unsay(old, unsaid)
    _ask_anew(reader, old, models or {})
    numbers = sorted({n for rows in old.rows.values() for row in rows for n in (row["seq"], row.get("ended_seq")) if n})
    return _Copy(reader, run_id, fork_id, old, {number: at for at, number in enumerate(numbers, 1)}).rows()


class _Copy:
    """Makes the new rows: other ids, and numbers without gaps."""

    def __init__(self, reader: Reader, run_id: str, fork_id: str, old: _Old, numbers: Mapping[int, int]) -> None:
        self._reader, self._run_id, self._fork_id, self._old, self._numbers = reader, run_id, fork_id, old, numbers
        self._ids = {
            row["id"]: derived_id(fork_id, self._position(name, row), name)
            for name, rows in old.rows.items()
            for row in rows
            if "id" in row
        }

    def rows(self) -> dict[str, list[Row]]:
        """All of them, in the order in which tables refer to each other."""
        found = {name: [self._row(name, row) for row in rows] for name, rows in self._old.rows.items()}
        found["candidate_parent"] = self._parents()
        found["budget_entry"] = self._budget()
        return {name: found[name] for name in INSERT_ORDER}

    def _position(self, table: str, row: Mapping[str, Any]) -> str:
        position: str = row.get("position", "")
        return self._old.moved.get(position, position) if table == "call" else position

    def _row(self, name: str, row: Mapping[str, Any]) -> Row:
        made = {**row, "run_id": self._fork_id, "seq": self._numbers[row["seq"]]}
        for column in ("id", "candidate_id", "call_id", "parent_id"):
            if row.get(column) is not None:
                made[column] = self._ids.get(row[column])
        if row.get("ended_seq") is not None:
            made["ended_seq"] = self._numbers[row["ended_seq"]]
        if name in ("call", "step"):
            made["attempts"] = 0
        if name == "call":
            made["position"] = self._position(name, row)
            made["request_hash"] = self._old.hashes.get(row["position"], row["request_hash"])
        return tuple(made[c.name] for c in s.metadata.tables[name].columns)

    def _parents(self) -> list[Row]:
        p, c = s.candidate_parent.c, s.candidate.c
        query = select(p.candidate_id, p.number, p.parent_id).join(s.candidate, c.id == p.candidate_id)
        edges = self._reader.rows(query.where(c.run_id == self._run_id))
        made = [(self._ids.get(e["candidate_id"]), e["number"], self._ids.get(e["parent_id"])) for e in edges]
        return [row for row in made if row[0] and row[2]]

    def _budget(self) -> list[Row]:
        table = s.budget_entry
        kept = {row["position"] for row in self._old.rows["call"]}
        made: list[Row] = []
        for row in self._reader.rows(select(table).where(table.c.run_id == self._run_id).order_by(table.c.seq)):
            if row["position"] in kept:
                moved = {"position": self._old.moved.get(row["position"], row["position"]), "seq": self._numbers[row["seq"]]}
                made.append(tuple({**row, **moved, "run_id": self._fork_id}[c.name] for c in table.columns))
        return made


def _before(reader: Reader, table: Table, run_id: str, number: int) -> list[dict[str, Any]]:
    """The rows of a table that were there before a number. Steps that ended later run again."""
    c = table.c
    query = select(table).where(c.run_id == run_id, c[_COMES_TO_BE.get(table.name, "seq")] < number).order_by(c.seq)
    if table is s.call:  # Cancelled and refused ones came to nothing; the fork may get further.
        query = query.where(c.state.in_(("ok", "error")))
    rows = reader.rows(query)
    for row in rows if table is s.step else ():
        if row["ended_seq"] is not None and row["ended_seq"] >= number:
            _reopen(row)
    return rows


def _reopen(step: dict[str, Any]) -> None:
    step.update(status="running", ended_seq=None, ended_ns=None, error_code="", error="")


def _unsay(old: _Old, verifiers: Collection[str]) -> None:
    """Leave out what verifiers said, the calls that they made for it, and the choices; the nodes around them run again."""
    names = "|".join(map(re.escape, verifiers))
    below = re.compile(rf"/v\.(?:{names})(?:\.[^/]*)?/")
    rows = old.rows
    rows["verdict"] = [v for v in rows["verdict"] if v["grading"] or v["verifier"] not in verifiers]
    rows["call"] = [c for c in rows["call"] if not (c["purpose"] == "verifier" and below.search(c["position"]))]
    rows["decision"] = []
    for step in rows["step"]:
        _reopen(step)


def _ask_anew(reader: Reader, old: _Old, models: Mapping[str, str]) -> None:
    """Give calls of roles that another model serves the hash, and where it is part of it the position, that it would give."""
    for row in old.rows["call"]:
        model = models.get(row["role"], models.get("default", row["model"]))
        if row["kind"] != "generate" or model == row["model"]:
            continue
        request, prompt = json.loads(reader.text(row["request_sha"])), json.loads(reader.text(row["prompt_sha"]))
        if json_hash({**request, "prompt": prompt}) != row["request_hash"]:
            continue
        digest = json_hash({**request, "model": model, "prompt": prompt})
        position: str = row["position"]
        head, _, name = position.rpartition("/")
        old.hashes[position] = digest
        old.moved[position] = f"{head}/{name.replace(row['request_hash'][:12], digest[:12])}"


def _end(reader: Reader, run_id: str) -> int:
    c = s.decision.c
    (row,) = reader.rows(select(func.max(c.seq).label("number")).where(c.run_id == run_id))
    if row["number"] is None:
        raise ConfigError("the run has chosen nothing yet, so that it has no end", hint=_places(reader, run_id))
    return row["number"]


def _numbered(reader: Reader, run_id: str, number: int) -> Point:
    for name in _NUMBERED:
        c = s.metadata.tables[name].c
        matches = c.seq == number
        if "ended_seq" in c:
            matches = matches | (c.ended_seq == number)
        for row in reader.rows(select(s.metadata.tables[name]).where(c.run_id == run_id, matches)):
            first = row["ended_seq"] if name == "call" else number
            if first is not None:
                return Point(position=row.get("position") or row["scope"], number=first)
    raise ConfigError(f"nothing came of the fact {number} of the run", hint=_places(reader, run_id))


def _step_of(reader: Reader, run_id: str, node: str) -> str:
    found = [step.position for step in reader.steps(run_id) if step.node == node]
    if len(found) != 1:
        what = (
            f"the run executed the node {one_line(node)!r} {len(found)} times"
            if found
            else f"there is no node {one_line(node)!r}"
        )
        raise ConfigError(what, hint=_places(reader, run_id))
    return found[0]


def _first(reader: Reader, run_id: str, position: str) -> int | None:
    """The number of the first thing that came to be at or below a position."""
    numbers: list[int] = []
    for name in ("step", "call", "candidate", "verdict", "decision"):
        c = s.metadata.tables[name].c
        number: ColumnElement[int] = func.min(c[_COMES_TO_BE.get(name, "seq")])
        below = (c.position == position) | (func.substr(c.position, 1, len(position) + 1) == f"{position}/")
        (row,) = reader.rows(select(number.label("first")).where(c.run_id == run_id, below))
        numbers += [row["first"]] if row["first"] is not None else []
    return min(numbers, default=None)


def _places(reader: Reader, run_id: str) -> str:
    steps = [step.position for step in reader.steps(run_id)]
    shown = ", ".join(steps[:8]) + (", ..." if len(steps) > 8 else "")
    return f"a node, {END}, or a position or number of burnish runs calls; nodes: {shown or 'none'}"
