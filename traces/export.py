"""Runs as JSON Lines: a format that outlives the schema, for other programs and for keeping beside a paper.

One object a line. The first is `{"type": "export", "schema": 1, "burnish": VERSION}`. Each run is a line of type `run`, then
its facts (`step`, `call`, `candidate`, `verdict`, `decision`, `tell`, each kind in the order in which it came to be), then a
line of type `end` with their number: a file that was cut is noticed. Fields are the columns of the tables, but texts stand in
full in place of their hashes, and JSON columns are JSON. Token ids and log-probabilities are left out. A run that goes on
meanwhile is exported as far as it is. Lines are made one by one, and only a page of facts is held; they are read run by run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from sqlalchemy import Table, select

from ..core.errors import ConfigError
from ..core.ids import Json
from ..core.text import one_line
from . import schema as s

if TYPE_CHECKING:
    from .reader import Reader

SCHEMA = 1
"""Version of the format."""
Fact = Literal["step", "call", "candidate", "verdict", "decision", "tell"]
FACTS: tuple[Fact, ...] = get_args(Fact)

_PAGE = 200
_JSON_COLUMNS = {"budget", "settings", "engines", "details", "options", "evidence"}
_JSON_TEXTS = {"task_sha", "request_sha", "prompt_sha", "value_sha", "evidence_sha"}
_LEFT_OUT = {"tokens_sha", "detail_sha", "owner", "lease_epoch", "heartbeat_ns"}


def export_lines(reader: Reader, runs: Iterable[str], version: str) -> Iterator[str]:
    """The lines of an export of runs, by their whole ids.

    Raises:
        StoreError: a stored text is missing or damaged.
    """
    yield _line({"type": "export", "schema": SCHEMA, "burnish": version})
    for run_id in runs:
        row = next(iter(reader.rows(select(s.run).where(s.run.c.id == run_id))), None)
        if row is None:  # It was removed meanwhile.
            continue
        yield _line({"type": "run", **next(_plain(reader, [row]))})
        facts = 0
        for fact in FACTS:
            for value in _facts(reader, fact, run_id):
                facts += 1
                yield _line({"type": fact, **value})
        yield _line({"type": "end", "run_id": run_id, "facts": facts})


@dataclass(kw_only=True)
class Exported:
    """One run, read again."""

    run: Mapping[str, Json]
    facts: dict[Fact, list[Mapping[str, Json]]] = field(default_factory=dict[Fact, list[Mapping[str, Json]]])
    """The facts of each kind, in their order."""


def read_export(lines: Iterable[str]) -> Iterator[Exported]:
    """The runs of an export, one after another. What is not known is passed over: later versions may add to the format.

    Raises:
        ConfigError: it is no export, a newer one, or it was cut; the message names the line.
    """
    current: Exported | None = None
    number = facts = 0
    for number, text in enumerate(lines, 1):
        value = _object(text, number)
        kind = value.pop("type", None)
        if number == 1:
            _check_header(kind, value)
        elif kind == "run":
            if current is not None:
                raise _cut(number)
            current, facts = Exported(run=value, facts={fact: [] for fact in FACTS}), 0
        elif current is not None and kind in FACTS:
            current.facts[kind].append(value)
            facts += 1
        elif current is not None and kind == "end":
            if (value.get("run_id"), value.get("facts")) != (current.run.get("id"), facts):
                raise _cut(number)
            yield current
            current = None
        elif kind in FACTS or kind == "end":
            raise _cut(number)
    if current is not None or number == 0:
        raise _cut(number)


def _facts(reader: Reader, fact: Fact, run_id: str) -> Iterator[dict[str, Json]]:
    for rows in _pages(reader, s.metadata.tables[fact], run_id):
        parents = _parents(reader, rows) if fact == "candidate" else {}
        for row, value in zip(rows, _plain(reader, rows), strict=True):
            if fact == "candidate":
                value["parents"] = parents.get(row["id"], [])
            yield value


def _pages(reader: Reader, table: Table, run_id: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of a run in the order of their numbers. Their ids are held, and a page: numbers have no index to page by."""
    of_run = table.c.run_id == run_id
    if "id" not in table.c:  # A tell has no id; its rows are a few words each.
        yield reader.rows(select(table).where(of_run).order_by(table.c.seq))
        return
    ids = [row["id"] for row in reader.rows(select(table.c.id).where(of_run).order_by(table.c.seq))]
    for at in range(0, len(ids), _PAGE):
        yield reader.rows(select(table).where(table.c.id.in_(ids[at : at + _PAGE])).order_by(table.c.seq))


def _parents(reader: Reader, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    p = s.candidate_parent.c
    query = select(p.candidate_id, p.parent_id).where(p.candidate_id.in_([row["id"] for row in rows]))
    found: dict[str, list[str]] = {}
    for edge in reader.rows(query.order_by(p.candidate_id, p.number)):
        found.setdefault(edge["candidate_id"], []).append(edge["parent_id"])
    return found


def _plain(reader: Reader, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Json]]:
    """Rows with their texts in place of the hashes."""
    hashes = [[n for n in row if n.endswith("_sha") and n not in _LEFT_OUT and row[n] is not None] for row in rows]
    texts = reader.texts({row[name] for row, names in zip(rows, hashes, strict=True) for name in names})
    for row, names in zip(rows, hashes, strict=True):
        shown = {n: v for n, v in row.items() if n not in _LEFT_OUT and n != "preview" and not n.endswith("_sha")}
        out: dict[str, Json] = {n: json.loads(v) if n in _JSON_COLUMNS else v for n, v in shown.items()}
        for name in row:
            if name.endswith("_sha") and name not in _LEFT_OUT:
                # Beside some hashes the text stands in the clear where it is short.
                out.setdefault(name.removesuffix("_sha"), "" if name == "text_sha" and row["finish_reason"] else None)
        for name in names:
            text = texts[row[name]]
            out[name.removesuffix("_sha")] = json.loads(text) if name in _JSON_TEXTS else text
        yield out


def _line(value: Mapping[str, Json]) -> str:
    # ASCII only, so that lone surrogates survive and terminal escapes stay escaped.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _object(text: str, number: int) -> dict[str, Json]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError(f"line {number} is no JSON: {one_line(text, 40)!r}", hint="was the file cut?") from None
    if not isinstance(value, dict):
        raise ConfigError(f"line {number} is no JSON object", hint="made by: burnish runs export")
    return cast("dict[str, Json]", value)


def _check_header(kind: Json, value: Mapping[str, Json]) -> None:
    if kind != "export":
        raise ConfigError("line 1 is not the beginning of an export", hint="made by: burnish runs export")
    if value.get("schema") != SCHEMA:
        raise ConfigError(f"the export has the format {value.get('schema')!r}, known is {SCHEMA}", hint="update burnish")


def _cut(number: int) -> ConfigError:
    return ConfigError(f"the export is not whole, at line {number}", hint="export the runs again")
