"""The rule of engines with connections or processes: what one event loop started serves that loop only."""

from __future__ import annotations

import asyncio

from ..core.errors import EngineUnavailable


def check_loop(started: asyncio.AbstractEventLoop | None) -> None:
    """Refuse an engine that was not started (None), or not by the running loop.

    Raises:
        EngineUnavailable: it was not.
    """
    if started is None:
        raise EngineUnavailable("the engine is not running", hint="await engine.start() first", code="engine_closed")
    if started is not asyncio.get_running_loop():
        raise EngineUnavailable(
            "the engine belongs to another event loop, the one that started it",
            hint="start, use and close it within one asyncio.run, or use burnish.run, which keeps one loop",
        )
