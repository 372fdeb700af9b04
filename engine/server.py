"""An engine on any server that speaks OpenAI's chat-completions protocol, `vllm serve` first among them.

What the server can do is found out at the start (`server_probe.py`). A call that may be stopped is streamed, so that what
was generated is kept; closing the stream ends the decoding. A failed call is not sent again here, burnish's retries do
that; but a server that went away is waited for, since no retry of single calls would outlast its restart. Of several servers
those that are there share the calls (`server_pool.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.completion import Completion, Watch
from ..core.engine import EngineInfo, require
from ..core.errors import ConfigError
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .connected import ChatEngine
from .layer import NOTHING
from .server_address import Address
from .server_calls import body
from .server_exchange import exchange
from .server_pool import Place, Pool, belonging
from .server_replies import Collected


@dataclass(frozen=True)
class ServerState:
    """How one of the servers is."""

    base_url: str
    running: int
    """Calls that it has, or that wait for a connection to it."""
    calls: int
    """Calls that it has answered."""
    left_out: str
    """Why it gets no calls; empty while it does."""


class ServerEngine(ChatEngine[Pool]):
    """A model on a server. Start it, use it, close it within one event loop."""

    def __init__(
        self,
        base_url: str | Sequence[str],
        model: str | None = None,
        *,
        api_key_env: str | None = None,
        api_key_file: str | None = None,
        timeout: float = 600.0,
        max_connections: int = 256,
        patience: float = 60.0,
    ) -> None:
        """Describe the engine; nothing happens before `start`.

        `base_url` ends where `/chat/completions` begins, as in `http://127.0.0.1:8000/v1`; several, in a list or with commas
        between them, are servers of one model that share the calls. Without a `model` the server must have exactly one.
        `api_key_env` names the environment variable that holds the key, `api_key_file` the file; the key itself is never
        taken. A call fails after `timeout` silent seconds. At most `max_connections` calls are sent to one server at once,
        the others wait. If no server is there, `patience` seconds are waited for one to come back.

        Raises:
            ConfigError: an argument that cannot be right.
        """
        urls = [u.strip() for u in base_url.split(",")] if isinstance(base_url, str) else list(base_url)
        self._addresses = [
            Address(url, key_env=api_key_env, key_file=api_key_file, timeout=timeout, max_connections=max_connections)
            for url in urls
        ]
        if len({a.base_url for a in self._addresses}) != len(urls) or not urls:
            raise ConfigError(f"{len(urls)} base URLs, not all of them different", hint="give each server once")
        if not 0 < patience < math.inf:
            raise ConfigError(f"patience is {patience}", hint="give seconds above 0")
        self._patience = patience
        self._model = model
        super().__init__(EngineInfo(kind="server", model=model or ""))

    @property
    def servers(self) -> list[ServerState]:
        """How the servers are; empty unless the engine runs."""
        places = self._open.places if self._open else ()
        return [ServerState(p.address.base_url, p.running, p.calls, p.down) for p in places]

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        pool, collected = self._running(), Collected()
        if stop is not None and stop.requested:
            return NOTHING
        stream = pool.features.stream and (watch is not None or stop is not None)
        ask = body(prompt, sampling, pool.features, model=pool.found.model, stream=stream, watched=watch is not None)
        require(self, (*sampling.needs, *prompt.needs), why="the call")
        work = pool.run(_beginning(prompt), lambda connection: exchange(connection, ask, collected, watch))
        return await self._completed(work, collected, prompt, sampling, stop)

    def _described(self, pool: Pool) -> EngineInfo:
        """What the servers were found to be."""
        found, features = pool.found, pool.features
        return EngineInfo(
            kind="server",
            model=found.model,
            version=f"vllm {features.vllm}" if features.vllm else "",
            context_tokens=found.context_tokens,
            capabilities=features.capabilities(),
        )

    async def _connect(self) -> tuple[Pool, EngineInfo]:
        pool = Pool([Place(address, address.connect()) for address in self._addresses], self._patience)
        try:
            await pool.open(self._model)
            return pool, self._described(pool)
        except BaseException:
            await pool.close()
            raise

    async def _disconnect(self, opened: Pool) -> None:
        await opened.close()


def _beginning(prompt: Prompt) -> str:
    """What decides on a prompt's server: its texts up to the first turn of the user, which all of a dialogue's calls share."""
    texts: list[str] = []
    for message in prompt.messages or ():
        texts.append(message.text)
        if message.role == "user":
            break
    return belonging(texts)
