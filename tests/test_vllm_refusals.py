"""What the engine refuses, each call for itself, on real vLLM with the default model."""

from __future__ import annotations

import pytest

from burnish.core.errors import ConfigError, EngineUnavailable, GenerationFailed
from burnish.core.prompt import ImagePart, Message, Prompt, TextPart
from burnish.core.sampling import Sampling
from burnish.engine.vllm import VLLMEngine

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

FRANCE = Prompt.of("What is the capital of France?")


async def test_a_prompt_longer_than_the_context(vllm_engine: VLLMEngine) -> None:
    with pytest.raises(GenerationFailed, match=r"2000 tokens.*1024") as failure:
        await vllm_engine.generate(Prompt(token_ids=(5,) * 2000), Sampling())
    assert failure.value.code == "context_length"
    with pytest.raises(GenerationFailed):
        await vllm_engine.score(Prompt(token_ids=(5,) * 1000), [(5,) * 24])


async def test_max_tokens_is_cut_to_the_context(vllm_engine: VLLMEngine) -> None:
    done = await vllm_engine.generate(Prompt(token_ids=(5,) * 1020), Sampling(max_tokens=900))
    assert done.tokens.completion <= 4
    if done.tokens.completion == 4:
        assert done.finish_reason == "length"


@pytest.mark.parametrize(
    ("sampling", "code"),
    [
        (Sampling(logprobs=1000), "bad_request"),
        (Sampling(regex="(unclosed"), "bad_request"),
        (Sampling(json_schema={"type": "no such type"}), "bad_request"),
        (Sampling(grammar="this is ::= no grammar ("), "bad_request"),
        (Sampling(stop=("",)), "bad_request"),
    ],
)
async def test_what_vllm_refuses_is_this_calls_failure(vllm_engine: VLLMEngine, sampling: Sampling, code: str) -> None:
    before = vllm_engine.restarts
    with pytest.raises(GenerationFailed) as failure:
        await vllm_engine.generate(FRANCE, sampling)
    assert failure.value.code == code
    assert not failure.value.retryable
    assert (await vllm_engine.generate(FRANCE, Sampling(max_tokens=2))).tokens.completion == 2
    assert vllm_engine.restarts == before


async def test_what_the_model_cannot_do(vllm_engine: VLLMEngine) -> None:
    with pytest.raises(EngineUnavailable, match="reasoning"):
        await vllm_engine.generate(FRANCE, Sampling(thinking_tokens=10))
    picture = Message("user", (TextPart("What is this?"), ImagePart("data:image/png;base64,")))
    with pytest.raises(EngineUnavailable, match="images"):
        await vllm_engine.generate(Prompt((picture,)), Sampling())
    with pytest.raises(ConfigError, match="token ids"):
        await vllm_engine.generate(Prompt(token_ids=(5, 10**7)), Sampling())
    with pytest.raises(ConfigError, match="empty"):
        await vllm_engine.generate(Prompt(token_ids=()), Sampling())
