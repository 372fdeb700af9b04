"""How an engine samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from .errors import ConfigError
from .ids import Json

_CONSTRAINTS = ("json_schema", "regex", "choice", "grammar")


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
    """Texts that end the generation; not part of the result unless `keep_stop`."""
    keep_stop: bool = False
    """Whether the text that ended the generation stays at the end of the result, as between the steps of a solution."""
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
        if self.max_tokens < 1:
            raise _out_of_range("max_tokens", self.max_tokens, "at least 1")
        if not 0 <= self.temperature <= 2:
            raise _out_of_range("temperature", self.temperature, "0 to 2")
        if not 0 < self.top_p <= 1:
            raise _out_of_range("top_p", self.top_p, "above 0, at most 1")
        if self.top_k is not None and self.top_k < 1:
            raise _out_of_range("top_k", self.top_k, "at least 1, or None")
        if self.logprobs is not None and self.logprobs < 0:
            raise _out_of_range("logprobs", self.logprobs, "0 or more, or None")
        if len(self.constraints) > 1:
            raise ConfigError(f"sampling: several output constraints: {', '.join(self.constraints)}", hint="at most one")

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, name) for name in _DEFAULTS))

    def __hash__(self) -> int:
        return self._hash  # All samples of a task share these settings, which are looked up by their content for each.

    @cached_property
    def constraints(self) -> tuple[str, ...]:
        """Names of the output constraints that are set."""
        return tuple(n for n in _CONSTRAINTS if getattr(self, n) is not None)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Names of the engine capabilities that these settings ask for."""
        logprobs, steps = ("logprobs",) if self.logprobs is not None else (), ("steps",) if self.keep_stop else ()
        return (*self.constraints, *logprobs, *steps)

    def but(self, **changes: Any) -> Sampling:
        """A copy with some fields changed.

        Raises:
            ConfigError: for a field that does not exist or a value out of range.
        """
        if not changes:
            return self
        unknown = changes.keys() - _DEFAULTS.keys()
        if unknown:
            raise ConfigError(f"sampling has no field {', '.join(sorted(unknown))}", hint=f"one of: {', '.join(_DEFAULTS)}")
        if isinstance(changes.get("stop"), list):
            changes["stop"] = tuple(changes["stop"])
        if isinstance(changes.get("choice"), list):
            changes["choice"] = tuple(changes["choice"])
        return replace(self, **changes)

    def seeded(self, seed: int) -> Sampling:
        """A copy with another seed. Made for each sample, so it checks nothing anew."""
        copy = object.__new__(Sampling)
        copy.__dict__.update(self.__dict__, seed=seed)
        copy.__dict__.pop("_hash", None)
        return copy

    def to_json(self) -> dict[str, Json]:
        """Fields that differ from the defaults, for hashing and storing."""
        out: dict[str, Json] = {}
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default or name in ("max_tokens", "temperature"):
                out[name] = list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType]
        return out


_DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Sampling)}


def _out_of_range(name: str, value: float, hint: str) -> ConfigError:
    return ConfigError(f"sampling: {name} is {value}", hint=hint)
