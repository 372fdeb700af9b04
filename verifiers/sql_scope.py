"""Which tables a part of a query reads, and by which names. Runs in the worker; reads the text roughly, and never runs it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_BLANK = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = r"[\"`\[]?(\w+)[\"`\]]?"
_NO_ALIAS = (
    "on|where|from|join|inner|left|right|full|cross|natural|outer|group|order|limit|having|union|intersect|except|using|and|or"
)
"""Words that may follow a table and are no name for it."""
_USED = re.compile(rf"\b(?:from|join|,)\s*{_NAME}(?:\s+as\b)?(?:\s+(?!(?:{_NO_ALIAS})\b){_NAME})?", re.IGNORECASE)
_FROM = re.compile(r"\bfrom\b", re.IGNORECASE)
_SELECT = re.compile(r"\s*select\b", re.IGNORECASE)
_SETS = re.compile(r"\b(?:union|intersect|except)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Used:
    """A table that a query reads."""

    table: str
    """As the database spells it."""
    name: str
    """What the query calls it: its alias, or its own name."""


def without_texts(query: str) -> str:
    """The query with blanks in place of strings and comments, character for character."""
    return _BLANK.sub(lambda found: " " * len(found[0]), query)


def scope(query: str, at: int) -> str:
    """The SELECT that the character at `at` belongs to, without those inside of it. A quick reading of brackets."""
    bare = without_texts(query)
    begin, end = _around(bare, at)
    own = list(bare)
    depth, inner = 0, 0
    for i in range(begin, end):
        if bare[i] == "(":
            depth += 1
            if not inner and _SELECT.match(bare, i + 1):
                inner = depth
        if inner:
            own[i] = " "
        if bare[i] == ")":
            inner = 0 if inner == depth else inner
            depth -= 1
    part = "".join(own)
    cuts = [begin, *(m.start() for m in _SETS.finditer(part, begin, end)), end]
    return next((part[a:b] for a, b in pairwise(cuts) if a <= at < b), part[begin:end])


def tables_of(select: str, columns: Mapping[str, Sequence[str]]) -> list[Used]:
    """The tables of the database that the text of a SELECT names behind FROM, JOIN and commas."""
    known = {name.lower(): name for name in columns}
    begin = _FROM.search(select)
    named = _USED.findall(select, begin.start()) if begin else []
    found = [Used(table=known[table.lower()], name=alias or table) for table, alias in named if table.lower() in known]
    return list(dict.fromkeys(found))


def _around(bare: str, at: int) -> tuple[int, int]:
    """Where the innermost bracketed SELECT around a character begins and ends; the whole text if there is none."""
    opened: list[int] = []
    for i in range(min(at, len(bare))):
        if bare[i] == "(":
            opened.append(i)
        elif bare[i] == ")" and opened:
            opened.pop()
    begin = next((i + 1 for i in reversed(opened) if _SELECT.match(bare, i + 1)), 0)
    depth = 0
    for i in range(begin, len(bare)):
        depth += (bare[i] == "(") - (bare[i] == ")")
        if depth < 0:
            return begin, i
    return begin, len(bare)
