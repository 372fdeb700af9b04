"""A reward model in vLLM within this program: a sequence classifier on vLLM's pooling runner, supervised and guarded like
the engine that generates. Each such engine has processes and memory of its own.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from ..core.engine import Capabilities, EngineInfo, Reward
from ..core.errors import BurnishError, EngineUnavailable, GenerationFailed
from ..core.prompt import Prompt
from .scoring import numbers
from .scoring_server import RewardOnly, dialogue
from .vllm_calls import failure
from .vllm_host import VLLMHost
from .vllm_options import Options

_TASK = "classify"


class VLLMReward(VLLMHost, RewardOnly):
    """A reward model in vLLM on this machine. Start it, use it, close it within one event loop."""

    def __init__(
        self,
        model: str,
        *,
        max_num_seqs: int | None = None,
        max_num_batched_tokens: int | None = None,
        max_model_len: int | None = None,
        device: Literal["auto", "cpu", "gpu"] = "auto",
        dtype: str = "auto",
        kv_cache_gib: int | None = None,
        engine_args: Mapping[str, Any] | None = None,
        log_file: str | Path | None = None,
        give_up_after: int = 5,
    ) -> None:
        """Describe the engine; nothing happens before `start`.

        `model` is a folder or a name, of a sequence classifier with a chat template. The other arguments are those of
        `VLLMEngine`. Beside another engine on one GPU, `engine_args={"gpu_memory_utilization": ...}` shares its memory.
        """
        options = Options(
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens,
            max_model_len=max_model_len,
            device=device,
            dtype=dtype,
            kv_cache_gib=kv_cache_gib,
            extra={"runner": "pooling", **(engine_args or {})},
        )
        super().__init__(model, options, log_file=log_file, give_up_after=give_up_after)

    @property
    def info(self) -> EngineInfo:
        cached = self._core.info.capabilities.prefix_cache
        return replace(self._core.info, kind="vllm_reward", capabilities=Capabilities(rewards=True, prefix_cache=cached))

    async def reward(self, prompt: Prompt, answer: str, *, raw: bool) -> Reward:
        """What the model gives an answer."""
        self._check_loop()
        ids = self._core.tokens.dialogue(dialogue(prompt, answer))
        if len(ids) > self._core.context:
            raise GenerationFailed(
                f"problem and answer have {len(ids)} tokens, the reward model's context holds {self._core.context}",
                code="context_length",
                hint="shorten them, or start the engine with a larger max_model_len",
            )
        return Reward(await self._supervisor.call(lambda engine: _pooled(engine, ids, raw=raw)), len(ids))

    async def _build(self) -> Any:
        engine = await super()._build()
        tasks = await engine.get_supported_tasks()
        if _TASK in tasks:
            return engine
        await self._core.dispose(engine)
        able = ", ".join(sorted(map(str, tasks))) or "nothing"
        raise EngineUnavailable(
            f"{self._core.model} is no sequence classifier, vLLM can do with it: {able}",
            hint='engine_args={"convert": "classify"} makes one of some models',
        )


async def _pooled(engine: Any, ids: Sequence[int], *, raw: bool) -> tuple[float, ...]:
    """The outputs of a sequence classifier for a tokenised dialogue.

    Raises:
        EngineDied: the engine died under the call.
        GenerationFailed: vLLM refuses or fails this call, or gives no finite numbers.
    """
    params = import_module("vllm").PoolingParams(task=_TASK, use_activation=not raw)
    tokens = {"type": "token", "prompt_token_ids": list(ids)}  # the form that vLLM has nothing more to do with
    found: Any = None
    try:
        async with contextlib.aclosing(engine.encode(tokens, params, uuid.uuid4().hex)) as outputs:
            async for output in outputs:
                found = output.outputs.data.tolist()
    except BurnishError:
        raise
    except Exception as e:
        raise failure(engine, e) from e
    return numbers(found, where="vLLM's output")
