"""The headings of a Markdown document: what a passage out of its middle is about."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

from ..core.text import one_line

_LINE = re.compile(r"^[ ]{0,3}(?:(?P<fence>```|~~~)|#{1,6}[ \t]+(?P<heading>\S.*))", re.M)
_CLOSING = re.compile(r"\s+#*\s*$")


def headings(text: str) -> Callable[[int], str]:
    """A function from a place in the text to the heading that stands above it, or begins there; empty if none does.

    Lines within fenced code are no headings.
    """
    places: list[int] = []
    names: list[str] = []
    fence = ""
    for match in _LINE.finditer(text):
        mark = match["fence"]
        if mark and fence in ("", mark):
            fence = "" if fence else mark
        elif not fence and match["heading"]:
            places.append(match.start())
            names.append(one_line(_CLOSING.sub("", match["heading"]), 200))

    def above(place: int) -> str:
        found = bisect_right(places, place)
        return names[found - 1] if found else ""

    return above
