"""Keeps an engine that may die in service: restarts it, sends the calls that were in flight again, finds the guilty one.

Nobody can say which call killed the engine, only which were in flight. So after a crash these suspects run in two
halves, one half at a time and apart from all other calls; a half that crashes is halved again, one that comes through is
cleared. A call that kills the engine alone, and has been in a crash before, fails; the others never notice. A crash
that teaches nothing (nobody or one alone in flight, nothing finished since the last) counts towards giving up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..core.errors import EngineUnavailable, GenerationFailed

E = TypeVar("E")
T = TypeVar("T")


class EngineDied(Exception):
    """Raised by a call's work when the engine below it has died."""


@dataclass(eq=False)
class _Call:
    """One call, from its arrival until it is answered."""

    crashes: int = 0
    """Crashes that it was in flight in."""
    task: asyncio.Task[object] | None = None
    """The task that runs it; None while it waits."""
    lost: bool = False
    """Whether the supervisor has cancelled it because the engine is gone."""
    admitted: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor(Generic[E]):
    """Runs calls on an engine that it builds, watches, and builds anew.

    `build` makes an engine, `dispose` removes a dead or finished one with all its processes, `dead` tells whether one
    has died. All is used within one event loop.
    """

    def __init__(
        self,
        build: Callable[[], Awaitable[E]],
        dispose: Callable[[E], Awaitable[None]],
        dead: Callable[[E], bool],
        *,
        give_up_after: int = 3,
        backoff_s: float = 0.5,
        poll_s: float = 0.25,
        grace_s: float = 2.0,
    ) -> None:
        self._build, self._dispose, self._dead = build, dispose, dead
        self._give_up_after, self._backoff_s, self._poll_s, self._grace_s = give_up_after, backoff_s, poll_s, grace_s
        self.restarts = 0
        """How often the engine has been restarted."""
        self._engine: E | None = None
        self._failure: EngineUnavailable | None = None
        self._running: set[_Call] = set()
        self._waiting: dict[_Call, None] = {}
        self._suspects: list[list[_Call]] = []
        """Groups of suspects still to be tried; the first one's turn is now."""
        self._fruitless = 0
        self._died = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Build the engine and begin to watch it."""
        self._engine = await self._build()
        self._failure = None
        self._keeper = asyncio.create_task(self._keep(), name="burnish-engine-keeper")

    async def close(self) -> None:
        """Remove the engine; calls in flight and waiting ones end with `EngineUnavailable`."""
        self._fail(EngineUnavailable("the engine was closed", code="engine_closed"))
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        engine, self._engine = self._engine, None
        if engine is not None:
            await self._dispose(engine)

    @property
    def idle(self) -> bool:
        """Whether no call is in flight or waiting."""
        return not self._running and not self._waiting

    async def call(self, work: Callable[[E], Awaitable[T]]) -> T:
        """Run `work` on the engine, again as often as the engine dies under it.

        Raises:
            GenerationFailed: it kills the engine (`engine_crash`), or `work` raised it.
            EngineUnavailable: the engine is gone for good.
        """
        call = _Call()
        try:
            while True:
                engine = await self._admission(call)
                try:
                    result = await self._run(call, engine, work)
                except EngineDied:
                    self._died.set()
                    self._judge(call)
                    continue
                self._fruitless = 0
                return result
        finally:
            self._forget(call)

    async def _admission(self, call: _Call) -> E:
        while True:
            if self._failure is not None:
                raise self._failure
            if self._engine is not None and self._may_run(call):
                self._running.add(call)
                return self._engine
            call.admitted.clear()
            self._waiting[call] = None
            try:
                await call.admitted.wait()
            finally:
                self._waiting.pop(call, None)

    async def _run(self, call: _Call, engine: E, work: Callable[[E], Awaitable[T]]) -> T:
        call.task, call.lost = asyncio.current_task(), False
        try:
            return await work(engine)
        except asyncio.CancelledError:
            if call.lost and call.task is not None and call.task.uncancel() == 0:
                if self._failure is not None:
                    raise self._failure from None
                raise EngineDied from None
            raise
        finally:
            call.task = None

    def _may_run(self, call: _Call) -> bool:
        return not self._died.is_set() and (not self._suspects or call in self._suspects[0])

    def _judge(self, call: _Call) -> None:
        """Put a call back that came out of a crash, or fail it."""
        if self._failure is not None:
            raise self._failure
        if call in self._running and len(self._running) == 1 and call.crashes >= 1 and not self._crashed_together:
            ...

    def _forget(self, call: _Call) -> None:
        self._running.discard(call)

    @contextlib.contextmanager
    def _nothing(self) -> Iterator[None]:
        yield

    def _fail(self, failure: EngineUnavailable) -> None:
        self._failure = failure

    async def _keep(self) -> None: ...


_ = GenerationFailed
