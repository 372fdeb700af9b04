"""Between burnish's values and vLLM's: sampling settings on the way in, completions on the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..core.completion import Completion, FinishReason, TokenCounts
from ..core.errors import GenerationFailed
from ..core.sampling import Sampling
from ..core.text import one_line
from .vllm_reasoning import Marks, split

FINISH: Mapping[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "abort": "aborted",
    "repetition": "length",  # cut while it went in circles: no end of its own
}


def sampling_params(sampling: Sampling, *, room: int, stream: bool, keep_marks: bool) -> Any:
    """VLLM's `SamplingParams`, with `max_tokens` cut to the room that the context leaves.

    Raises:
        GenerationFailed: vLLM does not take them.
    """
    vllm = import_module("vllm.sampling_params")
    try:
        return _sampling_params(vllm, sampling, room, stream, keep_marks)
    except Exception as e:
        raise refusal(e) from e


def refusal(error: BaseException) -> GenerationFailed:
    """The failure of a call that vLLM will not take."""
    why = one_line(str(error) or type(error).__name__, 300)
    return GenerationFailed(f"vLLM refuses the call: {why}", code="bad_request", hint="change the sampling settings")


def _sampling_params(vllm: Any, sampling: Sampling, room: int, stream: bool, keep_marks: bool) -> Any:
    kind = vllm.RequestOutputKind
    return vllm.SamplingParams(
        max_tokens=min(sampling.max_tokens, room),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k or 0,
        seed=sampling.seed,
        stop=list(sampling.stop),
        include_stop_str_in_output=sampling.keep_stop,
        logprobs=sampling.logprobs,
        thinking_token_budget=sampling.thinking_tokens,
        structured_outputs=_constraint(vllm, sampling),
        skip_special_tokens=not keep_marks,
        output_kind=kind.DELTA if stream else kind.FINAL_ONLY,
    )


def scoring_params() -> Any:
    """Sampling settings of a call that only scores its prompt."""
    vllm = import_module("vllm.sampling_params")
    return vllm.SamplingParams(
        max_tokens=1,
        temperature=0.0,
        prompt_logprobs=0,
        detokenize=False,
        output_kind=vllm.RequestOutputKind.FINAL_ONLY,
    )


def _constraint(vllm: Any, sampling: Sampling) -> Any:
    make = vllm.StructuredOutputsParams
    if sampling.json_schema is not None:
        return make(json=dict(sampling.json_schema))
    if sampling.regex is not None:
        return make(regex=sampling.regex)
    if sampling.choice is not None:
        return make(choice=list(sampling.choice))
    if sampling.grammar is not None:
        return make(grammar=sampling.grammar)
    return None


@dataclass
class Collected:
    """What has come in of one request."""

    text: str = ""
    ids: list[int] = field(default_factory=list[int])
    logprobs: list[Any] = field(default_factory=list[Any])
    prompt: int = 0
    cached: int = 0
    finish: str | None = None
    stop_text: str | None = None
    """The stop text that ended it; None if none did."""

    def add(self, output: Any) -> str:
        """Take one output of the engine in; returns its text."""
        part = output.outputs[0]
        self.text += part.text
        self.ids += part.token_ids
        self.logprobs += part.logprobs or ()
        self.prompt = len(output.prompt_token_ids or ()) or self.prompt
        self.cached = output.num_cached_tokens or self.cached
        self.finish = part.finish_reason or self.finish
        if isinstance(part.stop_reason, str):  # a number is a token that ends a text
            self.stop_text = part.stop_reason
        return part.text

    def completion(self, sampling: Sampling, *, marks: Marks | None, begun: bool) -> Completion:
        """The finished completion.

        Raises:
            GenerationFailed: the engine ended it with an error.
        """
        reason = FINISH.get(self.finish)
        if reason is None:
            raise GenerationFailed(f"the engine ended the call with {self.finish!r}", code="engine_error", retryable=True)
        if reason == "stop" and self.stop_text is not None:
            reason = "boundary"
        text, reasoning, thought = self.text, "", 0
        if marks is not None:
            parts = split(text, self.ids, marks, begun=begun)
            text, reasoning, thought = parts.answer, parts.reasoning, parts.tokens
        return Completion(
            text=text,
            finish_reason=reason,
            reasoning=reasoning,
            token_ids=tuple(self.ids),
            logprobs=None if sampling.logprobs is None else _sampled(self.ids, self.logprobs),
            top_logprobs=_likeliest(self.ids, self.logprobs, sampling.logprobs) if sampling.logprobs else None,
            tokens=TokenCounts(prompt=self.prompt, cached=self.cached, completion=len(self.ids), reasoning=thought),
        )


def _sampled(ids: Sequence[int], logprobs: Sequence[Any]) -> tuple[float, ...]:
    return tuple(position[i].logprob for i, position in zip(ids, logprobs, strict=False))


def _likeliest(ids: Sequence[int], logprobs: Sequence[Any], most: int) -> tuple[dict[int, float], ...]:
    kept = zip(ids, logprobs, strict=False)
    return tuple({i: entry.logprob for i, entry in position.items() if entry.rank <= most} for _, position in kept)
