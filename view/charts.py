"""Small charts: accuracy against tokens of a comparison's arms, and the best score round by round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from . import svg
from .timeline_svg import HUES, ticks

if TYPE_CHECKING:
    from ..compare.summary import ArmSummary

WIDTH, HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 28, 44
_NAME_HEIGHT, _NAME_ROOM = 14, 220
_OFFSETS = (0, -10, 10, -16, 16, -24, 24, -32, 32, -44, 44)
"""How far above or below its point a name may stand, in the order in which they are tried."""
_ROUNDS_HEIGHT = 200


@dataclass(frozen=True)
class _Scale:
    """From what is measured to where it is drawn."""

    x: Callable[[float], float]
    y: Callable[[float], float]


def accuracy_against_tokens(arms: Sequence[ArmSummary]) -> Markup:
    """Each arm at what its runs generate, with the 95 % interval of its accuracy; over decades of tokens on a log scale."""
    if not arms:
        return _nothing("no arm has run all tasks yet")
    costs = [max(0.0, a.cost.output_tokens) for a in arms]
    x, marks = _token_axis(costs)
    scale = _Scale(x, lambda share: _TOP + (1 - min(max(share, 0.0), 1.0)) * (HEIGHT - _TOP - _BOTTOM))
    parts = _frame(scale, marks, [0.2 * at for at in range(6)], HEIGHT, "generated tokens a run", "accuracy")
    spots = [(scale.x(cost), scale.y(a.accuracy.value)) for a, cost in zip(arms, costs, strict=True)]
    names = _names(arms, spots, scale)
    for at, (arm, spot, name) in enumerate(zip(arms, spots, names, strict=True)):
        parts.append(_arm(arm, spot, name, scale, at % HUES))
    return svg.drawing(*parts, kind="chart", label="accuracy against generated tokens", width=WIDTH, height=HEIGHT)


def scores(best: Sequence[float | None]) -> Markup:
    """The best score after the first draws and after each round; None where nothing had a score yet."""
    points = [(at, s) for at, s in enumerate(best) if s is not None and math.isfinite(s)]
    if not points:
        return _nothing("no round has a score")
    last = max(1, len(best) - 1)
    bottom = _ROUNDS_HEIGHT - _BOTTOM
    scale = _Scale(
        lambda at: _LEFT + 12 + at / last * (WIDTH - _LEFT - _RIGHT - 24),
        lambda score: _TOP + (1 - min(max(score, 0.0), 1.0)) * (bottom - _TOP),
    )
    marks = [float(t) for t in ticks(last) if t == int(t)]
    parts = _frame(scale, marks, [0.0, 0.5, 1.0], _ROUNDS_HEIGHT, "round", "best score")
    steps: list[tuple[str, float, float]] = []
    for at, score in points:
        if steps:
            steps.append(("L", scale.x(at), steps[-1][2]))
        steps.append(("L" if steps else "M", scale.x(at), scale.y(score)))
    parts.append(svg.path(steps, class_="line hue-0"))
    for at, score in points:
        words = svg.title(f"round {at}: {score:.3f}" if at else f"first draws: {score:.3f}")
        parts.append(svg.element("circle", words, cx=scale.x(at), cy=scale.y(score), r=4, class_="point hue-0"))
    return svg.drawing(*parts, kind="chart", label="best score by round", width=WIDTH, height=_ROUNDS_HEIGHT)


def _token_axis(costs: Sequence[float]) -> tuple[Callable[[float], float], list[float]]:
    """Where a number of tokens stands, and the numbers to mark."""
    room = WIDTH - _LEFT - _RIGHT
    low, high = min(costs), max(costs)
    if low >= 1 and high / low >= 8:
        first, last = math.log10(low) - 0.1, math.log10(high) + 0.25  # Behind the last there is room for its name.
        decades = range(math.floor(first), math.ceil(last) + 1)
        marks = [m * 10.0**d for d in decades for m in (1, 2, 5)]
        shown = [m for m in marks if first <= math.log10(m) <= last]
        return lambda tokens: _LEFT + (math.log10(max(tokens, low)) - first) / (last - first) * room, shown
    span = max(high * 1.2, 1.0)
    return lambda tokens: _LEFT + tokens / span * room, ticks(span, 6)


def _frame(scale: _Scale, xs: Sequence[float], ys: Sequence[float], height: float, across: str, up: str) -> list[Markup]:
    """Axes with marks and what they measure."""
    floor, right = height - _BOTTOM, WIDTH - _RIGHT
    parts = [svg.text(WIDTH / 2, height - 6, across, class_="note middle"), svg.text(4, _TOP - 14, up, class_="note")]
    for y in ys:
        parts.append(svg.element("line", x1=_LEFT, y1=scale.y(y), x2=right, y2=scale.y(y), class_="grid"))
        parts.append(svg.text(_LEFT - 6, scale.y(y) + 4, f"{y:.1f}", class_="note end"))
    end = 0.0
    for at in xs:
        x, shown = scale.x(at), f"{at:,.10g}"
        parts.append(svg.element("line", x1=x, y1=floor, x2=x, y2=floor + 4, class_="axis"))
        half = svg.extent(shown) / 2
        if end <= x - half and x + half <= WIDTH:  # A mark without its number says more than two numbers on one another.
            parts.append(svg.text(x, floor + 16, shown, class_="note middle"))
            end = x + half + 6
    return [*parts, svg.element("line", x1=_LEFT, y1=floor, x2=right, y2=floor, class_="axis")]


def _arm(arm: ArmSummary, spot: tuple[float, float], name: _Box | None, scale: _Scale, hue: int) -> Markup:
    x, y = spot
    low, high = scale.y(arm.accuracy.low), scale.y(arm.accuracy.high)
    whisker = (("M", x, low), ("L", x, high), ("M", x - 4, low), ("L", x + 4, low), ("M", x - 4, high), ("L", x + 4, high))
    parts = [
        svg.title(arm.name, f"accuracy {arm.accuracy}", f"{arm.cost.output_tokens:,.0f} generated tokens a run, {arm.runs} runs"),
        svg.path(whisker, class_="whisker"),
        svg.element("circle", cx=x, cy=y, r=4.5, class_="point"),
    ]
    if name is not None:
        parts.append(svg.text(name.left, name.top + _NAME_HEIGHT - 4, arm.name, room=_NAME_ROOM))
    return svg.element("g", *parts, class_=f"arm hue-{hue}")


@dataclass(frozen=True)
class _Box:
    """Room that is taken."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        """Whether the two have a point in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def _names(arms: Sequence[ArmSummary], spots: Sequence[tuple[float, float]], scale: _Scale) -> list[_Box | None]:
    """Where each arm's name stands: as near to its point as the others let it; None where there is no room."""
    points = [_Box(x - 6, y - 6, x + 6, y + 6) for x, y in spots]
    whiskers = [
        _Box(x - 5, scale.y(a.accuracy.high), x + 5, scale.y(a.accuracy.low)) for a, (x, _) in zip(arms, spots, strict=True)
    ]
    names: list[_Box] = []
    found: list[_Box | None] = []
    for arm, (x, y) in zip(arms, spots, strict=True):
        width = svg.extent(svg.fit(arm.name, _NAME_ROOM))
        left = x + 9 if x + 9 + width <= WIDTH - 2 else x - 9 - width
        tops = (y - _NAME_HEIGHT / 2 + off for off in _OFFSETS)
        tries = [_Box(left, top, left + width, top + _NAME_HEIGHT) for top in tops if 0 <= top <= HEIGHT - _BOTTOM - _NAME_HEIGHT]
        box = _free(tries, [*points, *whiskers, *names]) or _free(tries, [*points, *names])
        names += [box] if box else []
        found.append(box)
    return found


def _free(tries: Sequence[_Box], taken: Sequence[_Box]) -> _Box | None:
    return next((box for box in tries if not any(box.meets(t) for t in taken)), None)


def _nothing(words: str) -> Markup:
    return svg.drawing(svg.text(8, 18, words, class_="note"), kind="chart", label=words, width=WIDTH, height=28)
