"""The candidates of a run as a drawing: what was made of what, what was said of each, and which one was taken.

A candidate's shape says its outcome, so that colours are not needed to read it. Verdicts of graders decided nothing; they
stand as a dot at the shape's shoulder.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from markupsafe import Markup

from ..traces.views import CandidateRow, DecisionRow, VerdictRow
from . import svg
from .tree_layout import Place, Scope, ancestry, lay_out

Standing: TypeAlias = Literal["pass", "fail", "partial", "abstain", "error", "unjudged"]
"""What is known of a candidate: its last verdict; `partial` if it is the beginning of a solution with some credit, `error` if
the verifier failed, `unjudged` if nobody said anything."""

_NAMES: Mapping[Standing, str] = {
    "pass": "pass",
    "fail": "fail",
    "partial": "beginning, by score",
    "abstain": "abstain",
    "error": "verifier failed",
    "unjudged": "not judged",
}
CELL_WIDTH, CELL_HEIGHT = 128, 40
BOX_WIDTH, BOX_HEIGHT = 104, 32
_LEAST_COLUMNS = 6
"""So that headings and the key have room."""
_KEY = 26
_HEADING = 26
_R = 9
_MARGIN = 8
_NOTE = 22


def draw(
    candidates: Sequence[CandidateRow],
    verdicts: Iterable[VerdictRow] = (),
    decisions: Iterable[DecisionRow] = (),
    *,
    href: str,
    chosen: str | None = None,
    limit: int = 300,
    total: int | None = None,
) -> Markup:
    """The candidate tree, a search at a time, with scores, outcomes and the path to the one that was taken.

    Args:
        candidates: in the order in which they came to be.
        verdicts: of these candidates, in the order in which they were given.
        decisions: of the run's searches.
        href: where candidates have their pages, up to the id: `/runs/ID/candidates/`.
        chosen: the candidate that the run returned; None if it returned none.
        limit: how many candidates are drawn at most, but for the chosen one's ancestors.
        total: how many candidates the run has, if more than were given.
    """
    choices = {d.position: d for d in decisions}
    picked = {d.candidate_id for d in choices.values() if d.candidate_id is not None}
    if chosen is not None:
        picked.add(chosen)
    scopes = lay_out(candidates, picked, limit)
    look = _Look(href, chosen, picked, ancestry(candidates, [chosen] if chosen else []), _said(verdicts))
    parts = [_key()]
    top = float(_KEY)
    for scope in scopes:
        parts.append(_scope(scope, choices.get(scope.position), look, top))
        top += _HEADING + scope.rows * CELL_HEIGHT
    drawn = sum(len(s.places) for s in scopes)
    if not drawn:
        parts = [svg.text(_MARGIN, 16, "no candidates", class_="note")]
    if (left := max(total or 0, len(candidates)) - drawn) > 0:
        parts.append(svg.text(_MARGIN, top + 16, f"… and {left:,} more", class_="note"))
    width = max([_LEAST_COLUMNS, *(s.columns for s in scopes)]) * CELL_WIDTH + 2 * _MARGIN
    return svg.drawing(*parts, kind="tree", label=f"{drawn} candidates", width=width, height=top + _NOTE)


def standing(verdicts: Sequence[VerdictRow], *, partial: bool = False) -> tuple[Standing, VerdictRow | None]:
    """How a candidate stands, and the verdict that says so: the last one that is no grader's.

    A beginning that a process verifier gave some credit has not failed, though its verdict is no pass.
    """
    deciding = [v for v in verdicts if not v.grading]
    if not deciding:
        return "unjudged", None
    last = deciding[-1]
    if last.outcome == "abstain" and "error" in last.evidence:
        return "error", last
    if partial and last.outcome == "fail" and last.score:
        return "partial", last
    return last.outcome, last


@dataclass(frozen=True)
class _Look:
    """What decides how a candidate is drawn."""

    href: str
    chosen: str | None
    picked: set[str]
    """What a search or the run took."""
    path: set[str]
    """On the way to what the run returned."""
    said: Mapping[str, list[VerdictRow]]


def _said(verdicts: Iterable[VerdictRow]) -> Mapping[str, list[VerdictRow]]:
    found: defaultdict[str, list[VerdictRow]] = defaultdict(list)
    for v in verdicts:
        found[v.candidate_id].append(v)
    return found


def _scope(scope: Scope, choice: DecisionRow | None, look: _Look, top: float) -> Markup:
    room = max(_LEAST_COLUMNS, scope.columns) * CELL_WIDTH
    name = scope.position.lstrip("/") + (f" · {choice.policy}: {choice.reason}" if choice else "")
    where = {p.candidate.id: _corner(p, top + _HEADING) for p in scope.places}
    pairs = [
        (p.candidate, parent) for p in scope.places for parent in dict.fromkeys((p.candidate.parent_id, *p.candidate.parents))
    ]
    edges = [_edge(c, parent, where, look) for c, parent in pairs if parent is not None and parent in where]
    edges.sort(key=lambda edge: edge[0])  # What is emphasised lies on top.
    return svg.element(
        "g",
        svg.text(_MARGIN, top + 17, name, room=room, class_="heading"),
        *(drawn for _, drawn in edges),
        *(_candidate(p.candidate, *where[p.candidate.id], look) for p in scope.places),
        class_="scope",
    )


def _corner(place: Place, top: float) -> tuple[float, float]:
    return _MARGIN + place.column * CELL_WIDTH, top + place.row * CELL_HEIGHT


def _edge(c: CandidateRow, parent: str, where: Mapping[str, tuple[float, float]], look: _Look) -> tuple[bool, Markup]:
    """From a parent to its child, and whether it is on the way to the answer; a merged candidate has several."""
    (x0, y0), (x1, y1) = where[parent], where[c.id]
    x0, y0, y1 = x0 + BOX_WIDTH, y0 + BOX_HEIGHT / 2, y1 + BOX_HEIGHT / 2
    middle = (x0 + x1) / 2
    first = parent == c.parent_id
    taken = first and c.id in look.path
    kind = "edge" + (" path" if taken else "") + ("" if first else " merged")
    return taken, svg.path((("M", x0, y0), ("C", middle, y0), ("", middle, y1), ("", x1, y1)), class_=kind)


def _candidate(c: CandidateRow, x: float, y: float, look: _Look) -> Markup:
    said = look.said.get(c.id, [])
    how, verdict = standing(said, partial=c.partial)
    kinds = ["candidate", how]
    kinds += ["beginning"] * c.partial + ["picked"] * (c.id in look.picked) + ["chosen"] * (c.id == look.chosen)
    score = "no verdict" if verdict is None else how if verdict.score is None else f"{verdict.score:.2f}"
    below = c.kind if c.kind != "fresh" else "cut" if c.finish_reason in ("length", "aborted") else c.id[-8:]
    return svg.link(
        look.href + c.id,
        svg.title(*_words(c, said, look)),
        svg.element("rect", x=x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=5, class_="box"),
        mark(how, x + 16, y + BOX_HEIGHT / 2, verdict.score if verdict else None),
        *(_grade(v, x + 16 + _R, y + BOX_HEIGHT / 2 - _R) for v in said if v.grading),
        svg.text(x + 31, y + 13, score, room=BOX_WIDTH - 34, class_="score"),
        svg.text(x + 31, y + 26, below, room=BOX_WIDTH - 34, class_="note"),
        class_=" ".join(kinds),
    )


def mark(how: Standing, x: float, y: float, score: float | None = None) -> Markup:
    """The shape of an outcome around a point; that of a beginning is filled by its score."""
    r = _R
    match how:
        case "pass":
            tick = svg.path((("M", x - 4, y), ("L", x - 1, y + 4), ("L", x + 5, y - 4)), class_="glyph")
            shape = svg.element("circle", cx=x, cy=y, r=r, class_="shape") + tick
        case "fail":
            cross = (("M", x - 4, y - 4), ("L", x + 4, y + 4), ("M", x + 4, y - 4), ("L", x - 4, y + 4))
            shape = svg.element("rect", x=x - 8, y=y - 8, width=16, height=16, class_="shape") + svg.path(cross, class_="glyph")
        case "partial":
            inner = svg.element("circle", cx=x, cy=y, r=r * math.sqrt(0.5 if score is None else score), class_="filling")
            shape = inner + svg.element("circle", cx=x, cy=y, r=r, class_="shape")
        case "abstain":
            shape = svg.polygon(((x, y - r), (x + r, y), (x, y + r), (x - r, y)), class_="shape")
        case "error":
            stroke = svg.path((("M", x, y - 4), ("L", x, y + 2), ("M", x, y + 4), ("L", x, y + 5)), class_="glyph")
            shape = svg.polygon(((x, y - r), (x + r, y + 8), (x - r, y + 8)), class_="shape") + stroke
        case _:
            shape = svg.element("circle", cx=x, cy=y, r=r - 1, class_="shape")
    return svg.element("g", shape, class_=f"mark {how}")


def _key() -> Markup:
    """What the shapes stand for."""
    parts: list[Markup] = []
    x = float(_MARGIN + _R)
    for how, name in _NAMES.items():
        parts += [mark(how, x, 13), svg.text(x + _R + 5, 17, name, class_="note")]
        x += 3 * _R + 8 + svg.extent(name)
    parts += [svg.element("circle", cx=x, cy=13, r=4, class_="grade pass"), svg.text(x + 8, 17, "grader", class_="note")]
    return svg.element("g", *parts, class_="key")


def _grade(verdict: VerdictRow, x: float, y: float) -> Markup:
    return svg.element("circle", cx=x, cy=y, r=4, class_=f"grade {verdict.outcome}")


def _words(c: CandidateRow, said: Sequence[VerdictRow], look: _Look) -> list[str]:
    taken = " · returned" if c.id == look.chosen else " · chosen by its search" if c.id in look.picked else ""
    words = [f"{c.id[-8:]} · {c.kind}{', partial' if c.partial else ''} · {c.finish_reason}{taken}"]
    for v in said:
        score = "" if v.score is None else f" {v.score:.3f}"
        who = f"{v.verifier} (grader)" if v.grading else v.verifier
        words.append(f"{who}: {v.outcome}{score} {v.reason}")
    return [*words, c.preview]
