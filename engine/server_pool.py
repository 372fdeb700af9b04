"""Several servers of one model as one: which gets a call, which are left out, and when they are tried again.

A call goes to the server that its prompt's beginning belongs to (rendezvous hashing), so that samples of one prompt and
later turns of one dialogue find their prefix cached; where that server has much more to do than the average, to the next
one (bounded loads). A server that cannot be reached, or fails several times in a row, is left out, and asked again until it
is back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeVar

from ..core.errors import BurnishError, ConfigError, EngineUnavailable, GenerationFailed
from ..core.together import together
from .server_errors import Unreachable
from .server_probe import Features, Served, probe, served

if TYPE_CHECKING:
    from .server_address import Address
    from .server_client import Connection

T = TypeVar("T")

ASK_AGAIN_S = 1.0
FAILURES_LEFT_OUT = 3
"""Failures in a row after which a server is left out, if there is another one."""
_FAULTS = ("server_error", "connection", "timeout", "bad_response")
_EVEN, _SLACK = 1.25, 8
"""A server may have this many times the average of calls, and so many more, before its calls go elsewhere."""


@dataclass(eq=False)
class Place:
    """One server of the pool."""

    address: Address
    connection: Connection
    features: Features | None = None
    """What it was found to do; None if it has not been asked yet."""
    down: str = ""
    """Why it is left out; empty while it is in use."""
    lost: EngineUnavailable | None = None
    """Why it is left out for good."""
    running: int = 0
    """Calls that it has, or that wait for a connection to it."""
    calls: int = 0
    """Calls that it has answered."""
    failures: int = 0
    """Failures since its last answer."""
    watcher: asyncio.Task[None] | None = None
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.address.max_connections)


class Pool:
    """Servers of one model, connected and asked what they can do. Belongs to one event loop."""

    def __init__(self, places: Sequence[Place], patience: float) -> None:
        self.places = places
        self._patience = patience
        self._found: Served | None = None
        self._changed = asyncio.Event()

    @property
    def found(self) -> Served:
        """The model that they serve."""
        assert self._found is not None
        return self._found

    @property
    def features(self) -> Features:
        """What each of them can do."""
        return next(p.features for p in self.places if p.features is not None)

    async def open(self, model: str | None) -> None:
        """Find out what the servers can do. Those that do not answer are left out for now, unless none does.

        Raises:
            ConfigError: they have no such model, or differ in what they can do.
            EngineUnavailable: none answers as it should.
        """
        asked = await asyncio.gather(*(served(p.connection, model) for p in self.places), return_exceptions=True)
        refused = [e for e in asked if isinstance(e, BaseException) and not isinstance(e, GenerationFailed)]
        if refused:
            raise refused[0]
        up = [(p, s) for p, s in zip(self.places, asked, strict=True) if isinstance(s, Served)]
        if not up:
            raise _gone(next(e for e in asked if isinstance(e, GenerationFailed)))
        self._found = up[0][1]
        try:
            await together(self._ask(place, found) for place, found in up)
        except GenerationFailed as e:
            raise _gone(e) from None
        if differ := [d for p, _ in up if (d := _difference(self.features, p.features))]:
            raise ConfigError(f"the servers differ in {differ[0]}", hint="serve the same model in the same way on each")
        for place, error in zip(self.places, asked, strict=True):
            if isinstance(error, GenerationFailed):
                self._leave_out(place, error)

    async def run(self, key: str, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do work at a server that is there, preferring the one that `key` belongs to.

        Raises:
            GenerationFailed: the work raised it.
            EngineUnavailable: no server is there, and none came back in time.
        """
        unreachable: Unreachable | None = None
        for _ in range(len(self.places) + 1):
            place = await self._pick(key)
            place.running += 1
            try:
                async with place.free:
                    if place.down:  # while the call waited
                        continue
                    result = await work(place.connection)
            except Unreachable as e:  # nothing was sent
                unreachable = e
                self._leave_out(place, e)
            except GenerationFailed as e:
                self._failed(place, e)
                raise
            else:
                place.calls, place.failures = place.calls + 1, 0
                return result
            finally:
                place.running -= 1
        raise unreachable or GenerationFailed("the servers come and go", code="unreachable", retryable=True)

    async def close(self) -> None:
        """Close all connections."""
        watchers = [p.watcher for p in self.places if p.watcher is not None]
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        await asyncio.gather(*(p.connection.close() for p in self.places))

    async def _pick(self, key: str) -> Place:
        """The server for a key, once there is one."""
        last = ""
        try:
            async with asyncio.timeout(self._patience):
                while not (up := [p for p in self.places if not p.down]):
                    lost = [p.lost for p in self.places if p.lost is not None]
                    if len(lost) == len(self.places):
                        raise lost[0]
                    last = next(p.down for p in self.places if p.lost is None)
                    await self._changed.wait()
        except TimeoutError:
            hint = "start it again, then resume the run"
            raise EngineUnavailable(f"the server is gone: {last}", hint=hint, code="unreachable") from None
        if len(up) == 1:
            return up[0]
        most = _EVEN * (sum(p.running for p in up) + 1) / len(up) + _SLACK
        inviting = [p for p in up if p.running < most] or up
        return max(inviting, key=lambda p: hashlib.blake2b(f"{p.address.base_url} {key}".encode(), digest_size=8).digest())

    def _failed(self, place: Place, error: GenerationFailed) -> None:
        if error.code not in _FAULTS:
            return
        place.failures += 1
        if place.failures >= FAILURES_LEFT_OUT and any(not p.down for p in self.places if p is not place):
            self._leave_out(place, error)

    def _leave_out(self, place: Place, error: GenerationFailed) -> None:
        if place.down:
            return
        place.down = error.message
        place.watcher = asyncio.create_task(self._watch(place))

    async def _watch(self, place: Place) -> None:
        """Ask a server that is left out until it is back as it was."""
        while True:
            try:
                if place.failures:  # it answers, but has failed at what matters
                    await asyncio.sleep(ASK_AGAIN_S)
                await self._try_again(place)
                break
            except GenerationFailed as e:
                place.down = e.message
            except BurnishError as e:
                place.down = f"the server came back as another one: {e.message}"
                place.lost = EngineUnavailable(place.down, hint=e.hint, code=e.code)
                break
            await asyncio.sleep(ASK_AGAIN_S)
        if place.lost is None:
            place.down, place.failures = "", 0
        self._changed.set()
        self._changed = asyncio.Event()

    async def _try_again(self, place: Place) -> None:
        found = await served(place.connection, self.found.model)
        if place.features is None:
            await self._ask(place, found)
            if differ := _difference(self.features, place.features):
                raise ConfigError(f"it differs from the others in {differ}", hint="serve the same model in the same way on each")
        elif place.failures:
            hello = {"model": found.model, "messages": [{"role": "user", "content": "Hello"}], self.features.limit: 1}
            await place.connection.post(hello)

    async def _ask(self, place: Place, found: Served) -> None:
        place.features = await probe(place.connection, found, place.address.root)


def belonging(texts: Sequence[str]) -> str:
    """A short key for the texts that a prompt begins with."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _difference(one: Features, other: Features | None) -> str:
    """Names of what two servers differ in; empty if nothing is."""
    names: Mapping[str, object] = {f.name: getattr(other, f.name) for f in fields(Features)} if other else {}
    return ", ".join(name for name, value in names.items() if value != getattr(one, name))


def _gone(error: GenerationFailed) -> EngineUnavailable:
    return EngineUnavailable(error.message, hint=error.hint, code=error.code)
