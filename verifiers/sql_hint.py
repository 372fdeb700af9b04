"""What the database has where a refused query named something that it has not. Runs in the worker.

A model that is told only `no such column: name` writes the same name again; the names that there are let it choose. Nothing
of a reference is read here: the schema is what the question shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Columns: TypeAlias = Mapping[str, Sequence[str]]
"""The columns of each table and view, by its name."""

_COLUMN = re.compile(r"(?:no such column|ambiguous column name): (?:(\w+)\.)?(\w+)$")
_TABLE = re.compile(r"no such table: (\w+)$")
_USED = re.compile(r"\b(?:from|join|,)\s*[\"`\[]?(\w+)[\"`\]]?(?:\s+as)?(?:\s+[\"`\[]?(\w+)[\"`\]]?)?", re.IGNORECASE)
_MOST_NAMES = 30


def hint(query: str, message: str, columns: Columns) -> str:
    """A sentence on what there is instead of what the message complains of; empty if it complains of something else."""
    if _TABLE.search(message):
        return f"the tables are: {_listed(list(columns))}" if columns else ""
    if not (named := _COLUMN.search(message)):
        return ""
    of, column = named[1], named[2].lower()
    used = _used(query, columns)
    table = used.get(of.lower()) if of else None
    owners = [name for name, own in columns.items() if column in (c.lower() for c in own)]
    parts = [f"{column} is a column of {_listed(owners)}"] if owners else []
    shown = [table] if table else list(dict.fromkeys(used.values()))
    parts += [f"the columns of {name} are: {_listed(columns[name])}" for name in shown[:3]]
    return "; ".join(parts)


def _used(query: str, columns: Columns) -> dict[str, str]:
    """The tables that the query reads, by their names and aliases in lower case."""
    known = {name.lower(): name for name in columns}
    found: dict[str, str] = {}
    for table, alias in _USED.findall(query):
        if name := known.get(table.lower()):
            found[table.lower()] = name
            if alias:
                found[alias.lower()] = name
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
