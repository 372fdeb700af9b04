"""Ctrl-C and SIGTERM while runs are active: the first asks for an orderly end, the second ends the process at once.

Both are safe: what is recorded is durable, and a guardian ends an engine whose process has gone. The handlers are
Python's own, not the event loop's, so that the second one works where a graph blocks the loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.errors import Cancelled
from .errors import INTERRUPTED
from .output import say

if TYPE_CHECKING:
    from ..session import Session

T = TypeVar("T")

_SHOW_CURSOR = b"\x1b[?25h"


class Signals:
    """What was asked for by signals, and whom to tell."""

    def __init__(self) -> None:
        self.requested = False
        """Whether an end was asked for."""
        self.session: Session | None = None
        """The open session, whose runs are stopped; without one the work itself is cancelled."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[Any] | None = None

    def attach(self) -> None:
        """The calling task is the work that is cancelled where no session is open yet."""
        self._loop, self._work = asyncio.get_running_loop(), asyncio.current_task()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.requested:
            os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + b"ended at once\n")
            os._exit(INTERRUPTED)
        self.requested = True
        if self._loop is None or self._loop.is_closed():
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        say("interrupted: waiting for what is in flight to stop; once more ends at once")
        if self.session:
            self.session.stop.request("interrupted")
        elif self._work:
            self._work.cancel()


def drive(work: Callable[[Signals], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on an event loop of its own, with the signals handled.

    Raises:
        Cancelled: it was interrupted before its session was open.
    """
    signals = Signals()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signals) for number in numbers]

    async def attached() -> T:
        signals.attach()
        return await work(signals)

    try:
        return asyncio.run(attached())
    except asyncio.CancelledError:
        raise Cancelled("interrupted before anything had begun") from None
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
