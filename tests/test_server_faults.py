"""A run on a real HTTP server that does everything wrong that servers do: it gets its answers, and the record is whole."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from burnish import Session
from burnish.engine.server import ServerEngine
from tests.helpers import rows
from tests.server_kit import Answer, Chat, Peer, Request, serving, status

HANG = 30.0


async def _half(peer: Peer, _: Request) -> None:
    await peer.begin_stream()
    await peer.piece({"choices": [{"index": 0, "delta": {"content": "Hel"}}]})
    peer.cut()


async def _rubbish(peer: Peer, _: Request) -> None:
    await peer.text("}{ <html>\x00 \x1b[31m")


async def _hangs_up(peer: Peer, _: Request) -> None:
    peer.cut()


async def _says_nothing(_: Peer, __: Request) -> None:
    await asyncio.sleep(HANG)


FAULTS: dict[str, Answer] = {
    "too many, with Retry-After": status(429, retry_after="0.6"),
    "an error of the server": status(500),
    "half a stream": _half,
    "rubbish": _rubbish,
    "nothing, and it hangs up": _hangs_up,
    "nothing at all": _says_nothing,
}


async def test_each_fault_once_costs_a_run_nothing_but_time(tmp_path: Path) -> None:
    faults, met, waited = dict(FAULTS), dict[int, str](), dict[str, float]()

    async def answer(peer: Peer, request: Request) -> None:
        seed, now = request.body["seed"], time.monotonic()
        if seed in met:
            waited[met[seed]] = now - waited[met[seed]]
            await Chat(words=("4", "2"))(peer, request)
            return
        name, fault = faults.popitem()
        met[seed], waited[name] = name, now
        await fault(peer, request)

    async with serving() as server, ServerEngine(server.url, timeout=0.5) as engine:
        server.answer = answer
        async with Session(engine, store=f"sqlite:///{tmp_path}/runs.db") as session:
            settings = {"n": len(FAULTS), "stop_at_pass": False}
            task = {"prompt": "What is 17 + 25?", "verifier": "numeric", "reference": 42}
            result = await asyncio.wait_for(session.run("best_of_n", task, settings=settings), HANG)
    assert (result.outcome, result.usage.calls, result.usage.failed_calls) == ("verified", len(FAULTS), 0)
    assert waited.keys() == FAULTS.keys()
    assert waited["too many, with Retry-After"] >= 0.6
    assert rows(tmp_path, "SELECT state, count(*) FROM call GROUP BY state") == [("ok", len(FAULTS))]
    assert rows(tmp_path, "SELECT DISTINCT outcome FROM verdict") == [("pass",)]


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "nothing at all"])
async def test_a_fault_that_stays_is_the_calls_and_no_answer_is_made_of_it(tmp_path: Path, fault: str) -> None:
    async with serving() as server, ServerEngine(server.url, timeout=0.5) as engine:
        server.answer = FAULTS[fault]
        server.requests.clear()
        async with Session(engine, store=f"sqlite:///{tmp_path}/runs.db", attempts=2) as session:
            result = await asyncio.wait_for(session.run("best_of_n", "Hello?", settings={"n": 2}), HANG)
        assert len(server.chats) == 4
    assert (result.outcome, result.answer, result.usage.failed_calls) == ("no_answer", None, 2)
    assert rows(tmp_path, "SELECT count(*) FROM candidate") == [(0,)]
    codes = {code for (code,) in rows(tmp_path, "SELECT error_code FROM call WHERE state = 'error'")}
    assert codes <= {"rate_limited", "server_error", "connection", "bad_response"}
