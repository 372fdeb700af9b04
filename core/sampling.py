"""How an engine samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from .errors import ConfigError
from .ids import Json


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling settings of one call. The seed is not part of a stored pool's look-up key; everything else is."""

    max_tokens: int = 512
    """Most tokens to generate, reasoning included."""
    temperature: float = 0.7
    """0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass, in (0, 1]."""
    top_k: int | None = None
    """Most tokens considered at each position; None for all."""
    seed: int | None = None
    """Seed of this call; None lets burnish derive one from the call's position."""
    stop: tuple[str, ...] = ()
    """Texts that end the generation; not part of the result."""
    logprobs: int | None = None
    """None for no log-probabilities, 0 for those of the sampled tokens, k for the k likeliest as well."""
    thinking_tokens: int | None = None
    """Most reasoning tokens; None for no limit but `max_tokens`."""
    json_schema: Mapping[str, Any] | None = None
    """A JSON Schema that the answer is constrained to."""
    regex: str | None = None
    """A regular expression that the answer is constrained to."""
    choice: tuple[str, ...] | None = None
    """The answers allowed."""
    grammar: str | None = None
    """An EBNF grammar that the answer is constrained to."""

    def __post_init__(self) -> None:
        checks = (
            (self.max_tokens >= 1, f"max_tokens is {self.max_tokens}", "at least 1"),
            (0 <= self.temperature <= 2, f"temperature is {self.temperature}", "0 to 2"),
            (0 < self.top_p <= 1, f"top_p is {self.top_p}", "above 0, at most 1"),
            (self.top_k is None or self.top_k >= 1, f"top_k is {self.top_k}", "at least 1, or None"),
            (self.logprobs is None or self.logprobs >= 0, f"logprobs is {self.logprobs}", "0 or more, or None"),
            (len(self.constraints) <= 1, f"several output constraints: {', '.join(self.constraints)}", "at most one"),
        )
        for fine, what, hint in checks:
            if not fine:
                raise ConfigError(f"sampling: {what}", hint=hint)

    @property
    def constraints(self) -> tuple[str, ...]:
        """Names of the output constraints that are set."""
        return tuple(n for n in ("json_schema", "regex", "choice", "grammar") if getattr(self, n) is not None)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the engine capabilities that these settings ask for."""
        return (*self.constraints, *(("logprobs",) if self.logprobs is not None else ()))

    def but(self, **changes: Any) -> Sampling:
        """A copy with some fields changed.

        Raises:
            ConfigError: for a field that does not exist or a value out of range.
        """
        unknown = changes.keys() - {f.name for f in fields(self)}
        if unknown:
            known = ", ".join(f.name for f in fields(self))
            raise ConfigError(f"sampling has no field {', '.join(sorted(unknown))}", hint=f"one of: {known}")
        if isinstance(changes.get("stop"), list):
            changes["stop"] = tuple(changes["stop"])
        if isinstance(changes.get("choice"), list):
            changes["choice"] = tuple(changes["choice"])
        return replace(self, **changes)

    def to_json(self) -> dict[str, Json]:
        """Fields that differ from the defaults, for hashing and storing."""
        default = Sampling()
        out: dict[str, Json] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if value != getattr(default, f.name) or f.name in ("max_tokens", "temperature"):
                out[f.name] = list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType]
        return out
