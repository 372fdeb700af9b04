"""What every store must do, on SQLite always and on PostgreSQL where `BURNISH_TEST_POSTGRES` holds a URL."""

import asyncio
import dataclasses
import math
import os
import random
import sqlite3
import threading

import pytest
from sqlalchemy import create_engine, text

from burnish.core.budget import Budget, Spend
from burnish.core.completion import Completion, TokenCounts
from burnish.core.errors import ConfigError, Fenced, StoreError
from burnish.core.ids import new_run_id, text_hash
from burnish.core.prompt import Message
from burnish.core.records import Judged, Outcome, StepEnd, StepStart, Told
from burnish.core.runs import RunEnd, RunSpec, Usage
from burnish.core.task import Task
from burnish.core.verdict import Verdict
from burnish.traces import journal as traces_journal
from burnish.traces import rows, writer
from burnish.traces.commit import Committer
from burnish.traces.store import Store
from tests.traces_kit import (
    POSTGRES,
    begun,
    candidate,
    gapless,
    intent,
    judged,
    numbers,
    one_of_each,
    outcome,
    postgres_url,
    spec,
)

NEEDS_SERVER = pytest.mark.skipif(not POSTGRES, reason="BURNISH_TEST_POSTGRES holds no URL")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgres", marks=[pytest.mark.postgres, pytest.mark.skipif(not POSTGRES, reason="no BURNISH_TEST_POSTGRES")]
        ),
    ]
)
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/runs.db"
        return
    with postgres_url() as made:
        yield made


@pytest.fixture
async def store(url):
    opened = await Store.open(url)
    yield opened
    await opened.close()


async def again(store: Store, run_id: str):
    """The run's journal as another process would read it, after this one gave its lease back."""
    url = store.url
    await store.close()
    store = await Store.open(url)
    return store, await store.acquire(run_id)


async def test_a_run_is_stored_as_it_was_given(store):
    task = Task(
        prompt="naïve \u202e 🜁?",
        messages=(Message("system", "be brief"),),
        reference={"b": 1, "a": [1.5, None]},
        context={"docs": ["x" * 5000]},
        sampling={"stop": ["\n"]},
    )
    batch = await store.create_batch({"tasks": "tasks.jsonl"}, "first")
    asked = RunSpec(
        id=new_run_id(),
        task=task,
        graph="majority",
        settings={"n": 8, "z": {"y": [1]}},
        seed=2**40,
        budget=Budget(calls=16, usd=0.5),
        engines={"default": {"kind": "scripted"}},
        batch_id=batch,
        code_version="0.1.0",
    )
    await store.create_run(asked)
    assert store.reader().spec(asked.id) == asked
    journal = await store.acquire(asked.id)
    assert (journal.run_id, journal.spec, journal.resumed, journal.elapsed, journal.spent) == (
        asked.id,
        asked,
        False,
        0.0,
        Spend(),
    )
    (row,) = store.reader().batches()
    assert (row.id, row.name, row.config, row.runs, row.done) == (batch, "first", {"tasks": "tasks.jsonl"}, 1, 0)


async def test_every_kind_of_record_is_answered_from_the_store(store):
    journal = await begun(store)
    records = one_of_each(journal.run_id)
    for record in records:
        await journal.write(record)
    before = store.reader().calls(journal.run_id)
    store, resumed = await again(store, journal.run_id)
    for found in (journal, resumed):
        call = found.call("/a/x")
        assert call.state == "ok"
        assert call.completion == records[2].completion
        assert call.request_hash == records[1].request_hash
        assert found.verdict("/a/c0/v.exact") == records[4].verdict
        assert found.decision("/a/s0") == records[6].selection
        assert list(found.told("/a/s0")) == ["e0"]
        assert found.step_done("/a")
        assert found.unclaimed("/a", lambda p: False) == "/a/x"
        assert found.unclaimed("/a", lambda p: p == "/a/x") is None
        assert (found.call("/b"), found.verdict("/b"), found.decision("/b"), found.step_done("/b")) == (None, None, None, False)
    assert resumed.resumed
    assert resumed.spent == Spend(calls=1, tokens=13, output_tokens=3, verifier_calls=1, usd=0.000125)
    assert gapless(numbers(store, journal.run_id))
    assert len(numbers(store, journal.run_id)) == 8
    assert store.reader().calls(journal.run_id) == before
    assert before[0].seed == 7
    await store.close()


COMPLETIONS = {
    "plain": Completion("yes"),
    "empty": Completion("", finish_reason="length"),
    "reasoning": Completion("42", reasoning="six times seven " * 100, tokens=TokenCounts(1, 1, 9, 8)),
    "ids": Completion("ab", token_ids=(0, 1, 2**32 - 1), logprobs=(-0.5, -1e-300, -math.inf)),
    "no tokens": Completion("", token_ids=(), logprobs=(), top_logprobs=()),
    "top": Completion("ab", logprobs=(-0.25, -0.5), top_logprobs=({5: -0.1, 3: -2.0}, {})),
    "hostile": Completion("nul \0 lone \udc80\ud800 \x1b[2J \u202e", reasoning="\0\udfff"),
    "large": Completion("".join(random.Random(1).choices("abc \n", k=200_000))),
}


@pytest.mark.parametrize("name", COMPLETIONS)
async def test_a_completion_is_read_back_exactly(store, name):
    journal = await begun(store)
    completion = COMPLETIONS[name]
    await journal.write(intent("/a/x"))
    await journal.write(outcome("/a/x", completion=completion))
    store, resumed = await again(store, journal.run_id)
    assert resumed.call("/a/x").completion == completion
    row = store.reader().calls(journal.run_id)[0]
    if completion.text:
        assert store.reader().text(row.text_sha) == completion.text
        assert row.text_sha == text_hash(completion.text)
    await store.close()


async def test_a_value_keeps_its_order_and_loses_nan(store):
    journal = await begun(store)
    value = {"z": [1, 2.5, None, True, "\0\udc80"], "a": {"é": math.nan}}
    await journal.write(_effect("/a/clock"))
    await journal.write(Outcome(position="/a/clock", state="ok", value=value))
    store, resumed = await again(store, journal.run_id)
    found = resumed.call("/a/clock").value
    assert found == {"z": [1, 2.5, None, True, "\0\udc80"], "a": {"é": None}}
    assert list(found) == ["z", "a"]
    assert resumed.spent == Spend()
    await store.close()


def _effect(position):
    return dataclasses.replace(intent(position), kind="clock", engine="", model="", prompt=None, sampling=None)


async def test_a_verdict_is_read_back_whatever_its_size(store):
    journal = await begun(store)
    verdicts = {
        "/c0": Verdict.passed(0.75, feedback="f" * 10_000, evidence={"rows": ["r" * 9000], "lone": "\udc80"}, valid_prefix=3),
        "/c1": Verdict.abstain("verifier_error", "nul \0 and \udc80"),
        "/c2": Verdict.failed("wrong", evidence={"b": 1, "a": 2}),
    }
    for position, verdict in verdicts.items():
        await journal.write(judged(journal.run_id, position, verdict))
    store, resumed = await again(store, journal.run_id)
    for position, verdict in verdicts.items():
        assert resumed.verdict(f"{position}/v.exact") == verdict
    row = store.reader().verdicts(journal.run_id)[0]
    assert len(row.feedback) == 2000
    assert store.reader().text(row.feedback_sha) == "f" * 10_000
    await store.close()


async def test_what_is_written_twice_is_there_once(store):
    journal = await begun(store)
    records = one_of_each(journal.run_id)
    await journal.write(*records)
    await journal.write(*records)
    store, resumed = await again(store, journal.run_id)
    await resumed.write(*records[3:7])
    assert gapless(numbers(store, journal.run_id))
    assert len(numbers(store, journal.run_id)) == 8
    await store.close()


async def test_a_call_sent_again_counts_its_attempts_and_keeps_its_first_outcome(store):
    journal = await begun(store)
    await journal.write(intent("/a/x"))
    store, resumed = await again(store, journal.run_id)
    assert resumed.call("/a/x").state == "intent"
    assert resumed.unclaimed("/a", lambda p: False) is None
    await resumed.write(intent("/a/x"))
    await resumed.write(outcome("/a/x", "first"))
    await resumed.write(outcome("/a/x", "second"))
    assert resumed.call("/a/x").completion.text == "first"
    (row,) = store.reader().calls(journal.run_id)
    assert (row.attempts, row.state, row.preview, row.seq, row.ended_seq) == (2, "ok", "first", 1, 2)
    await store.close()


async def test_a_failed_step_may_begin_again_and_a_done_one_stays_done(store):
    journal = await begun(store)
    await journal.write(StepStart(position="/a", node="a"))
    await journal.write(StepEnd(position="/a", status="failed", error_code="generation", error="no"))
    assert not journal.step_done("/a")
    await journal.write(StepStart(position="/a", node="a"))
    assert store.reader().steps(journal.run_id)[0].status == "running"
    await journal.write(StepEnd(position="/a", status="done"))
    await journal.write(StepStart(position="/a", node="a"))
    (row,) = store.reader().steps(journal.run_id)
    assert (row.status, row.attempts, row.error) == ("done", 2, "")
    assert gapless(numbers(store, journal.run_id))


async def test_records_are_numbered_in_the_order_of_writing(store):
    journal = await begun(store)

    async def write(n: int) -> None:
        if n % 3:
            journal.queue(Told(scope="/s", number=n - 1 - n // 3, id=f"e{n}"))
        else:
            await journal.write(StepStart(position=f"/a{n}", node="a"))

    await asyncio.gather(*(write(n) for n in range(600)))
    await journal.write(StepStart(position="/a", node="a"))
    reader = store.reader()
    tells, steps = reader.tells(journal.run_id), reader.steps(journal.run_id)
    assert [t.told for t in tells] == list(journal.told("/s")) == [f"e{n}" for n in range(600) if n % 3]
    assert {s.position: s.seq for s in steps} == {f"/a{n}": n + 1 for n in range(0, 600, 3)} | {"/a": 601}
    assert {t.told: t.seq for t in tells} == {f"e{n}": n + 1 for n in range(600) if n % 3}
    assert gapless(numbers(store, journal.run_id))


async def test_texts_are_stored_once(store):
    journal = await begun(store)
    text = "the same answer " * 500
    for n in range(20):
        await journal.write(
            intent(f"/a/{n}", prompt="p" * 5000), outcome(f"/a/{n}", text), candidate(journal.run_id, f"/a/c{n}", text)
        )
    calls, candidates = store.reader().calls(journal.run_id), store.reader().candidates(journal.run_id)
    assert len({c.text_sha for c in calls} | {c.text_sha for c in candidates}) == 1
    assert len({c.prompt_sha for c in calls}) == len({c.request_sha for c in calls}) == 1
    assert store.reader().text(calls[0].text_sha) == text
    assert candidates[0].preview == text[:200]


async def test_candidates_keep_their_parents_in_order(store):
    journal = await begun(store)
    made = [candidate(journal.run_id, f"/c{n}", str(n)) for n in range(3)]
    merged = candidate(journal.run_id, "/m", "all", kind="merge", depth=1, parents=(made[2].id, made[0].id, made[1].id))
    await journal.write(*made, merged)
    row = store.reader().candidates(journal.run_id)[-1]
    assert (row.parents, row.parent_id, row.kind, row.depth) == (merged.parents, made[2].id, "merge", 1)


async def test_usage_sums_what_is_stored(store):
    journal = await begun(store)
    await journal.write(intent("/a/1"), outcome("/a/1"))
    await journal.write(intent("/a/2", purpose="verifier"), outcome("/a/2"))
    await journal.write(intent("/a/3"), Outcome(position="/a/3", state="error", error_code="x", error="y"))
    await journal.write(intent("/a/4"), Outcome(position="/a/4", state="refused", error_code="calls", error="spent"))
    await journal.write(intent("/a/5"), _effect("/a/6"), Outcome(position="/a/6", state="ok", value=1))
    await journal.write(judged(journal.run_id, "/c0"), judged(journal.run_id, "/c1", Verdict.abstain("timeout")))
    await journal.write(judged(journal.run_id, "/c2", grading=True))
    expected = Usage(
        calls=3,
        failed_calls=1,
        prompt_tokens=20,
        cached_tokens=8,
        output_tokens=6,
        reasoning_tokens=2,
        verdicts=2,
        abstentions=1,
        verifier_calls=1,
        verifier_tokens=13,
        usd=0.00025,
    )
    assert await journal.usage() == expected
    await journal.finish(RunEnd(status="done", outcome="rejected"), 1.5)
    run_id = journal.run_id
    assert store.reader().usages([run_id, "0" * 32]) == {run_id: dataclasses.replace(expected, seconds=1.5)}


async def test_a_run_ends_and_gives_its_lease_back(store):
    journal = await begun(store)
    await journal.write(*one_of_each(journal.run_id))
    made = store.reader().candidates(journal.run_id)[0]
    end = RunEnd(
        status="done", outcome="verified", answer="the answer " * 100, candidate_id=made.id, score=1.0, budget_limit="calls"
    )
    await journal.finish(end, 12.5)
    row = store.reader().run(journal.run_id)
    assert (row.status, row.outcome, row.score, row.candidate_id, row.budget_limit) == ("done", "verified", 1.0, made.id, "calls")
    assert (row.owner, row.elapsed_ns) == (None, 12_500_000_000)
    assert row.answer == end.answer[:200]
    assert store.reader().text(row.answer_sha) == end.answer
    with pytest.raises(StoreError, match="finished"):
        await journal.write(StepStart(position="/z", node="z"))
    taken = await store.acquire(journal.run_id)
    assert taken.elapsed == 12.5
    assert store.reader().run(journal.run_id).status == "running"


async def test_a_run_that_is_asked_for_twice_at_once_is_given_once(store):
    run = spec()
    await store.create_run(run)
    for _ in range(5):
        results = await asyncio.gather(*(store.acquire(run.id) for _ in range(4)), return_exceptions=True)
        (journal,) = [r for r in results if not isinstance(r, Exception)]
        assert sum(isinstance(r, Fenced) for r in results) == 3
        await journal.finish(RunEnd(status="interrupted"), 1.0)


async def test_a_run_is_held_once(store):
    journal = await begun(store)
    with pytest.raises(Fenced, match="already running"):
        await store.acquire(journal.run_id)
    with pytest.raises(StoreError, match="no run") as caught:
        await store.acquire("0" * 32)
    assert caught.value.code == "unknown_run"


async def test_a_lease_that_nobody_waits_for_any_more_is_given_back(store):
    run = spec()
    await store.create_run(run)
    gate = threading.Event()
    held = asyncio.ensure_future(store._shared.writer.do(lambda _: gate.wait(30)))
    asking = asyncio.ensure_future(store.acquire(run.id))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    gate.set()
    await held
    journal = await store.acquire(run.id)
    await journal.write(StepStart(position="/a", node="a"))


async def test_a_fenced_run_loses_its_own_records_only(store):
    """Another process takes one of three runs while their records wait for the same commit."""
    journals = [await begun(store) for _ in range(3)]
    await asyncio.gather(*(j.write(StepStart(position="/a", node="a")) for j in journals))
    await store._shared.writer.do(lambda tx: tx.run("run_take", ("another|boot|1|2", 2, 1, 1, journals[1].run_id)))
    results = await asyncio.gather(
        *(j.write(StepStart(position=f"/b{n}", node="b")) for n in range(20) for j in journals), return_exceptions=True
    )
    fenced = [isinstance(r, Fenced) for r in results]
    assert fenced == [False, True, False] * 20
    assert [len(store.reader().steps(j.run_id)) for j in journals] == [21, 1, 21]
    assert all(gapless(numbers(store, j.run_id)) for j in journals)
    with pytest.raises(Fenced):
        journals[1].queue(StepStart(position="/c", node="c"))
    for status in ("done", "failed"):
        with pytest.raises(Fenced):
            await journals[1].finish(RunEnd(status=status), 1.0)
    back = await store.acquire(journals[1].run_id)
    await back.write(StepStart(position="/b", node="b"))
    await journals[0].finish(RunEnd(status="done"), 1.0)


async def test_only_the_group_that_cannot_be_stored_fails(store):
    journal = await begun(store)
    bad = Told(scope="/s", number=2**70, id="x")
    unknown = Outcome(position="/never", state="ok")
    groups = [[Told(scope="/s", number=n, id=f"e{n}")] for n in range(50)]
    groups[17] = [StepStart(position="/lost", node="lost"), bad]
    groups[30] = [StepStart(position="/lost2", node="lost"), unknown]
    results = await asyncio.gather(*(journal.write(*g) for g in groups), return_exceptions=True)
    assert [n for n, r in enumerate(results) if r is not None] == [17, 30]
    assert all(isinstance(results[n], StoreError) and results[n].code == "record" for n in (17, 30))
    assert len(store.reader().tells(journal.run_id)) == 48
    assert store.reader().steps(journal.run_id) == []
    assert gapless(numbers(store, journal.run_id))
    await journal.write(StepStart(position="/lost", node="found"))
    assert store.reader().steps(journal.run_id)[0].node == "found"


async def test_a_lost_record_that_nobody_waits_for_ends_its_run(store):
    """What is durable must imply what was written before it."""
    journal, other = await begun(store), await begun(store)
    journal.queue(Told(scope="/s", number=2**70, id="x"))
    with pytest.raises(StoreError):
        await journal.write(StepStart(position="/a", node="a"))
    with pytest.raises(StoreError):
        await journal.write(StepStart(position="/b", node="b"))
    assert numbers(store, journal.run_id) == []
    with pytest.raises(StoreError):
        await journal.finish(RunEnd(status="done"), 1.0)
    await journal.finish(RunEnd(status="failed", error_code="record"), 1.0)
    assert store.reader().run(journal.run_id).status == "failed"
    await other.write(StepStart(position="/a", node="a"))


async def test_writes_of_one_turn_are_one_commit(store, monkeypatch):
    journal, commits = await begun(store), []
    attempt = Committer._attempt
    monkeypatch.setattr(Committer, "_attempt", lambda self, groups: (commits.append(len(groups)), attempt(self, groups))[1])
    await asyncio.gather(*(journal.write(StepStart(position=f"/a{n}", node="a")) for n in range(50)))
    assert commits == [1]
    assert [s.position for s in store.reader().steps(journal.run_id)] == [f"/a{n}" for n in range(50)]


@pytest.mark.parametrize(
    "wrong",
    [Told(scope="/bad", number=2**70, id="x"), StepEnd(position="/never", status="done")],
    ids=["the database refuses it", "it has no row"],
)
async def test_a_wrong_record_that_nobody_waits_for_ends_the_run_where_it_stands(store, wrong):
    """What was waited for before it in its turn is stored; what comes after it is not: that could rest on what was lost."""
    journal = await begun(store)

    before = asyncio.ensure_future(journal.write(StepStart(position="/before", node="a")))
    asyncio.get_running_loop().call_soon(journal.queue, StepStart(position="/with", node="a"), wrong)
    after = asyncio.ensure_future(journal.write(StepStart(position="/after", node="a")))
    ended = await asyncio.gather(before, after, return_exceptions=True)
    assert (ended[0], type(ended[1])) == (None, StoreError)
    assert [s.position for s in store.reader().steps(journal.run_id)] == ["/before"]
    with pytest.raises(StoreError):
        journal.queue(StepStart(position="/later", node="a"))
    await journal.finish(RunEnd(status="failed", error_code="record"), 1.0)


async def test_a_write_of_nothing_waits_for_what_came_before_it(store):
    journal = await begun(store)
    journal.queue(StepStart(position="/a", node="a"))
    await asyncio.wait_for(journal.write(), 30)
    assert [s.position for s in store.reader().steps(journal.run_id)] == ["/a"]
    await asyncio.wait_for(journal.write(), 30)


async def test_a_lease_whose_commit_was_durable_though_nobody_heard_of_it_is_taken(store, monkeypatch):
    run = spec()
    await store.create_run(run)
    encoder = store._shared.writer._committer._encoder
    committed = encoder.committed

    def unheard():
        encoder.committed = committed
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    encoder.committed = unheard
    journal = await store.acquire(run.id)
    await journal.write(StepStart(position="/a", node="a"))
    assert store.reader().run(run.id).status == "running"


async def test_a_full_queue_makes_producers_wait_and_the_loop_free(store, monkeypatch):
    """While one commit is held up, the queue takes what it may, and not one record more; what is queued goes with others."""
    monkeypatch.setattr(writer, "MAX_RECORDS", 50)
    monkeypatch.setattr(traces_journal, "_TURN_RECORDS", 2)
    journal = await begun(store)
    gate, entered = threading.Event(), threading.Event()

    def hold(_):
        entered.set()
        assert gate.wait(30)

    async def write(n):
        journal.queue(Told(scope="/s", number=n, id=str(n)))
        await journal.write(StepStart(position=f"/a{n}", node="a"))

    held = asyncio.ensure_future(store._shared.writer.do(hold))
    await asyncio.to_thread(entered.wait, 10)
    writes = [asyncio.ensure_future(write(n)) for n in range(300)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert 20 <= store._shared.writer._queue.qsize() <= 25
    assert not any(w.done() for w in writes)
    gate.set()
    await held
    await asyncio.gather(*writes)
    assert [t.number for t in store.reader().tells(journal.run_id)] == list(range(300))


async def test_the_queue_is_bounded_by_bytes(store, monkeypatch):
    monkeypatch.setattr(writer, "MAX_BYTES", 100_000)
    monkeypatch.setattr(traces_journal, "_TURN_BYTES", 1)
    journal = await begun(store)
    gate, entered = threading.Event(), threading.Event()

    def hold(_):
        entered.set()
        assert gate.wait(30)

    held = asyncio.ensure_future(store._shared.writer.do(hold))
    await asyncio.to_thread(entered.wait, 10)
    written = [candidate(journal.run_id, f"/c{n}", chr(97 + n) * 40_000) for n in range(12)]
    writes = [asyncio.ensure_future(journal.write(c)) for c in written]
    await asyncio.sleep(0)
    assert 2 <= store._shared.writer._queue.qsize() <= 3
    gate.set()
    await held
    await asyncio.gather(*writes)
    assert len(store.reader().candidates(journal.run_id)) == 12


async def test_many_queued_records_do_not_wait_for_the_loop(store, monkeypatch):
    monkeypatch.setattr(traces_journal, "_TURN_RECORDS", 10)
    journal = await begun(store)
    for n in range(25):
        journal.queue(Told(scope="/s", number=n, id=str(n)))
    assert len(journal._queued) == 5
    await journal.write(StepStart(position="/a", node="a"))
    assert [t.number for t in store.reader().tells(journal.run_id)] == list(range(25))


async def test_several_loops_write_to_one_database(url):
    store = await Store.open(url)
    journals = [await begun(store) for _ in range(4)]

    def produce(journal):
        async def main():
            await asyncio.gather(*(journal.write(StepStart(position=f"/{n}", node="n")) for n in range(50)))

        asyncio.run(main())

    await asyncio.gather(*(asyncio.to_thread(produce, j) for j in journals))
    assert [len(store.reader().steps(j.run_id)) for j in journals] == [50] * 4
    await store.close()


async def test_a_cancelled_producer_leaves_the_record_and_the_map_right(store):
    journal = await begun(store)
    await journal.write(intent("/a/x"))
    gate = threading.Event()
    held = asyncio.ensure_future(store._shared.writer.do(lambda _: gate.wait(30)))
    write = asyncio.ensure_future(journal.write(outcome("/a/x")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    gate.set()
    await held
    await journal.write(StepStart(position="/b", node="b"))
    assert journal.call("/a/x").state == "ok"
    assert store.reader().calls(journal.run_id)[0].state == "ok"


async def test_a_database_opened_twice_has_one_writer(url):
    first, second = await Store.open(url), await Store.open(url)
    assert first._shared is second._shared
    journal = await begun(first)
    with pytest.raises(Fenced):
        await second.acquire(journal.run_id)
    await first.close()
    await first.close()
    with pytest.raises(StoreError, match="closed"):
        await first.create_run(spec())
    await journal.write(StepStart(position="/a", node="a"))
    await second.close()
    with pytest.raises(StoreError, match="closed"):
        await journal.write(StepStart(position="/b", node="b"))


async def test_closing_writes_what_is_queued_and_frees_the_runs(url):
    store = await Store.open(url)
    journal = await begun(store)
    for n in range(1500):
        journal.queue(Told(scope="/s", number=n, id="x"))
    await store.close()
    store = await Store.open(url)
    assert len(store.reader().tells(journal.run_id)) == 1500
    row = store.reader().run(journal.run_id)
    assert (row.status, row.owner) == ("interrupted", None)
    assert store.reader().unfinished() == [journal.run_id]
    await store.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
async def test_a_forked_child_cannot_write(url):
    store = await Store.open(url)
    journal = await begun(store)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            asyncio.run(journal.write(StepStart(position="/a", node="a")))
        except StoreError as e:
            status = 0 if e.code == "forked" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1]) == 0
    await journal.write(StepStart(position="/b", node="b"))
    assert [s.position for s in store.reader().steps(journal.run_id)] == ["/b"]
    await store.close()


async def test_runs_are_found_by_filter_page_and_abbreviation(store):
    batch = await store.create_batch({})
    specs = [dataclasses.replace(spec(prompt=f"{n}"), batch_id=batch if n % 2 else None) for n in range(30)]
    await store.create_runs(specs)
    reader = store.reader()
    newest = sorted((s.id for s in specs), reverse=True)
    first = reader.runs(limit=20)
    second = reader.runs(limit=20, before=first[-1].id)
    assert [r.id for r in first + second] == newest
    assert len(reader.runs(batch=batch)) == 15
    assert len(reader.runs(batch=batch, status="done")) == 0
    assert [r.id for r in reader.runs(task=specs[3].task.id)] == [specs[3].id]
    assert reader.runs(graph="single") == []
    assert reader.unfinished(batch) == sorted(s.id for s in specs if s.batch_id)
    assert reader.resolve(specs[4].id) == reader.resolve(specs[4].id[-12:]) == specs[4].id
    assert reader.run(specs[4].id.upper()).task_id == specs[4].task.id
    with pytest.raises(ConfigError, match="several") as caught:
        reader.resolve(specs[0].id[:4])
    assert newest[0] in caught.value.hint
    for rubbish in ("", "abc", "%%%%", "zzzz", "f" * 40):
        with pytest.raises(ConfigError, match="no id"):
            reader.resolve(rubbish)
    with pytest.raises(ConfigError, match="no run"):
        reader.resolve("0" * 32)


async def test_plain_sql_says_which_candidates_were_rejected_and_why(store):
    journal = await begun(store)
    await journal.write(*one_of_each(journal.run_id))
    query = (
        "SELECT c.preview, v.verifier, v.reason, v.feedback FROM verdict v JOIN candidate c ON c.id = v.candidate_id"
        " WHERE v.run_id = '{}' AND v.outcome = 'fail'"
    )
    with store._shared.reads.connect() as connection:
        found = connection.exec_driver_sql(query.format(journal.run_id)).all()
    assert [tuple(r) for r in found] == [("42", "exact", "mismatch", "it is 42")]


async def test_calls_are_paged(store):
    journal = await begun(store)
    await journal.write(*(intent(f"/a/{n}") for n in range(30)))
    first = store.reader().calls(journal.run_id, limit=20)
    second = store.reader().calls(journal.run_id, limit=20, after=first[-1].seq)
    assert [c.position for c in first + second] == [f"/a/{n}" for n in range(30)]


async def test_a_finished_run_holds_no_memory(store):
    journal = await begun(store)
    await journal.write(*one_of_each(journal.run_id))
    await journal.finish(RunEnd(status="done"), 1.0)
    assert journal._recorded.calls == {}
    assert journal._state.known == {}
    assert store._shared.writer.held == {}


def test_blob_limits_are_what_the_schema_promises():
    assert (rows.PREVIEW, rows.FEEDBACK) == (200, 2000)


async def test_a_judged_record_without_a_candidate_is_kept(store):
    journal = await begun(store)
    loose = Judged(position="/v.x", candidate_id="", verifier="x", version="", oracle=False, verdict=Verdict.passed())
    await journal.write(loose)
    assert store.reader().verdicts(journal.run_id)[0].candidate_id == ""


async def test_a_batch_that_is_to_be_the_only_one_of_its_name(url, tmp_path):
    # Another way of writing the same database's URL gives a writer of its own, as another process has.
    (tmp_path / "same").symlink_to(tmp_path)
    other = f"{url}&application_name=b" if POSTGRES and POSTGRES in url else url.replace("/runs.db", "/same/runs.db")
    stores = [await Store.open(url), await Store.open(other)]
    assert stores[0]._shared is not stores[1]._shared

    async def create(store: Store, name: str, known: int) -> None:
        batch_id = new_run_id()
        runs = [dataclasses.replace(spec(), batch_id=batch_id) for _ in range(3)]
        await store.create_only_batch(batch_id, {}, name, runs, known)

    for name in map(str, range(8)):
        ended = await asyncio.gather(*(create(s, name, 0) for s in stores), return_exceptions=True)
        (lost,) = [e for e in ended if e is not None]
        assert isinstance(lost, StoreError)
        assert (lost.code, lost.retryable) == ("name_taken", True)
        assert [b.runs for b in stores[0].reader().batches() if b.name == name] == [3]
    assert len(stores[0].reader().runs(limit=100)) == 8 * 3
    await create(stores[1], "0", known=1)
    await stores[0].create_batch({}, "empty")
    await create(stores[1], "empty", known=0)
    for store in stores:
        await store.close()


@pytest.mark.postgres
@NEEDS_SERVER
async def test_a_connection_that_the_server_ends_is_made_again():
    with postgres_url() as url:
        store = await Store.open(url)
        journal = await begun(store)
        await journal.write(intent("/a/x"))
        server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
        for round_ in range(5):
            pid = store._shared.writer._committer._connection.info.backend_pid
            writes = [asyncio.ensure_future(journal.write(Told(scope=f"/s{round_}", number=n, id="x"))) for n in range(50)]
            await asyncio.sleep(0)
            with server.connect() as connection:
                connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await asyncio.gather(*writes)
        server.dispose()
        assert len(store.reader().tells(journal.run_id)) == 250
        await journal.write(outcome("/a/x"))
        assert gapless(numbers(store, journal.run_id))
        await store.close()
