"""One call on a running `AsyncLLM`: decoding with watch and stop, and scoring."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from ..core.completion import Delta, Watch
from ..core.errors import BurnishError, GenerationFailed
from ..core.stop import Stop, void
from ..core.text import one_line
from .supervisor import EngineDied
from .vllm_sampling import Collected, refusal, scoring_params

ABORT_AGAIN_S = 0.05
"""vLLM ignores the abort of a request that it is only just taking in, so it is asked until the request has ended."""


async def decode(engine: Any, ids: Sequence[int], params: Any, *, watch: Watch | None, stop: Stop | None) -> Collected:
    """Generate until the end, or until `watch` or `stop` ends it; what came in until then is kept.

    Raises:
        EngineDied: the engine died under the call.
        GenerationFailed: vLLM refuses or fails this call.
    """
    request, collected = uuid.uuid4().hex, Collected()
    aborts: list[asyncio.Task[None]] = []

    def abort() -> None:
        if not aborts:
            aborts.append(asyncio.create_task(_abort(engine, request)))

    detach = stop.when_requested(abort) if stop is not None else None
    try:
        async with contextlib.aclosing(_outputs(engine, ids, params, request)) as outputs:
            async for output in outputs:
                text = collected.add(output)
                if watch is not None and not aborts and watch(Delta(text, collected.text, len(collected.ids))):
                    abort()
    finally:
        if detach is not None:
            detach()
        for task in aborts:
            task.cancel()
    return collected


async def prefill(engine: Any, context: Sequence[int], tail: Sequence[int]) -> tuple[float, ...]:
    """Log-probability of each token of `tail` after `context`.

    Raises:
        EngineDied: the engine died under the call.
        GenerationFailed: vLLM refuses or fails this call.
    """
    found: Any = None
    async with contextlib.aclosing(_outputs(engine, [*context, *tail], scoring_params(), uuid.uuid4().hex)) as outputs:
        async for output in outputs:
            found = output.prompt_logprobs or found
    if found is None:
        raise GenerationFailed("vLLM returned no log-probabilities of the prompt", code="engine_error", retryable=True)
    return tuple(float(found[len(context) + i][token].logprob) for i, token in enumerate(tail))


async def _outputs(engine: Any, ids: Sequence[int], params: Any, request: str) -> AsyncGenerator[Any]:
    tokens = {"type": "token", "prompt_token_ids": list(ids)}  # the form that vLLM has nothing more to do with
    try:
        async with contextlib.aclosing(engine.generate(tokens, params, request)) as outputs:
            async for output in outputs:
                yield output
    except BurnishError:
        raise
    except Exception as e:
        raise failure(engine, e) from e


def failure(engine: Any, error: Exception) -> Exception:
    """Burnish's error for one of vLLM's, raised by a call on an engine."""
    if type(error).__name__ == "EngineDeadError" or engine.errored:
        return EngineDied()
    cause = error.__cause__ if type(error).__name__ == "EngineGenerateError" and error.__cause__ else error
    bad = isinstance(cause, ValueError) or any(c.__name__ == "VLLMClientError" for c in type(cause).__mro__)
    if bad:
        return refusal(cause)
    why = one_line(str(cause) or type(cause).__name__, 300)
    return GenerationFailed(f"vLLM failed the call: {why}", code="engine_error", retryable=True)


async def _abort(engine: Any, request: str) -> None:
    while True:
        with contextlib.suppress(Exception):
            void(await engine.abort(request))
        await asyncio.sleep(ABORT_AGAIN_S)
