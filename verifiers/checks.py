"""The checks that `constraints` knows, over plain text. Those with patterns run in a worker, the others anywhere.

A *rule* is one check in its simplest form, `(kind, arguments)`: what a spec such as `{"words": {"min": 3, "max": 9}}`
is taken apart into, so that each gets its own feedback and the same share of the score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..core.extract import first_json

Rule: TypeAlias = tuple[str, Mapping[str, Any]]

_WORD = re.compile(r"(?:[^\W_]|['’-])+")
_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,4}[.)])\s+")


def evaluate(rules: Sequence[Rule], text: str) -> list[bool]:
    """For each rule whether the text, without the white space around it, satisfies it."""
    text = text.strip()
    return [_satisfied(text, kind, arguments) for kind, arguments in rules]


def has_word(text: str, word: str) -> bool:
    """Whether a word or phrase occurs, in any case, not as part of a longer word."""
    return re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", text.lower()) is not None


def sentences(text: str) -> int:
    """Number of pieces that sentence marks and white space part."""
    return len([s for s in re.split(r"(?<=[.!?])\s+", text.strip()) if s])


def list_items(text: str, separator: str, whole: bool) -> list[str]:
    """Items of a list, in lower case, without closing dots; of the first line, or of the whole text without bullets."""
    bullets = whole or "\n" in separator
    items = (plain_item(item, bullets=bullets) for item in (text if bullets else text.split("\n")[0]).split(separator))
    return [item for item in items if item or not bullets]


def plain_item(text: str, *, bullets: bool) -> str:
    """An item of a list as it is compared; with `bullets` the mark before it is left out."""
    return (_BULLET.sub("", text, count=1) if bullets else text).strip().strip(".").lower()


_MEASURES: dict[str, Callable[[str], int]] = {
    "words": lambda text: len(_WORD.findall(text)),
    "sentences": sentences,
    "lines": lambda text: len([line for line in text.split("\n") if line.strip()]),
    "chars": len,
}


def _satisfied(text: str, kind: str, arguments: Mapping[str, Any]) -> bool:
    if kind in _MEASURES:
        return _within(_MEASURES[kind](text), arguments["least"], arguments["most"])
    if kind == "items":
        return _items(text, **arguments)
    value = arguments["value"]
    match kind:
        case "contains":
            return has_word(text, value)
        case "excludes":
            return not has_word(text, value)
        case "one_of":
            return sum(has_word(text, word) for word in value) == 1
        case "starts_with":
            return text.startswith(value)
        case "ends_with":
            return text.endswith(value)
        case "json_key":
            return _has_key(text, value)
        case _:
            return re.search(value, text) is not None


def _within(number: int, least: int | None, most: int | None) -> bool:
    return (least is None or number >= least) and (most is None or number <= most)


def _items(text: str, *, separator: str, whole: bool, test: str, value: Any = None) -> bool:
    items = list_items(text, separator, whole)
    match test:
        case "count":
            return _within(len(items), value[0], value[1])
        case "distinct":
            return len(set(items)) == len(items)
        case "starts_with":
            return all(item.startswith(value.lower()) for item in items)
        case _:
            return all(re.fullmatch(value, item) for item in items)


def _has_key(text: str, key: str) -> bool:
    value = first_json(text)
    return isinstance(value, dict) and key in value
