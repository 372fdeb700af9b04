"""Budgets, the ledger that keeps to them, and stops."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.budget import Budget, Ledger, Spend
from burnish.core.errors import BudgetExhausted, Cancelled, ConfigError
from burnish.core.stop import Stop

HANG = 20
ONE = Spend(calls=1)


# --- budgets ---


def test_a_budget_from_text_mapping_and_nothing() -> None:
    wanted = Budget(calls=16, seconds=1.5)
    assert Budget.of(" calls=16, seconds = 1.5 ,") == Budget.of({"calls": 16, "seconds": "1.5"}) == Budget.of(wanted) == wanted
    assert Budget.of(wanted.to_json()) == wanted
    assert not Budget.of(None)
    assert not Budget.of("")
    assert wanted


@pytest.mark.parametrize(
    "value",
    [
        "calls",
        "calls=",
        "calls=x",
        "calls=0",
        "calls=-1",
        "tokens=1.5",
        "usd=0",
        "usd=nan",
        "beers=3",
        {"calls": None},
        {"calls": [1]},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError) as error:
        Budget.of(value)
    assert error.value.hint


AMOUNTS = st.builds(Spend, calls=st.integers(0, 9), tokens=st.integers(0, 99), output_tokens=st.integers(0, 99))


@given(AMOUNTS, AMOUNTS)
def test_amounts_add_up(a: Spend, b: Spend) -> None:
    assert a + b - b == a
    assert a + b == b + a


# --- the ledger ---


async def test_what_is_held_counts_until_it_is_settled() -> None:
    ledger = Ledger(Budget(tokens=100))
    await ledger.reserve(Spend(calls=1, tokens=80))
    assert (ledger.reserved.tokens, ledger.spent.tokens) == (80, 0)
    await ledger.settle(Spend(calls=1, tokens=80), Spend(calls=1, tokens=30))
    assert (ledger.reserved, ledger.spent) == (Spend(), Spend(calls=1, tokens=30))
    await ledger.reserve(Spend(tokens=70))


async def test_what_can_never_fit_is_refused_and_names_its_limit() -> None:
    ledger = Ledger(Budget(calls=2), spent=Spend(calls=2))
    with pytest.raises(BudgetExhausted, match="2 calls") as error:
        await ledger.reserve(ONE)
    assert error.value.limit == "calls"
    await ledger.reserve(Spend(verifier_calls=1))
    assert ledger.reserved == Spend(verifier_calls=1)


async def test_what_may_fit_later_waits_for_calls_in_flight() -> None:
    ledger, held = Ledger(Budget(tokens=100)), Spend(tokens=90)
    await ledger.reserve(held)
    waiting = asyncio.create_task(ledger.reserve(Spend(tokens=50)))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await ledger.settle(held, Spend(tokens=20))
    await asyncio.wait_for(waiting, HANG)
    assert ledger.reserved.tokens == 50


async def test_the_wait_ends_with_a_refusal_when_the_room_is_spent() -> None:
    ledger, held = Ledger(Budget(tokens=100)), Spend(tokens=90)
    await ledger.reserve(held)
    waiting = asyncio.create_task(ledger.reserve(Spend(tokens=50)))
    await asyncio.sleep(0)
    await ledger.settle(held, Spend(tokens=90))
    with pytest.raises(BudgetExhausted):
        await asyncio.wait_for(waiting, HANG)


async def test_a_stop_ends_the_wait() -> None:
    ledger, stop = Ledger(Budget(calls=1)), Stop()
    await ledger.reserve(ONE)
    waiting = asyncio.create_task(ledger.reserve(ONE, stop))
    await asyncio.sleep(0.01)
    stop.request()
    with pytest.raises(Cancelled):
        await asyncio.wait_for(waiting, HANG)
    assert ledger.reserved == ONE


async def test_time_runs_on_from_what_was_used_before() -> None:
    now = [100.0]
    ledger = Ledger(Budget(seconds=10), elapsed=4, clock=lambda: now[0])
    assert (ledger.elapsed, ledger.seconds_left) == (4, 6)
    await ledger.reserve(ONE)
    now[0] += 6
    assert ledger.seconds_left == 0
    with pytest.raises(BudgetExhausted) as error:
        await ledger.reserve(ONE)
    assert error.value.limit == "seconds"
    assert Ledger(Budget()).seconds_left is None


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=20), st.integers(1, 120))
def test_parallel_calls_never_overshoot_and_none_waits_for_ever(calls: list[tuple[int, int]], limit: int) -> None:
    async def run() -> None:
        ledger = Ledger(Budget(tokens=limit))

        async def call(most: int, used: int) -> bool:
            held, actual = Spend(tokens=most), Spend(tokens=min(most, used))
            try:
                await ledger.reserve(held)
            except BudgetExhausted:
                return False
            assert (ledger.spent + ledger.reserved).tokens <= limit
            await asyncio.sleep(0)
            await ledger.settle(held, actual)
            return True

        ran = await asyncio.wait_for(asyncio.gather(*(call(*c) for c in calls)), HANG)
        assert ledger.spent.tokens == sum(min(c) for c, done in zip(calls, ran, strict=True) if done) <= limit
        assert ledger.reserved == Spend()
        left = limit - ledger.spent.tokens
        assert all(most > left for (most, _), done in zip(calls, ran, strict=True) if not done)

    asyncio.run(run())


def test_every_limit_is_one_that_is_kept_to() -> None:
    assert {f.name for f in fields(Budget)} - {"seconds"} == {f.name for f in fields(Spend)}


async def test_dollars_taken_apart_leave_no_reservation() -> None:
    ledger = Ledger(Budget(usd=1))
    parts = [Spend(calls=1, usd=usd) for usd in (0.1, 0.2, 0.3)]
    for part in parts:
        await ledger.reserve(part)
    for part in parts:
        await ledger.settle(part, Spend(calls=1))
    assert ledger.reserved.usd != 0, "floats that add up to nothing would show nothing"
    with pytest.raises(BudgetExhausted):
        await asyncio.wait_for(ledger.reserve(Spend(calls=1, usd=2.0)), HANG)


# --- stops ---


def test_a_stop_reaches_its_children_with_its_reason_once() -> None:
    parent = Stop()
    child, seen = Stop(parent), list[str]()
    child.when_requested(lambda: seen.append(child.reason))
    parent.request("enough")
    parent.request("again")
    assert (child.requested, child.reason, parent.reason, seen) == (True, "enough", "enough", ["enough"])
    assert Stop(parent).requested


def test_a_child_does_not_stop_its_parent() -> None:
    parent = Stop()
    Stop(parent).request()
    assert not parent.requested


def test_a_call_back_is_made_at_once_or_taken_back() -> None:
    stop, seen = Stop(), list[int]()
    stop.when_requested(lambda: seen.append(1))()
    stop.when_requested(lambda: seen.append(2))
    stop.request()
    stop.when_requested(lambda: seen.append(3))
    assert seen == [2, 3]


def test_a_closed_child_is_let_go() -> None:
    parent, freed = Stop(), list[int]()

    class Child(Stop):
        def __del__(self) -> None:
            freed.append(1)

    child = Child(parent)
    child.close()
    del child
    gc.collect()
    assert freed == [1]
    parent.request()


async def test_a_race_gives_the_result_or_is_given_up() -> None:
    stop = Stop()
    assert await stop.race(asyncio.sleep(0, "done")) == "done"
    racing = asyncio.create_task(stop.race(asyncio.sleep(60)))
    await asyncio.sleep(0.01)
    stop.request("enough")
    with pytest.raises(Cancelled, match="enough"):
        await asyncio.wait_for(racing, HANG)
    with pytest.raises(Cancelled):
        await stop.race(asyncio.sleep(60))


async def test_a_race_passes_on_failures_and_cancels() -> None:
    async def fail() -> None:
        raise ValueError("no")

    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(ValueError, match="no"):
        await Stop().race(fail())
    racing = asyncio.create_task(Stop().race(work()))
    await asyncio.sleep(0.01)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    await asyncio.wait_for(ended.wait(), HANG)


async def test_a_settlement_right_after_a_reservation_began_to_wait_is_not_missed():
    ledger, one = Ledger(Budget(calls=1)), Spend(calls=1)
    await ledger.reserve(one)
    waiting = asyncio.create_task(ledger.reserve(one, Stop()))
    await asyncio.sleep(0)
    await ledger.settle(one, Spend())
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("given", ["seconds=inf", "usd=inf", "seconds=nan", {"calls": 1.9}, {"calls": float("inf")}])
def test_a_limit_that_cannot_be_stored_as_it_is_is_refused(given) -> None:
    with pytest.raises(ConfigError, match="the budget's"):
        Budget.of(given)
