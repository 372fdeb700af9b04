"""Times on the command line: how long, as `90s`, `15m`, `2h`, `30d`, `4w`; since when, as such a span ago or as a date."""

from __future__ import annotations

import re
import time
from datetime import datetime

from ..core.errors import ConfigError
from ..core.text import one_line

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_FAR = 2**62
"""Nanoseconds of 146 years: a moment that far from now still fits a column of the database."""
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhdw])", re.ASCII)


def span_ns(text: str, flag: str) -> int:
    """Nanoseconds of a span of time.

    Raises:
        ConfigError: it is none.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigError(f"{flag} {one_line(text, 40)!r} is no span of time", hint="such as 90s, 15m, 2h, 30d, 4w")
    return min(round(float(found[1]) * _UNITS[found[2]] * 1e9), _FAR)


def since_ns(text: str, flag: str) -> int:
    """The moment that a span before now or a date tells, in nanoseconds since 1970. A date is in this machine's zone.

    Raises:
        ConfigError: it is neither.
    """
    if _SPAN.fullmatch(text.strip().lower()):
        return time.time_ns() - span_ns(text, flag)
    try:
        moment = int(datetime.fromisoformat(text.strip()).astimezone().timestamp()) * 10**9
        return max(-_FAR, min(moment, _FAR))
    except (ValueError, OverflowError, OSError):
        hint = "a span such as 2h or 30d, or a date such as 2025-01-31 or 2025-01-31T18:00"
        raise ConfigError(f"{flag} {one_line(text, 40)!r} is no time", hint=hint) from None


def spoken(ns: int) -> str:
    """A span of time in words, in its largest unit: `12 s`, `3 min`, `5 h`, `2 days`."""
    seconds = max(0, ns) / 1e9
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86400:.0f} days"
