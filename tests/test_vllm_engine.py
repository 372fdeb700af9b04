"""What the engine promises, on real vLLM with the default model."""

from __future__ import annotations

import asyncio
import json
import math

import pytest

from burnish.core.completion import Delta
from burnish.core.errors import EngineUnavailable
from burnish.core.prompt import Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine.vllm import VLLMEngine

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

FRANCE = Prompt.of("What is the capital of France?")
STORY = Prompt.of("Tell me a long story about a fox and a river.")


async def test_info_says_what_runs(vllm_engine: VLLMEngine) -> None:
    info = vllm_engine.info
    assert (info.kind, info.model, info.context_tokens) == ("vllm", "SmolLM2-135M-Instruct", 1024)
    assert len(info.revision) == 32
    assert info.settings["max_num_seqs"] == 64
    assert info.settings["logprobs_mode"] == "raw_logprobs"
    assert {"logprobs", "scoring", "seed", "abort", "token_prefix"} <= set(info.capabilities.names())
    assert "reasoning" not in info.capabilities.names()
    json.dumps(info.to_json())


async def test_an_answer_with_its_counts(vllm_engine: VLLMEngine) -> None:
    done = await vllm_engine.generate(FRANCE, Sampling(max_tokens=40, temperature=0))
    assert "Paris" in done.text
    assert done.finish_reason == "stop"
    assert done.token_ids is not None
    assert done.tokens.completion == len(done.token_ids)
    assert done.tokens.prompt == vllm_engine.count_tokens(FRANCE)
    assert vllm_engine.decode(done.token_ids) == done.text
    assert done.logprobs is None


async def test_the_token_limit_is_no_stop(vllm_engine: VLLMEngine) -> None:
    done = await vllm_engine.generate(STORY, Sampling(max_tokens=7, seed=1))
    assert done.finish_reason == "length"
    assert done.tokens.completion == 7


async def test_same_seed_same_text(vllm_engine: VLLMEngine) -> None:
    async def sample(seed: int) -> str:
        return (await vllm_engine.generate(STORY, Sampling(max_tokens=24, temperature=1.0, seed=seed))).text

    # In another company a text may differ: near ties of bf16 fall otherwise in another batch shape.
    alone = [await sample(seed) for seed in (1, 2, 1, 2)]
    assert alone[:2] == alone[2:]
    assert alone[0] != alone[1]


async def test_forty_at_once(vllm_engine: VLLMEngine) -> None:
    calls = [vllm_engine.generate(STORY, Sampling(max_tokens=24, temperature=1.0, seed=seed)) for seed in range(40)]
    done = await asyncio.gather(*calls)
    assert all(d.tokens.completion == len(d.token_ids or ()) > 0 for d in done)
    assert len({d.text for d in done}) > 30


async def test_logprobs(vllm_engine: VLLMEngine) -> None:
    done = await vllm_engine.generate(FRANCE, Sampling(max_tokens=12, seed=5, temperature=1.0, logprobs=3))
    assert done.token_ids is not None
    assert done.logprobs is not None
    assert done.top_logprobs is not None
    assert len(done.logprobs) == len(done.top_logprobs) == len(done.token_ids)
    for token, logprob, top in zip(done.token_ids, done.logprobs, done.top_logprobs, strict=True):
        assert 3 <= len(top) <= 4  # equal ones share a rank
        assert logprob <= max(top.values())
        assert top.get(token, logprob) == logprob
    only = await vllm_engine.generate(FRANCE, Sampling(max_tokens=12, seed=5, temperature=1.0, logprobs=0))
    assert only.logprobs == pytest.approx(done.logprobs, abs=0.05)
    assert only.top_logprobs is None


async def test_scores_are_the_generated_logprobs(vllm_engine: VLLMEngine) -> None:
    done = await vllm_engine.generate(FRANCE, Sampling(max_tokens=20, seed=2, temperature=1.0, logprobs=0))
    assert done.token_ids is not None
    assert done.logprobs is not None
    right, text, wrong, nothing = await vllm_engine.score(FRANCE, [done.token_ids, " Paris", " banana", ()])
    assert right.logprobs == pytest.approx(done.logprobs, abs=0.15)  # bf16, another batch shape
    assert text.total > wrong.total
    assert nothing.logprobs == ()


async def test_stop_texts_end_it_and_are_cut_off(vllm_engine: VLLMEngine) -> None:
    free = await vllm_engine.generate(FRANCE, Sampling(max_tokens=40, temperature=0))
    done = await vllm_engine.generate(FRANCE, Sampling(max_tokens=40, temperature=0, stop=("Paris",)))
    kept = await vllm_engine.generate(FRANCE, Sampling(max_tokens=40, temperature=0, stop=("Paris",), keep_stop=True))
    assert free.finish_reason == "stop"
    assert done.finish_reason == kept.finish_reason == "boundary"
    assert done.text == free.text[: free.text.index("Paris")]
    assert kept.text == f"{done.text}Paris"


async def test_watch_stops_and_keeps_what_there_is(vllm_engine: VLLMEngine) -> None:
    deltas: list[Delta] = []

    def watch(delta: Delta) -> bool:
        deltas.append(delta)
        return delta.tokens >= 5

    done = await vllm_engine.generate(STORY, Sampling(max_tokens=400, seed=1), watch=watch)
    assert done.finish_reason == "aborted"
    assert 5 <= done.tokens.completion < 400
    assert done.tokens.prompt > 0
    assert done.text.startswith(deltas[-1].so_far)
    assert "".join(d.text for d in deltas) == deltas[-1].so_far
    same = await vllm_engine.generate(STORY, Sampling(max_tokens=400, seed=1), watch=lambda d: d.tokens >= 30)
    assert same.text.startswith(done.text)


async def test_a_watch_that_only_looks_changes_nothing(vllm_engine: VLLMEngine) -> None:
    settings = Sampling(max_tokens=20, seed=4, logprobs=0)
    await vllm_engine.generate(STORY, settings)  # so that both find the same cache
    plain = await vllm_engine.generate(STORY, settings)
    assert await vllm_engine.generate(STORY, settings, watch=lambda _: None) == plain


async def test_a_watch_that_raises_ends_the_call(vllm_engine: VLLMEngine) -> None:
    def watch(_: Delta) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await vllm_engine.generate(STORY, Sampling(max_tokens=400), watch=watch)
    await _idle(vllm_engine)


async def test_stop_hands_over_the_partial_text(vllm_engine: VLLMEngine) -> None:
    stop = Stop()
    call = asyncio.create_task(vllm_engine.generate(STORY, Sampling(max_tokens=800, seed=1), stop=stop))
    await asyncio.sleep(0.5)
    stop.request()
    done = await asyncio.wait_for(call, 20)
    assert done.finish_reason == "aborted"
    assert 0 < done.tokens.completion < 800
    assert done.text
    await _idle(vllm_engine)


async def test_a_stop_at_once_is_not_lost(vllm_engine: VLLMEngine) -> None:
    early, late = Stop(), Stop()
    early.request()
    assert (await vllm_engine.generate(STORY, Sampling(), stop=early)).finish_reason == "aborted"
    call = asyncio.create_task(vllm_engine.generate(STORY, Sampling(max_tokens=800), stop=late))
    await asyncio.sleep(0)
    late.request()
    done = await asyncio.wait_for(call, 20)
    assert done.finish_reason == "aborted"
    assert done.tokens.completion < 100


async def test_cancelling_leaves_the_engine_idle(vllm_engine: VLLMEngine) -> None:
    calls = [asyncio.create_task(vllm_engine.generate(STORY, Sampling(max_tokens=800, seed=i))) for i in range(4)]
    await asyncio.sleep(0.3)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert all(call.cancelled() for call in calls)
    await _idle(vllm_engine)


async def test_a_token_prefix_is_continued_exactly(vllm_engine: VLLMEngine) -> None:
    greedy = Sampling(max_tokens=48, temperature=0)
    whole = await vllm_engine.generate(STORY, greedy)
    assert whole.token_ids is not None
    for cut in (1, 7, 20):
        prefix = whole.token_ids[:cut]
        rest = await vllm_engine.generate(Prompt(STORY.messages, prefix_ids=prefix), greedy.but(max_tokens=48 - cut))
        assert rest.token_ids is not None
        joined = vllm_engine.decode(prefix) + rest.text
        assert joined == vllm_engine.decode((*prefix, *rest.token_ids))
        assert rest.tokens.prompt == vllm_engine.count_tokens(STORY) + cut
        # Greedy tokens may differ at near ties, since a prompt is computed in another batch shape than an answer.
        assert rest.token_ids[:3] == whole.token_ids[cut : cut + 3]


async def test_a_character_split_over_the_seam_joins(vllm_engine: VLLMEngine) -> None:
    ids = vllm_engine.encode("Grüße 🦊 日本")
    cut = next(i for i in range(1, len(ids)) if "\ufffd" in vllm_engine.decode(ids[:i]))
    whole = vllm_engine.decode(ids[:cut]).rstrip("\ufffd")
    done = await vllm_engine.generate(Prompt(STORY.messages, prefix_ids=ids[:cut]), Sampling(max_tokens=5, temperature=0))
    assert done.token_ids is not None
    assert vllm_engine.decode((*ids[:cut], *done.token_ids)).startswith(whole)


async def test_a_text_prefix(vllm_engine: VLLMEngine) -> None:
    done = await vllm_engine.generate(
        Prompt(FRANCE.messages, prefix_text="The capital of France is"), Sampling(max_tokens=8, temperature=0)
    )
    assert done.text.startswith(" Paris")


async def test_token_ids_as_prompt(vllm_engine: VLLMEngine) -> None:
    ids = vllm_engine.encode("The capital of France is")
    done = await vllm_engine.generate(Prompt(token_ids=ids), Sampling(max_tokens=4, temperature=0))
    assert "Paris" in done.text
    assert done.tokens.prompt == len(ids)


async def test_outputs_are_constrained(vllm_engine: VLLMEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    ask = Prompt.of("Describe a person.")
    made, chosen, matched, parsed = await asyncio.gather(
        vllm_engine.generate(ask, Sampling(max_tokens=80, seed=1, json_schema=schema)),
        vllm_engine.generate(ask, Sampling(max_tokens=10, seed=1, choice=("red", "green"))),
        vllm_engine.generate(ask, Sampling(max_tokens=10, seed=1, regex=r"[0-9]{3}-[a-c]{2}")),
        vllm_engine.generate(ask, Sampling(max_tokens=10, seed=1, grammar='root ::= "yes" | "no"')),
    )
    person = json.loads(made.text)
    assert set(person) == {"name", "age"}
    assert chosen.text in ("red", "green")
    assert len(matched.text) == 6
    assert parsed.text in ("yes", "no")


async def test_shared_beginnings_come_from_the_cache(vllm_engine: VLLMEngine) -> None:
    long = "Remember these words: " + " ".join(f"item{i}" for i in range(60))
    first = await vllm_engine.generate(Prompt.of(long + " Go."), Sampling(max_tokens=2))
    second = await vllm_engine.generate(Prompt.of(long + " Stop."), Sampling(max_tokens=2))
    assert first.tokens.cached < 100 < second.tokens.cached < second.tokens.prompt


async def test_logprobs_are_those_of_the_plain_distribution(vllm_engine: VLLMEngine) -> None:
    cold = await vllm_engine.generate(FRANCE, Sampling(max_tokens=1, temperature=0, logprobs=5))
    hot = await vllm_engine.generate(FRANCE, Sampling(max_tokens=1, temperature=2.0, top_k=1, seed=1, logprobs=5))
    assert cold.logprob is not None
    assert cold.logprob == pytest.approx(hot.logprob, abs=0.05)
    assert cold.logprob > math.log(0.01)


async def test_another_event_loop_is_refused(vllm_engine: VLLMEngine) -> None:
    def elsewhere() -> None:
        asyncio.run(vllm_engine.generate(FRANCE, Sampling()))

    with pytest.raises(EngineUnavailable, match="event loop"):
        await asyncio.to_thread(elsewhere)


async def test_starting_twice_does_nothing(vllm_engine: VLLMEngine) -> None:
    running = vllm_engine._supervisor._engine
    await asyncio.gather(vllm_engine.start(), vllm_engine.start())
    assert vllm_engine._supervisor._engine is running


async def _idle(engine: VLLMEngine) -> None:
    """Wait until vLLM itself has nothing left to do."""
    core = engine._supervisor._engine
    async with asyncio.timeout(20):
        while core.output_processor.has_unfinished_requests():
            await asyncio.sleep(0.02)
    alone = await engine.generate(FRANCE, Sampling(max_tokens=2))
    assert alone.tokens.completion == 2
