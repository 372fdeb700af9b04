"""What the database has where a refused query named something that it has not. Runs in the worker.

A model that is told only `no such column: name` writes the same name again; the names that there are, and how to reach them,
let it choose. Nothing of a reference is read here: the schema is what the question shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from .sql_joins import Key, join_to, keys_by_name, quoted
from .sql_scope import Used, scope, tables_of, without_texts

_COLUMN = re.compile(r'(?:no such column|ambiguous column name): "?(?:(\w+)\.)?(\w+)"?(?: - .*)?$')
_TABLE = re.compile(r"no such table: (\w+)$")
_FUNCTION = re.compile(r"no such function: (\w+)$")
_INSTEAD: Mapping[str, str] = {
    "year": "strftime('%Y', ...)",
    "month": "strftime('%m', ...)",
    "day": "strftime('%d', ...)",
    "now": "datetime('now')",
    "left": "substr(..., 1, n)",
    "right": "substr(..., -n)",
    "concat": "... || ...",
    "datediff": "julianday(...) - julianday(...)",
}
"""What SQLite has in place of other databases' functions."""
_MOST_NAMES = 30
_MOST_PLACES = 8
LONGEST = 20_000
"""Characters of a query beyond which nothing is looked for in it."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a database is made of."""

    columns: Mapping[str, Sequence[str]]
    """The columns of each table and view, by its name."""
    keys: Sequence[Key] = ()
    """Foreign keys, as they are declared."""


def hint(query: str, message: str, schema: Schema) -> str:
    """A sentence on what there is instead of what the message complains of; empty if it complains of something else."""
    if len(query) > LONGEST:
        return ""
    if found := _TABLE.search(message):
        tables = list(schema.columns)
        return "; ".join(filter(None, (_close(found[1], tables), f"the tables are: {_listed(tables)}"))) if tables else ""
    if found := _FUNCTION.search(message):
        instead = _INSTEAD.get(found[1].lower())
        return f"SQLite has {instead} instead" if instead else ""
    if "misuse of aggregate" in message:
        if "function" in message:
            return "a condition on an aggregate stands in HAVING, behind GROUP BY, or in a subquery, and not in WHERE"
        return "to order by an aggregate, the query needs a GROUP BY"
    if not (found := _COLUMN.search(message)):
        return ""
    return _column_hint(query, found[1], found[2], schema, ambiguous=message.startswith("ambiguous"))


def _column_hint(query: str, of: str | None, column: str, schema: Schema, *, ambiguous: bool) -> str:
    owners = [name for name, own in schema.columns.items() if column.lower() in (c.lower() for c in own)]
    used = _at_fault(query, of, column, schema, owners, ambiguous=ambiguous)
    meant = [one.table for one in used if of is not None and of.lower() == one.name.lower()]
    shown = list(dict.fromkeys(meant or [one.table for one in used]))[:3]
    parts = [_owned(column, owners, used, schema)] if owners else []
    if not owners:
        parts.append(_close(column, [c for name in shown for c in schema.columns[name]]))
    parts += [f"the columns of {name} are: {_listed(schema.columns[name])}" for name in shown]
    return "; ".join(filter(None, parts))


def _at_fault(query: str, of: str | None, column: str, schema: Schema, owners: Sequence[str], *, ambiguous: bool) -> list[Used]:
    """The tables of the SELECT that is at fault: where the column is named, and not one of its tables has it."""
    named = re.compile(rf"(?<![\w.]){f'{of}[.]' if of else ''}{column}(?!\w)", re.IGNORECASE)
    places = [found.start() for found in named.finditer(without_texts(query))][:_MOST_PLACES]
    read = [tables_of(scope(query, place), schema.columns) for place in places] or [tables_of(query, schema.columns)]
    for used in read:
        own = [one for one in used if one.table in owners and (of is None or of.lower() == one.name.lower())]
        if len(own) > 1 if ambiguous else not own:
            return used
    return read[0]


def _owned(column: str, owners: Sequence[str], used: Sequence[Used], schema: Schema) -> str:
    """Whose column it is, and how the query gets at it: by a name that it has already, or by a join."""
    said = f"{column} is a column of {_listed(owners)}"
    if here := [one for one in used if one.table in owners]:
        return f"{said}: write {' or '.join(f'{quoted(one.name)}.{column}' for one in here[:2])}"
    joins = [join for owner in owners if (join := join_to(owner, used, [*schema.keys, *keys_by_name(schema.columns)]))]
    return f"{said}: {min(joins, key=len)}" if joins else said


def _close(name: str, names: Sequence[str]) -> str:
    """The name that may have been meant, whatever its capitals and underscores."""
    plain = {n.lower().replace("_", ""): n for n in reversed(names)}
    found = get_close_matches(name.lower().replace("_", ""), plain, n=1, cutoff=0.75)
    return f"perhaps {plain[found[0]]} is meant" if found else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
