"""What the engines share that connect to a model elsewhere: start and close within one event loop, and a call's way.

`start` makes all that is needed at once or nothing; what there is while the engine runs is one value, gone once it is closed.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any, Generic, Self, TypeVar

from ..core.completion import Completion, Scores
from ..core.engine import EngineInfo
from ..core.errors import EngineUnavailable
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from .layer import NOTHING
from .one_loop import check_loop
from .prompt_counts import PromptCounts
from .server_exchange import stoppable
from .server_replies import Collected

T = TypeVar("T")


class Connected(ABC, Generic[T]):
    """An engine with connections. Start it, use it, close it within one event loop."""

    def __init__(self, info: EngineInfo) -> None:
        self._info = info
        self._open: T | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = asyncio.Lock()

    @property
    def info(self) -> EngineInfo:
        """Which engine it is; complete once it has started."""
        return self._info

    async def start(self) -> None:
        """Connect, and find out what is there. Does nothing if it has.

        Raises:
            ConfigError: there is no such model, or no key.
            EngineUnavailable: nobody answers as it should.
        """
        async with self._starting:
            if self._open is not None:
                self._running()
                return
            self._open, self._info = await self._connect()
            self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Close the connections."""
        if self._open is not None:
            opened, self._open = self._running(), None
            await self._disconnect(opened)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @abstractmethod
    async def _connect(self) -> tuple[T, EngineInfo]:
        """What there is while the engine runs, and what it was found to be; if it fails nothing is left."""

    @abstractmethod
    async def _disconnect(self, opened: T) -> None:
        """Close what `_connect` opened."""

    def _running(self) -> T:
        check_loop(self._loop if self._open is not None else None)
        assert self._open is not None
        return self._open


class ChatEngine(Connected[T]):
    """An engine on the chat-completions protocol."""

    def __init__(self, info: EngineInfo) -> None:
        super().__init__(info)
        self._counts = PromptCounts()

    def count_tokens(self, prompt: Prompt) -> int:
        """As was counted there, once the prompt was seen; until then an upper bound: no token is less than a byte."""
        return self._counts.of(prompt)

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Refused: the protocol has no log-probabilities of given texts."""
        raise EngineUnavailable("a chat-completions server cannot score", hint="the engine vllm can", code="unsupported")

    async def _completed(
        self, work: Coroutine[Any, Any, bool], collected: Collected, prompt: Prompt, sampling: Sampling, stop: Stop | None
    ) -> Completion:
        """What an exchange has collected once it is through, or is stopped."""
        stopped = await stoppable(work, collected, stop)
        if stopped and not collected.pieces:
            return NOTHING
        self._counts.learn(prompt, collected.prompt)
        return collected.completion(sampling, prompt_tokens=self.count_tokens(prompt), stopped=stopped)
