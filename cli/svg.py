"""A graph as an SVG picture: layers from top to bottom, loops drawn back at the side.

A layout of its own and small: graphs of agents have a dozen nodes. What goes on lies on straight lines between layers that
follow each other; what goes back, or leaps over a layer, bends around at the right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ..core.text import one_line, printable

_WIDTH, _HEIGHT = 8.0, 34.0
_GAP_X, _GAP_Y, _MARGIN, _LANE = 36.0, 44.0, 24.0, 22.0
_ENDS = {"__start__": "start", "__end__": "end"}


@dataclass(frozen=True)
class Edge:
    """From one node to another."""

    source: str
    target: str
    label: str = ""
    conditional: bool = False


@dataclass(frozen=True)
class Box:
    """Where a node is drawn: its middle, and its width."""

    x: float
    y: float
    width: float


def svg(nodes: Sequence[str], edges: Sequence[Edge]) -> str:
    """The picture. Node names and labels may be any text."""
    layers = _layers(nodes, edges)
    level = {name: at for at, layer in enumerate(layers) for name in layer}
    bends = [e for e in edges if level[e.target] != level[e.source] + 1]
    boxes = _boxes(layers, edges, {name for e in bends for name in (e.source, e.target)})
    right = max((box.x + box.width / 2 for box in boxes.values()), default=0.0)
    straight = [e for e in edges if level[e.target] == level[e.source] + 1]
    parts = [_line(e, boxes) for e in straight]
    parts += [_bend(e, boxes, right + _LANE * (lane + 1)) for lane, e in enumerate(bends)]
    parts += [_node(name, box) for name, box in boxes.items()]
    labels = max((len(e.label) for e in bends), default=0)
    width = right + _LANE * (len(bends) + 1) + labels * _WIDTH + _MARGIN
    height = len(layers) * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _MARGIN
    return "\n".join([_head(width, height), *parts, "</svg>\n"])


def _layers(nodes: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Each node below all that lead to it, loops left aside; within a layer in the order in which they are reached."""
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for edge in edges:
        after[edge.source].append(edge.target)
    order, back = _walk(nodes, after)
    level = dict.fromkeys(nodes, 0)
    for name in order:
        for target in after[name]:
            if (name, target) not in back:
                level[target] = max(level[target], level[name] + 1)
    if "__end__" in level and len(level) > 1:  # Alone below all others, so that nothing has to pass it.
        level["__end__"] = 1 + max(at for name, at in level.items() if name != "__end__")
    layers: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in order:
        layers[level[name]].append(name)
    return layers


def _walk(nodes: Sequence[str], after: Mapping[str, Sequence[str]]) -> tuple[list[str], set[tuple[str, str]]]:
    """Nodes in topological order, and the edges that lead back to where one came from."""
    ended: list[str] = []
    back: set[tuple[str, str]] = set()
    state: dict[str, bool] = {}  # True while a node is on the path, False once all behind it is through.
    for first in nodes:
        path = [] if first in state else [(first, iter(after[first]))]
        state.setdefault(first, True)
        while path:
            name, targets = path[-1]
            target = next(targets, None)
            if target is None:
                path.pop()
                state[name] = False
                ended.append(name)
            elif state.get(target):
                back.add((name, target))
            elif target not in state:
                state[target] = True
                path.append((target, iter(after[target])))
    return ended[::-1], back


def _boxes(layers: Sequence[Sequence[str]], edges: Sequence[Edge], bent: Collection[str]) -> dict[str, Box]:
    """Layers are centred, and nodes in them stand in the order of what leads to them, those with bends at the right."""
    sizes = {name: max(64.0, _WIDTH * len(_shown(name)) + 24) for layer in layers for name in layer}
    widths = [sum(sizes[n] for n in layer) + _GAP_X * (len(layer) - 1) for layer in layers]
    middle = _MARGIN + max(widths, default=0.0) / 2
    boxes: dict[str, Box] = {}
    for at, layer in enumerate(layers):
        above = {n: [boxes[e.source].x for e in edges if e.target == n and e.source in boxes] for n in layer}
        x = middle - widths[at] / 2
        for name in sorted(layer, key=lambda n: (n in bent, sum(above[n]) / len(above[n]) if above[n] else middle)):
            boxes[name] = Box(x + sizes[name] / 2, _MARGIN + _HEIGHT / 2 + at * (_HEIGHT + _GAP_Y), sizes[name])
            x += sizes[name] + _GAP_X
    return boxes


def _line(edge: Edge, boxes: Mapping[str, Box]) -> str:
    a, b = boxes[edge.source], boxes[edge.target]
    top, bottom = a.y + _HEIGHT / 2, b.y - _HEIGHT / 2
    label = _label(edge, (a.x + b.x) / 2 + 6, (top + bottom) / 2 + 4)
    return f'<path class="{_kind(edge)}" d="M{a.x:g} {top:g} L{b.x:g} {bottom:g}"/>{label}'


def _bend(edge: Edge, boxes: Mapping[str, Box], lane: float) -> str:
    """Out at the right of one box, along a lane of its own, in at the right of the other."""
    a, b = boxes[edge.source], boxes[edge.target]
    out, into = a.y + _HEIGHT / 5, b.y - _HEIGHT / 5
    start, end = a.x + a.width / 2, b.x + b.width / 2
    path = f"M{start:g} {out:g} C{lane:g} {out:g} {lane:g} {out:g} {lane:g} {(out + into) / 2:g}"
    path += f" S{lane:g} {into:g} {end:g} {into:g}"
    return f'<path class="{_kind(edge)}" d="{path}"/>{_label(edge, lane + 4, (out + into) / 2 + 4)}'


def _kind(edge: Edge) -> str:
    return "choice" if edge.conditional else "edge"


def _label(edge: Edge, x: float, y: float) -> str:
    return f'<text class="label" x="{x:g}" y="{y:g}">{_text(edge.label)}</text>' if edge.label else ""


def _node(name: str, box: Box) -> str:
    kind, corner = ("end", _HEIGHT / 2) if name in _ENDS else ("node", 5.0)
    left, top = box.x - box.width / 2, box.y - _HEIGHT / 2
    size = f'width="{box.width:g}" height="{_HEIGHT:g}" rx="{corner:g}"'
    text = f'<text x="{box.x:g}" y="{box.y + 5:g}">{_text(_shown(name))}</text>'
    return f'<g class="{kind}"><rect x="{left:g}" y="{top:g}" {size}/>{text}</g>'


def _shown(name: str) -> str:
    return _ENDS.get(name) or one_line(name, 60)


def _text(text: str) -> str:
    return escape(printable(text))


def _head(width: float, height: float) -> str:
    arrow = '<marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">\n'
        "<style>text{font:13px sans-serif;text-anchor:middle;fill:#222}.label{font-size:11px;text-anchor:start;fill:#555}"
        "rect{fill:#f4f6fa;stroke:#4a5a78}.end rect{fill:#fff;stroke:#888}"
        "path{fill:none;stroke:#4a5a78;stroke-width:1.3;marker-end:url(#to)}.choice{stroke-dasharray:5 4}"
        "marker path{fill:#4a5a78;stroke:none;marker-end:none}</style>\n"
        f'<defs>{arrow}<path d="M0 0 L8 4 L0 8 z"/></marker></defs>'
    )
