"""The store: a database of runs, opened for writing.

A run is accepted (`create_run`), then acquired under a lease, which gives its journal, and finished through that journal.
All that a process writes into one database goes through one writer, however often the database is opened.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Engine

from ..core.budget import Spend
from ..core.errors import Fenced, StoreError
from ..core.ids import Json, new_run_id
from ..core.redact import redact, redact_json, redact_text
from ..core.runs import RunEnd, RunSpec, RunStatus, Usage
from ..core.text import storable
from .codec import json_text, text_bytes
from .commit import Transaction
from .connect import Synchronous, read_engine, store_url, write_engine
from .faults import reading
from .journal import RunJournal
from .leases import is_live, pid_of, this_process
from .load import Recorded
from .migrate import check, migrate
from .reader import Reader
from .rows import FEEDBACK, PREVIEW, Encoder, Row, RunState
from .tickets import Ticket
from .usage import spend
from .writer import Writer

_RUNS_AT_ONCE = 500


class Store:
    """A database that runs are written to. Made by `Store.open`."""

    def __init__(self, url: str, shared: _Shared) -> None:
        self.url = url
        """Where it is, in full: with its password, if it has one."""
        self._shared = shared
        self._closed = False

    @classmethod
    async def open(cls, url: str | None = None, *, synchronous: Synchronous = "full") -> Store:
        """Open a database, and make it or bring its schema up to date if need be.

        Without a URL it is the one that `BURNISH_STORE` names, else `burnish.db` in the current folder.

        Raises:
            ConfigError: the URL is of no database that burnish can use.
            StoreError: the database cannot be opened or is newer than the code.
        """
        return await asyncio.to_thread(cls._open, url, synchronous)

    @classmethod
    def _open(cls, url: str | None, synchronous: Synchronous) -> Store:
        full = store_url(url).render_as_string(hide_password=False)
        return cls(full, _share(full, synchronous))

    @classmethod
    def open_reader(cls, url: str | None = None) -> Reader:
        """Open a database for looking only: nothing is made, migrated or written.

        Raises:
            ConfigError: the URL is of no database that burnish can use.
            StoreError: there is none, it cannot be read, or its schema is not this version's.
        """
        parsed = store_url(url)
        engine = read_engine(parsed)
        try:
            check(engine, parsed)
        except BaseException:
            engine.dispose()
            raise
        return Reader(engine)

    def reader(self) -> Reader:
        """The stored runs, for looking at them. Closed with the store."""
        return Reader(self._shared.reads)

    async def create_batch(self, config: Mapping[str, Json], name: str = "") -> str:
        """Store what a batch of runs is about; its id."""
        batch_id = new_run_id()
        row = (batch_id, storable(name), storable(redact_json(json_text(config))), time.time_ns())
        await self._writer.do(lambda tx: tx.run("batch", row))
        return batch_id

    async def create_run(self, spec: RunSpec) -> None:
        """Store a run that is to be done; once this returns it is durable."""
        await self.create_runs([spec])

    async def create_runs(self, specs: Sequence[RunSpec]) -> None:
        """Store many runs that are to be done."""
        for at in range(0, len(specs), _RUNS_AT_ONCE):
            some = specs[at : at + _RUNS_AT_ONCE]

            def insert(tx: Transaction, some: Sequence[RunSpec] = some) -> None:
                now = time.time_ns()
                tx.run_many("run", [_run_row(tx.encoder, spec, now) for spec in some])

            await self._writer.do(insert)

    async def create_fork(self, spec: RunSpec, inherited: Mapping[str, Sequence[Row]]) -> None:
        """Store a run that begins with rows of another one's record, by their tables (`fork.inherit`); all of it or nothing."""

        def insert(tx: Transaction) -> None:
            tx.run("run", _run_row(tx.encoder, spec, time.time_ns()))
            for table, rows in inherited.items():
                tx.run_many(table, rows)

        await self._writer.do(insert)

    async def acquire(self, run_id: str, *, unless: Collection[RunStatus] = ()) -> RunJournal:
        """Take a run's lease, and read its record.

        Raises:
            StoreError: there is no such run, or its status is one of `unless` (with the code `run_status`).
            Fenced: another process, or another part of this one, is running it.
        """
        writer = self._writer
        taken: list[RunState] = []

        def take(tx: Transaction) -> RunState:
            taken.append(_take(tx, writer, run_id, unless))
            return taken[-1]

        try:
            state: RunState = await writer.do(take)
            spec, recorded, spent = await asyncio.to_thread(self._load, state)
        except BaseException:
            # Whoever asked will not get the journal, so the lease goes back as soon as the writer comes to it.
            back = Ticket(
                asyncio.get_running_loop(),
                wait=False,
                work=lambda tx: _give_back(tx, taken),
                after=lambda _: _let_go(writer, taken),
            )
            with suppress(StoreError):
                writer.put(back)
            raise
        return RunJournal(
            spec,
            state,
            recorded,
            spent=spent,
            writer=writer,
            finish=self._finish,
            measure=self._usage,
            share=self._effects,
        )

    def close_sync(self) -> None:
        """Write what is queued and close, within five seconds. Called again it does nothing.

        Raises:
            StoreError: it could not all be written.
        """
        if not self._closed:
            self._closed = True
            _unshare(self.url, self._shared)

    async def close(self) -> None:
        """Like `close_sync`, without blocking the event loop."""
        await asyncio.sleep(0)  # What journals of this loop have queued is handed over when the loop comes round.
        await asyncio.to_thread(self.close_sync)

    @property
    def _writer(self) -> Writer:
        if self._closed:
            raise StoreError("the store is closed", hint="open it again", code="closed")
        return self._shared.writer

    def _load(self, state: RunState) -> tuple[RunSpec, Recorded, Spend]:
        recorded = Recorded()
        spec = self.reader().spec(state.run_id)
        if state.epoch == 1:
            return spec, recorded, Spend()
        with reading(self._shared.reads) as connection:
            recorded.load(connection, state)
            return spec, recorded, spend(connection, state.run_id)

    async def _finish(self, state: RunState, end: RunEnd, elapsed: float) -> None:
        writer = self._shared.writer
        # A run that lost a record cannot be done, but it can fail.
        lost = state.error is not None and not isinstance(state.error, Fenced) and end.status != "done"

        def write_end(tx: Transaction) -> None:
            if not tx.run("run_end", _end_row(tx.encoder, state, end, elapsed)):
                raise Fenced(f"the run {state.run_id} was taken over by another process", hint="look with: burnish runs list")

        await writer.do(write_end, lambda _: _let_go(writer, [state]), state=None if lost else state)

    async def _usage(self, run_id: str) -> Usage:
        return await asyncio.to_thread(self.reader().usage, run_id)

    async def _effects(self, kind: str, run_id: str) -> list[Json]:
        return await asyncio.to_thread(self.reader().effects, kind, run_id)


def _take(tx: Transaction, writer: Writer, run_id: str, unless: Collection[RunStatus]) -> RunState:
    found = tx.row("run_lock", (run_id,))
    if found is None:
        raise StoreError(f"there is no run {run_id}", hint="look with: burnish runs list", code="unknown_run")
    owner, epoch, heartbeat_ns, elapsed_ns, started_ns, status = found
    me, now = this_process(), time.time_ns()
    mine = writer.held.get(run_id)
    if owner == me and mine and mine.epoch == epoch:
        raise Fenced(f"the run {run_id} is already running in this process", hint="wait for it")
    if owner != me and is_live(owner, heartbeat_ns, now):
        raise Fenced(f"the run {run_id} is running in {pid_of(owner)}", hint="wait for it, or stop that process")
    if status in unless:
        raise StoreError(f"the run {run_id} is {status}", hint=f"look at it: burnish runs show {run_id[-8:]}", code="run_status")
    tx.run("run_take", (me, epoch + 1, now, started_ns or now, run_id))
    writer.held[run_id] = RunState(run_id, epoch + 1, elapsed_ns)
    return writer.held[run_id]


def _give_back(tx: Transaction, states: Sequence[RunState]) -> None:
    tx.run_many("release", [(s.elapsed_ns, time.time_ns(), s.run_id, s.epoch) for s in states])


def _let_go(writer: Writer, states: Sequence[RunState]) -> None:
    for state in states:
        if writer.held.get(state.run_id) is state:
            del writer.held[state.run_id]


def _run_row(encoder: Encoder, spec: RunSpec, now: int) -> Row:
    task = encoder.blob(text_bytes(json_text(redact(spec.task.to_json()))))
    head = (spec.id, spec.batch_id, storable(spec.task.id), storable(spec.graph), spec.seed, "queued")
    epoch = 1 if spec.forked_from else 0  # A fork has a record before anybody runs it.
    nothing_yet = (None, None, None, None, None, "", "", "", None, epoch, None, 0, now, None, None)
    settings, engines = (storable(redact_json(json_text(value))) for value in (spec.settings, spec.engines))
    configuration = (json_text(spec.budget.to_json()), settings, engines)
    return (*head, *nothing_yet, spec.code_version, task, *configuration, spec.forked_from, spec.forked_at)


def _end_row(encoder: Encoder, state: RunState, end: RunEnd, elapsed: float) -> Row:
    answer = None if end.answer is None else storable(end.answer[:PREVIEW])
    answer_sha = None if end.answer is None else encoder.blob(text_bytes(end.answer))
    result = (end.status, end.outcome, end.score, answer, answer_sha, end.candidate_id)
    error = (end.budget_limit, end.error_code, storable(redact_text(end.error)[:FEEDBACK]))
    return (*result, *error, round(elapsed * 1e9), time.time_ns(), state.run_id, state.epoch)


@dataclass
class _Shared:
    """One database, open in this process."""

    pid: int
    writer: Writer
    reads: Engine
    users: int = 0


_open: dict[str, _Shared] = {}
_lock = threading.Lock()


def _share(url: str, synchronous: Synchronous) -> _Shared:
    """The open database, or it newly opened. The first opening decides on `synchronous`."""
    with _lock:
        shared = _open.get(url)
        if shared is None or shared.pid != os.getpid() or shared.writer.failure:
            parsed = store_url(url)
            engine = write_engine(parsed, synchronous)
            try:
                migrate(engine, parsed)
            finally:
                engine.dispose()
            shared = _open[url] = _Shared(os.getpid(), Writer(engine), read_engine(parsed))
        shared.users += 1
        return shared


def _unshare(url: str, shared: _Shared) -> None:
    with _lock:
        shared.users -= 1
        if shared.users:
            return
        if _open.get(url) is shared:
            del _open[url]
    if shared.pid == os.getpid():
        # The writer's connection closes last, since only one that may write can remove SQLite's log.
        shared.reads.dispose()
        shared.writer.close()


def _forget_all() -> None:
    """In a forked child: connections belong to the parent, and must not even be closed."""
    global _lock
    _lock = threading.Lock()
    for shared in _open.values():
        shared.reads.dispose(close=False)
    _open.clear()


os.register_at_fork(after_in_child=_forget_all)
