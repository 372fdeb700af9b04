"""SVG as strings: elements with escaped content, numbers that are always finite, text cut to the room there is.

Drawings carry no style and no script: a class says what a thing is, `static/drawings.css` how it looks, so that a strict
content security policy holds and the page's colours decide. Text is untrusted: control characters, which XML forbids and
which could reorder what is read, are shown as escapes.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

from markupsafe import Markup, escape

from ..core.text import one_line

FONT = 11
"""Height of the text in drawings, in the units of the drawing, which are CSS pixels."""
_ADVANCE = 0.62
"""Width of a character in heights: that of the monospaced font that drawings are set in, rounded up."""


def element(name: str, *children: Markup | str, **attributes: str | float | None) -> Markup:
    """An element. A trailing `_` of an attribute's name is dropped, others become hyphens; None leaves it out."""
    # Written out and not with Markup's own formatting, which takes five times as long; a drawing has thousands of elements.
    inside = "".join([escape(child) for child in children])
    said = "".join(
        [
            f' {key.rstrip("_").replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
            for key, value in attributes.items()
            if value is not None
        ]
    )
    return Markup(f"<{name}{said}>{inside}</{name}>")


def drawing(*children: Markup, kind: str, label: str, width: float, height: float) -> Markup:
    """A whole drawing within a box that scrolls sideways, by keyboard too. `kind` is its class, `label` its spoken name."""
    svg = element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        class_=f"drawing {kind}",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="group",
        aria_label=line(label, 120),
    )
    return element("div", svg, class_="drawing-box", tabindex="0", role="region", aria_label=line(label, 120))


def text(x: float, y: float, content: str, *, room: float | None = None, class_: str | None = None) -> Markup:
    """Text whose baseline begins at a point (ends there with class `end`), cut to `room`."""
    return element("text", fit(content, room) if room is not None else line(content), x=x, y=y, class_=class_)


def title(*lines: str) -> Markup:
    """What is shown when the pointer rests on the element that it is the first child of."""
    return element("title", "\n".join(line(part, 300) for part in lines if part))


def link(href: str, *children: Markup, class_: str) -> Markup:
    """Children that lead somewhere. `href` is the page's own path, never text out of a model."""
    return element("a", *children, href=href, class_=class_)


def path(steps: Iterable[tuple[str, float, float]], *, class_: str) -> Markup:
    """A line: a letter of the SVG path language and a point, for each step."""
    return element("path", d=" ".join(f"{letter}{number(x)} {number(y)}" for letter, x, y in steps), class_=class_)


def polygon(points: Iterable[tuple[float, float]], *, class_: str) -> Markup:
    """A closed shape."""
    return element("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in points), class_=class_)


def number(value: float | None) -> str:
    """A number as SVG takes it: at most two decimals; what is not finite is drawn at 0."""
    if value is None or not math.isfinite(value):
        return "0"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def line(content: str, width: int = 200) -> str:
    """Untrusted text as one line of printable characters."""
    return one_line(content, width)


def extent(content: str) -> float:
    """How wide text is at most, in the units of the drawing."""
    return FONT * _ADVANCE * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in content)


def fit(content: str, room: float) -> str:
    """Text as one line, cut with an ellipsis where it is wider than `room`; empty where there is no room at all."""
    shown = line(content, max(2, int(room / (FONT * _ADVANCE)) + 1))
    while shown and extent(shown) > room:
        shown = shown.rstrip("…")[:-1].rstrip() + "…" if len(shown) > 1 else ""
    return shown
