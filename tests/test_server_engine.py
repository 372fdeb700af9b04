"""The engine on a server, against a real HTTP server that answers, and fails, by script."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from burnish.core.completion import Completion, Delta
from burnish.core.engine import Engine
from burnish.core.errors import BurnishError, ConfigError, EngineUnavailable, GenerationFailed
from burnish.core.prompt import ImagePart, Message, Prompt, TextPart
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine.registry import from_recipe, make_engine, recipe
from burnish.engine.retry import Retrying
from burnish.engine.server import ServerEngine
from tests.server_kit import MODEL, Answer, Chat, FakeServer, Peer, Request, serving, status

HELLO = Prompt.of("Say hello.")
HANG = 30
"""Seconds after which a test that hangs is given up."""


@asynccontextmanager
async def engine(answer: Answer | None = None, **options: Any) -> AsyncIterator[tuple[ServerEngine, FakeServer]]:
    """A started engine and its server; the calls of the start are forgotten."""
    async with serving(answer or Chat()) as server, ServerEngine(server.url, **options) as started:
        server.requests.clear()
        server.peak = 0
        yield started, server


async def failure(answer: Answer, *, stop: Stop | None = None, **options: Any) -> BurnishError:
    """What a call raises that gets this answer."""
    async with engine(**options) as (started, server):
        server.answer = answer
        with pytest.raises(BurnishError) as caught:
            await asyncio.wait_for(started.generate(HELLO, Sampling(), stop=stop), HANG)
        return caught.value


# --- what the server can do ---


async def test_a_plain_server() -> None:
    async with engine() as (started, _):
        assert isinstance(started, Engine)
        info = started.info
        assert (info.kind, info.model, info.context_tokens, info.version) == ("server", MODEL, 512, "")
        assert set(info.capabilities.names()) == {"logprobs", "json_schema", "abort"}
        json.dumps(info.to_json())


async def test_vllm_is_told_by_its_version() -> None:
    metrics = 'vllm:cache_config_info{enable_prefix_caching="True"} 1'
    async with serving(Chat(vllm="0.32.0"), metrics=metrics) as server, ServerEngine(server.url) as started:
        info = started.info
    assert info.version == "vllm 0.32.0"
    wanted = {"logprobs", "json_schema", "choice", "regex", "grammar", "seed", "prefix_cache", "steps", "abort"}
    assert set(info.capabilities.names()) == wanted


async def test_what_is_ignored_is_not_taken_for_honoured() -> None:
    chat = Chat(vllm="0.32.0", ignores=frozenset({"logprobs", "response_format", "stream"}))
    async with engine(chat) as (started, _):
        assert set(started.info.capabilities.names()) == {"choice", "regex", "grammar", "seed", "steps"}


async def test_what_is_refused_is_not_sent_again() -> None:
    chat = Chat(refuses=frozenset({"logprobs", "response_format", "stream", "seed", "max_tokens"}))
    async with engine(chat) as (started, server):
        assert started.info.capabilities.names() == ()
        done = await started.generate(HELLO, Sampling(max_tokens=3, seed=1), stop=Stop())
        assert (done.text, done.finish_reason) == ("Hello there,", "length")
        assert server.chats == [
            {
                "model": MODEL,
                "messages": [HELLO.messages[0].to_json()],
                "max_completion_tokens": 3,
                "temperature": 0.7,
                "top_p": 1.0,
            }  # type: ignore[index]
        ]


async def test_the_model_is_chosen_only_where_there_is_no_choice() -> None:
    models = [{"id": "a"}, {"id": "b"}]
    async with serving(models=models) as server:
        with pytest.raises(ConfigError, match=r"2 models.*a, b"):
            await ServerEngine(server.url).start()
        with pytest.raises(ConfigError, match=r"no model 'c'.*a, b"):
            await ServerEngine(server.url, "c").start()
        async with ServerEngine(server.url, "b") as started:
            assert started.info.model == "b"
            assert started.info.context_tokens is None
    async with serving(models_answer=lambda peer, _: peer.json({"data": []})) as server:
        with pytest.raises(ConfigError, match="0 models"):
            await ServerEngine(server.url).start()


@pytest.mark.parametrize("listed", [[], {"data": 3}, "models", None])
async def test_a_list_of_models_that_is_none(listed: Any) -> None:
    async with serving(models_answer=lambda peer, _: peer.json(listed)) as server:
        with pytest.raises(EngineUnavailable, match="list of models"):
            await ServerEngine(server.url).start()


async def test_a_server_that_completes_nothing_does_not_start() -> None:
    async with serving(status(400, {"error": {"message": "no chat template"}})) as server:
        with pytest.raises(EngineUnavailable, match="no chat template"):
            await ServerEngine(server.url).start()


async def test_a_busy_server_is_asked_again_at_the_start() -> None:
    count = iter(range(100))

    async def answer(peer: Peer, request: Request) -> None:
        await (status(429, retry_after="0.01") if next(count) < 2 else Chat())(peer, request)

    async with engine(answer) as (started, _):
        assert "logprobs" in started.info.capabilities.names()


# --- what is sent, and what comes back ---


async def test_an_answer_with_its_counts() -> None:
    async with engine() as (started, server):
        done = await started.generate(HELLO, Sampling(max_tokens=30, temperature=0, seed=5, stop=("friend",)))
        assert (done.text, done.finish_reason) == ("Hello there, ", "stop")
        assert (done.tokens.prompt, done.tokens.cached, done.tokens.completion) == (11, 8, 1)
        assert done.token_ids is None
        assert done.logprobs is None
        sent = server.chats[0]
        assert (sent["temperature"], sent["seed"], sent["stop"], sent["max_tokens"]) == (0, 5, ["friend"], 30)
        assert "stream" not in sent
        assert not {"top_k", "repetition_penalty", "return_token_ids", "n"} & sent.keys()


async def test_vllm_is_told_everything_that_it_would_else_take_from_the_model() -> None:
    async with engine(Chat(vllm="0.32.0")) as (started, server):
        done = await started.generate(HELLO, Sampling(top_k=5, logprobs=2))
        sent = server.chats[0]
        assert (sent["top_k"], sent["min_p"], sent["repetition_penalty"], sent["top_p"]) == (5, 0.0, 1.0, 1.0)
        assert done.token_ids == (5, 6, 1, 7, 1)
        assert done.logprobs == (-0.5,) * 5
        assert done.top_logprobs == ({0: -0.5, 1: -1.5},) * 5
        await started.generate(HELLO, Sampling(thinking_tokens=9))
        assert (server.chats[1]["top_k"], server.chats[1]["thinking_token_budget"]) == (0, 9)


async def test_constraints() -> None:
    schema = {"type": "object"}
    async with engine(Chat(vllm="0.32.0")) as (started, server):
        await started.generate(HELLO, Sampling(json_schema=schema))
        await started.generate(HELLO, Sampling(choice=("yes", "no")))
        formats = [(c.get("response_format"), c.get("structured_outputs")) for c in server.chats]
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        assert formats == [(wanted, None), (None, {"choice": ["yes", "no"]})]


@pytest.mark.parametrize(
    ("prompt", "sampling"),
    [
        (HELLO, Sampling(top_k=5)),
        (HELLO, Sampling(logprobs=3)),
        (HELLO, Sampling(thinking_tokens=3)),
        (Prompt(HELLO.messages, prefix_text="Well"), Sampling()),
        (Prompt(token_ids=(1, 2)), Sampling()),
        (Prompt(HELLO.messages, prefix_ids=(1, 2)), Sampling()),
    ],
)
async def test_what_cannot_be_honoured_is_an_error_and_not_left_out(prompt: Prompt, sampling: Sampling) -> None:
    async with engine() as (started, server):
        with pytest.raises(EngineUnavailable) as caught:
            await started.generate(prompt, sampling)
        assert caught.value.code == "unsupported"
        assert server.chats == []
        with pytest.raises(EngineUnavailable, match="score"):
            await started.score(HELLO, ["x"])


async def test_vllm_continues_a_begun_answer() -> None:
    async with engine(Chat(vllm="0.32.0")) as (started, server):
        await started.generate(Prompt(HELLO.messages, prefix_text="Well, "), Sampling())
        sent = server.chats[0]
        assert sent["messages"][-1] == {"role": "assistant", "content": "Well, "}
        assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("stop", [None, Stop()])
async def test_reasoning_stays_apart(name: str, stop: Stop | None) -> None:
    async with engine(Chat(thoughts=("Hm", ", so"), field=name)) as (started, _):
        assert "reasoning" in started.info.capabilities.names()
        done = await started.generate(HELLO, Sampling(), stop=stop)
        assert (done.text, done.reasoning, done.tokens.reasoning) == ("Hello there, friend.", "Hm, so", 2)


async def test_parts_and_roles_go_out_as_they_are() -> None:
    parts = (TextPart("What is"), TextPart("it?"))
    async with engine() as (started, server):
        await started.generate(Prompt((Message("system", "Be brief."), Message("user", parts))), Sampling())
        assert server.chats[0]["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "it?"}]},
        ]
        with pytest.raises(EngineUnavailable, match="images"):
            await started.generate(Prompt((Message("user", (*parts, ImagePart("data:image/png;base64,AA"))),)), Sampling())
        assert len(server.chats) == 1


async def test_streamed_or_not_the_completion_is_the_same() -> None:
    for chat in (Chat(), Chat(vllm="0.32.0")):
        async with engine(chat) as (started, server):
            plain = await started.generate(HELLO, Sampling(logprobs=0))
            streamed = await started.generate(HELLO, Sampling(logprobs=0), stop=Stop())
            watched = await started.generate(HELLO, Sampling(logprobs=0), watch=lambda _: None)
            assert plain == streamed == watched
            assert [("stream" in c, "stream_interval" in c) for c in server.chats] == [
                (False, False),
                (True, bool(chat.vllm)),
                (True, False),
            ]


async def test_a_server_that_does_not_count_is_counted_for() -> None:
    async with engine(Chat(usage=False)) as (started, _):
        for stop in (None, Stop()):
            done = await started.generate(HELLO, Sampling(logprobs=0), stop=stop)
            assert done.tokens.completion == 5
            assert done.tokens.prompt >= len("Say hello.")


@pytest.mark.parametrize("usage", [None, "much", {"prompt_tokens": -3, "completion_tokens": 10**30}, {"completion_tokens": "5"}])
async def test_counts_that_are_none_are_not_believed(usage: Any) -> None:
    async with engine() as (started, server):
        answer = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
        server.answer = lambda peer, _: peer.json(answer)
        tokens = (await started.generate(HELLO, Sampling())).tokens
        assert (tokens.completion, tokens.cached) == (1, 0)
        assert 10 < tokens.prompt < 200


async def test_text_that_cannot_be_sent_is_the_calls_failure() -> None:
    async with engine() as (started, server):
        for stop in (None, Stop()):
            with pytest.raises(GenerationFailed) as caught:
                await started.generate(Prompt.of("a lone \ud800"), Sampling(), stop=stop)
            assert (caught.value.code, caught.value.retryable) == ("bad_request", False)
        assert server.chats == []


async def test_counting_tokens_is_an_upper_bound_until_the_server_has_counted() -> None:
    async with engine() as (started, _):
        prompt = Prompt.of("日本 " * 20)
        assert started.count_tokens(prompt) > 140
        await started.generate(prompt, Sampling())
        assert started.count_tokens(prompt) == 11
        for n in range(300):  # what is known is bounded
            started._counts.learn(Prompt.of(str(n)), 5)
        assert started.count_tokens(prompt) > 140


@pytest.mark.parametrize(
    ("said", "means"), [("stop", "stop"), ("length", "length"), ("abort", "aborted"), ("repetition", "length")]
)
async def test_known_ends(said: str, means: str) -> None:
    async with engine() as (started, server):
        server.answer = Chat(finish=said)
        assert (await started.generate(HELLO, Sampling())).finish_reason == means
        assert (await started.generate(HELLO, Sampling(), stop=Stop())).finish_reason == means


@pytest.mark.parametrize("said", ["tool_calls", "eos\x1b[2J", "content_filter"])
@pytest.mark.parametrize("stop", [None, Stop()])
async def test_an_unknown_end_is_no_stop(said: str, stop: Stop | None) -> None:
    error = await failure(Chat(finish=said), stop=stop)
    assert isinstance(error, GenerationFailed)
    assert error.code == ("content_filter" if said == "content_filter" else "bad_response")
    assert "\x1b" not in str(error)


# --- stopping ---


async def test_watch_stops_and_keeps_what_there_is() -> None:
    for chat in (Chat(gap=0.01), Chat(vllm="0.32.0", gap=0.01)):
        deltas: list[Delta] = []

        def watch(delta: Delta, seen: list[Delta] = deltas) -> bool:
            seen.append(delta)
            return delta.tokens >= 2

        async with engine(chat) as (started, server):
            done = await started.generate(HELLO, Sampling(logprobs=0), watch=watch)
            assert (done.text, done.finish_reason) == ("Hello there", "aborted")
            assert (done.tokens.completion, len(done.logprobs or ())) == (2, 2)
            assert [d.so_far for d in deltas] == ["Hello", "Hello there"]
            assert done.tokens.prompt == 11 if chat.vllm else done.tokens.prompt > 11
            await _all_gone(server)
            assert server.broken_off == 1


async def test_stop_hands_over_the_partial_text_and_hangs_up() -> None:
    async with engine(Chat(vllm="0.32.0", gap=0.05, words=["a "] * 400)) as (started, server):
        stop = Stop()
        call = asyncio.create_task(started.generate(HELLO, Sampling(), stop=stop))
        while not any(server.chats) or server.running == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        stop.request()
        done = await asyncio.wait_for(call, HANG)
        assert done.finish_reason == "aborted"
        assert 0 < done.tokens.completion < 400
        assert done.text == "a " * done.tokens.completion
        assert done.token_ids == (2,) * done.tokens.completion
        await _all_gone(server)
        assert server.broken_off == 1


async def test_stopped_before_anything_came_it_is_empty() -> None:
    early, late = Stop(), Stop()
    early.request()
    async with engine() as (started, server):
        assert await started.generate(HELLO, Sampling(), stop=early) == Completion("", "aborted")
        assert server.chats == []
        server.answer = Chat(latency=HANG)
        call = asyncio.create_task(started.generate(HELLO, Sampling(), stop=late))
        while not server.running:
            await asyncio.sleep(0.01)
        late.request()
        assert (await asyncio.wait_for(call, HANG)).finish_reason == "aborted"
        await _all_gone(server)


@pytest.mark.parametrize("answer", [Chat(latency=HANG), Chat(gap=0.05, words=["a "] * 400)])
async def test_cancelling_hangs_up(answer: Chat) -> None:
    async with engine(max_connections=3) as (started, server):
        server.answer = answer
        stops = (Stop(), Stop(), None) if answer.latency else (Stop(), Stop())
        calls = [asyncio.create_task(started.generate(HELLO, Sampling(), stop=s)) for s in stops]
        async with asyncio.timeout(HANG):
            while server.running < len(stops):
                await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert all(call.cancelled() for call in calls)
        await _all_gone(server)
        assert server.broken_off == len(stops)
        server.answer = Chat()  # and no place is lost
        done = await asyncio.wait_for(asyncio.gather(*(started.generate(HELLO, Sampling()) for _ in range(6))), HANG)
        assert {d.text for d in done} == {"Hello there, friend."}


async def test_a_watch_that_raises_ends_the_call() -> None:
    async with engine(Chat(gap=0.05)) as (started, server):
        with pytest.raises(ZeroDivisionError):
            await started.generate(HELLO, Sampling(), watch=lambda d: d.tokens // 0 == 1)
        await _all_gone(server)


# --- failures ---


async def _rubbish(peer: Peer, _: Request) -> None:
    await peer.text('{"choices": [')


async def _deep(peer: Peer, _: Request) -> None:
    await peer.text("[" * 100_000)


async def _html(peer: Peer, _: Request) -> None:
    await peer.text("<html>captive portal</html>", content_type="text/html")


async def _nothing(peer: Peer, _: Request) -> None:
    peer.cut()


async def _half(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
    peer.cut()


async def _no_end(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
    await peer.end_stream()


async def _broken_piece(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece('{"choices": [')
    await peer.end_stream()


async def _error_piece(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece({"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}})
    await peer.end_stream()


async def _silence(peer: Peer, _: Request) -> None:
    await asyncio.sleep(HANG)


async def _stall(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
    await asyncio.sleep(HANG)


def _reply(choice: Any) -> Answer:
    return lambda peer, _: peer.json({"choices": choice})


_LONG = {"error": {"message": "This model's maximum context length is 512 tokens. However, you requested 600", "code": 400}}
_LONG_OPENAI = {"error": {"message": "too long", "code": "context_length_exceeded"}}
_QUOTA = {"error": {"message": "pay", "code": "insufficient_quota"}}


@pytest.mark.parametrize(
    ("answer", "kind", "code", "retryable"),
    [
        (status(400), GenerationFailed, "bad_request", False),
        (status(400, _LONG), GenerationFailed, "context_length", False),
        (status(400, _LONG_OPENAI), GenerationFailed, "context_length", False),
        (status(422, {"detail": [{"msg": "odd"}]}), GenerationFailed, "bad_request", False),
        (status(302, {}, location="http://127.0.0.1:9/v1"), GenerationFailed, "bad_request", False),
        (status(401), EngineUnavailable, "unauthorized", False),
        (status(403), EngineUnavailable, "unauthorized", False),
        (status(404, {"error": {"message": "The model `x` does not exist."}}), EngineUnavailable, "not_found", False),
        (status(429, _QUOTA), EngineUnavailable, "quota", False),
        (status(408), GenerationFailed, "server_error", True),
        (status(429), GenerationFailed, "rate_limited", True),
        (status(500), GenerationFailed, "server_error", True),
        (status(503, "<html>"), GenerationFailed, "server_error", True),
        (_nothing, GenerationFailed, "connection", True),
        (_rubbish, GenerationFailed, "bad_response", True),
        (_html, GenerationFailed, "bad_response", True),
        (_deep, GenerationFailed, "bad_response", True),
        (
            _reply([{"message": {"content": "x"}, "finish_reason": "stop", "token_ids": [1e9]}]),
            GenerationFailed,
            "bad_response",
            True,
        ),
        (_reply([]), GenerationFailed, "bad_response", True),
        (_reply(None), GenerationFailed, "bad_response", True),
        (_reply([3]), GenerationFailed, "bad_response", True),
        (_reply([{"message": {"content": ["x"]}, "finish_reason": "stop"}]), GenerationFailed, "bad_response", True),
        (_reply([{"message": {"content": "x"}}]), GenerationFailed, "connection", True),
        (_reply([{"message": {"refusal": "No."}, "finish_reason": "stop"}]), GenerationFailed, "refused", False),
        (lambda peer, _: peer.json(["x"]), GenerationFailed, "bad_response", True),
    ],
)
async def test_failures(answer: Answer, kind: type[BurnishError], code: str, retryable: bool) -> None:
    error = await failure(answer)
    assert (type(error), error.code, error.retryable) == (kind, code, retryable), error


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (status(500), "server_error"),
        (_half, "connection"),
        (_no_end, "connection"),
        (_nothing, "connection"),
        (_broken_piece, "bad_response"),
        (_error_piece, "server_error"),
        (_html, "bad_response"),
    ],
)
async def test_failures_of_streams(answer: Answer, code: str) -> None:
    error = await failure(answer, stop=Stop())
    assert isinstance(error, GenerationFailed)
    assert (error.code, error.retryable) == (code, True), error


@pytest.mark.parametrize(("answer", "stop"), [(_silence, None), (_silence, Stop()), (_stall, Stop())])
async def test_silence_is_a_timeout(answer: Answer, stop: Stop | None) -> None:
    error = await failure(answer, stop=stop, timeout=0.3)
    assert isinstance(error, GenerationFailed)
    assert (error.code, error.retryable) == ("timeout", True)


@pytest.mark.parametrize("entry", [{"token": "x"}, {"token": "x", "logprob": "low"}, {"token": "x", "logprob": None}, 3])
async def test_log_probabilities_that_are_none(entry: Any) -> None:
    reply = {"message": {"content": "x"}, "finish_reason": "stop", "logprobs": {"content": [entry]}}
    async with engine() as (started, server):
        server.answer = _reply([reply])
        with pytest.raises(GenerationFailed) as caught:
            await started.generate(HELLO, Sampling(logprobs=0))
        assert caught.value.code == "bad_response"
        server.answer = _reply([{**reply, "logprobs": None}])
        with pytest.raises(GenerationFailed, match="missing"):
            await started.generate(HELLO, Sampling(logprobs=0))


async def test_retry_after_reaches_the_retries() -> None:
    asked: list[tuple[str, str, float, float]] = [
        ("retry_after", "7", 7, 7),
        ("retry_after_ms", "1500", 1.5, 1.5),
        ("retry_after", formatdate(time.time() + 60, usegmt=True), 50, 61),
        ("retry_after", formatdate(time.time() - 60, usegmt=True), 0, 0),
    ]
    for header, value, least, most in asked:
        error = await failure(status(429, **{header: value}))
        assert isinstance(error, GenerationFailed)
        assert error.retry_after is not None
        assert least <= error.retry_after <= most, header
    for value in ("soon", "-1", "nan", "1e99"):
        error = await failure(status(503, retry_after=value))
        assert isinstance(error, GenerationFailed)
        assert error.retry_after is None

    async with engine() as (started, server):
        count = iter(range(100))

        async def busy(peer: Peer, request: Request) -> None:
            await (status(429, retry_after="0.5") if next(count) < 2 else Chat())(peer, request)

        server.answer = busy
        retrying = Retrying(started, wait=0.0)
        began = time.monotonic()
        assert (await retrying.generate(HELLO, Sampling(), stop=Stop())).text == "Hello there, friend."
        assert time.monotonic() - began >= 1.0
        assert retrying.retries == 2
        assert len(server.chats) == 3


async def test_nobody_listens() -> None:
    async with serving() as server:
        url = server.url
    with pytest.raises(EngineUnavailable, match="no server answers"):
        await ServerEngine(url).start()


async def test_a_server_that_comes_back_is_waited_for() -> None:
    async with engine(patience=HANG) as (started, server):
        await server.stop()
        retrying = Retrying(started, wait=0.0)
        calls = [asyncio.create_task(retrying.generate(HELLO, Sampling(), stop=Stop())) for _ in range(8)]
        await asyncio.sleep(0.3)
        await server.listen()
        done = await asyncio.wait_for(asyncio.gather(*calls), HANG)
        assert {d.text for d in done} == {"Hello there, friend."}


async def test_a_server_that_stays_away_ends_the_run() -> None:
    async with engine(patience=0.2) as (started, server):
        await server.stop()
        with pytest.raises(EngineUnavailable, match="is gone"):
            await asyncio.wait_for(Retrying(started).generate(HELLO, Sampling(), stop=Stop()), HANG)


async def test_another_model_at_the_same_place_is_refused() -> None:
    async with engine(patience=HANG) as (started, server):
        await server.stop()
        server.models = [{"id": "other"}]
        call = asyncio.create_task(started.generate(HELLO, Sampling()))
        await asyncio.sleep(0.1)
        await server.listen()
        with pytest.raises(EngineUnavailable, match=r"another one.*other"):
            await asyncio.wait_for(call, HANG)


# --- many at once ---


async def test_a_thousand_calls_at_once_finish() -> None:
    async with serving(Chat(latency=0.2), host="localhost") as server, ServerEngine(server.url) as started:
        server.requests.clear()
        server.peak = 0
        calls = (started.generate(HELLO, Sampling(seed=i), stop=Stop() if i % 2 else None) for i in range(1000))
        done = await asyncio.wait_for(asyncio.gather(*calls), 120)
        assert {d.text for d in done} == {"Hello there, friend."}
        assert len(server.chats) == 1000
        assert 64 <= server.peak <= 256


async def test_no_more_calls_than_connections_are_sent_at_once() -> None:
    async with engine(Chat(latency=0.01), max_connections=3) as (started, server):
        await asyncio.gather(*(started.generate(HELLO, Sampling(seed=i)) for i in range(30)))
        assert server.peak == 3
        assert len(server.chats) == 30


# --- keys, environment, loops ---


async def test_the_key_comes_from_the_environment_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = "canary-" + "k" * 20
    monkeypatch.setenv("THE_KEY", key)
    caplog.set_level(logging.DEBUG)
    async with engine(api_key_env="THE_KEY") as (started, server):
        await started.generate(HELLO, Sampling())
        assert server.requests[0].headers["authorization"] == f"Bearer {key}"
        server.answer = status(401, {"error": {"message": f"Incorrect API key provided: {key}."}})
        with pytest.raises(EngineUnavailable, match="api_key_env") as caught:
            await started.generate(HELLO, Sampling())
        assert key not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__!r} {started!r} {started.info}"
    assert key not in caplog.text
    assert key not in json.dumps(recipe("server", None, {"base_url": server.url, "api_key_env": "THE_KEY"}))


async def test_nothing_of_the_environment_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://canary.invalid/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Odd: canary\nAuthorization: canary")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with engine() as (started, server):
        await started.generate(HELLO, Sampling())
        assert "canary" not in str(server.requests[0].headers)
        assert not any(name.startswith("x-stainless-os") for name in server.requests[0].headers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": "127.0.0.1:8000"}, "base_url is"),
        ({"base_url": "ftp://host/v1"}, "base_url is"),
        ({"base_url": "http://host:99999/v1"}, "base_url is"),
        ({"base_url": ""}, "base_url is"),
        ({"base_url": "http://user:secret@host/v1"}, "user, a password"),
        ({"base_url": "http://host/v1?key=secret"}, "a query"),
        ({"api_key_env": "sk-secret"}, "no variable in capitals"),
        ({"api_key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"timeout": 0}, "timeout is 0"),
        ({"patience": float("nan")}, "patience"),
        ({"max_connections": 0}, "max_connections"),
    ],
)
async def test_arguments_that_cannot_be_right(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        await ServerEngine(**{"base_url": "http://127.0.0.1:9/v1", **arguments}).start()
    assert "secret" not in str(caught.value)


async def test_starting_and_closing_twice_do_nothing() -> None:
    async with serving() as server:
        started = ServerEngine(server.url + "/")
        await started.close()
        await asyncio.gather(started.start(), started.start())
        assert sum(r.path == "/v1/models" for r in server.requests) == 1
        await started.close()
        await started.close()
        with pytest.raises(EngineUnavailable, match="not running"):
            await started.generate(HELLO, Sampling())
        await started.start()  # and it can be opened again
        assert (await started.generate(HELLO, Sampling())).text == "Hello there, friend."
        await started.close()


async def test_another_event_loop_is_refused() -> None:
    async with engine() as (started, _):
        with pytest.raises(EngineUnavailable, match="event loop"):
            await asyncio.to_thread(lambda: asyncio.run(started.generate(HELLO, Sampling())))


# --- by name, and from the command line ---


async def test_by_name_with_arguments_as_text() -> None:
    async with serving() as server:
        made = make_engine(
            "server", MODEL, {"base_url": server.url, "timeout": "5", "max_connections": "7", "api_key_env": "none"}
        )
        assert isinstance(made, ServerEngine)
        async with made:
            assert made.info.model == MODEL
    with pytest.raises(ConfigError, match="base_url"):
        make_engine("server", None, {})
    # A host below the top-level domain py is no Python file.
    url = "http://models.example.py:8000/v1"
    assert recipe("server", None, {"base_url": url})["args"] == {"base_url": url}
    assert isinstance(from_recipe(recipe("server", None, {"base_url": url})), ServerEngine)


def test_nothing_of_the_client_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, burnish, burnish.engine.server as s; s.ServerEngine('http://127.0.0.1:9/v1'); print('openai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


async def test_the_command_line(tmp_path: Path) -> None:
    async with serving(Chat(vllm="0.32.0")) as server:
        arguments = ["run", "--engine", "server", "--engine-arg", f"base_url={server.url}", "single", "Say hello."]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", "from burnish.cli.main import main; main()", *arguments, "--store", f"sqlite:///{tmp_path}/runs.db"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, out.decode().strip()) == (0, "Hello there, friend."), err.decode()
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        stored = connection.execute("SELECT engine, model FROM call").fetchall()
    connection.close()
    assert stored == [("server", MODEL)]


async def _all_gone(server: FakeServer) -> None:
    async with asyncio.timeout(HANG):
        while server.running:
            await asyncio.sleep(0.01)
