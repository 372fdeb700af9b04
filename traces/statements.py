"""The SQL that the writer runs, compiled once for its database from SQLAlchemy Core; parameters go by position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, count
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Column,
    ColumnElement,
    Dialect,
    Table,
    bindparam,
    exists,
    func,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from . import schema as s

_MOST_ROWS = 256
INSERT_ORDER = ("step", "call", "candidate", "candidate_parent", "verdict", "decision", "tell", "budget_entry")
UPDATE_ORDER = ("step_restart", "step_end", "call_attempt", "call_outcome")
_JOINED = (*INSERT_ORDER, "blob", "call_outcome")
_ROWS = "(rows)"
_NAMES = f"{0x6E616D65}, hashtext(coalesce(current_schema(), ''))"
"""Key of the advisory lock of those who store a batch that is to be the only one of its name."""


class Statements:
    """Statements by name. Inserting what is there already does nothing, so that a transaction may be repeated."""

    def __init__(self, dialect: Dialect) -> None:
        self.postgres = dialect.name == "postgresql"
        # Both drivers then take plain tuples.
        self._dialect = postgresql.psycopg.dialect(paramstyle="format") if self.postgres else sqlite.dialect()
        inserts = {name: self._insert(s.metadata.tables[name]) for name in (*INSERT_ORDER, "blob", "run", "batch")}
        self.sql: dict[str, str] = inserts | {name: self._compile(made) for name, made in _statements().items()}
        # On SQLite a transaction that writes is alone from its beginning.
        self.sql["name_lock"] = f"SELECT pg_advisory_xact_lock({_NAMES})" if self.postgres else "SELECT 1"
        self._fences: dict[int, str] = {}
        self._joined = {name: sql for name in _JOINED if (sql := _for_many(self.sql[name]))}
        """SQL for many rows at once, with a mark where the rows go."""
        self._sized: dict[tuple[str, int], str] = {}
        self.begin = "BEGIN" if self.postgres else "BEGIN IMMEDIATE"

    def run_many(self, cursor: Any, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement for each of many rows.

        For SQLite many go into one statement: `sqlite3` gives up and takes back Python's global lock once for each, which
        a busy event loop makes dear. Sizes are powers of two, so that few statements are compiled; a row that is given
        twice to fill one up does nothing the second time.
        """
        joined = None if self.postgres or len(rows) == 1 else self._joined.get(name)
        if joined is None:
            cursor.executemany(self.sql[name], rows)
            return
        at = 0
        while at < len(rows):
            size = _statement_size(len(rows) - at)
            if (name, size) not in self._sized:
                self._sized[name, size] = joined.replace(_ROWS, ", ".join([_marks(len(rows[0]))] * size))
            some = [*rows[at : at + size]]
            some += some[-1:] * (size - len(some))
            cursor.execute(self._sized[name, size], [*chain.from_iterable(some)])
            at += size

    def fence(self, runs: int) -> str:
        """Selects the lease epochs of so many runs, and holds them until the transaction ends."""
        if runs not in self._fences:
            marks = ", ".join([self._mark] * runs)
            lock = " FOR SHARE" if self.postgres else ""
            self._fences[runs] = f"SELECT id, lease_epoch FROM run WHERE id IN ({marks}){lock}"
        return self._fences[runs]

    @property
    def _mark(self) -> str:
        return "%s" if self.postgres else "?"

    def _insert(self, table: Table) -> str:
        insert = (postgresql.insert if self.postgres else sqlite.insert)(table).on_conflict_do_nothing()
        return str(insert.compile(dialect=self._dialect, column_keys=[c.name for c in table.columns]))

    def _compile(self, statement: ClauseElement) -> str:
        return str(statement.compile(dialect=self._dialect))


def _set(table: Table, columns: str, *where: ColumnElement[bool], **fixed: ColumnElement[Any]) -> ClauseElement:
    values: list[tuple[Column[Any], ColumnElement[Any]]] = [
        (table.c[name], bindparam(f"p_{name}", type_=table.c[name].type)) for name in columns.split()
    ]
    values += [(table.c[name], value) for name, value in fixed.items()]
    return update(table).ordered_values(*values).where(*where)


def _statements() -> dict[str, ClauseElement]:
    step, call, run, batch = s.step, s.call, s.run, s.batch
    step_id, call_id, run_id = (t.c.id == bindparam("p_id") for t in (step, call, run))
    held = run.c.lease_epoch == bindparam("p_held")
    no_error = {"budget_limit": _word(""), "error_code": _word(""), "error": _word("")}
    return {
        "step_restart": _set(step, "attempts", step_id, step.c.status != _word("done"), status=_word("running")),
        "step_end": _set(step, "ended_seq status ended_ns error_code error", step_id, step.c.status != _word("done")),
        "call_attempt": _set(call, "attempts", call_id, call.c.state == _word("intent")),
        "call_outcome": _set(
            call,
            "ended_seq state finish_reason preview text_sha reasoning_sha tokens_sha detail_sha value_sha prompt_tokens"
            " cached_tokens completion_tokens reasoning_tokens cost_micro_usd error_code error seconds",
            call_id,
            call.c.state == _word("intent"),
        ),
        "batches_named": select(func.count()).where(
            batch.c.name == bindparam("p_name"), batch.c.id != bindparam("p_id"), exists().where(run.c.batch_id == batch.c.id)
        ),
        "run_lock": select(run.c.owner, run.c.lease_epoch, run.c.heartbeat_ns, run.c.elapsed_ns, run.c.started_ns, run.c.status)
        .where(run_id)
        .with_for_update(),
        "run_take": _set(
            run,
            "owner lease_epoch heartbeat_ns started_ns",
            run_id,
            status=_word("running"),
            ended_ns=null(),
            outcome=null(),
            **no_error,
        ),
        "run_end": _set(
            run,
            "status outcome score answer answer_sha candidate_id budget_limit error_code error elapsed_ns ended_ns",
            run_id,
            held,
            owner=null(),
        ),
        "heartbeat": _set(run, "heartbeat_ns elapsed_ns", run_id, held),
        "release": _set(run, "elapsed_ns ended_ns", run_id, held, owner=null(), status=_word("interrupted")),
    }


def _statement_size(left: int) -> int:
    """Rows of the next statement: all that are left, if that fills most of it."""
    above: int = min(1 << (left - 1).bit_length(), _MOST_ROWS)
    return above if above <= 8 or left > above * 5 // 8 else above // 2


def _marks(columns: int) -> str:
    return f"({', '.join('?' * columns)})"


def _for_many(sql: str) -> str:
    """SQLite's form for many rows of an insert, or of an update with `column = ?, ... WHERE id = ? AND ...`."""
    if sql.startswith("INSERT"):
        return sql.replace(_marks(sql.count("?")), _ROWS)
    numbers = count(1)
    head, _, where = re.sub(r"\?", lambda _: f"new.column{next(numbers)}", sql).partition(" WHERE ")
    return f"{head} FROM (VALUES {_ROWS}) AS new WHERE {where}"


def _word(word: str) -> ColumnElement[str]:
    return literal_column(f"'{word}'")
