"""Stored pools: drawn once, gone on with, read whole, refused where they are not what is asked for."""

import asyncio
import math
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from burnish import ConfigError, EngineUnavailable, GenerationFailed, ScriptedEngine, StoreError, Task
from burnish.compare.draw import Order, begun, draw
from burnish.compare.pool import Pool, pool_batches
from burnish.compare.pool_summary import PoolSummary
from burnish.core.engine import Capabilities
from burnish.core.sampling import Sampling
from burnish.engine.recorded import pool_key
from burnish.engine.replies import Reply
from burnish.stats import pass_at_k
from burnish.traces.store import Store
from tests.helpers import rows
from tests.pool_kit import RECIPE, draw_pool, drawn_pool, reply, session, tasks, url


def read(path, name="p"):
    reader = Store.open_reader(url(path))
    try:
        return Pool.read(reader, name)
    finally:
        reader.close()


def change(path, sql):
    with closing(sqlite3.connect(path / "runs.db")) as connection:
        connection.execute(sql)
        connection.commit()


async def test_a_pool_is_read_as_it_was_generated(tmp_path):
    engine = ScriptedEngine(reply)
    pool = await drawn_pool(tmp_path, tasks(), 5, engine=engine, settings={"max_tokens": 40, "system": "Be brief."})
    assert [d.task for d in pool.drawn] == tasks() == pool.tasks
    assert (pool.info, pool.k, pool.seed, engine.calls) == (engine.info, 5, 0, 15)
    stored = rows(tmp_path, "SELECT c.seed, c.position, r.task_id FROM call c JOIN run r ON r.id = c.run_id ORDER BY c.seq")
    how = Sampling(max_tokens=40, logprobs=0)
    for drawn in pool.drawn:
        prompt = drawn.task.chat("Be brief.")
        assert drawn.key == pool_key(prompt, how)
        seeds = [seed for seed, _, task in stored if task == drawn.task.id]
        again = [await engine.generate(prompt, how.seeded(seed)) for seed in seeds]
        assert [s.completion for s in drawn.samples] == again
        assert all(s.completion.logprobs and s.completion.token_ids for s in drawn.samples)
        assert [s.answer for s in drawn.samples] == [c.text.rpartition(" ")[2] for c in again]
        assert [s.right for s in drawn.samples] == [c.text.endswith("1") for c in again]
        assert all(s.seconds is not None for s in drawn.samples)


async def test_going_on_draws_only_what_is_left(tmp_path):
    failing = {"t1"}

    class Fragile(ScriptedEngine):
        async def generate(self, prompt, sampling, **how):
            if failing and prompt.messages[-1].text.startswith("What is it, 1"):
                raise EngineUnavailable("gone")
            return await super().generate(prompt, sampling, **how)

    results = await draw_pool(tmp_path, tasks(), engine=Fragile(reply))
    assert [r.task_id for r in results if r.error] == ["t1"]
    with pytest.raises(ConfigError, match="1 of 3 tasks are not drawn") as unfinished:
        read(tmp_path)
    assert "pool draw p" in unfinished.value.hint
    failing.clear()
    engine = Fragile(reply)
    results = await draw_pool(tmp_path, tasks(), engine=engine)
    assert [(r.task_id, r.error) for r in results] == [("t1", None)]
    assert engine.calls == 4
    whole = read(tmp_path)
    assert await draw_pool(tmp_path, tasks(), engine=engine) == []
    assert engine.calls == 4
    # What went on is what would have been drawn in one go.
    (tmp_path / "other").mkdir()
    once = await drawn_pool(tmp_path / "other", tasks())
    assert [[s.completion for s in d.samples] for d in whole.drawn] == [[s.completion for s in d.samples] for d in once.drawn]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": tasks(2)}, "other tasks"),
        ({"tasks": [*tasks(2), replace(tasks()[2], reference=2)]}, "other tasks"),
        ({"tasks": [*reversed(tasks())]}, "other tasks"),
        ({"k": 5}, "k=4, not 5"),
        ({"seed": 1}, "the seed 0, not 1"),
        ({"settings": {"temperature": 0.1}}, "temperature=0.7"),
    ],
)
async def test_another_order_under_one_name_is_refused(tmp_path, change, words):
    await draw_pool(tmp_path, tasks())
    order = Order(**{"name": "p", "tasks": tasks(), "k": 4, **change})
    reader = Store.open_reader(url(tmp_path))
    try:
        with pytest.raises(ConfigError, match=words):
            begun(reader, order, RECIPE)
        assert begun(reader, replace(order, name="q"), RECIPE) is None
        same = Order(name="p", tasks=tasks(), k=4)
        assert begun(reader, same, RECIPE).done == 3
        with pytest.raises(ConfigError, match=r"another engine: scripted, not vllm other"):
            begun(reader, same, {"engine": "vllm", "model": "other", "args": {}})
    finally:
        reader.close()


async def test_an_engine_that_changed_meanwhile_does_not_go_on(tmp_path):
    await draw_pool(tmp_path, tasks())
    change(tmp_path, "UPDATE run SET status = 'queued' WHERE task_id = 't2'")
    with pytest.raises(ConfigError, match=r"settings was \{\}, is \{'accuracy': 1\}"):
        await draw_pool(tmp_path, tasks(), engine=ScriptedEngine(reply, settings={"accuracy": 1}))


@pytest.mark.parametrize("wrong", [{"name": " "}, {"name": "x" * 101}, {"tasks": []}, {"k": 0}, {"settings": {"n": 3}}])
def test_an_order_for_nothing_is_refused(wrong):
    with pytest.raises(ConfigError):
        Order(**{"name": "p", "tasks": tasks(), "k": 4, **wrong})


async def test_a_pool_that_is_not_there_names_those_that_are(tmp_path):
    await draw_pool(tmp_path, tasks(1), name="first")
    await draw_pool(tmp_path, tasks(1), name="second")
    with pytest.raises(ConfigError, match="there is no pool 'third'") as missing:
        read(tmp_path, "third")
    assert missing.value.hint == "one of: second, first"


async def test_a_batch_that_only_looks_like_a_pool_is_none(tmp_path):
    async with session(tmp_path) as s:
        assert [r async for r in s.batch("single", tasks(1), name="pool/fake")]
        # Cut short before its runs were stored.
        await s.store.create_batch({"pool": {"name": "stub", "tasks": ["t0", "t1"]}, "settings": {}}, "pool/stub")
        await s.store.create_batch({"pool": "rubbish"}, "pool/rubbish")
        assert pool_batches(s.store.reader()) == []


async def test_several_engines_make_no_pool(tmp_path):
    await draw_pool(tmp_path, tasks())
    renamed = """replace(engines, '"model":"scripted"', '"model":"other"')"""
    change(tmp_path, f"UPDATE run SET engines = {renamed} WHERE task_id = 't2'")
    with pytest.raises(ConfigError, match="several engines drew the pool 'p': model was scripted, is other"):
        read(tmp_path)


async def test_the_model_is_checked(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(1))
    pool.check_model("scripted")
    with pytest.raises(ConfigError, match="drawn by scripted, not by other"):
        pool.check_model("other")
    folder = tmp_path / "model"
    folder.mkdir()
    replace(pool, recipe={"model": str(folder.resolve())}).check_model(str(folder / ".." / "model"))


async def test_lost_samples_are_missing_and_not_replaced(tmp_path):
    def unlucky(call):
        return Reply(error=GenerationFailed("no luck")) if call.seed % 2 or "0" in call.text else reply(call)

    pool = await drawn_pool(tmp_path, tasks(3), 8, replies=unlucky)
    assert pool.drawn[0].samples == []
    assert pool.drawn[0].key == ""
    assert 0 < len(pool.drawn[1].samples) < 8
    summary = PoolSummary.of(pool)
    assert summary.lost == 24 - sum(len(d.samples) for d in pool.drawn) > 8
    assert summary.pass_at == {}


async def test_an_engine_without_log_probabilities_needs_to_be_told(tmp_path):
    plain = ScriptedEngine(reply, capabilities=Capabilities())
    with pytest.raises(EngineUnavailable, match="logprobs"):
        await draw_pool(tmp_path, tasks(), engine=plain)
    pool = await drawn_pool(tmp_path, tasks(), engine=plain, name="q", settings={"logprobs": False})
    assert PoolSummary.of(pool).mean_logprob is None
    assert PoolSummary.of(pool).logprob_auroc is None


async def test_the_summary_counts(tmp_path):
    def wordy(call):
        return reply(call) if call.seed % 3 else f"{reply(call)} because I say so, and so on and on"

    pool = await drawn_pool(tmp_path, tasks(4), 8, replies=wordy, settings={"max_tokens": 9})
    samples = [s for d in pool.drawn for s in d.samples]
    summary = PoolSummary.of(pool)
    assert (summary.tasks, summary.samples, summary.lost) == (4, 32, 0)
    assert summary.output_tokens == sum(len(s.completion.token_ids) for s in samples)
    cut = sum(s.completion.finish_reason == "length" for s in samples)
    assert 0 < cut < 32
    assert summary.truncated == cut / 32
    means = [sum(s.completion.logprobs) / len(s.completion.logprobs) for s in samples]
    assert math.isclose(summary.mean_logprob, sum(means) / 32)
    assert list(summary.pass_at) == list(summary.majority_at) == [1, 2, 4, 8]
    for k, interval in summary.pass_at.items():
        right = [sum(s.right is True for s in d.samples) for d in pool.drawn]
        assert math.isclose(interval.value, sum(pass_at_k(8, r, k) for r in right) / 4)
    assert summary.ungraded == sum(s.grade.outcome == "abstain" for s in samples)
    assert PoolSummary.of(pool).to_json()["pass_at"]["8"]["value"] == summary.pass_at[8].value


async def test_a_pool_without_graders_has_no_accuracy(tmp_path):
    pool = await drawn_pool(tmp_path, [Task(id="a", prompt="?")], 3)
    summary = PoolSummary.of(pool)
    assert (summary.pass_at, summary.ungraded, summary.samples) == ({}, 3, 3)


async def test_samples_that_were_not_graded_are_not_wrong(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(2), 4)
    first, *rest = pool.drawn[0].samples
    part = replace(pool.drawn[0], samples=[replace(first, grade=None, graded_by=None), *rest])
    summary = PoolSummary.of(replace(pool, drawn=[part, pool.drawn[1]]))
    assert (summary.pass_at, summary.majority_at, summary.ungraded) == ({}, {}, 1)


async def test_two_first_draws_of_one_name_make_one_pool(tmp_path):
    order = Order(name="p", tasks=tasks(), k=4)
    engine, ids = ScriptedEngine(reply), []

    async def begin(s) -> list:
        assert begun(s.store.reader(), order, RECIPE) is None
        return [r async for r in draw(s, order, None, ids.append)]

    async with session(tmp_path, engine=engine) as first, session(tmp_path, engine=engine) as second:
        ended = await asyncio.gather(begin(first), begin(second), return_exceptions=True)
        (lost,) = [e for e in ended if isinstance(e, BaseException)]
        assert isinstance(lost, StoreError)
        assert (lost.code, len(ids), engine.calls) == ("name_taken", 1, 12)
        assert "same command again" in lost.hint
        # One who looked before it was there, and comes to draw when it is finished.
        with pytest.raises(StoreError, match="meanwhile"):
            await draw_once(second, order)
        assert [b.name for b in second.store.reader().batches()] == ["pool/p"]
    assert len(read(tmp_path).drawn) == 3
    assert await draw_pool(tmp_path, tasks(), engine=engine) == []


async def draw_once(s, order):
    return [r async for r in draw(s, order, None, lambda batch_id: None)]


async def test_a_pool_that_lost_runs_is_drawn_anew(tmp_path):
    await draw_pool(tmp_path, tasks())
    change(tmp_path, "UPDATE run SET batch_id = NULL WHERE task_id = 't1'")
    assert len(await draw_pool(tmp_path, tasks())) == 3
    assert len(read(tmp_path).drawn) == 3
