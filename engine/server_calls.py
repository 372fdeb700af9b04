"""From burnish's values to the body of a chat-completions call.

Only fields that the server was found to understand are sent, and a setting that it cannot honour is an error, never left
out in silence.
"""

from __future__ import annotations

from typing import Any

from ..core.errors import EngineUnavailable
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from .server_probe import Features

QUIET_TOKENS = 8
"""Tokens that vLLM gathers before it sends them, where nobody watches: a piece of its own for each token costs much more."""


def body(prompt: Prompt, sampling: Sampling, features: Features, *, model: str, stream: bool, watched: bool) -> dict[str, Any]:
    """The body of a call.

    Raises:
        EngineUnavailable: it asks for what the server cannot do.
    """
    out: dict[str, Any] = {
        "model": model,
        "messages": _messages(prompt, features),
        features.limit: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if prompt.prefix_text:
        out |= {"continue_final_message": True, "add_generation_prompt": False}
    if sampling.seed is not None and features.seed:
        out["seed"] = sampling.seed
    if sampling.stop:
        out["stop"] = list(sampling.stop)
    if sampling.logprobs is not None:
        out |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    out |= _constraint(sampling)
    out |= _of_vllm(sampling) if features.vllm else _elsewhere(sampling)
    if stream:
        options = {"include_usage": True, **({"continuous_usage_stats": True} if features.vllm else {})}
        out |= {"stream": True, "stream_options": options}
        if features.vllm and not watched:
            out["stream_interval"] = QUIET_TOKENS
    return out


def _messages(prompt: Prompt, features: Features) -> list[Any]:
    if prompt.messages is None or prompt.prefix_ids:
        raise EngineUnavailable(
            "a chat-completions server takes no token ids", hint="give messages, or use the engine vllm", code="unsupported"
        )
    messages: list[Any] = [m.to_json() for m in prompt.messages]
    if prompt.prefix_text:
        if not features.vllm:
            raise EngineUnavailable(
                "this server cannot continue an answer that has begun",
                hint="vllm serve and the engine vllm can",
                code="unsupported",
            )
        messages.append({"role": "assistant", "content": prompt.prefix_text})
    return messages


def _constraint(sampling: Sampling) -> dict[str, Any]:
    if sampling.json_schema is not None:
        schema = {"name": "answer", "schema": dict(sampling.json_schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    for name in ("regex", "choice", "grammar"):
        value = getattr(sampling, name)
        if value is not None:
            return {"structured_outputs": {name: list(value) if isinstance(value, tuple) else value}}  # pyright: ignore[reportUnknownArgumentType]
    return {}


def _of_vllm(sampling: Sampling) -> dict[str, Any]:
    """Fields that only vLLM has. It takes what is left open from the model's own settings, so nothing is left open."""
    out: dict[str, Any] = {
        "top_k": sampling.top_k or 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "return_token_ids": True,
    }
    if sampling.keep_stop:
        out["include_stop_str_in_output"] = True
    if sampling.logprobs is not None:
        out["return_tokens_as_token_ids"] = True
    if sampling.thinking_tokens is not None:
        out["thinking_token_budget"] = sampling.thinking_tokens
    return out


def _elsewhere(sampling: Sampling) -> dict[str, Any]:
    asked = [name for name in ("top_k", "thinking_tokens") if getattr(sampling, name) is not None]
    if sampling.logprobs:
        asked.append("logprobs of the likeliest tokens, by token id")
    if asked:
        raise EngineUnavailable(
            f"the protocol has no {', '.join(asked)}, and this server is no vLLM", hint="leave it out", code="unsupported"
        )
    return {}
