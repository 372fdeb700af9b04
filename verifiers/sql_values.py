"""Why a query finds nothing: it compares a column with a text that stands nowhere in it. Runs in the worker.

What is told are values of the database that the query runs on, which an agent may look up as well, and nothing of a reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

from .sql_hint import LONGEST, Schema
from .sql_joins import quoted
from .sql_scope import scope, tables_of

Values: TypeAlias = Callable[[str], Sequence[Any]]
"""Runs a query and gives the first column of its rows."""

_COMPARED = re.compile(
    r"(?:(?P<of>\w+)\.)?[`\[]?(?P<column>\w+)[`\]]?\s*(?P<how>=|\blike\b)\s*(?:'(?P<text>(?:[^']|'')*)'|\"(?P<also>[^\"]*)\")",
    re.IGNORECASE,
)
"""A column against a text. In double quotes it is one too, as SQLite reads what is no column's name."""
_MOST_TEXTS = 4
_MOST_VALUES = 2000
_FEW = 5
_LONGEST = 40
_COMPARABLE = 200


def why_empty(query: str, schema: Schema, values: Values) -> str:
    """What stands in the columns that the query compares with texts that they do not hold; empty if they hold them all."""
    parts: list[str] = []
    compared = _COMPARED.finditer(query) if len(query) <= LONGEST else iter(())
    for found in list(compared)[:_MOST_TEXTS]:
        table, column = _place(query, found, schema)
        text = found["also"] if found["text"] is None else found["text"].replace("''", "'")
        literal = "'" + text.replace("'", "''") + "'"
        if table and not values(f"SELECT 1 FROM {quoted(table)} WHERE {quoted(column)} {found['how']} {literal} LIMIT 1"):
            held = values(f"SELECT DISTINCT {quoted(column)} FROM {quoted(table)} LIMIT {_MOST_VALUES}")
            like = "is" if found["how"] == "=" else "is like"
            parts.append(_instead(f"no {table}.{column} {like} {_shown(text)}", text, held))
    return "; ".join(filter(None, dict.fromkeys(parts)))


def _place(query: str, found: re.Match[str], schema: Schema) -> tuple[str, str]:
    """The table and column that are compared, as the database spells them; empty if that cannot be told."""
    of, column = found["of"], found["column"].lower()
    for one in tables_of(scope(query, found.start()), schema.columns):
        own = {c.lower(): c for c in schema.columns[one.table]}
        if (found["also"] or "").lower() in own:
            return "", ""
        if column in own and (of is None or of.lower() == one.name.lower()):
            return one.table, own[column]
    return "", ""


def _instead(said: str, text: str, held: Sequence[Any]) -> str:
    """What is said, with what the column holds that may have been meant."""
    texts = [v for v in held if isinstance(v, str)]
    if not texts:
        numbers = [v for v in held if v is not None]
        return f"{said}: it holds {', '.join(map(_shown, numbers[:3]))}{', ...' if len(numbers) > 3 else ''}" if numbers else said
    plain = {v.casefold().replace(" ", ""): v for v in reversed(texts) if len(v) <= _COMPARABLE}
    wanted = text.strip("%").casefold().replace(" ", "")
    near = get_close_matches(wanted, plain, n=2, cutoff=0.6) or [key for key in plain if wanted and wanted in key][:2]
    if near:
        return f"{said}: there is {' and '.join(_shown(plain[key]) for key in near)}"
    return (
        f"{said}: it holds {', '.join(map(_shown, texts))}"
        if len(held) <= _FEW
        else f"{said}; it holds others, such as {_shown(texts[0])}"
    )


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return str(value)[:_LONGEST]
    return "'" + (value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "...").replace("'", "''") + "'"
