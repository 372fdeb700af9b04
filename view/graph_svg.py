"""The graph as it was executed: its nodes in the order in which they first ran, what ran after what, and what each took.

Drawn from the recorded steps and not from the code, which may have changed since. Nodes stand below each other, those of a
subgraph set in below the node that ran it. A step forward is drawn on the right of the nodes, a step back on the left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from markupsafe import Markup

from ..traces.views import StepRow
from . import svg
from .timeline_svg import WIDTH, seconds

ROW = 34
_BOX_LEFT, _BOX_RIGHT, _BOX_HEIGHT = 90, 330, 24
_INDENT = 18
_TIME, _TOKENS, _BAR = 480, 830, 230
_HEADING = 28
_MARGIN = 8


@dataclass
class Node:
    """A node of the graph, over all its executions."""

    name: str
    depth: int
    """Subgraphs that it lies within."""
    visits: int = 0
    seconds: float = 0.0
    """Over all visits; of a node that runs a subgraph, with all that ran in it."""
    tokens: int = 0
    failed: int = 0
    running: int = 0


Key = tuple[str, ...]
"""Names of the nodes from the outermost to this one."""


def draw(
    steps: Sequence[StepRow], *, now_ns: int, tokens: Mapping[str, int] | None = None, href: str | None = None, limit: int = 60
) -> Markup:
    """The graph, with visits, time and tokens by node.

    Args:
        steps: in the order in which they began.
        now_ns: until when steps in progress are counted; the run's last moment if no process runs it.
        tokens: prompt and generated tokens by the step's position; those of a subgraph are its own nodes'.
        href: where a node's calls are listed, up to its quoted name: `/runs/ID/calls?node=`; None for no links.
        limit: how many nodes are drawn at most.
    """
    nodes, edges = executed(steps, tokens or {}, now_ns)
    shown = dict(list(nodes.items())[:limit])
    rows = {key: at for at, key in enumerate(shown)}
    parts = [svg.text(x, 17, name, class_="heading") for x, name in ((_BOX_LEFT, "node"), (_TIME, "time"), (_TOKENS, "tokens"))]
    parts += [_edge(rows[a], rows[b], shown[a].depth, n) for (a, b), n in edges.items() if a in rows and b in rows]
    most_seconds, most_tokens = (max([1e-9, *(getattr(n, f) for n in shown.values())]) for f in ("seconds", "tokens"))
    for key, node in shown.items():
        parts.append(_node(node, _HEADING + rows[key] * ROW, node.seconds / most_seconds, node.tokens / most_tokens, href))
    bottom = _HEADING + len(shown) * ROW
    if len(nodes) > len(shown):
        parts.append(svg.text(_BOX_LEFT, bottom + 14, f"… and {len(nodes) - len(shown):,} more", class_="note"))
    elif not nodes:
        parts.append(svg.text(_BOX_LEFT, bottom + 14, "no node has run", class_="note"))
    return svg.drawing(*parts, kind="graph", label=f"graph of {len(nodes)} nodes", width=WIDTH, height=bottom + 22)


def executed(
    steps: Iterable[StepRow], tokens: Mapping[str, int], now_ns: int
) -> tuple[dict[Key, Node], dict[tuple[Key, Key], int]]:
    """The nodes, each subgraph's behind the node that ran it, and how often one ran in the round after another.

    Nodes of one round ran side by side, so each leads to all of the next.
    """
    keys: dict[str, Key] = {}
    nodes: dict[Key, Node] = {}
    rounds: dict[str, dict[int, dict[Key, None]]] = {}
    for step in steps:
        outer = keys.get(step.parent) or keys.get(step.parent.rpartition("/#")[0], ())
        key = keys[step.position] = (*outer, step.node)
        node = nodes.setdefault(key, Node(step.node, len(outer)))
        node.visits += 1
        node.seconds += max(0, (now_ns if step.ended_ns is None else step.ended_ns) - step.started_ns) / 1e9
        node.tokens += tokens.get(step.position, 0)
        node.failed += step.status == "failed"
        node.running += step.status == "running"
        rounds.setdefault(step.parent, {}).setdefault(_round(step), {})[key] = None
    edges: dict[tuple[Key, Key], int] = {}
    for of_graph in rounds.values():
        ordered = [of_graph[at] for at in sorted(of_graph)]
        for before, after in pairwise(ordered):
            for edge in ((a, b) for a in before for b in after):
                edges[edge] = edges.get(edge, 0) + 1
    first = {key: at for at, key in enumerate(nodes)}
    inside = sorted(nodes, key=lambda key: [first.get(key[: n + 1], 0) for n in range(len(key))])
    return {key: nodes[key] for key in inside}, edges


def _round(step: StepRow) -> int:
    """Its number in the graph's run, which its position ends with: `/plan@1/refine@3.0`."""
    number = step.position.rpartition("@")[2].partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else step.seq


def _edge(a: int, b: int, depth: int, times: int) -> Markup:
    top, bottom = (_HEADING + at * ROW + _BOX_HEIGHT / 2 for at in (a, b))
    width = min(1 + math.log2(times), 4)
    words = svg.title(f"{times:,} times" if times > 1 else "once")
    left = _left(depth)
    if b == a + 1:
        x = left + 14
        y0, y1 = top + _BOX_HEIGHT / 2, bottom - _BOX_HEIGHT / 2
        line = svg.path((("M", x, y0), ("L", x, y1)), class_="edge")
        tip, kind = ((x, y1), (x - 4, y1 - 6), (x + 4, y1 - 6)), "next"
    else:
        x, out, kind = (_BOX_RIGHT, 1, "forward") if b > a else (left, -1, "back")
        reach = x + out * min(20 + 9 * abs(b - a), 110 if b > a else left - _MARGIN)
        y0, y1 = (top + 6, bottom - 6) if b > a else (top - 6, bottom + 6)
        line = svg.path((("M", x, y0), ("C", reach, y0), ("", reach, y1), ("", x, y1)), class_="edge")
        tip = ((x, y1), (x + out * 7, y1 - 4), (x + out * 7, y1 + 4))
    return svg.element("g", words, line, svg.polygon(tip, class_="tip"), class_=f"step {kind}", stroke_width=width)


def _left(depth: int) -> float:
    return _BOX_LEFT + min(depth, 6) * _INDENT


def _node(node: Node, y: float, time: float, tokens: float, href: str | None) -> Markup:
    left = _left(node.depth)
    kind = "node" + (" failed" if node.failed else " running" if node.running else "")
    visits = f"{node.visits:,}×"
    room = _BOX_RIGHT - left - 16 - svg.extent(visits)
    failed = f"{node.failed:,} of them failed" if node.failed else ""
    box = (
        svg.title(node.name, f"{node.visits:,} visits", failed),
        svg.element("rect", x=left, y=y, width=_BOX_RIGHT - left, height=_BOX_HEIGHT, rx=5, class_="box"),
        svg.text(left + 8, y + 16, node.name, room=room),
        svg.text(_BOX_RIGHT - 8, y + 16, visits, class_="note end"),
    )
    named = svg.element("g", *box) if href is None else svg.link(href + quote(node.name, safe=""), *box, class_="to")
    return svg.element(
        "g",
        named,
        _bar(_TIME, y, time, seconds(node.seconds), "hue-0"),
        _bar(_TOKENS, y, tokens, f"{node.tokens:,}", "hue-1"),
        class_=kind,
    )


def _bar(x: float, y: float, share: float, shown: str, hue: str) -> Markup:
    width = max(1.0, share * _BAR)
    bar = svg.element("rect", x=x, y=y + 5, width=width, height=_BOX_HEIGHT - 10, rx=2, class_=f"bar {hue}")
    return bar + svg.text(x + width + 6, y + 16, shown, class_="note")
