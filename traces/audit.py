"""Is a database whole? Looks at everything and changes nothing.

Two kinds of findings. *Damage* should not be: a page, a text or a row is lost or altered. A *note* is what a kill leaves
behind, and can be read on with: a call whose result nobody knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, Select, Table, func, select, union_all

from ..core.errors import StoreError
from ..core.human import ASK
from . import schema as s
from .codec import blob_key, unpack
from .connect import sqlite_path, store_url
from .faults import reading
from .leases import is_live
from .reader import Reader

Level = Literal["damage", "note"]
Kind = Literal["unreadable", "integrity", "foreign_keys", "damaged_text", "missing_text", "dangling", "gap", "unfinished_call"]

_PAGE = 200
_EXAMPLES = 5
_BACKUP = "restore the database from a backup"
_KEEP = "; what can be read can be kept with: burnish runs export"
_MENDS: dict[Kind, str] = {
    "unreadable": _BACKUP,
    "integrity": f"{_BACKUP}; or save what can be read: sqlite3 FILE .recover | sqlite3 NEW",
    "foreign_keys": _BACKUP + _KEEP,
    "damaged_text": _BACKUP + _KEEP,
    "missing_text": _BACKUP + _KEEP,
    "dangling": _BACKUP + _KEEP,
    "gap": _BACKUP + _KEEP,
    "unfinished_call": "none needed; a run that is not done makes it again: burnish runs resume ID",
}
_REFERENCES = (
    ("run", "candidate_id", "candidate"),
    ("candidate", "call_id", "call"),
    ("candidate", "parent_id", "candidate"),
    ("candidate_parent", "parent_id", "candidate"),
    ("verdict", "candidate_id", "candidate"),
    ("decision", "candidate_id", "candidate"),
)
"""Ids that are no foreign keys of the database: table, column, and the table that it points to."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong, or worth knowing."""

    level: Level
    kind: Kind
    message: str
    count: int
    """How often it was found."""
    examples: tuple[str, ...]
    """The first few: ids of runs, hashes of texts, or what the database says."""
    mend: str


def audit(url: str | None = None, *, quick: bool = False) -> list[Finding]:
    """All findings, those of damage first. `quick` passes over what reads every page and every text.

    Raises:
        StoreError: there is no database, or it cannot be opened at all.
    """
    from .store import Store

    parsed = store_url(url)
    reader = Store.open_reader(url)
    found: list[Finding] = []
    try:
        for what, check in _checks(sqlite_path(parsed) is not None, quick):
            with _or_unreadable(found, what):
                found.extend(check(reader))
    finally:
        reader.close()
    return sorted(found, key=lambda f: f.level)


def _checks(in_file: bool, quick: bool) -> list[tuple[str, Callable[[Reader], Iterator[Finding]]]]:
    """What is looked at, and what it is called if it cannot be read. A server checks its pages and foreign keys itself."""
    of_file = [("its pages", _pages)] if not quick else []
    return [
        *([*of_file, ("its foreign keys", _foreign_keys)] if in_file else []),
        ("its references to texts", _missing_texts),
        ("its references", _dangling),
        ("its numbers", _gaps),
        *([] if quick else [("its texts", _damaged_texts)]),
        ("its calls", _unfinished),
    ]


@contextmanager
def _or_unreadable(found: list[Finding], what: str) -> Generator[None]:
    try:
        yield
    except StoreError as e:
        if e.retryable:
            raise
        found.append(_finding("unreadable", f"{what} cannot be read: {e.message}", 1, ()))


def _finding(kind: Kind, message: str, count: int, examples: Sequence[str]) -> Finding:
    level: Level = "note" if kind == "unfinished_call" else "damage"
    return Finding(level=level, kind=kind, message=message, count=count, examples=tuple(examples), mend=_MENDS[kind])


def _pages(reader: Reader) -> Iterator[Finding]:
    with reading(reader.engine) as connection:
        told = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(100)")]
    if told != ["ok"]:
        yield _finding("integrity", "SQLite finds the file damaged", len(told), told[:_EXAMPLES])


def _foreign_keys(reader: Reader) -> Iterator[Finding]:
    with reading(reader.engine) as connection:
        broken = [f"{row[0]} row {row[1]} without its {row[2]}" for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    if broken:
        yield _finding("foreign_keys", "rows belong to nothing", len(broken), broken[:_EXAMPLES])


def _missing_texts(reader: Reader) -> Iterator[Finding]:
    for table in s.metadata.sorted_tables:
        for column in table.c:
            if column.name.endswith("_sha"):
                absent = ~select(s.blob.c.sha).where(s.blob.c.sha == column).exists()
                query = select(_place(table)).where(column.is_not(None), absent)
                yield from _listed(reader, "missing_text", f"{table.name}.{column.name} names texts that are not there", query)


def _dangling(reader: Reader) -> Iterator[Finding]:
    for name, column_name, target_name in _REFERENCES:
        table, target = s.metadata.tables[name], s.metadata.tables[target_name].alias("target")
        column = table.c[column_name]
        query = select(_place(table)).where(column.is_not(None), ~select(target.c.id).where(target.c.id == column).exists())
        yield from _listed(reader, "dangling", f"{name}.{column_name} names what is not there", query)


def _place(table: Table) -> Column[Any]:
    """What says where a row is: its run, or of an edge the candidate."""
    return next(table.c[name] for name in ("run_id", "id", "candidate_id") if name in table.c)


def _gaps(reader: Reader) -> Iterator[Finding]:
    """The facts of a run are numbered from 1 without gaps."""
    numbers: list[Select[Any, Any]] = []
    for name in ("step", "call", "candidate", "verdict", "decision", "tell"):
        c = s.metadata.tables[name].c
        numbers.append(select(c.run_id, c.seq.label("number")))
        if "ended_seq" in c:
            numbers.append(select(c.run_id, c.ended_seq.label("number")).where(c.ended_seq.is_not(None)))
    facts = union_all(*numbers).subquery()
    n = facts.c.number
    broken = (func.count() != func.max(n)) | (func.count(n.distinct()) != func.count())
    query = select(facts.c.run_id).group_by(facts.c.run_id).having(broken)
    yield from _listed(reader, "gap", "facts of runs are missing, or numbered twice", query)


def _damaged_texts(reader: Reader) -> Iterator[Finding]:
    b = s.blob.c
    bad: list[str] = []
    count, after = 0, ""
    while True:
        query = select(b.sha, b.codec, b.size, b.data).where(b.sha > after).order_by(b.sha).limit(_PAGE)
        rows = reader.rows(query)
        for row in rows:
            if not _is_whole(row):
                count += 1
                bad += [row["sha"]] if len(bad) < _EXAMPLES else []
        if len(rows) < _PAGE:
            break
        after = rows[-1]["sha"]
    if count:
        yield _finding("damaged_text", "stored texts are not what was stored", count, bad)


def _is_whole(row: dict[str, Any]) -> bool:
    try:
        data = unpack(row["codec"], row["data"], row["size"])
    except StoreError:
        return False
    return len(data) == row["size"] and blob_key(data) == row["sha"]


def _unfinished(reader: Reader) -> Iterator[Finding]:
    """Calls without a result in runs that nobody is at work on."""
    c, r = s.call.c, s.run.c
    query = (
        select(r.id, r.status, r.owner, r.heartbeat_ns, func.count().label("calls"))
        .join_from(s.call, s.run, c.run_id == r.id)
        .where(c.state == "intent", c.kind != ASK)
        .group_by(r.id, r.status, r.owner, r.heartbeat_ns)
        .order_by(r.id.desc())
    )
    now = time.time_ns()
    rows = [
        row for row in reader.rows(query) if row["status"] != "running" or not is_live(row["owner"], row["heartbeat_ns"], now)
    ]
    if rows:
        calls = sum(row["calls"] for row in rows)
        message = f"calls were in flight when their process ended, in {len(rows):,} of the runs"
        yield _finding("unfinished_call", message, calls, [row["id"] for row in rows[:_EXAMPLES]])


def _listed(reader: Reader, kind: Kind, message: str, query: Select[Any]) -> Iterator[Finding]:
    """A finding for the rows of a query, if it has any; their first column says where."""
    found = query.subquery()
    total = reader.rows(select(func.count().label("n")).select_from(found))[0]["n"]
    if total:
        where = next(iter(found.c))
        rows = reader.rows(select(where.label("place")).distinct().order_by(where).limit(_EXAMPLES))
        yield _finding(kind, message, total, [str(row["place"]) for row in rows])
