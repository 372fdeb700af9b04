"""Layers around an engine: the concurrency limit and retries."""

from __future__ import annotations

import asyncio
import random

import pytest

from burnish.core.completion import Completion
from burnish.core.engine import Capabilities, Engine
from burnish.core.errors import ConfigError, EngineUnavailable, GenerationFailed
from burnish.core.prompt import Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine.limit import Limited
from burnish.engine.retry import Retrying
from burnish.engine.scripted import Reply, ScriptedEngine

PROMPT = Prompt.of("Go.")
HANG = 20
"""Seconds after which a test that hangs is given up."""


def seeded(n: int) -> Sampling:
    return Sampling(seed=n)


def failing(times: int, error: GenerationFailed) -> ScriptedEngine:
    """An engine whose first calls fail."""
    count = iter(range(1000))
    return ScriptedEngine(lambda _: Reply(error=error) if next(count) < times else Reply("done"))


class Busy(GenerationFailed):
    """A failure that says when to come back."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("busy", code="busy", retryable=True)
        self.retry_after = retry_after


# --- the limit ---


async def test_layers_are_engines_and_pass_on_what_they_do_not_change() -> None:
    inner = ScriptedEngine("a b", model="tiny", capabilities=Capabilities(scoring=True))
    engine = Retrying(Limited(inner, 2))
    await engine.start()
    assert isinstance(engine, Engine)
    assert engine.info == inner.info
    assert engine.count_tokens(PROMPT) == inner.count_tokens(PROMPT)
    assert await engine.score(PROMPT, ["x"]) == await inner.score(PROMPT, ["x"])
    assert (await engine.generate(PROMPT, Sampling(), watch=lambda d: True)).text == "a"
    await engine.close()


async def test_no_more_than_the_limit_run_at_once_and_all_finish() -> None:
    now, most = 0, 0

    class Counting(ScriptedEngine):
        async def generate(self, prompt: Prompt, sampling: Sampling, **rest: object) -> Completion:
            nonlocal now, most
            now += 1
            most = max(most, now)
            try:
                return await super().generate(prompt, sampling, **rest)  # pyright: ignore[reportArgumentType]
            finally:
                now -= 1

    for limit in (1, 3):
        most = 0
        engine = Limited(Counting(lambda call: f"{call.seed}", latency=0.001), limit)
        done = await asyncio.wait_for(asyncio.gather(*(engine.generate(PROMPT, seeded(n)) for n in range(20))), HANG)
        assert [c.text for c in done] == [str(n) for n in range(20)]
        assert (most, engine.peak, engine.running, engine.waiting) == (limit, limit, 0, 0)


async def test_first_come_first_served_even_against_newcomers() -> None:
    order: list[int] = []
    engine = Limited(ScriptedEngine(lambda call: order.append(call.seed) or "x", latency=0.001), 1)

    async def keen(n: int) -> None:
        await engine.generate(PROMPT, seeded(n))
        await engine.generate(PROMPT, seeded(n + 100))

    await asyncio.wait_for(asyncio.gather(*(keen(n) for n in range(5))), HANG)
    assert order == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]


async def test_a_stop_ends_the_waiting_and_nothing_is_sent() -> None:
    inner, stop = ScriptedEngine("x", latency=60), Stop()
    engine = Limited(inner, 1)
    first = asyncio.create_task(engine.generate(PROMPT, Sampling()))
    waiting = [asyncio.create_task(engine.generate(PROMPT, Sampling(), stop=stop)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert (engine.running, engine.waiting, inner.calls) == (1, 3, 1)
    stop.request()
    done = await asyncio.wait_for(asyncio.gather(*waiting), HANG)
    assert {(c.text, c.finish_reason, c.tokens.total) for c in done} == {("", "aborted", 0)}
    assert (engine.waiting, inner.calls) == (0, 1)
    assert (await engine.generate(PROMPT, Sampling(), stop=stop)).finish_reason == "aborted"
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert engine.running == 0


@pytest.mark.parametrize("chance", range(20))
async def test_no_place_is_lost_to_cancels_stops_and_failures(chance: int) -> None:
    rng = random.Random(chance)
    inner = ScriptedEngine(lambda call: GenerationFailed("no") if call.seed % 5 == 0 else Reply("x", latency=call.draw / 500))
    engine, stops, tasks = Limited(inner, 2), [], []
    for n in range(40):
        stop = Stop()
        stops.append(stop)
        tasks.append(asyncio.create_task(engine.generate(PROMPT, seeded(n), stop=stop)))
        if rng.random() < 0.5:
            await asyncio.sleep(0)
        if rng.random() < 0.3:
            rng.choice(tasks).cancel()
        if rng.random() < 0.3:
            rng.choice(stops).request()
    await asyncio.wait_for(asyncio.wait(tasks), HANG)
    assert (engine.running, engine.waiting) == (0, 0)
    assert engine.peak == 2


async def test_a_place_handed_over_while_its_caller_is_cancelled_is_passed_on() -> None:
    release = Stop()
    engine = Limited(ScriptedEngine("x", latency=60), 1)
    first = asyncio.create_task(engine.generate(PROMPT, Sampling(), stop=release))
    second = asyncio.create_task(engine.generate(PROMPT, Sampling()))
    third = asyncio.create_task(engine.generate(PROMPT, Sampling(), stop=release))
    await asyncio.sleep(0.01)
    first.add_done_callback(lambda _: second.cancel())
    release.request()
    done = await asyncio.wait_for(asyncio.gather(first, second, third, return_exceptions=True), HANG)
    assert isinstance(done[1], asyncio.CancelledError)
    assert (engine.running, engine.waiting) == (0, 0)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="0"):
        Limited(ScriptedEngine("x"), 0)


# --- retries ---


async def test_a_passing_failure_is_tried_again() -> None:
    inner = failing(2, GenerationFailed("reset", retryable=True))
    engine = Retrying(inner, wait=0)
    assert (await engine.generate(PROMPT, Sampling())).text == "done"
    assert (engine.retries, inner.calls) == (2, 3)


async def test_attempts_have_an_end_and_the_error_says_so() -> None:
    inner = failing(99, GenerationFailed("reset", code="reset", hint="wait", retryable=True))
    with pytest.raises(GenerationFailed, match=r"reset \(attempt 3 of 3\)") as failure:
        await Retrying(inner, attempts=3, wait=0).generate(PROMPT, Sampling())
    assert (failure.value.code, failure.value.hint, failure.value.retryable) == ("reset", "wait", True)
    assert inner.calls == 3


@pytest.mark.parametrize("error", [GenerationFailed("too long"), EngineUnavailable("gone", retryable=True), ValueError("bug")])
async def test_other_failures_are_final(error: Exception) -> None:
    inner = ScriptedEngine(error)
    with pytest.raises(type(error)) as failure:
        await Retrying(inner, wait=0).generate(PROMPT, Sampling())
    assert failure.value is error
    assert inner.calls == 1


async def test_a_failure_may_become_final_on_the_way() -> None:
    errors = iter([GenerationFailed("reset", retryable=True), GenerationFailed("too long")])
    inner = ScriptedEngine(lambda _: next(errors))
    with pytest.raises(GenerationFailed, match="too long"):
        await Retrying(inner, wait=0).generate(PROMPT, Sampling())
    assert inner.calls == 2


async def test_retry_after_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr("burnish.engine.retry.asyncio.sleep", sleep)
    engine = Retrying(failing(2, Busy(7.0)), wait=0.5)
    assert (await engine.generate(PROMPT, Sampling())).text == "done"
    assert waits == [7.0, 7.0]
    waits.clear()
    await Retrying(failing(3, GenerationFailed("x", retryable=True)), wait=0.5, longest_wait=0.6).generate(PROMPT, Sampling())
    assert len(waits) == 3
    assert waits[0] <= 0.5
    assert max(waits) <= 0.6


@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), -3, "soon", None])
async def test_a_senseless_retry_after_is_ignored(rubbish: object) -> None:
    engine = Retrying(failing(1, Busy(rubbish)), wait=0)  # pyright: ignore[reportArgumentType]
    assert (await asyncio.wait_for(engine.generate(PROMPT, Sampling()), HANG)).text == "done"


async def test_no_attempt_begins_behind_the_deadline() -> None:
    inner = failing(99, Busy(3600))
    with pytest.raises(GenerationFailed, match="busy"):
        await asyncio.wait_for(Retrying(inner, deadline=60).generate(PROMPT, Sampling()), HANG)
    assert inner.calls == 1


async def test_a_stop_ends_the_wait_for_the_next_attempt() -> None:
    inner, stop = failing(99, Busy(30)), Stop()
    task = asyncio.create_task(Retrying(inner).generate(PROMPT, Sampling(), stop=stop))
    await asyncio.sleep(0.01)
    stop.request()
    assert (await asyncio.wait_for(task, HANG)).finish_reason == "aborted"
    assert inner.calls == 1


async def test_scores_are_tried_again_too() -> None:
    errors = iter([GenerationFailed("reset", retryable=True)])

    def scores(_: Prompt, text: str) -> list[float]:
        for error in errors:
            raise error
        return [-1.0]

    engine = Retrying(ScriptedEngine("x", scores=scores), wait=0)
    assert (await engine.score(PROMPT, ["a"]))[0].total == -1


async def test_waiting_for_another_attempt_keeps_no_place() -> None:
    inner = ScriptedEngine(lambda call: Busy(30) if call.seed == 0 else "done")
    engine = Retrying(Limited(inner, 1))
    stuck = asyncio.create_task(engine.generate(PROMPT, seeded(0)))
    await asyncio.sleep(0.01)
    assert (await asyncio.wait_for(engine.generate(PROMPT, seeded(1)), HANG)).text == "done"
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck


@pytest.mark.parametrize("options", [{"attempts": 0}, {"wait": -1}, {"deadline": float("nan")}])
def test_retry_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Retrying(ScriptedEngine("x"), **options)  # pyright: ignore[reportArgumentType]
