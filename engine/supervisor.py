"""Keeps an engine that may die in service: restarts it, sends the calls that were in flight again, finds the guilty one.

Nobody can say which call killed the engine, only which were in flight. So after a crash these suspects run in two
halves, one half at a time and apart from all other calls; a half that crashes is halved again, one that comes through is
cleared. A call that kills the engine alone, and has been in a crash before, fails; the others never notice. A restart
that narrows nothing down (one call or none in flight, or it failed) counts towards giving up, until a call finishes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..core.errors import EngineUnavailable, GenerationFailed
from ..core.stop import Stop
from ..core.text import one_line

E = TypeVar("E")
T = TypeVar("T")

LONGEST_BACKOFF_S = 30.0


class EngineDied(Exception):
    """Raised by a call's work when the engine below it has died."""


@dataclass(eq=False)
class _Call:
    """One call, from its arrival until it is answered."""

    crashes: int = 0
    """Crashes that it was in flight in."""
    guilty: bool = False
    """Whether it has killed the engine alone, after it was in flight in an earlier crash."""
    task: asyncio.Task[Any] | None = None
    """The task that runs it on an engine; None while it waits."""
    lost: bool = False
    """Whether it was cancelled here, because the engine is gone."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor(Generic[E]):
    """Runs calls on an engine that it builds, watches, and builds anew; to be used within one event loop.

    `build` makes an engine, `dispose` removes a dead or finished one with all its processes, `dead` tells whether one
    has died.
    """

    def __init__(
        self,
        build: Callable[[], Awaitable[E]],
        dispose: Callable[[E], Awaitable[None]],
        dead: Callable[[E], bool],
        *,
        give_up_after: int = 5,
        backoff_s: float = 0.5,
        poll_s: float = 0.5,
        grace_s: float = 3.0,
    ) -> None:
        self._build, self._dispose, self._dead = build, dispose, dead
        self._give_up_after, self._backoff_s, self._poll_s, self._grace_s = give_up_after, backoff_s, poll_s, grace_s
        self.restarts = 0
        """How often the engine has been started again."""
        self._engine: E | None = None
        """The engine that calls run on; None while there is none."""
        self._remains: E | None = None
        """One that has died and is still to be removed."""
        self._failure: EngineUnavailable | None = None
        self._running: dict[_Call, None] = {}
        self._crashed: dict[_Call, None] = {}
        self._waiting: dict[_Call, None] = {}
        self._suspects: list[list[_Call]] = []
        """Groups still to be tried; the first one's turn it is."""
        self._fruitless = 0
        self._died = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether no call is in flight or waiting."""
        return not (self._running or self._crashed or self._waiting)

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
        await self._remove_engine()

    async def call(self, work: Callable[[E], Awaitable[T]], *, stop: Stop | None = None) -> T:
        """Run `work` on the engine, again as often as the engine dies under it.

        Raises:
            GenerationFailed: it kills the engine (`engine_crash`), or `work` raised it.
            EngineUnavailable: the engine is gone for good.
            Cancelled: `stop` was requested before it could run.
        """
        call = _Call()
        try:
            while True:
                engine = await self._admission(call, stop)
                try:
                    result = await self._run(call, engine, work)
                except EngineDied:
                    self._running.pop(call, None)
                    self._crashed[call] = None
                    self._retire(engine)
                else:
                    self._fruitless = 0
                    return result
        finally:
            self._forget(call)

    async def _admission(self, call: _Call, stop: Stop | None) -> E:
        while True:
            if self._failure is not None:
                raise self._failure
            if call.guilty:
                raise GenerationFailed(
                    f"this call killed the engine {call.crashes} times", code="engine_crash", hint="see the engine's log"
                )
            if self._engine is not None and call not in self._crashed and self._has_turn(call):
                self._running[call] = None
                return self._engine
            call.wake.clear()
            self._waiting[call] = None
            try:
                await (stop.race(call.wake.wait()) if stop else call.wake.wait())
            finally:
                self._waiting.pop(call, None)

    async def _run(self, call: _Call, engine: E, work: Callable[[E], Awaitable[T]]) -> T:
        call.task, call.lost = asyncio.current_task(), False
        try:
            return await work(engine)
        except asyncio.CancelledError:
            if call.lost and call.task is not None and call.task.uncancel() == 0:
                raise (self._failure or EngineDied()) from None
            raise
        finally:
            call.task = None

    def _has_turn(self, call: _Call) -> bool:
        return not self._suspects or call in self._suspects[0]

    def _retire(self, engine: E) -> None:
        """Admit nobody to an engine that has died."""
        if engine is self._engine:
            self._remains, self._engine = engine, None
        self._died.set()

    def _forget(self, call: _Call) -> None:
        self._running.pop(call, None)
        self._crashed.pop(call, None)
        for group in self._suspects:
            if call in group:
                group.remove(call)
        if any(not group for group in self._suspects):
            self._suspects = [group for group in self._suspects if group]
            self._wake()

    def _wake(self) -> None:
        for call in self._waiting:
            call.wake.set()

    def _fail(self, failure: EngineUnavailable) -> None:
        self._failure = failure
        self._abandon_running()
        self._wake()

    def _abandon_running(self) -> None:
        for call in self._running:
            if call.task is not None and not call.lost:
                call.lost = True
                call.task.cancel()

    async def _keep(self) -> None:
        try:
            while self._failure is None:
                await self._death()
                await self._gather_crashed()
                await self._remove_engine()
                self._judge()
                self._wake()  # a guilty call need not wait for the next engine
                await self._rebuild()
                self._wake()
        except Exception as e:  # whoever waits must hear of it
            self._fail(EngineUnavailable(f"the engine could not be kept alive: {one_line(str(e), 300)}"))

    async def _death(self) -> None:
        self._died.clear()  # nobody can have set it since the engine was built: that takes a turn of the loop
        while not self._died.is_set() and self._engine is not None and not self._dead(self._engine):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._died.wait(), self._poll_s)

    async def _gather_crashed(self) -> None:
        """Wait until every call in flight has noticed; those that do not are told."""
        if self._engine is not None:
            self._retire(self._engine)
        deadline = asyncio.get_running_loop().time() + self._grace_s
        while self._running:
            if asyncio.get_running_loop().time() > deadline:
                self._abandon_running()
            await asyncio.sleep(0.02)

    async def _remove_engine(self) -> None:
        engine, self._engine, self._remains = self._engine or self._remains, None, None
        if engine is not None:
            await self._dispose(engine)

    def _judge(self) -> None:
        crashed, self._crashed = list(self._crashed), {}
        for call in crashed:
            call.crashes += 1
        if len(crashed) <= 1:
            self._fruitless += 1
        untried = [call for call in self._suspects.pop(0) if call not in crashed] if self._suspects else []
        if len(crashed) == 1 and crashed[0].crashes > 1:
            crashed[0].guilty = True
            crashed = []
        middle = (len(crashed) + 1) // 2
        groups = [crashed[:middle], crashed[middle:], untried, *self._suspects]
        self._suspects = [group for group in groups if group]

    async def _rebuild(self) -> None:
        while True:
            if self._fruitless >= self._give_up_after:
                failure = EngineUnavailable(
                    f"the engine died {self._fruitless} times without finishing a call", hint="see the engine's log"
                )
                self._fail(failure)
                return
            if self._fruitless:
                await asyncio.sleep(min(self._backoff_s * 2**self._fruitless, LONGEST_BACKOFF_S))
            self.restarts += 1
            try:
                self._engine = await self._build()
                return
            except EngineUnavailable as e:
                self._fruitless += 1
                if self._fruitless >= self._give_up_after:
                    self._fail(e)
                    return
