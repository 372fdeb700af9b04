"""What all layers around an engine share: they are engines, and pass on what they do not change."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.completion import Completion, Scores, Watch
from ..core.engine import Engine, EngineInfo, Reward, RewardEngine, most_usd
from ..core.errors import EngineUnavailable
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

    async def reward(self, prompt: Prompt, answer: str, *, raw: bool) -> Reward:
        """A reward from the engine inside."""
        return await rewarding(self.engine).reward(prompt, answer, raw=raw)

    def most_usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """As the engine inside is priced."""
        return most_usd(self.engine, prompt_tokens, completion_tokens)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text by itself, where the engine inside tells them."""
        encode = getattr(self.engine, "encode", None)
        if encode is None:
            raise EngineUnavailable(f"the engine {self.info.kind} does not tell its tokens", hint="the engine vllm does")
        return tuple(encode(text))


def rewarding(engine: Engine) -> RewardEngine:
    """An engine as one that gives rewards.

    Raises:
        EngineUnavailable: it gives none.
    """
    if not engine.info.capabilities.rewards or not isinstance(engine, RewardEngine):
        raise EngineUnavailable(
            f"the engine {engine.info.kind} gives no rewards", hint="engines={'reward': RewardServer(...)}", code="unsupported"
        )
    return engine
