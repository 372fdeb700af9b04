"""The one event loop thread behind the synchronous functions.

Engines belong to the loop that started them, and a notebook has a loop of its own; so `burnish.run` hands its work to
a thread that owns a loop for as long as the process lives, with the engines that were started there.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from .core.engine import Engine
from .core.human import Asker
from .core.result import Result
from .core.task import Task
from .session import Session

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_engines: dict[int, Engine] = {}


def run(
    graph: object,
    task: Task | str | Mapping[str, Any],
    engine: Engine | None = None,
    *,
    store: str | None = None,
    ask: Asker | None = None,
    **options: Any,
) -> Result:
    """Run a graph on one task and wait for the result. May be called anywhere, a running event loop included.

    The engine stays up for the next call and is closed when the process ends. Without an engine the default model is
    served by vLLM. `ask` asks a person what the run asks; it runs in a thread, and may wait for input.
    `options` are those of `Session.run`: settings, budget, seed.

    Raises:
        BurnishError: as `Session.run`.
    """
    return submit(_run(graph, task, engine, store, ask, options))


def submit(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop thread and wait for it; Ctrl-C cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, _start())
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise


async def _run(
    graph: object,
    task: Task | str | Mapping[str, Any],
    engine: Engine | None,
    store: str | None,
    ask: Asker | None,
    options: dict[str, Any],
) -> Result:
    engine = engine or _default()
    _engines[id(engine)] = engine
    async with Session(engine, store=store, keep_engines=True, ask=ask) as session:
        return await session.run(graph, task, **options)


def _default() -> Engine:
    from .engine.vllm import VLLMEngine

    return next((e for e in _engines.values() if isinstance(e, VLLMEngine)), None) or VLLMEngine()


def _start() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="burnish-loop", daemon=True).start()
            atexit.register(_close)
        return _loop


def _close() -> None:
    async def close_all() -> None:
        for engine in _engines.values():
            await engine.close()

    if _loop is not None and _loop.is_running():
        asyncio.run_coroutine_threadsafe(close_all(), _loop).result(timeout=30)
        _loop.call_soon_threadsafe(_loop.stop)
