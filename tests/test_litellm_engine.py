"""The engine on hosted models: litellm itself against a real HTTP server that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from burnish.core.completion import Delta
from burnish.core.engine import Engine, most_usd
from burnish.core.errors import BurnishError, ConfigError, EngineUnavailable, GenerationFailed
from burnish.core.prompt import Message, Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine.lite import LiteLLMEngine
from burnish.engine.registry import make_engine
from burnish.engine.retry import Retrying
from burnish.session import Session
from tests.server_kit import Answer, Chat, FakeServer, Peer, Request, serving, status

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed"),
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic", "ignore::DeprecationWarning:litellm"),  # litellm's own
]

HELLO = Prompt.of("Say hello.")
HANG = 30
PRICES = {"input_price": 2.0, "output_price": 10.0}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-secret-of-the-test")
    return "sk-the-secret-of-the-test"


@asynccontextmanager
async def engine(
    answer: Answer | None = None, model: str = "openai/tiny", **options: Any
) -> AsyncIterator[tuple[Any, FakeServer]]:
    async with serving(answer or Chat()) as server, _started(server, model, **options) as started:
        yield started, server


def _started(server: FakeServer, model: str = "openai/tiny", **options: Any) -> LiteLLMEngine:
    return LiteLLMEngine(model, api_base=server.url, **{**PRICES, **options})


async def failure(answer: Answer, *, stop: Stop | None = None, **options: Any) -> BurnishError:
    async with engine(answer, **options) as (started, server):
        with pytest.raises(BurnishError) as caught:
            await asyncio.wait_for(started.generate(HELLO, Sampling(), stop=stop), HANG)
        assert len(server.chats) == 1, "litellm sent the call again"
        return caught.value


# --- what goes out and what comes back ---


@pytest.mark.parametrize("stop", [None, Stop()])
async def test_a_call_and_its_answer(stop: Stop | None, key: str) -> None:
    async with engine(Chat(thoughts=("Hm", "."))) as (started, server):
        assert isinstance(started, Engine)
        dialogue = Prompt((Message("system", "Be short."), Message("user", "Hi")))
        sampling = Sampling(max_tokens=9, temperature=0.25, top_p=0.5, seed=7, stop=("###",), logprobs=0)
        done = await started.generate(dialogue, sampling, stop=stop)
        assert (done.text, done.reasoning, done.finish_reason) == ("Hello there, friend.", "Hm.", "stop")
        assert done.logprobs == (-0.5,) * 5
        assert (done.tokens.prompt, done.tokens.cached, done.tokens.completion, done.tokens.reasoning) == (11, 8, 7, 2)
        assert done.cost_usd == pytest.approx((11 * 2 + 7 * 10) / 1e6)
        assert started.count_tokens(dialogue) == 11
        body = server.chats[0]
        assert body["messages"] == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}]
        sent = {name: body[name] for name in ("model", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs")}
        assert sent == {
            "model": "tiny",
            "max_tokens": 9,
            "temperature": 0.25,
            "top_p": 0.5,
            "seed": 7,
            "stop": ["###"],
            "logprobs": True,
        }
        assert server.requests[0].headers["authorization"] == f"Bearer {key}"


async def test_abilities_come_from_the_list_unless_told_otherwise() -> None:
    async with engine(model="openai/gpt-4o-mini", input_price=None, output_price=None) as (started, _):
        assert {"json_schema", "logprobs", "abort", "images"} <= set(started.info.capabilities.names())
        assert started.info.version.startswith("litellm ")
        # As the list says: $0.15 and $0.60 for a million tokens; what is cached costs half.
        assert most_usd(started, 1_000_000, 1_000_000) == pytest.approx(0.75)
        done = await started.generate(HELLO, Sampling())
        assert done.cost_usd == pytest.approx((3 * 0.15 + 8 * 0.075 + 5 * 0.6) / 1e6)
    schema = {"type": "object", "properties": {"burnish": {"type": "boolean"}}}
    async with engine(json_schema=True, logprobs=False) as (started, server):
        assert json.loads((await started.generate(HELLO, Sampling(json_schema=schema))).text) == {"burnish": True}
        assert server.chats[0]["response_format"]["json_schema"]["schema"] == schema
        with pytest.raises(EngineUnavailable, match="logprobs"):
            await started.generate(HELLO, Sampling(logprobs=0))
    async with engine() as (started, server):
        with pytest.raises(EngineUnavailable, match="json_schema"):
            await started.generate(HELLO, Sampling(json_schema=schema))
        assert not server.chats


@pytest.mark.parametrize(
    ("prompt", "sampling"),
    [
        (HELLO, Sampling(top_k=3)),
        (HELLO, Sampling(thinking_tokens=3)),
        (HELLO, Sampling(logprobs=2)),
        (HELLO, Sampling(choice=("a", "b"))),
        (Prompt(token_ids=(1, 2)), Sampling()),
        (Prompt((Message("user", "x"),), prefix_text="y"), Sampling()),
    ],
)
async def test_what_cannot_be_honoured_is_an_error_and_not_left_out(prompt: Prompt, sampling: Sampling) -> None:
    async with engine() as (started, server):
        with pytest.raises(EngineUnavailable):
            await started.generate(prompt, sampling)
        assert not server.chats


async def test_what_a_provider_does_not_take_is_an_error() -> None:
    async with engine(model="openai/o3-mini") as (started, server):
        with pytest.raises(EngineUnavailable, match="temperature") as caught:
            await started.generate(HELLO, Sampling(temperature=0.3))
        assert caught.value.code == "unsupported"
        assert not server.chats


# --- stopping ---


async def test_a_stopped_call_keeps_what_there_is_is_paid_for_and_hangs_up() -> None:
    async with engine(Chat(gap=0.02)) as (started, server):
        stop, seen = Stop(), list[str]()

        def watch(delta: Delta) -> bool:
            seen.append(delta.so_far)
            return len(seen) == 2

        watched = await started.generate(HELLO, Sampling(), watch=watch)
        assert (watched.text, watched.finish_reason, watched.tokens.completion) == ("Hello there", "aborted", 2)
        assert watched.cost_usd > 0
        server.answer = Chat(gap=HANG)
        call = asyncio.create_task(started.generate(HELLO, Sampling(), stop=stop))
        await asyncio.sleep(0.3)
        stop.request()
        stopped = await asyncio.wait_for(call, HANG)
        assert (stopped.text, stopped.finish_reason) == ("Hello", "aborted")
        cancelled = asyncio.create_task(started.generate(HELLO, Sampling(), stop=Stop()))
        await asyncio.sleep(0.2)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        async with asyncio.timeout(HANG):
            while server.running:
                await asyncio.sleep(0.01)


# --- failures ---


async def _rubbish(peer: Peer, _: Request) -> None:
    await peer.text('{"choices": [')


async def _cut(peer: Peer, _: Request) -> None:
    peer.cut()


async def _half(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
    peer.cut()


async def _no_end(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
    await peer.end_stream()


async def _silence(peer: Peer, _: Request) -> None:
    await asyncio.sleep(HANG)


_LONG = {"error": {"message": "This model's maximum context length is 512 tokens. However, you requested 600", "code": 400}}
_QUOTA = {"error": {"message": "pay", "code": "insufficient_quota"}}


@pytest.mark.parametrize(
    ("answer", "streamed", "kind", "code", "retryable"),
    [
        (status(400), False, GenerationFailed, "bad_request", False),
        (status(400, _LONG), False, GenerationFailed, "context_length", False),
        (status(401), False, EngineUnavailable, "unauthorized", False),
        (status(403), False, EngineUnavailable, "unauthorized", False),
        (status(404), False, EngineUnavailable, "not_found", False),
        (status(402), False, EngineUnavailable, "quota", False),
        (status(429, _QUOTA), False, EngineUnavailable, "quota", False),
        (status(429), True, GenerationFailed, "rate_limited", True),
        (status(500), True, GenerationFailed, "server_error", True),
        (status(503, "<html>"), False, GenerationFailed, "server_error", True),
        (_rubbish, False, GenerationFailed, "server_error", True),
        (_rubbish, True, GenerationFailed, "bad_response", True),
        (_cut, False, GenerationFailed, "server_error", True),
        (_half, True, GenerationFailed, "connection", True),
        (_no_end, True, GenerationFailed, "connection", True),
        (_silence, False, GenerationFailed, "timeout", True),
        (_silence, True, GenerationFailed, "timeout", True),
        (Chat(finish="weird"), False, GenerationFailed, "bad_response", True),
        (Chat(finish="error"), False, GenerationFailed, "bad_response", True),
        (Chat(finish="error"), True, GenerationFailed, "connection", True),
        (Chat(finish="content_filter"), True, GenerationFailed, "content_filter", False),
    ],
)
async def test_failures(answer: Answer, streamed: bool, kind: type[BurnishError], code: str, retryable: bool) -> None:
    error = await failure(answer, stop=Stop() if streamed else None, **({"timeout": 0.4} if answer is _silence else {}))
    assert (type(error), error.code, error.retryable) == (kind, code, retryable), error


async def test_retries_are_burnishs_and_wait_as_asked() -> None:
    count = iter(range(100))

    async def busy(peer: Peer, request: Request) -> None:
        await (status(429, retry_after="0.2") if next(count) < 2 else Chat())(peer, request)

    async with engine(busy) as (started, server):
        retrying = Retrying(started, wait=0.0)
        assert (await retrying.generate(HELLO, Sampling(), stop=Stop())).text == "Hello there, friend."
        assert (retrying.retries, len(server.chats)) == (2, 3)
    error = await failure(status(429, retry_after="7"))
    assert isinstance(error, GenerationFailed)
    assert error.retry_after == 7


async def test_a_key_is_never_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "abc-own-secret")
    quoting = status(400, {"error": {"message": f"the keys {key} and abc-own-secret are odd"}})
    error = await failure(quoting, api_key_env="MY_KEY")
    shown = f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"
    assert key not in shown
    assert "abc-own-secret" not in shown
    with pytest.raises(ConfigError, match="MISSING_KEY is not set"):
        await LiteLLMEngine("openai/x", api_key_env="MISSING_KEY").start()


# --- money ---


async def test_a_budget_of_money_is_kept(tmp_path: Path) -> None:
    # Each call reserves its most: an upper bound of the prompt, and 100 tokens at 10 dollars a million.
    async with serving(Chat()) as server, Session(_started(server), store=f"sqlite:///{tmp_path}/a.db") as session:
        settings = {"n": 16, "max_tokens": 100}
        result = await session.run("majority", "Say hello.", settings=settings, budget="usd=0.0015")
        assert result.budget_limit == "usd"
        assert 0 < result.usage.usd <= 0.0015
        assert result.usage.usd == pytest.approx(len(server.chats) * (11 * 2 + 5 * 10) / 1e6)
        sent = len(server.chats)
        assert sent < 16
        refused = await session.run("single", "Say hello.", settings={"max_tokens": 100}, budget="usd=0.000001")
        assert (refused.budget_limit, refused.usage.usd, len(server.chats)) == ("usd", 0, sent)


async def test_an_unknown_price_is_said_once_and_refuses_a_budget_of_money(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "burnish"):
        async with engine(input_price=None, output_price=None) as (started, server):
            async with Session(started, store=f"sqlite:///{tmp_path}/a.db", keep_engines=True) as session:
                assert (await session.run("single", "Say hello.")).usage.usd == 0
                await session.run("single", "Say hello.")
                with pytest.raises(ConfigError, match="price of the model openai/tiny is not known"):
                    await session.run("single", "Say hello.", budget="usd=1")
            assert len(server.chats) == 2
    assert [r.getMessage() for r in caplog.records] == ["the price of openai/tiny is not known: its calls are counted as free"]


# --- many, arguments, imports ---


async def test_hundreds_of_calls_to_a_host_name_at_once() -> None:
    async with serving(Chat(latency=0.2), host="localhost") as server, _started(server, max_connections=200) as started:
        calls = (started.generate(HELLO, Sampling(seed=i), stop=Stop() if i % 2 else None) for i in range(300))
        done = await asyncio.wait_for(asyncio.gather(*calls), 60)
    assert {d.text for d in done} == {"Hello there, friend."}
    assert 100 <= server.peak <= 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout": 0}, "timeout"),
        ({"max_connections": 0}, "max_connections"),
        ({"input_price": 1.0}, "output_price"),
        ({"input_price": -1.0, "output_price": 1.0}, "input_price"),
        ({"api_key_env": "sk-123"}, "api_key_env"),
        ({"params": {"api_key": "x"}}, "params"),
        ({"params": {"aws_secret_access_key": "x"}}, "params"),
        ({"params": {"num_retries": 3}}, "params"),
        ({"model": ""}, "model"),
    ],
)
def test_arguments_that_cannot_be_right(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LiteLLMEngine(**{"model": "openai/x", **arguments})


async def test_a_model_of_no_provider() -> None:
    with pytest.raises(ConfigError, match="no provider"):
        await LiteLLMEngine("nonsense").start()


async def test_by_name() -> None:
    made = make_engine("litellm", "openai/x", {"api_base": "http://127.0.0.1:9/v1", "params": '{"reasoning_effort": "low"}'})
    assert isinstance(made, LiteLLMEngine)
    assert made.info.settings == {"reasoning_effort": "low"}


def test_it_is_imported_only_when_used_and_touches_no_network_until_then() -> None:
    code = """
import asyncio, socket, sys
def refuse(*_, **__):
    raise AssertionError("network")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = socket.socket.connect_ex = refuse
import burnish
from burnish.engine.lite import LiteLLMEngine
made = LiteLLMEngine("openai/gpt-4o-mini")
assert "litellm" not in sys.modules
async def main():
    async with made:
        assert made.most_usd(1, 1) > 0
        assert made.info.capabilities.json_schema
asyncio.run(main())
assert "litellm" in sys.modules
print("quiet")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("quiet\n", "")
