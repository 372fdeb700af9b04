"""A wish that something ends early and hands over what it has.

Cancelling a task loses what the task had; a `Stop` asks. Stops form a tree: stopping a run stops its calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .errors import Cancelled

T = TypeVar("T")


class Stop:
    """A one-way switch, to be used within one event loop."""

    def __init__(self, parent: Stop | None = None) -> None:
        self.requested = False
        """Whether the end is wished for."""
        self.reason = ""
        """Why, in a word."""
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0
        self._parent = parent
        self._children: dict[Stop, None] = {}
        if parent and parent.requested:
            self.requested, self.reason = True, parent.reason
        elif parent:
            parent._children[self] = None

    def request(self, reason: str = "cancelled") -> None:
        """Ask for the end. The second time it does nothing."""
        if self.requested:
            return
        self.requested, self.reason = True, reason
        callbacks, self._callbacks = list(self._callbacks.values()), {}
        children, self._children = list(self._children), {}
        for child in children:
            child.request(reason)
        for callback in callbacks:
            callback()

    def when_requested(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once the end is asked for, at once if it was already. Returns a function that takes this back."""
        if self.requested:
            callback()
            return lambda: None
        self._next += 1
        key = self._next
        self._callbacks[key] = callback
        return lambda: void(self._callbacks.pop(key, None))

    def close(self) -> None:
        """Detach from the parent, so that a long run does not gather dead children."""
        if self._parent:
            self._parent._children.pop(self, None)

    async def race(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, or give it up when the end is asked for first.

        Raises:
            Cancelled: the end was asked for; `work` has been cancelled.
        """
        if self.requested:
            work.close()
            raise Cancelled(f"stopped: {self.reason}")
        task = asyncio.ensure_future(work)
        detach = self.when_requested(lambda: void(task.cancel()))
        try:
            return await task
        except asyncio.CancelledError:
            if self.requested and task.cancelled():
                raise Cancelled(f"stopped: {self.reason}") from None
            task.cancel()
            raise
        finally:
            detach()


def void(_: object) -> None:
    """Drop a value, so that an expression may stand where nothing is to be returned."""
