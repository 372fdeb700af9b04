"""Where each candidate of a run stands: on a grid of equal cells, a search at a time, so that none covers another.

A tree grows to the right: a column for each step from its root, a row for each leaf, a parent beside the middle of its
children. Candidates without children of their own stand in rows of many, since best-of-n makes nothing else. Where there
are more than can be looked at, the first ones are drawn, and always the path to the chosen one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..traces.views import CandidateRow

PER_ROW = 8
"""Candidates side by side where none has children."""


@dataclass(frozen=True)
class Place:
    """A candidate's cell."""

    candidate: CandidateRow
    column: int
    row: float
    """Between two rows where it stands beside the middle of its children."""


@dataclass
class Scope:
    """One search, or one node that made candidates of its own."""

    position: str
    places: list[Place] = field(default_factory=list[Place])
    columns: int = 0
    rows: int = 0


def lay_out(candidates: Sequence[CandidateRow], chosen: Collection[str], limit: int) -> list[Scope]:
    """At most `limit` of the candidates, each with its place."""
    kept = _kept(candidates, chosen, limit)
    children: dict[str, list[CandidateRow]] = {}
    roots: dict[str, list[CandidateRow]] = {}
    for c in kept.values():
        if c.parent_id is not None and c.parent_id in kept:
            children.setdefault(c.parent_id, []).append(c)
        else:
            roots.setdefault(c.position.rpartition("/")[0], []).append(c)
    return [_scope(position, members, children) for position, members in roots.items()]


def ancestry(candidates: Iterable[CandidateRow], ids: Collection[str]) -> set[str]:
    """The ids themselves and those of all first parents above them."""
    parent = {c.id: c.parent_id for c in candidates}
    found: set[str] = set()
    for start in ids:
        at: str | None = start
        while at is not None and at in parent and at not in found:
            found.add(at)
            at = parent[at]
    return found


def _kept(candidates: Sequence[CandidateRow], chosen: Collection[str], limit: int) -> Mapping[str, CandidateRow]:
    """The chosen ones with their ancestors and the first of the rest, in their order; each has its parent before it."""
    wanted = ancestry(candidates, chosen)
    kept: dict[str, CandidateRow] = {}
    room = limit - len(wanted)
    for c in candidates:
        if c.id in wanted:
            kept[c.id] = c
        elif room > 0:
            room -= 1
            kept[c.id] = c
    return kept


def _scope(position: str, roots: Sequence[CandidateRow], children: Mapping[str, Sequence[CandidateRow]]) -> Scope:
    scope = Scope(position)
    for root in roots:
        if root.id in children:
            _tree(scope, root, children)
    alone = [c for c in roots if c.id not in children]
    for at, c in enumerate(alone):
        row, column = divmod(at, PER_ROW)
        scope.places.append(Place(c, column, scope.rows + row))
    scope.rows += -(-len(alone) // PER_ROW)
    scope.columns = max(scope.columns, min(len(alone), PER_ROW))
    return scope


def _tree(scope: Scope, root: CandidateRow, children: Mapping[str, Sequence[CandidateRow]]) -> None:
    """Place a tree below what the scope holds already. A stack, not recursion: a chain may be longer than Python's."""
    rows: dict[str, float] = {}
    stack = [(root, 0, False)]
    while stack:
        c, column, below_done = stack.pop()
        below = children.get(c.id, ())
        if not below:
            rows[c.id] = scope.rows
            scope.rows += 1
        elif not below_done:
            stack.append((c, column, True))
            stack.extend((child, column + 1, False) for child in reversed(below))
            continue
        else:
            rows[c.id] = (rows[below[0].id] + rows[below[-1].id]) / 2
        scope.places.append(Place(c, column, rows[c.id]))
        scope.columns = max(scope.columns, column + 1)
