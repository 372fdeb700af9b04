"""Answer extraction: from a candidate's text to the key under which equal answers meet.

An extractor returns None where it finds no answer; that candidate then has no vote. Keys are texts in a
canonical form: numbers without separators, currency signs and trailing zeros; words case-folded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from .errors import ConfigError
from .ids import canonical_json, text_hash

Extractor: TypeAlias = Callable[[str], str | None]

_LONGEST_KEY = 200
_LONGEST_BOX = 4000
_MOST_BOXES = 20

NUMBER = re.compile(r"(?:(?<!\d)[-+])?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+]?\d{1,3})?")
_SELECT = re.compile(
    # A query begins with SELECT, or with WITH and the head of a common table expression; prose with "with" does not.
    r"""\b(?:SELECT\b|WITH\s+(?:RECURSIVE\s+)?[\w"`\[\]]+\s*(?:\([^()]*\)\s*)?AS\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\()"""
    r""".*?(?=;|\n\s*\n|```|\Z)""",
    re.IGNORECASE | re.DOTALL,
)
_FENCE = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)


def number_key(text: str) -> str | None:
    """Canonical form of one number written in `text`, or None."""
    try:
        value = Decimal(text.replace(",", "").strip())
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value.adjusted()) > 300:
        return None
    # Not normalize(): that rounds to 28 digits.
    key = format(value, "f")
    if "." in key:
        key = key.rstrip("0").rstrip(".")
    return "0" if key == "-0" else key


def last_number(text: str) -> str | None:
    """The last number in the text."""
    found = [m for m in NUMBER.findall(text) if m]
    return number_key(found[-1]) if found else None


def boxed(text: str) -> str | None:
    r"""The content of the last \boxed{...}."""
    inside = last_boxed(text)
    return (number_key(inside) or words(inside)) if inside else None


def last_boxed(text: str) -> str | None:
    r"""What stands in the last \boxed{...}, as written, with braces inside it paired."""
    parts = text.rsplit("\\boxed", _MOST_BOXES)
    while len(parts) > 1:
        inside = parts.pop().lstrip()[:_LONGEST_BOX]
        depth = 0
        for at, char in enumerate(inside if inside[:1] == "{" else ""):
            depth += (char == "{") - (char == "}")
            if depth == 0:
                return inside[1:at].strip() or None
    return None


def words(text: str) -> str | None:
    """The whole text, case-folded, with single spaces and without closing punctuation."""
    key = " ".join(text.casefold().split()).strip(" .!?;:,\"'`*")
    return key or None


def first_line(text: str) -> str | None:
    """The first line that is not blank, as `words`."""
    return next((key for line in text.splitlines() if (key := words(line))), None)


def exact_text(text: str) -> str | None:
    """The whole text without white space around it."""
    return text.strip() or None


def json_value(text: str) -> str | None:
    """The first JSON object or array in the text, in canonical form."""
    value = first_json(text)
    return None if value is None else canonical_json(value)


def first_json(text: str) -> dict[str, object] | list[object] | None:
    """The first JSON object or array that stands in the text and parses; None if none does."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for match in list(re.finditer(r"[\[{]", text))[:50]:
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        return value
    return None


def sql(text: str) -> str | None:
    """The first SELECT statement, fenced or not, without its semicolon and with single spaces."""
    statement = first_select(text)
    return None if statement is None else " ".join(statement.split())


def first_select(text: str) -> str | None:
    """The first SELECT (or WITH ... SELECT) in the text, up to a semicolon, a blank line or a fence."""
    fenced = _FENCE.search(text)
    match = _SELECT.search(fenced.group(1) if fenced else text)
    return match.group(0).strip() if match else None


def answer_key(extract: Extractor, text: str, *, truncated: bool) -> str | None:
    """The answer's key; None where there is none.

    Of a text cut at its token limit an answer counts only if it was complete: more text must not change it. A long
    key is cut and ends in its hash, so that it still tells answers apart without holding the text once more.
    """
    key = extract(text)
    if key is None or (truncated and extract(text + "7x") != key):
        return None
    return key if len(key) <= _LONGEST_KEY else f"{key[:80]}…{text_hash(key)}"


def _refuse(name: str) -> object:
    raise ValueError(name)


EXTRACTORS: dict[str, Extractor] = {
    "boxed": boxed,
    "exact_text": exact_text,
    "first_line": first_line,
    "json_value": json_value,
    "last_number": last_number,
    "sql": sql,
    "words": words,
}


def extractor(name: str | Extractor) -> Extractor:
    """An extractor by name, or the function itself.

    Raises:
        ConfigError: no extractor has this name.
    """
    if not isinstance(name, str):
        return name
    if name not in EXTRACTORS:
        raise ConfigError(f"no extractor is called {name!r}", hint=f"one of: {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]
