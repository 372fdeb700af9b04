"""Several servers of one model behind one engine: affinity, limits, servers that die, come back, fail, or turn into others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from burnish.core.errors import ConfigError, EngineUnavailable, GenerationFailed
from burnish.core.prompt import Message, Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine import server_pool
from burnish.engine.registry import make_engine
from burnish.engine.retry import Retrying
from burnish.engine.server import ServerEngine
from tests.server_kit import MODEL, Chat, FakeServer, Peer, Request, serving, status

HANG = 30
TEXT = "Hello there, friend."


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_pool, "ASK_AGAIN_S", 0.05)


@asynccontextmanager
async def pool(*answers: Chat, **options: Any) -> AsyncIterator[tuple[ServerEngine, list[FakeServer]]]:
    """An engine on several servers; the calls of the start are forgotten."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(answer)) for answer in answers]
        engine = await stack.enter_async_context(ServerEngine([s.url for s in servers], **options))
        for server in servers:
            server.requests.clear()
            server.peak = 0
        yield engine, servers


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG):
        while not condition():
            await asyncio.sleep(0.01)


def prompts(count: int) -> list[Prompt]:
    return [Prompt.of(f"Say hello to number {n}.") for n in range(count)]


async def many(engine: Any, asked: list[Prompt]) -> set[str]:
    calls = (engine.generate(prompt, Sampling(seed=n), stop=Stop()) for n, prompt in enumerate(asked))
    return {done.text for done in await asyncio.wait_for(asyncio.gather(*calls), HANG)}


# --- which server gets a call ---


async def test_a_prompt_and_its_dialogue_stay_at_one_server_and_prompts_spread() -> None:
    async with pool(Chat(), Chat(), Chat()) as (engine, servers):
        homes: list[int] = []
        for prompt in prompts(24):
            assert prompt.messages is not None
            for turns in (
                prompt.messages,
                prompt.messages,
                (*prompt.messages, Message("assistant", "Hi"), Message("user", "Go on")),
            ):
                await engine.generate(Prompt(turns), Sampling())
            homes.append(next(n for n, server in enumerate(servers) if server.chats))
            assert [len(s.chats) for s in servers] == [3 if n == homes[-1] else 0 for n in range(3)]
            for server in servers:
                server.requests.clear()
        assert set(homes) == {0, 1, 2}
        assert sum(s.calls for s in engine.servers) == 72
    # The same in another process, and whatever the order: what a server has cached is found again after a restart.
    home = [server_pool.belonging(["a", "b"]), server_pool.belonging(["a", "b"]), server_pool.belonging(["ab"])]
    assert home[0] == home[1] != home[2]


async def test_samples_of_one_prompt_overflow_to_the_others() -> None:
    async with pool(Chat(latency=0.1), Chat(latency=0.1)) as (engine, servers):
        assert await many(engine, [prompts(1)[0]] * 100) == {TEXT}
        share = sorted(len(s.chats) for s in servers)
        assert share[0] >= 20
        assert share[1] > share[0]


async def test_each_server_has_its_own_limit() -> None:
    async with pool(Chat(latency=0.02), Chat(latency=0.02), max_connections=3) as (engine, servers):
        assert await many(engine, prompts(40)) == {TEXT}
        assert [s.peak for s in servers] == [3, 3]


# --- servers that die and come back ---


async def test_one_that_dies_in_the_middle_is_left_out_and_taken_back() -> None:
    async with pool(Chat(gap=0.05), Chat(gap=0.05)) as (engine, servers):
        retrying = Retrying(engine, wait=0.0)
        calls = asyncio.create_task(many(retrying, prompts(40)))
        await until(lambda: all(s.running >= 5 for s in servers))
        await servers[0].stop()
        assert await calls == {TEXT}
        state = engine.servers
        assert "no server answers" in state[0].left_out
        assert state[1].left_out == ""
        assert 0 < retrying.retries <= 40
        servers[1].requests.clear()
        assert await many(engine, prompts(20)) == {TEXT}, "a dead one costs no attempt"
        assert len(servers[1].chats) == 20

        await servers[0].listen()
        await until(lambda: engine.servers[0].left_out == "")
        servers[0].requests.clear()
        assert await many(engine, prompts(20)) == {TEXT}
        assert servers[0].chats


async def test_one_that_is_dead_at_the_start_joins_later() -> None:
    async with serving() as here, serving() as there:
        await there.stop()
        async with ServerEngine(f"{here.url}, {there.url}") as engine:
            assert [bool(s.left_out) for s in engine.servers] == [False, True]
            assert await many(engine, prompts(10)) == {TEXT}
            await there.listen()
            await until(lambda: engine.servers[1].left_out == "")
            there.requests.clear()
            assert await many(engine, prompts(20)) == {TEXT}
            assert there.chats


async def test_none_at_the_start_or_none_left_ends_the_run() -> None:
    async with serving() as here, serving() as there:
        urls = [here.url, there.url]
    with pytest.raises(EngineUnavailable, match="no server answers"):
        await ServerEngine(urls).start()
    async with pool(Chat(), Chat(), patience=0.3) as (engine, servers):
        for server in servers:
            await server.stop()
        with pytest.raises(EngineUnavailable, match="is gone"):
            await asyncio.wait_for(engine.generate(prompts(1)[0], Sampling()), HANG)


async def test_one_that_is_too_busy_to_be_asked_does_not_start() -> None:
    async with serving() as here, serving() as there:
        there.answer = status(429, retry_after="99")
        with pytest.raises(EngineUnavailable, match="429") as caught:
            await asyncio.wait_for(ServerEngine([here.url, there.url]).start(), HANG)
        assert caught.value.code == "rate_limited"


async def test_all_gone_for_a_moment_are_waited_for() -> None:
    async with pool(Chat(), Chat(), patience=HANG) as (engine, servers):
        for server in servers:
            await server.stop()
        calls = asyncio.create_task(many(engine, prompts(8)))
        await asyncio.sleep(0.2)
        await servers[1].listen()
        assert await calls == {TEXT}
        await servers[0].listen()
        await until(lambda: not any(s.left_out for s in engine.servers))


# --- servers that fail ---


async def _hang(peer: Peer, _: Request) -> None:
    await asyncio.sleep(HANG)


@pytest.mark.parametrize(("fault", "timeout"), [(status(500), 600.0), (_hang, 0.2)])
async def test_one_that_only_fails_is_left_out_until_it_answers(fault: Any, timeout: float) -> None:
    async with pool(Chat(), Chat(), timeout=timeout) as (engine, servers):
        servers[0].answer = fault
        retrying = Retrying(engine, attempts=8, wait=0.0)
        for prompt in prompts(12):
            assert (await retrying.generate(prompt, Sampling())).text == TEXT
        assert engine.servers[0].left_out
        assert retrying.retries == server_pool.FAILURES_LEFT_OUT
        servers[0].answer = Chat()
        await until(lambda: engine.servers[0].left_out == "")
        assert await many(engine, prompts(20)) == {TEXT}


async def test_the_only_one_there_is_is_not_left_out_for_failing() -> None:
    async with pool(Chat()) as (engine, servers):
        servers[0].answer = status(500)
        for _ in range(5):
            with pytest.raises(GenerationFailed):
                await engine.generate(prompts(1)[0], Sampling())
        servers[0].answer = Chat()
        assert (await engine.generate(prompts(1)[0], Sampling())).text == TEXT


async def test_a_busy_one_is_not_a_broken_one() -> None:
    async with pool(Chat(), Chat()) as (engine, servers):
        for server in servers:
            server.answer = status(429, retry_after="9")
        for prompt in prompts(12):
            with pytest.raises(GenerationFailed) as caught:
                await engine.generate(prompt, Sampling())
            assert caught.value.retry_after == 9
        assert not any(s.left_out for s in engine.servers)


# --- servers that are not the same ---


async def test_servers_that_differ_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"differ in .*logprobs"):
        async with pool(Chat(), Chat(ignores=frozenset({"logprobs"}))):
            pass
    async with serving() as here, serving(models=[{"id": "other"}]) as there:
        with pytest.raises(ConfigError, match=r"no model 'tiny'.*other"):
            await ServerEngine([here.url, there.url], MODEL).start()


async def test_one_that_joins_as_another_one_gets_no_calls() -> None:
    async with serving() as here, serving(Chat(ignores=frozenset({"logprobs"}))) as there:
        await there.stop()
        async with ServerEngine([here.url, there.url]) as engine:
            await there.listen()
            await until(lambda: any(r.path.endswith("/chat/completions") for r in there.requests))
            await until(lambda: "differs" in engine.servers[1].left_out)
            there.requests.clear()
            assert await many(engine, prompts(12)) == {TEXT}
            assert not there.chats


@pytest.mark.parametrize("urls", [[], ["http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/"], "http://127.0.0.1:9/v1,", ["ftp://x"]])
def test_urls_that_cannot_be_right(urls: Any) -> None:
    with pytest.raises(ConfigError, match="base"):
        ServerEngine(urls)


async def test_by_name() -> None:
    async with serving() as here, serving() as there:
        made = make_engine("server", None, {"base_url": f"{here.url},{there.url}"})
        assert isinstance(made, ServerEngine)
        async with made:
            assert [s.base_url for s in made.servers] == [here.url, there.url]
