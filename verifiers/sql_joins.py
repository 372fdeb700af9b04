"""How tables hang together: the shortest way of joins from the tables that a query reads to another one. Runs in the worker."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from .sql_scope import Used

Key: TypeAlias = tuple[str, str, str, str]
"""Table and column, and the table and column that they refer to."""

_MOST_JOINS = 3
_MOST_TABLES = 60


def join_to(table: str, used: Sequence[Used], keys: Sequence[Key]) -> str:
    """JOIN clauses that bring a table into a query that reads others; empty if no keys lead there."""
    names = {one.table: one.name for one in reversed(used)}
    ways: deque[tuple[str, ...]] = deque((name,) for name in names)
    seen = set(names)
    steps = _steps(keys)
    while ways:
        way = ways.popleft()
        if way[-1] == table:
            return " ".join(_clause(a, b, steps[a][b], names) for a, b in pairwise(way))
        for other in steps.get(way[-1], {}):
            if other not in seen and len(way) <= _MOST_JOINS:
                seen.add(other)
                ways.append((*way, other))
    return ""


def keys_by_name(columns: Mapping[str, Sequence[str]]) -> list[Key]:
    """Keys that nobody declared: columns of the same name in two tables, where that name ends in `id` or `code`.

    None for databases of so many tables that looking would take long.
    """
    found: list[Key] = []
    tables = list(columns) if len(columns) <= _MOST_TABLES else []
    for i, one in enumerate(tables):
        own = {c.lower(): c for c in columns[one]}
        for other in tables[i + 1 :]:
            for column in columns[other]:
                name = column.lower()
                if name in own and len(name) > 2 and name.endswith(("id", "code")):
                    found.append((one, own[name], other, column))
    return found


def quoted(name: str) -> str:
    """A name as it may stand in a query."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', '""') + '"'


def _steps(keys: Sequence[Key]) -> dict[str, dict[str, tuple[str, str]]]:
    """By table and neighbour, the two columns that join them; declared keys come first and stay."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for one, column, other, theirs in keys:
        if one != other:
            found.setdefault(one, {}).setdefault(other, (column, theirs))
            found.setdefault(other, {}).setdefault(one, (theirs, column))
    return found


def _clause(one: str, other: str, columns: tuple[str, str], names: Mapping[str, str]) -> str:
    ours, theirs = quoted(names.get(one, one)), quoted(other)
    return f"JOIN {theirs} ON {ours}.{quoted(columns[0])} = {theirs}.{quoted(columns[1])}"
