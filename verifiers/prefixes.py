"""How far a text is right that violates checks: the characters before the first thing that no continuation can mend.

Only some checks can tell. A missing word may still come, and of a text that is too long no part is the wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .checks import Rule, evaluate, plain_item


def checked(rules: Sequence[Rule], text: str) -> tuple[list[bool], int | None]:
    """For each rule whether the text satisfies it, and how many characters are right; None if that cannot be told."""
    satisfied = evaluate(rules, text)
    begin = len(text) - len(text.lstrip())
    body = text.strip()
    violated = [rule for rule, fine in zip(rules, satisfied, strict=True) if not fine]
    ends = [end for kind, arguments in violated if (end := _right(kind, arguments, body)) is not None]
    if not ends:
        return satisfied, None
    end = min(ends)
    # A space at the end would be a token of its own, which models seldom go on from.
    return satisfied, begin + len(body[:end].rstrip(" \t")) if end else 0


def _right(kind: str, arguments: Mapping[str, Any], text: str) -> int | None:
    match kind:
        case "starts_with":
            return 0
        case "excludes":
            return _first(text, [arguments["value"]], 0)
        case "one_of":
            return _first(text, arguments["value"], 1)
        case "items":
            return _items(text, **arguments)
        case _:
            return None


def _first(text: str, words: Sequence[str], allowed: int) -> int | None:
    """Where the first word begins that is one more than the allowed number of different ones."""
    lower = text.lower()
    if len(lower) != len(text):
        return None
    found = [re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", lower) for word in words]
    starts = sorted(match.start() for match in found if match)
    return starts[allowed] if len(starts) > allowed else None


def _items(text: str, *, separator: str, whole: bool, test: str, value: Any = None) -> int | None:
    """Where the first item begins that is wrong by itself, or was there before."""
    seen = set[str]()
    for start, item in _placed(text, separator, whole):
        match test:
            case "count":
                return None
            case "distinct":
                wrong = item in seen
            case "starts_with":
                wrong = not item.startswith(value.lower())
            case _:
                wrong = re.fullmatch(value, item) is None
        if wrong:
            return start
        seen.add(item)
    return None


def _placed(text: str, separator: str, whole: bool) -> Iterator[tuple[int, str]]:
    """The items of a list as the checks see them, each with where it begins."""
    bullets = whole or "\n" in separator
    at, body = 0, text if bullets else text.split("\n")[0]
    for piece in body.split(separator):
        item = plain_item(piece, bullets=bullets)
        if item or not bullets:
            yield at, item
        at += len(piece) + len(separator)
