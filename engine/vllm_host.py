"""What the engines share that have vLLM within this program: its processes from start to end, within one event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Self

from .one_loop import check_loop
from .supervisor import Supervisor
from .vllm_core import Core
from .vllm_options import Options


class VLLMHost:
    """Owns one vLLM, supervised and guarded. Start it, use it, close it within one event loop."""

    def __init__(self, model: str, options: Options, *, log_file: str | Path | None, give_up_after: int) -> None:
        self._core = Core(model, options, Path(log_file).expanduser().absolute() if log_file else None)
        self._supervisor: Supervisor[Any] = Supervisor(
            self._build, self._core.dispose, self._core.dead, give_up_after=give_up_after
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = asyncio.Lock()

    @property
    def log_file(self) -> Path | None:
        """Where vLLM logs; None before the start if no file was named."""
        return self._core.log_file

    @property
    def restarts(self) -> int:
        """How often vLLM died and was started again."""
        return self._supervisor.restarts

    async def start(self) -> None:
        """Make ready. Does nothing if it is.

        Raises:
            EngineUnavailable: vLLM does not start, or cannot do with this model what it is for.
        """
        async with self._starting:
            if self._loop is not None:
                self._check_loop()
                return
            try:
                await self._core.prepare()
                await self._supervisor.start()
            except BaseException:
                await asyncio.shield(self._core.close())
                raise
            self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """End vLLM with all its processes."""
        if self._loop is None:
            return
        self._check_loop()
        self._loop = None
        await self._supervisor.close()
        await self._core.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _build(self) -> Any:
        """A fresh vLLM, at the start and after a death."""
        return await self._core.build()

    def _check_loop(self) -> None:
        check_loop(self._loop)
