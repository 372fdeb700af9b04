"""Values as people read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ..core.ids import Json, as_json
from ..core.text import printable
from ..traces.standing import ended as ended
from ..traces.standing import graph_label as graph_label
from ..traces.standing import is_running as is_running

LONGEST = 50_000
"""Characters of a text that a page shows unless it is asked for the whole."""


def short(id: str) -> str:
    """The last 8 digits of an id, by which lists call it."""
    return id[-8:]


def moment(ns: int | None) -> str:
    """A time, in the zone of this machine; a dash for None."""
    return "–" if ns is None else datetime.fromtimestamp(ns / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """A span of time in the unit that suits it; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.{1 if 0 < seconds < 0.01 else 0}f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def number(value: float | None, digits: int = 2) -> str:
    """A score or the like; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def count(value: int, noun: str = "") -> str:
    """`1 run`, `2,000 runs`; without a noun the number alone."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}" if noun else f"{value:,}"


def pretty(value: Json) -> str:
    """A value as JSON, indented, its keys in their own order."""
    return json.dumps(as_json(value), indent=2, ensure_ascii=False)


def visible(value: object) -> object:
    """What a template is about to put on a page: text with its control characters shown as escapes, all else as it is.

    Every value that a template prints goes through here, so that none can be forgotten.
    """
    return printable(value) if type(value) is str else value
