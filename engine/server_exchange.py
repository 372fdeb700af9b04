"""One call and its answer, whole or in pieces, watched and stopped: what all engines on a server's protocol have in common."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from ..core.completion import Delta, Watch
from ..core.errors import Cancelled
from ..core.stop import Stop
from .server_replies import Collected


class Client(Protocol):
    """What sends calls."""

    async def post(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One answer."""
        ...

    def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any]]:
        """The pieces of one answer; closing the generator ends the call."""
        ...


async def exchange(client: Client, ask: Mapping[str, Any], collected: Collected, watch: Watch | None) -> bool:
    """Send a call, in pieces if it says so, and collect its answer. Returns whether `watch` stopped it."""
    if "stream" not in ask:
        text = collected.add(await client.post(ask))
        return bool(watch and watch(Delta(text, collected.so_far, collected.generated)))
    async with aclosing(client.stream(ask)) as pieces:
        async for piece in pieces:
            text = collected.add(piece)
            if watch and text and watch(Delta(text, collected.so_far, collected.generated)):
                return True
    return False


async def stoppable(work: Coroutine[Any, Any, bool], collected: Collected, stop: Stop | None) -> bool:
    """Await an exchange, or give it up when `stop` is requested. Returns whether it was ended before its own end."""
    try:
        stopped = await (stop.race(work) if stop is not None else work)
    except Cancelled:
        stopped = True
    return stopped and collected.finish is None
