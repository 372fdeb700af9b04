"""The engine protocol: what generates and scores tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol, cast, runtime_checkable

from .completion import Completion, Scores, Watch
from .errors import EngineUnavailable
from .ids import Json, canonical_json
from .prompt import Prompt
from .sampling import Sampling
from .stop import Stop
from .text import one_line

_SAME = ("kind", "model", "revision", "capabilities", "settings")
"""What makes two engines one; versions of software may differ."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an engine can do. Asking for more is an error before a run starts."""

    logprobs: bool = False
    """Log-probabilities of generated tokens."""
    scoring: bool = False
    """Log-probabilities of given continuations (`score`)."""
    rewards: bool = False
    """Numbers that a reward model gives to answers: the engine is a `RewardEngine`."""
    json_schema: bool = False
    choice: bool = False
    regex: bool = False
    grammar: bool = False
    seed: bool = False
    """Same seed, same text, on the same machine and batch settings."""
    prefix_cache: bool = False
    """Shared prompt beginnings are computed once."""
    token_prefix: bool = False
    """An answer can be continued from token ids."""
    steps: bool = False
    """A stop text's end is told apart from the model's own, and the stop text can be kept: what searches by steps need."""
    abort: bool = False
    """A running call can be stopped and gives what there is."""
    images: bool = False
    reasoning: bool = False
    """Reasoning is told apart from the answer."""

    def names(self) -> tuple[str, ...]:
        """Names of what it can do."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name))


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """Which engine it is; stored with each run and compared on resume."""

    kind: str
    """`vllm`, `scripted`, ..."""
    model: str
    """Name or path of the model."""
    revision: str = ""
    """Checksum or revision of the weights; empty if unknown."""
    version: str = ""
    """Version of the software that decodes."""
    context_tokens: int | None = None
    """Most tokens of prompt and answer together; None if unknown."""
    capabilities: Capabilities = field(default_factory=Capabilities)
    settings: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Settings that change what is generated (dtype, batch limits)."""

    def to_json(self) -> dict[str, Json]:
        """Plain form for storing."""
        return {
            "kind": self.kind,
            "model": self.model,
            "revision": self.revision,
            "version": self.version,
            "context_tokens": self.context_tokens,
            "capabilities": list(self.capabilities.names()),
            "settings": dict(self.settings),
        }


@runtime_checkable
class Engine(Protocol):
    """Generates and scores tokens. An engine belongs to the event loop that started it."""

    @property
    def info(self) -> EngineInfo:
        """Which engine this is; complete once it has started."""
        ...

    async def start(self) -> None:
        """Make ready; called again it does nothing.

        Raises:
            EngineUnavailable: it cannot be started.
        """
        ...

    async def close(self) -> None:
        """Release everything; no process of it is left. Called again it does nothing."""
        ...

    def count_tokens(self, prompt: Prompt) -> int:
        """Tokens of the rendered prompt, or an upper bound."""
        ...

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        """One sample.

        When `watch` returns True or `stop` is requested, decoding ends and the completion holds what there is,
        with its counts and `finish_reason == "aborted"`. When the calling task is cancelled decoding ends too, but
        nothing is returned.

        Raises:
            GenerationFailed: this call failed, others may go on.
            EngineUnavailable: the engine is gone for good.
        """
        ...

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        """Log-probabilities of each continuation after the prompt.

        Raises:
            EngineUnavailable: the engine cannot score.
        """
        ...


@dataclass(frozen=True)
class Reward:
    """What a reward model gives one answer."""

    values: tuple[float, ...]
    """One number for a model with one output, one for each class of any other."""
    tokens: int | None = None
    """Tokens that it read; None if the engine does not say."""


@runtime_checkable
class RewardEngine(Protocol):
    """What an engine with the capability `rewards` has besides."""

    async def reward(self, prompt: Prompt, answer: str, *, raw: bool) -> Reward:
        """What the model gives an answer to a prompt: with `raw` its outputs as they are (logits), otherwise after the
        activation that the model itself brings along.

        Raises:
            GenerationFailed: this call failed, others may go on.
            EngineUnavailable: the engine is gone for good, or gives no rewards.
        """
        ...


@runtime_checkable
class PricedEngine(Protocol):
    """What an engine has besides whose calls cost money."""

    def most_usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """The most that a call with so many tokens may cost, in US dollars; None if nobody knows the price."""
        ...


def most_usd(engine: Engine, prompt_tokens: int, completion_tokens: int) -> float | None:
    """The most that a call may cost in US dollars: nothing at an engine that has no prices, None where they are unknown."""
    return engine.most_usd(prompt_tokens, completion_tokens) if isinstance(engine, PricedEngine) else 0.0


def require(engine: Engine, needs: Collection[str], *, why: str, others: Mapping[str, Capabilities] | None = None) -> None:
    """Check that an engine has the named capabilities.

    Raises:
        EngineUnavailable: naming what is missing, and the engines of `others` that have it.
    """
    if not needs:
        return
    missing = sorted(set(needs) - set(engine.info.capabilities.names()))
    if not missing:
        return
    able = sorted(n for n, c in (others or {}).items() if set(missing) <= set(c.names()))
    hint = f"engines that can: {', '.join(able)}" if able else "no built-in engine can"
    raise EngineUnavailable(f"{why} needs {', '.join(missing)}, which the engine {engine.info.kind} cannot do", hint=hint)


def engine_difference(stored: Json, other: Mapping[str, Json]) -> str:
    """In words how two described engines (`EngineInfo.to_json`) differ in what decides on texts; empty if they are one."""
    before = cast("Mapping[str, Json]", stored if isinstance(stored, Mapping) else {})
    differ = [k for k in _SAME if canonical_json(before.get(k)) != canonical_json(other.get(k))]
    return ", ".join(f"{k} was {one_line(str(before.get(k)))}, is {one_line(str(other.get(k)))}" for k in differ)
