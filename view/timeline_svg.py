"""The calls of a run over time: a bar for each, in as few lanes as hold them, so that the height is what ran side by side.

Bars are coloured by who asked, which the drawing lists above them. A call whose result is not known has no end; one that
failed is crossed out. Long times in which nothing ran, as between a kill and the resume, are cut out and marked.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..traces.views import CallRow
from . import svg

WIDTH = 1160
HUES = 8
"""Colours that `drawings.css` knows; what comes after them begins again."""
_MARGIN = 8
_KEY = 24
_AXIS = 22
_SHORTEST = 2.0
"""Width of a call of no time, so that it can be seen."""
_LEAST_SPAN = 1e-3
_EFFECTS = "other effects"
"""What is no model call has one colour, whatever its kind."""


@dataclass(frozen=True)
class Bar:
    """A call's place."""

    call: CallRow
    lane: int
    start: float
    """Seconds since the first call began, long idle times left out."""
    end: float


@dataclass(frozen=True)
class Break:
    """An idle time that is left out."""

    at: float
    seconds: float


def draw(calls: Sequence[CallRow], *, href: str, now_ns: int, limit: int = 1000, total: int | None = None) -> Markup:
    """Calls as bars over time, the first `limit` of them.

    Args:
        calls: in the order in which they began.
        href: where calls have their pages, up to the id: `/runs/ID/calls/`.
        now_ns: until when calls in flight are drawn; the run's last moment if no process runs it.
        total: how many calls there are, if more than were given.
    """
    shown = calls[:limit]
    bars, breaks = pack(shown, now_ns)
    if not bars:
        return svg.drawing(
            svg.text(_MARGIN, 16, "no calls", class_="note"), kind="timeline", label="no calls", width=WIDTH, height=_KEY
        )
    lanes, span = 1 + max(b.lane for b in bars), max(_LEAST_SPAN, *(b.end for b in bars))
    height = 18 if lanes <= 16 else 10 if lanes <= 64 else 5
    hues = {who: f"hue-{at % HUES}" for at, who in enumerate(sorted({asker(c) for c in shown if c.engine}))}
    if any(not c.engine for c in shown):
        hues[_EFFECTS] = "effect"
    bottom = _KEY + lanes * height
    parts = [key(hues, WIDTH), *_axis(span, bottom), *(_break(b, span, bottom) for b in breaks)]
    parts += [_bar(b, hues[asker(b.call) if b.call.engine else _EFFECTS], span, height, href) for b in bars]
    left = max(total or 0, len(calls)) - len(shown)
    if left > 0:
        parts.append(svg.text(_MARGIN, bottom + _AXIS + 16, f"… and {left:,} more", class_="note"))
    label = f"{len(shown)} calls in {seconds(span)}"
    return svg.drawing(*parts, kind="timeline", label=label, width=WIDTH, height=bottom + _AXIS + (_KEY if left > 0 else 0))


def pack(calls: Sequence[CallRow], now_ns: int) -> tuple[list[Bar], list[Break]]:
    """Each call in the lowest lane that is free when it begins, and the idle times that were cut out."""
    begun = sorted(calls, key=lambda c: (c.sent_ns, c.seq))
    if not begun:
        return [], []
    first = begun[0].sent_ns
    times, breaks = _without_idle([((c.sent_ns - first) / 1e9, _end(c, first, now_ns)) for c in begun])
    longest = max(_LEAST_SPAN, *(end for _, end in times))
    least = longest * _SHORTEST / (WIDTH - 2 * _MARGIN - _SHORTEST)  # So long lasts what is drawn as the shortest bar.
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    bars: list[Bar] = []
    for c, (start, end) in zip(begun, times, strict=True):
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        bars.append(Bar(c, lane, start, max(end, start + least)))
        heapq.heappush(busy, (bars[-1].end, lane))
    return bars, breaks


def _without_idle(times: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], list[Break]]:
    """Beginnings and ends with every idle time cut short that is longer than a third of the time in which something ran."""
    idle: list[tuple[float, float]] = []
    end = 0.0
    for start, until in times:
        if start > end:
            idle.append((end, start - end))
        end = max(end, until)
    busy = end - sum(gap for _, gap in idle)
    kept = max(busy / 50, _LEAST_SPAN)
    cuts = [(at, gap - kept) for at, gap in idle if gap > max(busy / 3, 1.0)]
    found: list[tuple[float, float]] = []
    breaks: list[Break] = []
    cut = 0.0
    for start, until in times:
        while len(breaks) < len(cuts) and cuts[len(breaks)][0] < start:
            at, left_out = cuts[len(breaks)]
            breaks.append(Break(at - cut + kept / 2, left_out))
            cut += left_out
        found.append((start - cut, until - cut))
    return found, breaks


def asker(call: CallRow) -> str:
    """Who asked for a call: the role, and whether a verifier did; the kind of what is no model call."""
    if call.purpose:
        return f"{call.role} ({call.purpose})" if call.role else call.purpose
    return call.role or call.kind


def key(hues: Mapping[str, str], width: float) -> Markup:
    """What the colours stand for, in one row, as far as there is room."""
    parts: list[Markup] = []
    x = float(_MARGIN)
    for name, hue in hues.items():
        shown = svg.fit(name, 200)
        if x + 16 + svg.extent(shown) > width - _MARGIN:
            break
        parts.append(svg.element("rect", x=x, y=5, width=10, height=10, rx=2, class_=f"swatch {hue}"))
        parts.append(svg.text(x + 15, 14, shown, class_="note"))
        x += 15 + svg.extent(shown) + 16
    return svg.element("g", *parts, class_="key")


def seconds(value: float) -> str:
    """A time as people read it: `12 ms`, `3.4 s`, `2 min 5 s`."""
    if value < 0.9995:
        return f"{round(value * 1000, 1):.3g} ms"
    if value < 99.5:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def ticks(span: float, most: int = 8) -> list[float]:
    """Round numbers from 0 to `span`, at most `most` and one."""
    raw = span / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * (1 - 1e-9))
    return [at * step for at in range(int(span / step * (1 + 1e-9)) + 1)]


def _end(call: CallRow, first: int, now_ns: int) -> float:
    """Seconds since the first call began; not before the call's own beginning, whatever clocks say."""
    start = (call.sent_ns - first) / 1e9
    known = call.seconds
    if known is not None and math.isfinite(known):
        return start + max(0.0, known)
    return max(start, (now_ns - first) / 1e9) if call.state == "intent" else start


def _x(at: float, span: float) -> float:
    return _MARGIN + at / span * (WIDTH - 2 * _MARGIN)


def _axis(span: float, bottom: float) -> list[Markup]:
    parts: list[Markup] = []
    for at in ticks(span):
        x, shown = _x(at, span), seconds(at) if at else "0"
        parts.append(svg.element("line", x1=x, y1=_KEY, x2=x, y2=bottom, class_="grid"))
        if x + svg.extent(shown) + 3 < WIDTH:
            parts.append(svg.text(x + 3, bottom + 14, shown, class_="note"))
    return parts


def _break(cut: Break, span: float, bottom: float) -> Markup:
    x = _x(cut.at, span)
    zigzag = [("L" if at else "M", x + (3 if at % 2 else -3), y) for at, y in enumerate(range(_KEY, int(bottom) + 1, 6))]
    return svg.element("g", svg.title(f"{seconds(cut.seconds)} in which nothing ran"), svg.path(zigzag, class_="break"))


def _bar(bar: Bar, hue: str, span: float, height: float, href: str) -> Markup:
    call = bar.call
    x, y = _x(bar.start, span), _KEY + bar.lane * height + 1
    width, tall = _x(bar.end, span) - x, height - 2
    parts = [svg.title(*_words(bar))]
    if call.state == "intent":
        ragged = ((x, y), (x + width, y), (x + max(width - 5, 0), y + tall / 2), (x + width, y + tall), (x, y + tall))
        parts.append(svg.polygon(ragged, class_="bar"))
    else:
        parts.append(svg.element("rect", x=x, y=y, width=width, height=tall, rx=min(2, tall / 2), class_="bar"))
    if call.state == "error":
        parts.append(svg.path((("M", x, y), ("L", x + width, y + tall), ("M", x, y + tall), ("L", x + width, y)), class_="glyph"))
    elif height >= 14 and width > 40:
        parts.append(svg.text(x + 4, y + tall - 4, asker(call), room=width - 8, class_="inside"))
    return svg.link(href + call.id, *parts, class_=f"call {hue} {call.state}")


def _words(bar: Bar) -> list[str]:
    call = bar.call
    took = "not known how it ended" if call.state == "intent" else f"{call.state} after {seconds(max(0.0, call.seconds or 0.0))}"
    tokens = f"{call.prompt_tokens:,} prompt ({call.cached_tokens:,} cached) and {call.completion_tokens:,} generated tokens"
    return [
        f"{asker(call)} · {call.kind} · {call.position}",
        f"at {seconds(bar.start)} · {took}",
        tokens if call.engine else "",
        f"{call.error_code} {call.error}".strip(),
        call.preview or "",
    ]
