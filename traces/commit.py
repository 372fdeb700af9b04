"""Groups of records, and the transactions that they are put into.

A transaction takes many groups, of many runs. It is made so that it may be repeated: rows have ids of their own and
inserting what is there does nothing, so a commit whose outcome is unknown is simply tried again. A record that the
database refuses is found by halving, and only what was to become durable with it fails. A run whose lease was taken loses
its own groups only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Engine

from ..core.errors import BurnishError, Fenced, StoreError
from ..core.records import Record
from .faults import diagnose
from .pending import Row
from .rows import Encoder
from .run_state import RunState
from .statements import INSERT_ORDER, UPDATE_ORDER, Statements

LOCK_PATIENCE = 60.0
"""Seconds to wait for a locked database or a server that is away, before writing is given up."""
T = TypeVar("T")
_ORDER = (*INSERT_ORDER, *UPDATE_ORDER)


class Group:
    """What becomes durable together: records of one run, or one piece of work on the database."""

    __slots__ = ("after", "at_ns", "error", "records", "result", "settled", "state", "strict", "urgent", "weight", "work")

    def __init__(
        self,
        state: RunState | None = None,
        work: Callable[[Transaction], Any] | None = None,
        after: Callable[[Any], object] | None = None,
    ) -> None:
        self.state = state
        self.records: Sequence[Record] = ()
        self.weight = 0
        """About how many bytes it holds."""
        self.strict = False
        """Whether its failure ends the writing of its run: it holds records that nobody waits to hear of."""
        self.urgent = True
        """Whether somebody waits for it."""
        self.work = work
        """Done within the transaction instead of storing records; raises before it changes anything, or not at all."""
        self.after = after
        """Called with the result of the work once that is durable, on the writer's thread."""
        self.at_ns = time.time_ns()
        self.settled = False
        self.result: Any = None
        self.error: BurnishError | None = None

    @property
    def divisible(self) -> bool:
        """Whether it has parts that can be stored one by one."""
        return False

    def split(self) -> Sequence[Group]:
        """Its parts, in order, each to be stored by itself; itself if it has none."""
        return (self,)


class Transaction:
    """What a piece of work can do."""

    def __init__(self, cursor: Any, statements: Statements, encoder: Encoder) -> None:
        self._cursor = cursor
        self._sql = statements.sql
        self.encoder = encoder

    def run(self, name: str, row: Row) -> int:
        """Run a statement; how many rows it changed."""
        return self._cursor.execute(self._sql[name], row).rowcount

    def run_many(self, name: str, rows: Sequence[Row]) -> None:
        """Run a statement once for each row."""
        if rows:
            self._cursor.executemany(self._sql[name], rows)

    def row(self, name: str, row: Row) -> Row | None:
        """The one row that a statement selects."""
        return self._cursor.execute(self._sql[name], row).fetchone()


class _Divide(Exception):
    """A record of a group that has several parts cannot be stored."""

    def __init__(self, error: BurnishError) -> None:
        super().__init__(error)
        self.error = error


class Committer:
    """Owns the one connection that writes. For use by one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = Statements(engine.dialect)
        self._encoder = Encoder()
        self._connection: Any = None

    def commit(self, groups: Sequence[Group]) -> None:
        """Make groups durable. Each ends settled, with its error if it has one.

        Raises:
            StoreError: the storage failed; the groups that are not settled are lost.
        """
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                return self._attempt(groups)
            except _Divide as e:
                self._roll_back(reconnect=False)
                return self._bisect(groups, e.error)
            except Exception as e:
                fault, error = diagnose(e)
                self._roll_back(reconnect=fault == "disconnected")
                if fault == "record":
                    return self._bisect(groups, error)
                if fault == "storage" or time.monotonic() > deadline:
                    raise error from e
                time.sleep(random.uniform(0.02, 0.2))

    def idle(self) -> None:
        """Move what is in SQLite's write-ahead log into the database, if nobody is in the way."""
        if self._connection is not None and not self._statements.postgres:
            self._connection.execute("PRAGMA busy_timeout=0")
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except Exception as e:
                if diagnose(e)[0] != "locked":
                    raise diagnose(e)[1] from e
            finally:
                self._connection.execute("PRAGMA busy_timeout=10000")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, groups: Sequence[Group]) -> None:
        if self._connection is None:
            raw = self._engine.raw_connection()
            self._connection = raw.driver_connection
            raw.detach()
        errors = self._encode(groups, set())
        cursor = self._connection.cursor()
        cursor.execute(self._statements.begin)
        if fenced := self._fenced(cursor, groups):
            self._encoder.rolled_back()
            errors = self._encode(groups, fenced)
        self._store(cursor)
        results = self._work(cursor, groups, errors)
        if self._encoder.blobs:
            self._statements.run_many(cursor, "blob", self._encoder.blob_rows())
        cursor.execute("COMMIT")
        self._encoder.committed()
        for group in groups:
            _settle(group, errors.get(group), results.get(group))

    def _encode(self, groups: Sequence[Group], fenced: set[str]) -> dict[Group, BurnishError]:
        """Make the rows of all groups; the errors of those that have none."""
        errors: dict[Group, BurnishError] = {}
        broken: dict[str, BurnishError] = {run_id: _fenced_error(run_id) for run_id in fenced}
        for group in groups:
            state = group.state
            if state is None:
                continue
            if error := broken.get(state.run_id) or state.error:
                errors[group] = error
                continue
            try:
                self._encoder.add(state, group.records, group.at_ns)
            except Exception as e:
                errors[group] = e if isinstance(e, BurnishError) else diagnose(e)[1]
                if group.divisible:
                    raise _Divide(errors[group]) from e
                if group.strict:
                    broken[state.run_id] = errors[group]
        return errors

    def _fenced(self, cursor: Any, groups: Sequence[Group]) -> set[str]:
        held = {g.state.run_id: g.state.epoch for g in groups if g.state}
        if not held:
            return set()
        epochs = dict(cursor.execute(self._statements.fence(len(held)), tuple(held)).fetchall())
        return {run_id for run_id, epoch in held.items() if epochs.get(run_id) != epoch}

    def _store(self, cursor: Any) -> None:
        by_name: dict[str, list[Row]] = {}
        for name, row in self._encoder.rows:
            by_name.setdefault(name, []).append(row)
        for name in _ORDER:
            if name in by_name:
                self._statements.run_many(cursor, name, by_name[name])

    def _work(self, cursor: Any, groups: Sequence[Group], errors: dict[Group, BurnishError]) -> dict[Group, Any]:
        results: dict[Group, Any] = {}
        for group in groups:
            if group.work and group not in errors:
                try:
                    results[group] = group.work(Transaction(cursor, self._statements, self._encoder))
                except BurnishError as e:
                    errors[group] = e
        return results

    def _bisect(self, groups: Sequence[Group], error: BurnishError) -> None:
        if len(groups) == 1:
            if groups[0].divisible:
                for part in groups[0].split():
                    self.commit([part])
                groups[0].settled = True
            else:
                _settle(groups[0], error, None)
            return
        half = len(groups) // 2
        self.commit(groups[:half])
        self.commit(groups[half:])

    def _roll_back(self, *, reconnect: bool) -> None:
        self._encoder.rolled_back()
        if self._connection is None:
            return
        try:
            # SQLite has rolled back by itself after some errors, and then refuses to do so again.
            if self._statements.postgres or self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except Exception:
            reconnect = True
        if reconnect:
            self._encoder.disconnected()
            try:
                self._connection.close()
            finally:
                self._connection = None


def patiently(read: Callable[[], T]) -> T:
    """What a reading gives, which is repeated while the database is locked or its server is away, as a commit is.

    Raises:
        StoreError: it was so for too long, or the database cannot be read.
    """
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            return read()
        except StoreError as e:
            if not e.retryable or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.02, 0.2))


def _fenced_error(run_id: str) -> Fenced:
    return Fenced(f"the run {run_id} was taken over by another process", hint="look with: burnish runs list")


def _settle(group: Group, error: BurnishError | None, result: Any) -> None:
    group.settled = True
    group.error, group.result = error, result
    if error is None and group.after:
        group.after(result)
    if group.state and error is not None and (group.strict or isinstance(error, Fenced)):
        assert isinstance(error, StoreError)
        group.state.error = error
