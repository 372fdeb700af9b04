"""The thread that writes: one for each process and database.

Producers, on any event loop, put groups into a queue that is bounded by records and bytes; what finds no room stands in
line, and its producer waits for it without blocking his loop. The thread takes what is there, commits it at once and
acknowledges it; batches form by themselves while a commit runs. When the storage fails, writing stops for good: every
group that is queued, and every later one, gets the error. In a forked child there is no thread, so a child cannot write.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from ..core.errors import StoreError
from .commit import Committer, Group, Transaction
from .leases import HEARTBEAT_SECONDS
from .run_state import RunState
from .tickets import Loop, Ticket, acknowledge

MAX_RECORDS = 2000
"""Records that may wait to be written."""
MAX_BYTES = 64 << 20
BATCH_GROUPS = 256
BATCH_BYTES = 4 << 20
LINGER_SECONDS = 0.005
"""How long records that nobody waits for wait for others."""
CLOSE_SECONDS = 5.0
"""How long closing waits for the queue to be written."""


class Writer:
    """The queue and its thread."""

    def __init__(self, engine: Engine) -> None:
        self.held: dict[str, RunState] = {}
        """Runs whose lease this process holds; used by the thread only."""
        self._committer = Committer(engine)
        self._queue: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: deque[Ticket] = deque()
        """In line for the queue, first come first served."""
        self._records = self._bytes = 0
        self._stopped: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="burnish-writer", daemon=True)
        self._thread.start()
        _writers.add(self)

    @property
    def failure(self) -> StoreError | None:
        """Why nothing can be written any more; None while all is well."""
        return self._stopped

    def put(self, ticket: Ticket) -> None:
        """Queue a ticket, or put it in line while the queue is full.

        Raises:
            StoreError: nothing is written any more.
        """
        with self._lock:
            if self._stopped:
                raise self._stopped
            if self._waiting or not self._has_room():
                self._waiting.append(ticket)
            else:
                self._enqueue(ticket)

    async def do(
        self,
        work: Callable[[Transaction], Any],
        after: Callable[[Any], object] | None = None,
        *,
        state: RunState | None = None,
    ) -> Any:
        """Have a piece of work done in a transaction; its result, once that is durable.

        With a `state` it is done only if that run is still held and none of its records was lost.
        """
        ticket = Ticket(asyncio.get_running_loop(), state=state, work=work, after=after)
        self.put(ticket)
        assert ticket.future is not None
        return await ticket.future

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write what is queued, give back the leases, end the thread.

        Raises:
            StoreError: it was not all written in time; what is left is lost.
        """
        self._stop(StoreError("the store is closed", hint="open it again", code="closed"))
        self._queue.put(None)
        self._thread.join(seconds)
        _writers.discard(self)
        if self._thread.is_alive():
            raise StoreError(f"{self._records} records were not written within {seconds:.0f} s of closing", code="unwritten")

    def _stop(self, error: StoreError) -> None:
        with self._lock:
            self._stopped = self._stopped or error
            refused, self._waiting = list(self._waiting), deque()
        for ticket in refused:
            ticket.error = self._stopped
            acknowledge(ticket.loop, [ticket])

    def _has_room(self) -> bool:
        return self._records == 0 or (self._records < MAX_RECORDS and self._bytes < MAX_BYTES)

    def _enqueue(self, ticket: Ticket) -> None:
        self._records += _size(ticket)
        self._bytes += ticket.weight
        self._queue.put(ticket)

    def _run(self) -> None:
        try:
            self._loop()
            self._committer.commit([Group(work=self._release)])
            self._committer.idle()
        except StoreError as e:
            self._fail(e)
        except BaseException as e:
            self._fail(
                StoreError(f"the writer failed: {type(e).__name__}: {e}", hint="this is a bug; resume the run", code="writer")
            )
        finally:
            self._committer.close()

    def _loop(self) -> None:
        beat, wrote = time.monotonic() + HEARTBEAT_SECONDS, False
        while True:
            groups, last = self._take(max(0.0, beat - time.monotonic()))
            if groups:
                wrote = True
                try:
                    self._committer.commit(groups)
                finally:
                    self._settled(groups)
            if time.monotonic() >= beat:
                if self.held:
                    self._committer.commit([Group(work=self._heartbeat)])
                elif wrote and not groups:
                    self._committer.idle()
                    wrote = False
                beat = time.monotonic() + HEARTBEAT_SECONDS
            if last:
                return

    def _take(self, seconds: float) -> tuple[list[Group], bool]:
        """What is queued, up to a batch, and whether it is the last.

        While nobody waits for any of it, more is waited for: one commit serves all, and leaves the loops the interpreter.
        """
        groups: list[Group] = []
        size, until = 0, 0.0
        try:
            group = self._queue.get(timeout=seconds)
            while group is not None:
                groups.append(group)
                size += group.weight
                if len(groups) >= BATCH_GROUPS or size >= BATCH_BYTES:
                    return groups, False
                if group.urgent:
                    until = -1.0
                elif not until:
                    until = time.monotonic() + LINGER_SECONDS
                group = self._queue.get_nowait() if until < 0 else self._queue.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return groups, False
        return groups, True

    def _settled(self, groups: list[Group]) -> None:
        """Acknowledge what is settled, make room, let waiting producers in."""
        by_loop: dict[Loop, list[Ticket]] = {}
        for group in groups:
            if isinstance(group, Ticket) and group.settled:
                by_loop.setdefault(group.loop, []).append(group)
        for loop, tickets in by_loop.items():
            acknowledge(loop, tickets)
        with self._lock:
            self._records -= sum(map(_size, groups))
            self._bytes -= sum(g.weight for g in groups)
            while self._waiting and self._has_room():
                self._enqueue(self._waiting.popleft())
        for group in groups:
            if not group.settled:
                self._queue.put(group)

    def _fail(self, error: StoreError) -> None:
        """Stop for good: everything that is queued, or was in the failed transaction, gets the error."""
        self._stop(error)
        while True:
            try:
                group = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(group, Ticket):
                group.error = error
                acknowledge(group.loop, [group])

    def _heartbeat(self, tx: Transaction) -> None:
        now = time.time_ns()
        tx.run_many("heartbeat", [(now, s.active_ns(), s.run_id, s.epoch) for s in self.held.values()])

    def _release(self, tx: Transaction) -> None:
        now = time.time_ns()
        tx.run_many("release", [(s.active_ns(), now, s.run_id, s.epoch) for s in self.held.values()])

    def _abandon(self) -> None:
        """In a forked child: the thread and its connection belong to the parent."""
        self._stopped = StoreError(
            "a forked process cannot write to its parent's store", hint="open one of its own", code="forked"
        )
        self._lock = threading.Lock()


def _size(group: Group) -> int:
    """Records of a group; a piece of work counts as one."""
    return len(group.records) or 1


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _abandon_all() -> None:
    for writer in list(_writers):
        writer._abandon()  # pyright: ignore[reportPrivateUsage]
    _writers.clear()


def _close_all() -> None:
    for writer in list(_writers):
        try:
            writer.close()
        except StoreError as e:
            print(f"burnish: {e}", file=sys.stderr)


os.register_at_fork(after_in_child=_abandon_all)
atexit.register(_close_all)
