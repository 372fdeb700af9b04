"""A pool of worker processes that can be killed.

What may hang, crash or eat memory runs here, never in a thread: a hung thread outlives its timeout. Code goes in as
a name, arguments go in and results come out as JSON, so nothing that a worker says is ever executed. A worker is
kept between calls (a warm call costs a fraction of a millisecond) and replaced once it had to be killed. Each one is
driven by a thread of its own, so that the pool serves any event loop, and because Linux tells a process of the end
of the thread that started it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ..core import target as loader
from ..core.errors import ConfigError, VerifierFailed
from ..core.ids import Json
from .worker_process import IN_WORKER, WorkerDied, WorkerProcess


@dataclass
class _Job:
    request: dict[str, Any]
    seconds: float
    future: Future[Json] = field(default_factory=Future[Json])
    abandoned: bool = False
    _worker: WorkerProcess | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, worker: WorkerProcess | None) -> None:
        """Say which worker has the job; None once it has no more."""
        with self._lock:
            self._worker = worker
            if worker and self.abandoned:
                worker.end()

    def abandon(self) -> None:
        """Nobody waits for the result any more: free the worker."""
        with self._lock:
            self.abandoned = True
            if self._worker:
                self._worker.end()


class WorkerPool:
    """At most `size` workers, each started when it is first needed."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or max(2, min(4, os.cpu_count() or 1))
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._drivers: list[_Driver] = []
        self._unfinished = 0
        self._closed = False

    async def call(
        self, target: str, args: Sequence[Json], *, seconds: float, memory_mb: int | None = None, load: Sequence[str] = ()
    ) -> Json:
        """Call the function named `target` in a worker and return what it returns, which must be plain JSON.

        The clock starts when the function does: neither waiting for a free worker nor importing `target` and `load`
        counts. `memory_mb` is what the call may use on top of what the worker holds already; None for no limit.

        Raises:
            VerifierFailed: with the code `timeout`, `memory_limit`, `verifier_crashed`, `bad_return`, the code of the
                burnish error that the function raised, or `verifier_error` where it raised another one.
            ConfigError: called from within a worker.
        """
        if os.environ.get(IN_WORKER):
            raise ConfigError(
                "a worker process cannot start workers",
                hint="if it ran your script to find a function in it, start the program under `if __name__ == '__main__':`",
            )
        request = {
            "path": sys.path,
            "loader": loader.__name__,
            "load": list(load),
            "target": target,
            "args": list(args),
            "seconds": seconds,
            "memory_mb": memory_mb,
        }
        job = _Job(request, seconds)
        self._submit(job)
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            job.abandon()
            raise

    def close(self) -> None:
        """End all workers. Calls that wait or run fail."""
        with self._lock:
            self._closed = True
            drivers = list(self._drivers)
        for driver in drivers:
            self._queue.put(None)
            driver.stop()
        for driver in drivers:
            driver.join(10)
        while not self._queue.empty():
            if (job := self._queue.get()) and job.future.set_running_or_notify_cancel():
                job.future.set_exception(VerifierFailed("the worker pool was closed", code="verifier_crashed"))

    def _submit(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise VerifierFailed("the worker pool is closed", code="verifier_crashed")
            self._unfinished += 1
            job.future.add_done_callback(self._finished)
            self._queue.put(job)
            if len(self._drivers) < min(self.size, self._unfinished):
                driver = _Driver(self._queue)
                self._drivers.append(driver)
                driver.start()

    def _finished(self, _: Future[Json]) -> None:
        with self._lock:
            self._unfinished -= 1


class _Driver(threading.Thread):
    """Feeds jobs to one worker, and replaces it when it dies."""

    def __init__(self, jobs: queue.SimpleQueue[_Job | None]) -> None:
        super().__init__(name="burnish-worker", daemon=True)
        self._jobs = jobs
        self._worker: WorkerProcess | None = None
        self._stopped = False

    def run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.future.set_result(self._perform(job))
            except Exception as e:
                job.future.set_exception(e)
        self._drop()

    def stop(self) -> None:
        """End the worker, from another thread; the thread itself ends at the end of its queue."""
        self._stopped = True
        if worker := self._worker:
            worker.end()

    def _perform(self, job: _Job) -> Json:
        for last in (False, True):
            try:
                return self._call(job)
            except WorkerDied as e:
                self._drop()
                if e.started or last or job.abandoned or self._stopped:
                    raise VerifierFailed("the worker process died", code="verifier_crashed") from None
        raise AssertionError

    def _call(self, job: _Job) -> Json:
        try:
            if self._worker is None:
                self._worker = WorkerProcess()
            if self._stopped:
                self._worker.end()
            job.hold(self._worker)
            reply = self._worker.call(job.request, job.seconds)
        except TimeoutError:
            self._drop()
            raise VerifierFailed(f"no result within {job.seconds:g} s", code="timeout") from None
        finally:
            job.hold(None)
        if job.abandoned:
            self._drop()
        if "error" not in reply:
            return reply.get("value")
        if reply["error"] == "memory_limit":
            self._drop()
        raise VerifierFailed(str(reply.get("message")), code=str(reply["error"]))

    def _drop(self) -> None:
        worker, self._worker = self._worker, None
        if worker:
            worker.close()


_shared: WorkerPool | None = None
_shared_lock = threading.Lock()


def shared_pool() -> WorkerPool:
    """The pool that all verifiers of this process use; closed when the process exits."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = WorkerPool()
            atexit.register(_shared.close)
        return _shared


def _forget() -> None:
    """After a fork the child has neither the threads nor the workers."""
    global _shared, _shared_lock
    _shared, _shared_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
