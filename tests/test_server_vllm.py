"""The engine on a server, against a real `vllm serve` with the default model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import urllib.request
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from burnish.core.completion import Completion, Delta
from burnish.core.errors import EngineUnavailable, GenerationFailed
from burnish.core.prompt import Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine.server import ServerEngine
from tests.fault_works import LIVE
from tests.helpers import rows, session
from tests.kill_kit import check_record
from tests.test_faults import Server, Trial

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="module")]

FRANCE = Prompt.of("What is the capital of France?")
STORY = Prompt.of("Tell me a long story about a fox and a river.")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed: burnish engine install")
    from burnish.bench.vllm_serve import vllm_serve

    with vllm_serve(tmp_path_factory.mktemp("serve") / "vllm.log") as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(url: str) -> AsyncGenerator[ServerEngine]:
    async with ServerEngine(url) as started:
        yield started


async def test_what_vllm_can_is_found_out(engine: ServerEngine) -> None:
    info = engine.info
    assert (info.kind, info.model, info.context_tokens) == ("server", "served", 1024)
    assert info.version.startswith("vllm 0.")
    wanted = {"logprobs", "json_schema", "choice", "regex", "grammar", "seed", "prefix_cache", "steps", "abort"}
    assert set(info.capabilities.names()) == wanted


async def test_an_answer_with_its_counts_streamed_or_not(engine: ServerEngine) -> None:
    greedy = Sampling(max_tokens=40, temperature=0, logprobs=2)
    plain = await engine.generate(FRANCE, greedy)
    streamed = await engine.generate(FRANCE, greedy, stop=Stop())
    deltas: list[Delta] = []
    watched = await engine.generate(FRANCE, greedy, watch=deltas.append)
    assert "Paris" in plain.text
    for done in (plain, streamed, watched):
        assert (done.text, done.finish_reason, done.token_ids) == (plain.text, "stop", plain.token_ids)
        assert done.token_ids is not None
        assert done.logprobs is not None
        assert done.top_logprobs is not None
        assert done.tokens.completion == len(done.token_ids) == len(done.logprobs) == len(done.top_logprobs)
        assert done.tokens.prompt == engine.count_tokens(FRANCE)
        assert all(max(top.values()) == pytest.approx(p) for top, p in zip(done.top_logprobs, done.logprobs, strict=True))
    assert deltas[-1].so_far == plain.text
    assert "".join(d.text for d in deltas) == plain.text


async def test_limits_seeds_and_stop_texts(engine: ServerEngine) -> None:
    one, same, other = [await engine.generate(STORY, Sampling(max_tokens=24, seed=s)) for s in (1, 1, 2)]
    assert one.finish_reason == "length"
    assert one.tokens.completion == 24
    assert one.text == same.text != other.text
    cut = await engine.generate(FRANCE, Sampling(max_tokens=40, temperature=0, stop=("Paris",)), stop=Stop())
    kept = await engine.generate(FRANCE, Sampling(max_tokens=40, temperature=0, stop=("Paris",), keep_stop=True))
    assert cut.finish_reason == kept.finish_reason == "boundary"
    assert "Paris" not in cut.text
    assert kept.text == f"{cut.text}Paris"


async def test_outputs_are_constrained(engine: ServerEngine) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer", "maximum": 99}}, "required": ["age"]}
    made, chosen, matched, parsed = await asyncio.gather(
        engine.generate(FRANCE, Sampling(max_tokens=60, seed=1, json_schema={**schema, "additionalProperties": False})),
        engine.generate(FRANCE, Sampling(max_tokens=10, seed=1, choice=("red", "green"))),
        engine.generate(FRANCE, Sampling(max_tokens=10, seed=1, regex=r"[0-9]{3}-[a-c]{2}")),
        engine.generate(FRANCE, Sampling(max_tokens=10, seed=1, grammar='root ::= "yes" | "no"')),
    )
    assert set(json.loads(made.text)) == {"age"}
    assert chosen.text in ("red", "green")
    assert len(matched.text) == 6
    assert parsed.text in ("yes", "no")


async def test_a_begun_answer_is_continued(engine: ServerEngine) -> None:
    done = await engine.generate(
        Prompt(FRANCE.messages, prefix_text="The capital of France is"), Sampling(max_tokens=8, temperature=0)
    )
    assert done.text.startswith(" Paris")


async def test_shared_beginnings_come_from_the_cache(engine: ServerEngine) -> None:
    long = "Remember these words: " + " ".join(f"item{i}" for i in range(60))
    first = await engine.generate(Prompt.of(long + " Go."), Sampling(max_tokens=2))
    second = await engine.generate(Prompt.of(long + " Stop."), Sampling(max_tokens=2), stop=Stop())
    assert first.tokens.cached < 100 < second.tokens.cached < second.tokens.prompt


async def test_a_stopped_call_keeps_what_there_is_and_frees_the_server(engine: ServerEngine, url: str) -> None:
    by_watch = await engine.generate(STORY, Sampling(max_tokens=800, seed=1), watch=lambda d: d.tokens >= 5)
    assert by_watch.finish_reason == "aborted"
    assert by_watch.tokens.completion == len(by_watch.token_ids or ()) >= 5
    stop, begun = Stop(), set[int]()

    async def told(seed: int) -> Completion:
        def watch(_: object) -> bool:
            begun.add(seed)
            return False

        return await engine.generate(STORY, Sampling(max_tokens=900, seed=seed), stop=stop, watch=watch)

    calls = [asyncio.create_task(told(i)) for i in range(4)]
    for _ in range(600):
        if len(begun) == len(calls):
            break
        await asyncio.sleep(0.05)
    stop.request()
    for done in await asyncio.wait_for(asyncio.gather(*calls), 20):
        assert done.finish_reason == "aborted"
        assert 0 < done.tokens.completion == len(done.token_ids or ()) < 900
        assert done.tokens.prompt > 0
        assert done.text
    async with asyncio.timeout(20):
        while await asyncio.to_thread(_running, url):
            await asyncio.sleep(0.1)


async def test_what_vllm_refuses(engine: ServerEngine) -> None:
    with pytest.raises(GenerationFailed) as caught:
        await engine.generate(Prompt.of("word " * 2000), Sampling(max_tokens=4))
    assert caught.value.code == "context_length"
    with pytest.raises(GenerationFailed) as caught:
        await engine.generate(FRANCE, Sampling(regex="("))
    assert (caught.value.code, caught.value.retryable) == ("bad_request", False)
    with pytest.raises(EngineUnavailable):
        await engine.generate(Prompt(token_ids=(1, 2)), Sampling())


async def test_a_search_with_traces(url: str, tmp_path: Path) -> None:
    async with session(tmp_path, engine=ServerEngine(url)) as open_session:
        result = await open_session.run("best_of_n", "What is the capital of France?", settings={"n": 8, "stop_at_pass": False})
        assert result.answer
    counts = rows(tmp_path, "SELECT count(*), min(engine), sum(completion_tokens > 0), count(DISTINCT seed) FROM call")
    assert counts == [(8, "server", 8, 8)]


def _running(url: str) -> float:
    """Requests that vLLM has in its hands."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=5) as answer:
        found = re.search(r"^vllm:num_requests_running\S* (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.parametrize("work", list(LIVE))
async def test_kills_of_burnish_beside_it_repeat_no_finished_call(
    url: str, tmp_path: Path, record_property: Callable[[str, object], None], work: str
) -> None:
    server = Server()
    try:
        trial = Trial(server, tmp_path, work, f"sqlite:///{tmp_path}/runs.db", engine=url)
        for point, hit in (("after_intent", 2), ("after_response", 3), ("after_queued", 2), ("before_ack", 2), ("before_end", 1)):
            assert trial.go(point, hit)
        trial.end()
    finally:
        server.close()
    record_property("kills", trial.kills)
    record_property("kills in the midst of a run", trial.midway)
    assert trial.kills == trial.midway == 5
    check_record(trial)
