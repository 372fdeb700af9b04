"""What the pointwise and the pairwise judge share: how they ask, by which rubric, and what the model may reply.

A reply is read as a whole or not at all: it is one JSON value of the form that was asked for, or one token whose
probability is looked up. Nothing is searched for in it, so nothing that it repeats of a judged text can be found there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..core.engine import EngineInfo
from ..core.errors import ConfigError, EngineUnavailable
from ..core.ids import Json, json_hash
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.task import Task
from .quoting import Quoted, check_longest, quote
from .rubric import DEFAULT, Rubric, read_rubric, rubric_of_task
from .templates import load

if TYPE_CHECKING:
    from ..core.context import Context

_LIKELIEST = 20
"""Log-probabilities asked for at the one token of a reply: the most that vLLM gives unless told otherwise."""
_LEAST_MASS = 0.5
"""Least probability that all labels must have together; below it the model wanted to say something else."""


@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """How a judge is asked."""

    name: ClassVar[str]
    prompt_name: ClassVar[str]

    rubric: Mapping[str, Any] | str | None = None
    """What is judged by: a rubric, or the name of a JSON file that holds one. None takes the task's
    (`metadata["rubric"]`) or, where it has none, a general one."""
    by: Literal["text", "probability"] = "text"
    """`text`: the model writes its reasons and its judgement. `probability`: it gives one token, and all that could have stood
    there count by their probabilities; needs an engine with log-probabilities that tells its tokens."""
    max_tokens: int = 768
    """Most tokens of a written judgement; one that is cut cannot be read."""
    longest: int = 24_000
    """Most characters shown of a problem or an answer; of a longer one the head and the tail are."""
    structured: bool = True
    """Whether to have the form of a written reply enforced where the engine can."""
    template: str = ""
    """The prompt; empty for the one that ships with burnish, whose fields it must have."""
    role: str = "judge"
    """Role whose engine judges; the default engine where the session has none for it."""

    def __post_init__(self) -> None:
        if self.by not in ("text", "probability"):
            raise ConfigError(f"{self.name}: by is {self.by!r}", hint="text or probability")
        if self.max_tokens < 1:
            raise ConfigError(f"{self.name}: max_tokens is {self.max_tokens}", hint="at least 1")
        check_longest(self.name, self.longest)
        _ = self._own

    @cached_property
    def version(self) -> str:
        """Changes with every setting that changes a judgement."""
        values: dict[str, Json] = {f.name: getattr(self, f.name) for f in fields(self)}
        return f"1 {json_hash({**values, 'rubric': self._own and self._own.to_json(), 'template': self._template})[:8]}"

    def rubric_for(self, task: Task) -> tuple[Rubric, str]:
        """The rubric for a task's answers, and where it comes from."""
        if self._own is not None:
            return self._own, "settings"
        return (known, "task") if (known := rubric_of_task(task)) else (DEFAULT, "default")

    def check(self, task: Task) -> None:
        """Refuse a task whose rubric cannot be read."""
        self.rubric_for(task)

    def problem(self, task: Task) -> Quoted:
        """The task as a judge reads it."""
        turns = [f"{m.role}: {m.text}" for m in task.messages]
        return quote("problem", "\n\n".join([*turns, task.prompt]), longest=self.longest)

    @cached_property
    def _own(self) -> Rubric | None:
        return None if self.rubric is None else read_rubric(self.rubric, where=self.name)

    @cached_property
    def _template(self) -> str:
        return self.template or load(self.prompt_name)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """How likely each of several labels was as a reply's one token."""

    probabilities: Mapping[str, float]
    """By label; they sum to 1."""
    mass: float
    """What they have together of all that the model could have said."""

    @property
    def readable(self) -> bool:
        """Whether the model wanted to say one of them at all."""
        return self.mass >= _LEAST_MASS


async def read_labels(ctx: Context, prompt: str, labels: Sequence[str], *, role: str, key: str) -> Labels:
    """Ask for one token and look up how likely each label was.

    Raises:
        EngineUnavailable: the engine gives no log-probabilities, does not tell its tokens, or has a label in several.
        GenerationFailed: the call failed.
    """
    engine = ctx.engine(role)
    ids = _single_tokens(engine, engine.info, labels)
    sampling = Sampling(max_tokens=1, temperature=0.0, logprobs=_LIKELIEST)
    completion = await ctx.generate(Prompt.of(prompt), sampling, role=role, key=key)
    found = dict.fromkeys(labels, 0.0)
    for likely in (completion.top_logprobs or ())[:1]:
        for token in likely.keys() & ids.keys():
            found[ids[token]] += math.exp(min(0.0, likely[token]))
    mass = sum(found.values())
    return Labels(probabilities={label: p / mass if mass else 0.0 for label, p in found.items()}, mass=min(1.0, mass))


def _single_tokens(engine: object, info: EngineInfo, labels: Sequence[str]) -> dict[int, str]:
    """The tokens that are a label, with or without a space before it."""
    encode = getattr(engine, "encode", None)
    if encode is None:
        raise EngineUnavailable(f"the engine {info.kind} does not tell its tokens", hint='judge with by="text", or use vllm')
    ids: dict[int, str] = {}
    for label in labels:
        alone = [tokens[0] for tokens in (encode(label), encode(f" {label}")) if len(tokens) == 1]
        if not alone:
            hint = 'judge with by="text", or take a scale of single digits'
            raise EngineUnavailable(f"{label!r} is more than one token of {info.model}", hint=hint)
        ids |= dict.fromkeys(alone, label)
    return ids
