"""Checks of whether a text that ends at a step's boundary is a whole solution: by what it ends with, or by a pattern."""

from __future__ import annotations

import re

from ..core.context import Context
from ..core.errors import ConfigError
from .maker import Complete

_PATTERN = "regex:"


def ends_with(marker: str) -> Complete:
    """Whether the text ends with a marker; white space at either end does not count.

    Raises:
        ConfigError: the marker is empty, with which every text ends.
    """
    wanted = marker.strip()
    if not wanted:
        raise ConfigError("the text that a solution ends with is empty", hint="give a text such as END")

    async def complete(ctx: Context, text: str) -> bool:
        return text.rstrip().endswith(wanted)

    return complete


def matches(pattern: str) -> Complete:
    """Whether a regular expression is found anywhere in the text; `^` and `$` stand for the ends of each line.

    Raises:
        ConfigError: the pattern is no regular expression.
    """
    try:
        wanted = re.compile(pattern, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as e:
        raise ConfigError(f"{pattern!r} is no regular expression: {e}", hint=r"as in ^The answer is") from None

    async def complete(ctx: Context, text: str) -> bool:
        return wanted.search(text) is not None

    return complete


def completion_check(described: str) -> Complete | None:
    """The check that a setting describes: a text that ends a solution, or `regex:` and a pattern; None if it is empty."""
    if not described:
        return None
    if described.startswith(_PATTERN):
        return matches(described.removeprefix(_PATTERN))
    return ends_with(described)
