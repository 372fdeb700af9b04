"""Choosing among the nodes of finished trees: the best whole solution, or the answer that most weight is behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.ids import Json
from ..core.policy import Selection
from ..core.rank import rank
from .tree import Node, Tree

_VOTES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Option:
    """A node that may be returned."""

    node: Node
    merit: float
    """What speaks for it, in [0, 1]."""


def select(options: Sequence[Option], *, vote: bool, details: dict[str, Json]) -> Selection:
    """The best of the options or, with `vote`, the answer with the most weight; always a selection.

    Whole solutions come before beginnings. Where there is no whole one, the most promising beginning is returned as
    `unfinished`, the longest of equals.
    """
    whole = [o for o in options if o.node.done]
    if not options:
        return Selection(id=None, reason="no_candidate", details=details)
    if not whole:
        best = max(options, key=lambda o: (o.merit, o.node.depth))
        return Selection(id=best.node.id, reason="unfinished", details=details)
    if vote and any(o.node.answer is not None for o in whole):
        return _voted(whole, details)
    best = max(whole, key=_goodness)
    if best.node.outcome == "fail":
        reason = "best_score" if best.node.score else "all_failed"
    else:
        reason = "passed" if best.node.outcome == "pass" else "unverified"
    return Selection(id=best.node.id, reason=reason, details=details)


def outline(trees: Sequence[Tree]) -> dict[str, Json]:
    """What the trees look like, to be stored with the choice."""
    nodes = [n for t in trees for n in t.nodes]
    told = [n for n in nodes if n.told and not n.dead]
    widths = Counter(n.depth for n in nodes)
    return {
        "nodes": len(nodes),
        "depth": max(widths, default=0),
        "widths": [widths[d] for d in sorted(widths)],
        "whole": sum(n.done for n in told),
        "unfinished": sum(t.nodes[i].begun for t in trees for i in t.ends),
        "cut": sum(n.cut for n in told),
        "unjudged": sum(n.outcome == "abstain" for n in told),
        "failed": sum(n.dead for n in nodes),
    }


def _goodness(option: Option) -> tuple[int, float]:
    # The order of outcomes is the same as for whole samples; within one outcome the policy's own measure decides.
    return rank(option.node.outcome, option.node.score)[0], option.merit


def _voted(whole: Sequence[Option], details: dict[str, Json]) -> Selection:
    """The answer with the greatest sum of merits, the one generated first of equals, as its best solution writes it."""
    weights: dict[str, float] = {}
    for option in whole:
        if option.node.answer is not None:
            weights[option.node.answer] = weights.get(option.node.answer, 0.0) + option.merit
    # max() takes the first of equals, and the table is in the order of generation.
    winner = max(weights, key=lambda a: weights[a])
    best = max((o for o in whole if o.node.answer == winner), key=_goodness)
    total = sum(weights.values())
    heaviest = sorted(weights, key=lambda a: -weights[a])[:_VOTES_SHOWN]
    shown: dict[str, Json] = {a: round(weights[a], 6) for a in heaviest}
    without = sum(o.node.answer is None for o in whole)
    return Selection(
        id=best.node.id,
        reason="weighted_vote",
        confidence=weights[winner] / total if total else 0.0,
        details={**details, "votes": shown, "without_vote": without},
    )
