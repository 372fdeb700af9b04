"""The settings that vLLM is started with, on a CPU and on a GPU.

On a CPU prefill is never chunked and a step takes a whole context: vLLM's CPU build dies when a call with a seed of its own
is prefilled in pieces. Batch limits are always explicit, since vLLM has no defaults for an engine within a program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, Literal

from ..core.errors import ConfigError
from ..core.ids import Json, as_json
from .vllm_reasoning import CLOSE, OPEN

CPU_CONTEXT = 4096
"""Most tokens of context on a CPU, unless asked for more: a step must be able to take them all."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may choose; None leaves it to the hardware."""

    max_num_seqs: int | None = None
    """Most sequences decoded at once."""
    max_num_batched_tokens: int | None = None
    """Most tokens in one step."""
    max_model_len: int | None = None
    """Most tokens of prompt and answer together."""
    block_size: int | None = None
    """Tokens of one cache block: shared beginnings shorter than it are not cached."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """`cpu` and `gpu` insist; the installed vLLM decides what is possible."""
    dtype: str = "auto"
    """Number format of the weights."""
    seed: int = 0
    """Seed of calls that have none."""
    kv_cache_gib: int | None = None
    """Memory of the key-value cache on a CPU, in GiB; `VLLM_CPU_KVCACHE_SPACE` goes before it."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further engine arguments of vLLM, by its own names; they go before all others."""


def engine_args(model: str, options: Options, *, cpu: bool, reasoning: bool) -> dict[str, Any]:
    """The arguments of vLLM's `AsyncEngineArgs`.

    Raises:
        ConfigError: an argument that this vLLM does not have, or limits that contradict each other.
    """
    context = options.extra.get("max_model_len", options.max_model_len)
    if context is None and cpu:
        context = min(_model_context(model, options), CPU_CONTEXT)
    args: dict[str, Any] = {
        "model": model,
        "dtype": options.dtype,
        "seed": options.seed,
        "max_model_len": context,
        "max_num_seqs": options.max_num_seqs or (64 if cpu else 256),
        "max_num_batched_tokens": options.max_num_batched_tokens or (context if cpu else 8192),
        "block_size": options.block_size or (32 if cpu else None),
        "logprobs_mode": "raw_logprobs",
        # Else a small model may fill its JSON up with white space until it is cut; only a named backend can forbid it.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "enable_prefix_caching": True,
        "disable_log_stats": True,
    }
    if cpu:
        args |= {"enforce_eager": True, "enable_chunked_prefill": False}
    if reasoning and hasattr(config := import_module("vllm.config"), "ReasoningConfig"):
        args["reasoning_config"] = config.ReasoningConfig(reasoning_start_str=OPEN, reasoning_end_str=CLOSE)
    args |= options.extra
    args = {name: value for name, value in args.items() if value is not None}
    _check(args, cpu=cpu)
    return args


def settings(args: Mapping[str, Any], *, cpu: bool, block_size: int | None, dtype: str) -> dict[str, Json]:
    """The settings that change what is generated, for the record."""
    shown = {name: value for name, value in args.items() if name not in ("model", "disable_log_stats", "reasoning_config")}
    found: dict[str, Any] = {"device": "cpu" if cpu else "gpu", "block_size": block_size, "dtype": dtype}
    return {name: as_json(value) for name, value in sorted((shown | found).items())}


def _model_context(model: str, options: Options) -> int:
    try:
        trust = bool(options.extra.get("trust_remote_code", False))
        config = import_module("transformers").AutoConfig.from_pretrained(model, trust_remote_code=trust)
        return int(config.get_text_config().max_position_embeddings)
    except Exception:  # vLLM says what is wrong with the model
        return CPU_CONTEXT


def _check(args: Mapping[str, Any], *, cpu: bool) -> None:
    for name in ("max_num_seqs", "max_num_batched_tokens", "max_model_len", "block_size"):
        value = args.get(name)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"the engine argument {name} is {value!r}", hint="give a number above 0")
    tokens, context = args["max_num_batched_tokens"], args.get("max_model_len")
    if cpu and not args["enable_chunked_prefill"] and context is not None and tokens < context:
        raise ConfigError(
            f"max_num_batched_tokens is {tokens}, less than the context of {context}",
            hint=f"on a CPU a step takes a whole prompt: give at least {context}, or a smaller max_model_len",
        )
    known = {f.name for f in fields(import_module("vllm.engine.arg_utils").AsyncEngineArgs)}
    unknown = sorted(args.keys() - known)
    if unknown:
        raise ConfigError(f"vLLM has no engine argument {', '.join(unknown)}", hint="see: vllm serve --help")
