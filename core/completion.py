"""What an engine gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

FinishReason: TypeAlias = Literal["stop", "boundary", "length", "aborted"]
"""`stop`: the model ended it. `boundary`: a stop text did, and the model might go on. `length`: cut at max_tokens.
`aborted`: stopped from outside."""


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of one call, as the engine counts them."""

    prompt: int = 0
    """Tokens of the prompt, cached ones included."""
    cached: int = 0
    """Prompt tokens that the engine's prefix cache held."""
    completion: int = 0
    """Generated tokens, reasoning included."""
    reasoning: int = 0
    """Generated tokens that are reasoning."""

    def __add__(self, other: TokenCounts) -> TokenCounts:
        return TokenCounts(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )

    @property
    def total(self) -> int:
        """Prompt and generated tokens together."""
        return self.prompt + self.completion


@dataclass(frozen=True)
class Completion:
    """One generated text."""

    text: str
    """The answer, without reasoning and without the prompt's prefix."""
    finish_reason: FinishReason = "stop"
    reasoning: str = ""
    """What the model thought aloud before the answer; empty if it did not, or the engine cannot tell."""
    token_ids: tuple[int, ...] | None = None
    """All generated tokens, a stop text's included; None if the engine does not say. Prefix plus these continue exactly."""
    logprobs: tuple[float, ...] | None = None
    """Natural log-probability of each generated token under the unmodified distribution; None if not asked for."""
    top_logprobs: tuple[dict[int, float], ...] | None = None
    """For each position the likeliest token ids and their log-probabilities; None if not asked for."""
    tokens: TokenCounts = field(default_factory=TokenCounts)
    cost_usd: float = 0.0
    """Price in US dollars; 0 for a local engine."""
    call_id: str | None = None
    """Id of the stored call; None outside a run."""

    def of_call(self, call_id: str) -> Completion:
        """A copy that names its stored call."""
        copy = object.__new__(Completion)
        copy.__dict__.update(self.__dict__, call_id=call_id)
        return copy

    @property
    def logprob(self) -> float | None:
        """Sum of the token log-probabilities."""
        return None if self.logprobs is None else sum(self.logprobs)


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of one given continuation."""

    logprobs: tuple[float, ...]
    """One for each token of the continuation."""

    @property
    def total(self) -> float:
        """Sum over the tokens."""
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        """Mean over the tokens; 0 for an empty continuation."""
        return self.total / len(self.logprobs) if self.logprobs else 0.0


@dataclass(frozen=True)
class Delta:
    """What came in since the watcher was last called, and all that there is so far."""

    text: str
    """Newly generated text."""
    so_far: str
    """All generated text, `text` included."""
    tokens: int
    """Tokens generated so far."""


Watch: TypeAlias = Callable[[Delta], bool | None]
"""Called as text arrives; returning True stops the generation, which then finishes as `aborted`."""
