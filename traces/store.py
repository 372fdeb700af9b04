"""The store: a database of runs, opened for writing.

A run is accepted (`create_run`), then acquired under a lease, which gives its journal, and finished through that journal.
All that a process writes into one database goes through one writer, however often the database is opened.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

from ..core.budget import Spend
from ..core.errors import Fenced, StoreError
from ..core.ids import Json, new_run_id
from ..core.redact import redact_json
from ..core.runs import RunEnd, RunSpec, RunStatus, Usage
from ..core.text import one_line, storable
from .acquire import give_back, let_go, take
from .codec import json_text
from .commit import Transaction, patiently
from .connect import Synchronous, read_engine, store_url
from .faults import reading
from .journal import RunJournal
from .load import Recorded
from .migrate import check
from .pending import Row
from .reader import Reader
from .run_rows import end_row, run_row
from .run_state import RunState
from .shared import Shared, share, unshare
from .tickets import Ticket
from .usage import spend
from .writer import Writer

_RUNS_AT_ONCE = 500


class Store:
    """A database that runs are written to. Made by `Store.open`."""

    def __init__(self, url: str, shared: Shared) -> None:
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
        return cls(full, share(full, synchronous))

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

    async def create_only_batch(
        self, batch_id: str, config: Mapping[str, Json], name: str, specs: Sequence[RunSpec], known: int
    ) -> None:
        """Store a batch with its runs, all of it or nothing, unless somebody else has begun one of this name.

        Args:
            batch_id: its id, which the runs have too.
            config: what it is about.
            name: what no other batch is to be called.
            specs: its runs.
            known: how many batches of this name with runs the caller has seen, and does not mind.

        Raises:
            StoreError: there are more of this name, with the code `name_taken`.
        """
        row = (batch_id, storable(name), storable(redact_json(json_text(config))), time.time_ns())

        def insert(tx: Transaction) -> None:
            tx.row("name_lock", ())
            # Its own id is left out: the transaction may be a repeated one.
            if (tx.row("batches_named", (storable(name), batch_id)) or (0,))[0] > known:
                what = f"another process has just begun {one_line(name, 100)!r}"
                raise StoreError(what, hint="the same command again goes on with it", code="name_taken", retryable=True)
            tx.run("batch", row)
            tx.run_many("run", [run_row(tx.encoder, spec, row[-1]) for spec in specs])

        await self._writer.do(insert)

    async def create_run(self, spec: RunSpec) -> None:
        """Store a run that is to be done; once this returns it is durable."""
        await self.create_runs([spec])

    async def create_runs(self, specs: Sequence[RunSpec]) -> None:
        """Store many runs that are to be done."""
        for at in range(0, len(specs), _RUNS_AT_ONCE):
            some = specs[at : at + _RUNS_AT_ONCE]

            def insert(tx: Transaction, some: Sequence[RunSpec] = some) -> None:
                now = time.time_ns()
                tx.run_many("run", [run_row(tx.encoder, spec, now) for spec in some])

            await self._writer.do(insert)

    async def create_fork(self, spec: RunSpec, inherited: Mapping[str, Sequence[Row]]) -> None:
        """Store a run that begins with rows of another one's record, by their tables (`fork.inherit`); all of it or nothing."""

        def insert(tx: Transaction) -> None:
            tx.run("run", run_row(tx.encoder, spec, time.time_ns()))
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

        def take_it(tx: Transaction) -> RunState:
            taken.append(take(tx, writer, run_id, unless, taken))
            return taken[-1]

        try:
            state: RunState = await writer.do(take_it)
            spec, recorded, spent = await asyncio.to_thread(patiently, partial(self._load, state))
        except BaseException:
            # Whoever asked will not get the journal, so the lease goes back as soon as the writer comes to it.
            back = Ticket(
                asyncio.get_running_loop(),
                wait=False,
                work=lambda tx: give_back(tx, taken),
                after=lambda _: let_go(writer, taken),
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
            unshare(self.url, self._shared)

    async def close(self) -> None:
        """Like `close_sync`, without blocking the event loop."""
        await asyncio.sleep(0)  # What journals of this loop have queued is handed over when the loop comes round.
        await asyncio.to_thread(self.close_sync)

    @property
    def failed(self) -> bool:
        """Whether the storage failed, so that nothing can be written any more."""
        return self._shared.writer.failure is not None

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
            if not tx.run("run_end", end_row(tx.encoder, state, end, elapsed)):
                raise Fenced(f"the run {state.run_id} was taken over by another process", hint="look with: burnish runs list")

        await writer.do(write_end, lambda _: let_go(writer, [state]), state=None if lost else state)

    async def _usage(self, run_id: str) -> Usage:
        return await asyncio.to_thread(patiently, partial(self.reader().usage, run_id))

    async def _effects(self, kind: str, run_id: str) -> list[Json]:
        return await asyncio.to_thread(patiently, partial(self.reader().effects, kind, run_id))
