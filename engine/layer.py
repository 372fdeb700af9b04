"""What all layers around an engine share: they are engines, and pass on what they do not change."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.completion import Completion, Scores, Watch
from ..core.engine import Engine, EngineInfo
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop

NOTHING = Completion("", "aborted")
"""What a call gives that was stopped before it reached the engine."""


class Layer:
    """An engine around an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        """The engine, or layer, inside."""

    @property
    def info(self) -> EngineInfo:
        """Of the engine inside."""
        return self.engine.info

    async def start(self) -> None:
        """Start the engine inside."""
        await self.engine.start()

    async def close(self) -> None:
        """Close the engine inside."""
        await self.engine.close()

    def count_tokens(self, prompt: Prompt) -> int:
        """As the engine inside counts."""
        return self.engine.count_tokens(prompt)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """One sample from the engine inside."""
        return await self.engine.generate(prompt, sampling, watch=watch, stop=stop)

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Scores from the engine inside."""
        return await self.engine.score(prompt, continuations)
