"""An engine on any server that speaks OpenAI's chat-completions protocol, `vllm serve` first among them.

What the server can do is found out at the start (`server_probe.py`). A call that may be stopped is streamed, so that what
was generated is kept; closing the stream ends the decoding. A failed call is not sent again here, burnish's retries do
that; but a server that went away is waited for, since no retry of single calls would outlast its restart.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.completion import Completion, Delta, Scores, Watch
from ..core.engine import EngineInfo
from ..core.errors import Cancelled, ConfigError, EngineUnavailable, GenerationFailed
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .layer import NOTHING
from .one_loop import check_loop
from .server_address import Address
from .server_calls import body
from .server_errors import Unreachable
from .server_probe import Features, Served, probe, served
from .server_replies import Collected

if TYPE_CHECKING:
    from .server_client import Connection

_PROMPTS_KNOWN = 256
_TEMPLATE_TOKENS, _TURN_TOKENS = 64, 16
"""Most tokens that a chat template is reckoned to add, once and for each turn."""
_ASK_AGAIN_S = 1.0


@dataclass(frozen=True)
class _Open:
    """What there is while the engine runs."""

    connection: Connection
    features: Features
    model: str
    places: asyncio.Semaphore
    """One for each connection: a call waits here, not inside of the client, so that its time has not begun."""


class ServerEngine:
    """A model on a server. Start it, use it, close it within one event loop."""

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        *,
        api_key_env: str | None = None,
        timeout: float = 600.0,
        max_connections: int = 256,
        patience: float = 60.0,
    ) -> None:
        """Describe the engine; nothing happens before `start`.

        `base_url` ends where `/chat/completions` begins, as in `http://127.0.0.1:8000/v1`. Without a `model` the server must have
        exactly one. `api_key_env` names the environment variable that holds the key; the key itself is never taken. A call
        fails after `timeout` silent seconds. At most `max_connections` calls are sent at once, the others wait. A server that
        went away is waited for `patience` seconds.

        Raises:
            ConfigError: an argument that cannot be right.
        """
        self._address = Address(base_url, key_env=api_key_env, timeout=timeout, max_connections=max_connections)
        if not 0 < patience < math.inf:
            raise ConfigError(f"patience is {patience}", hint="give seconds above 0")
        self._patience = patience
        self._model = model
        self._info = EngineInfo(kind="server", model=model or "")
        self._open: _Open | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = asyncio.Lock()
        self._return: asyncio.Task[None] | None = None
        self._prompts: OrderedDict[Prompt, int] = OrderedDict()

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def start(self) -> None:
        async with self._starting:
            if self._open is not None:
                self._running()
                return
            connection = self._address.connect()
            try:
                found = await served(connection, self._model)
                features = await probe(connection, found, self._address.root)
            except GenerationFailed as e:
                await connection.close()
                raise EngineUnavailable(e.message, hint=e.hint, code=e.code) from None
            except BaseException:
                await connection.close()
                raise
            self._info = _described(found, features)
            self._open = _Open(connection, features, found.model, asyncio.Semaphore(self._address.max_connections))
            self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        if self._open is None:
            return
        connection, self._open = self._running().connection, None
        if self._return is not None:
            self._return.cancel()
            await asyncio.gather(self._return, return_exceptions=True)
        await connection.close()

    async def __aenter__(self) -> ServerEngine:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def count_tokens(self, prompt: Prompt) -> int:
        """As the server counted, once it has seen the prompt; until then an upper bound: no token is less than a byte."""
        known = self._prompts.get(prompt)
        if known is not None:
            return known
        texts = [prompt.prefix_text, *(m.text for m in prompt.messages or ())]
        ids = len(prompt.token_ids or ()) + len(prompt.prefix_ids)
        return _TEMPLATE_TOKENS + ids + sum(len(t.encode("utf-8", "surrogatepass")) + _TURN_TOKENS for t in texts)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        opened, collected = self._running(), Collected()
        if stop is not None and stop.requested:
            return NOTHING
        stream = opened.features.stream and (watch is not None or stop is not None)
        ask = body(prompt, sampling, opened.features, model=opened.model, stream=stream, watched=watch is not None)
        work = self._call(opened, ask, collected, watch)
        try:
            stopped = await (stop.race(work) if stop is not None else work)
        except Cancelled:
            stopped = True
        stopped = stopped and collected.finish is None
        if stopped and not collected.pieces:
            return NOTHING
        self._learn(prompt, collected.prompt)
        return collected.completion(sampling, prompt_tokens=self.count_tokens(prompt), stopped=stopped)

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        raise EngineUnavailable("a chat-completions server cannot score", hint="the engine vllm can", code="unsupported")

    async def _call(self, opened: _Open, ask: dict[str, object], collected: Collected, watch: Watch | None) -> bool:
        """Send a call and collect its answer. Returns whether `watch` stopped it."""
        async with opened.places:
            try:
                if "stream" not in ask:
                    text = collected.add(await opened.connection.post(ask))
                    return bool(watch and watch(Delta(text, collected.so_far, collected.generated)))
                async with aclosing(opened.connection.stream(ask)) as pieces:
                    async for piece in pieces:
                        text = collected.add(piece)
                        if watch and text and watch(Delta(text, collected.so_far, collected.generated)):
                            return True
            except Unreachable:
                await self._until_it_is_back(opened.connection)
                raise
            return False

    async def _until_it_is_back(self, connection: Connection) -> None:
        """Wait until the server answers again; all calls that miss it wait together.

        Raises:
            EngineUnavailable: it does not, or no longer has the model.
        """
        if self._return is None or self._return.done():
            self._return = asyncio.create_task(self._watch_out(connection))
            self._return.add_done_callback(lambda task: task.cancelled() or task.exception())  # seen, even if nobody waits
        await asyncio.shield(self._return)

    async def _watch_out(self, connection: Connection) -> None:
        last = ""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    try:
                        await served(connection, self._info.model)
                        return
                    except GenerationFailed as e:
                        last = e.message
                    except ConfigError as e:
                        raise EngineUnavailable(f"the server came back as another one: {e.message}", hint=e.hint) from None
                    await asyncio.sleep(_ASK_AGAIN_S)
        except TimeoutError:
            message = f"the server is gone: {last or 'it does not answer'}"
            raise EngineUnavailable(message, hint="start it again, then resume the run", code="unreachable") from None

    def _learn(self, prompt: Prompt, tokens: int | None) -> None:
        if tokens is None:
            return
        self._prompts[prompt] = tokens
        self._prompts.move_to_end(prompt)
        if len(self._prompts) > _PROMPTS_KNOWN:
            self._prompts.popitem(last=False)

    def _running(self) -> _Open:
        check_loop(self._loop if self._open else None)
        assert self._open is not None
        return self._open


def _described(found: Served, features: Features) -> EngineInfo:
    return EngineInfo(
        kind="server",
        model=found.model,
        version=f"vllm {features.vllm}" if features.vllm else "",
        context_tokens=found.context_tokens,
        capabilities=features.capabilities(),
    )
