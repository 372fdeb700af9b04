"""The default engine: vLLM within this program, through `AsyncLLM`, supervised and guarded.

vLLM owns batching, prefix cache and structured output. burnish renders prompts to token ids itself, so that a prefix is
continued exactly, and sees to it that the engine's death is no run's end (`supervisor.py`) and burnish's death leaves no
engine behind (`guardian.py`). Nothing of vLLM is imported before the engine starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..core.completion import Completion, Scores, TokenCounts, Watch
from ..core.engine import EngineInfo
from ..core.errors import Cancelled, EngineUnavailable, GenerationFailed
from ..core.prompt import Prompt
from ..core.sampling import Sampling
from ..core.stop import Stop
from ..core.together import together
from .models import DEFAULT_MODEL
from .vllm_calls import decode, prefill
from .vllm_host import VLLMHost
from .vllm_options import Options
from .vllm_sampling import sampling_params


class VLLMEngine(VLLMHost):
    """A model decoded by vLLM on this machine. Start it, use it, close it within one event loop."""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        max_num_seqs: int | None = None,
        max_num_batched_tokens: int | None = None,
        max_model_len: int | None = None,
        block_size: int | None = None,
        device: Literal["auto", "cpu", "gpu"] = "auto",
        dtype: str = "auto",
        seed: int = 0,
        kv_cache_gib: int | None = None,
        engine_args: Mapping[str, Any] | None = None,
        log_file: str | Path | None = None,
        give_up_after: int = 5,
    ) -> None:
        """Describe the engine; nothing happens before `start`.

        `engine_args` are further arguments of vLLM by its own names. `log_file` is where vLLM's processes write
        (None for a file in burnish's folder). After `give_up_after` restarts without a finished call it gives up.
        """
        options = Options(
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens,
            max_model_len=max_model_len,
            block_size=block_size,
            device=device,
            dtype=dtype,
            seed=seed,
            kv_cache_gib=kv_cache_gib,
            extra=dict(engine_args or {}),
        )
        super().__init__(model, options, log_file=log_file, give_up_after=give_up_after)

    @property
    def info(self) -> EngineInfo:
        return self._core.info

    def count_tokens(self, prompt: Prompt) -> int:
        return len(self._core.tokens.ids(prompt))

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text by itself."""
        return tuple(self._core.tokens.encode(text))

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, without control tokens."""
        return self._core.tokens.decode(token_ids)

    async def generate(
        self, prompt: Prompt, sampling: Sampling, *, watch: Watch | None = None, stop: Stop | None = None
    ) -> Completion:
        self._check_loop()
        ids = self._core.tokens.ids(prompt)
        room = self._room(ids)
        marks = self._core.marks
        if sampling.thinking_tokens is not None and not self._core.can_limit_thinking:
            raise EngineUnavailable(
                f"{self.info.model} has no reasoning that vLLM could limit", hint="leave thinking_tokens out for this model"
            )
        params = sampling_params(sampling, room=room, stream=watch is not None, keep_marks=marks is not None)
        begun = marks is not None and self._core.begun(prompt)

        async def work(engine: Any) -> Completion:
            collected = await decode(engine, ids, params, watch=watch, stop=stop)
            return collected.completion(sampling, marks=marks, begun=begun)

        if stop is not None and stop.requested:
            return _nothing_done()
        try:
            return await self._supervisor.call(work, stop=stop)
        except Cancelled:
            return _nothing_done()

    async def score(self, prompt: Prompt, continuations: Sequence[str | Sequence[int]]) -> list[Scores]:
        self._check_loop()
        ids = self._core.tokens.ids(prompt)

        async def one(continuation: str | Sequence[int]) -> Scores:
            tail = self._core.tokens.encode(continuation) if isinstance(continuation, str) else list(continuation)
            if not tail:
                return Scores(())
            self._room([*ids, *tail])
            return Scores(await self._supervisor.call(lambda engine: prefill(engine, ids, tail)))

        return await together(one(c) for c in continuations)

    def _room(self, ids: Sequence[int]) -> int:
        """Tokens that the context leaves after a prompt."""
        context = self._core.context
        if len(ids) >= context:
            raise GenerationFailed(
                f"the prompt has {len(ids)} tokens, the context holds {context}, with at least one to generate",
                code="context_length",
                hint="shorten the prompt, or start the engine with a larger max_model_len",
            )
        return context - len(ids)


def _nothing_done() -> Completion:
    return Completion("", "aborted", token_ids=(), tokens=TokenCounts())
