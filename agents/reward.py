"""A reward model as a verifier: one number for an answer, mapped to [0, 1] by a map that is stated.

The model is an engine with the capability `rewards`, under the role `reward`: a server (`RewardServer`), vLLM in this
program (`VLLMReward`), or a scripted engine. The number that the model gave, the map and the model are kept with the
verdict, so that another map can be tried on the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from ..core.candidate import Candidate
from ..core.engine import Capabilities, Engine, Reward, require
from ..core.errors import ConfigError, GenerationFailed, VerifierFailed
from ..core.ids import Json, json_hash, text_hash
from ..core.task import Task
from ..core.verdict import Verdict
from ..engine.layer import rewarding
from ..engine.scoring import sigmoid
from .quoting import plain

if TYPE_CHECKING:
    from ..core.context import Context

_ABLE = {name: Capabilities(rewards=True) for name in ("RewardServer", "VLLMReward")}


@dataclass(frozen=True, kw_only=True)
class RewardModel:
    """Passes an answer whose mapped reward is at or above the threshold."""

    name: ClassVar[str] = "reward_model"
    oracle: ClassVar[bool] = False

    threshold: float = 0.5
    """Least score that passes, from 0 to 1."""
    map: Literal["sigmoid", "identity"] = "sigmoid"
    """`sigmoid`: of the model's raw output, which may be any number. `identity`: what the model gives after its own
    activation; a number outside of [0, 1] is an abstention."""
    label: int | None = None
    """Which of the model's outputs counts, from 0; None for the only one."""
    role: str = "reward"
    """Role whose engine gives rewards."""
    judges_truncated: bool = False
    judges_prefixes: bool = False
    """Whether the model was trained to judge the beginnings of answers."""

    def __post_init__(self) -> None:
        if self.map not in ("sigmoid", "identity"):
            raise ConfigError(f"{self.name}: map is {self.map!r}", hint="sigmoid or identity")
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"{self.name}: threshold is {self.threshold}", hint="0 to 1")
        if self.label is not None and self.label < 0:
            raise ConfigError(f"{self.name}: label is {self.label}", hint="0 or more, or None")

    @cached_property
    def version(self) -> str:
        """Changes with every setting that changes a judgement."""
        settings: list[Json] = [self.threshold, self.map, self.label, self.role, self.judges_truncated, self.judges_prefixes]
        return f"1 {json_hash(settings)[:8]}"

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        """Have the model rate an answer to the task's whole dialogue."""
        if ctx is None:
            raise VerifierFailed(f"{self.name} asks a model, and there is no run to ask it in", code="no_run")
        engine = ctx.engine(self.role)
        require(engine, ("rewards",), why=f"the verifier {self.name} (role {self.role})", others=_ABLE)
        answer, broken = plain(candidate.text)
        try:
            reward = await self._ask(task, answer, engine, ctx)
            value = self._chosen(reward)
        except GenerationFailed as e:
            raise VerifierFailed(e.message, code=e.code) from e
        evidence: dict[str, Json] = {
            "value": value,
            "values": list(reward.values),
            "map": self.map,
            "label": self.label,
            "threshold": self.threshold,
            "tokens": reward.tokens,
            "broken": broken,
            "engine": engine.info.to_json(),
        }
        score = sigmoid(value) if self.map == "sigmoid" else value
        if not 0 <= score <= 1:
            said = f"the reward {value:.4g} is outside of [0, 1]"
            return Verdict.abstain("bad_score", said, evidence=evidence)
        if score >= self.threshold:
            return Verdict.passed(score, evidence=evidence)
        return Verdict.failed(f"the reward model gives {score:.3f}", score=score, reason="below_threshold", evidence=evidence)

    async def _ask(self, task: Task, answer: str, engine: Engine, ctx: Context) -> Reward:
        raw, prompt = self.map == "sigmoid", task.chat()
        request: dict[str, Json] = {
            "role": self.role,
            "model": engine.info.model,
            "raw": raw,
            "prompt": text_hash(str(prompt.to_json())),
            "answer": text_hash(answer),
        }

        async def perform() -> Json:
            given = await rewarding(engine).reward(prompt, answer, raw=raw)
            return {"values": list(given.values), "tokens": given.tokens}

        found = cast("Mapping[str, Any]", await ctx.effect("reward", request, perform, key="reward"))
        values = cast("Sequence[float | None]", found["values"])
        # The record keeps what is no number as nothing.
        return Reward(tuple(float("nan") if v is None else float(v) for v in values), found["tokens"])

    def _chosen(self, reward: Reward) -> float:
        many = len(reward.values)
        if self.label is None and many != 1:
            raise VerifierFailed(f"the reward model gives {many} numbers", code="bad_reward", hint="name one: label=1")
        if (self.label or 0) >= many:
            raise VerifierFailed(f"the reward model has no output {self.label}, it gives {many}", code="bad_reward")
        value = reward.values[self.label or 0]
        if value != value:
            raise VerifierFailed("the reward is no finite number", code="bad_reward")
        return value
