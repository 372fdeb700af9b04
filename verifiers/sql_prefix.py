"""How far a query is right that SQLite refused: up to what its error message names. Runs in the worker."""

from __future__ import annotations

import re
import sqlite3

_NAMED = re.compile(r"(?:no such (?:column|table|function)|ambiguous column name): (.+)$")
_NEAR = re.compile(r'near "(.+)": syntax error$', re.DOTALL)
_BLANK = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_MOST_PLACES = 50


def right_until(query: str, message: str) -> int | None:
    """Number of characters of the query before what the message complains of; None if it does not say.

    A query that ends too early is right as a whole. The query is parsed once more where needed, and never run.
    """
    if message.endswith("incomplete input"):
        return len(query)
    end = None
    if named := _NAMED.search(message):
        end = next(iter(_places(query, named[1])), None)
    elif near := _NEAR.search(message):
        end = _refused_at(query, near[1])
    return None if end is None else len(query[:end].rstrip())


def _places(query: str, text: str) -> list[int]:
    """Where a name or token stands in the query, outside of strings and comments."""
    bare = _BLANK.sub(lambda m: " " * len(m[0]), query)
    before, after = (r"(?<![\w.])" if re.match(r"\w", text) else ""), (r"(?!\w)" if re.search(r"\w$", text) else "")
    return [m.start() for m in re.finditer(before + re.escape(text) + after, bare, re.IGNORECASE)][:_MOST_PLACES]


def _refused_at(query: str, token: str) -> int | None:
    """Where the token stands at which the parser gives up: the first place up to which it already does."""
    connection = sqlite3.connect(":memory:")
    try:
        for place in _places(query, token):
            try:
                connection.execute("EXPLAIN " + query[: place + len(token)]).close()
            except (sqlite3.Error, sqlite3.Warning, ValueError) as e:
                if str(e) == f'near "{token}": syntax error':
                    return place
    finally:
        connection.close()
    return None
