"""The same batch on SQLite and on PostgreSQL leaves the same trace, ids included."""

import itertools
import random

import pytest
from sqlalchemy import create_engine, text

from burnish import ScriptedEngine, Session, Task
from tests.traces_kit import POSTGRES, postgres_url

TABLES = ("run", "step", "call", "candidate", "verdict", "decision", "tell", "budget_entry", "blob")
CHANGING = {
    "created_ns",
    "ended_ns",
    "sent_ns",
    "started_ns",
    "heartbeat_ns",
    "elapsed_ns",
    "seconds",
    "owner",
    "at_ns",
    "batch_id",
}
WORKS = [
    ("best_of_n", {"n": 4, "stop_at_pass": False, "width": 1}),
    ("majority", {"n": 3, "extract": "last_number", "width": 1}),
    ("iad", {"rounds": 2, "feedback": "directional", "stop_at_pass": False}),
]


def reply(call):
    return f"It is {random.Random(call.seed).randrange(4)}."


def number(value):
    return f"{value:032x}"


async def trace(url, monkeypatch, graph, settings):
    """All rows that a batch leaves, without what clocks and processes put in."""
    ids = itertools.count(1)
    monkeypatch.setattr("burnish.session.new_run_id", lambda: number(next(ids)))
    tasks = [Task(id=f"t{i}", prompt=f"What is {i}?", verifier={"name": "numeric", "expected": 2}) for i in range(3)]
    async with Session(ScriptedEngine(reply), store=url, concurrency=1) as session:
        async for result in session.batch(graph, tasks, settings=settings, seed=5, budget={"calls": 20}):
            assert result.error is None
    found, engine = {}, create_engine(url)
    with engine.connect() as connection:
        for table in TABLES:
            result = connection.execute(text(f"SELECT * FROM {table}"))
            kept = [(i, name) for i, name in enumerate(result.keys()) if name not in CHANGING and not name.endswith("_ns")]
            plain = [tuple(_plain(row[i]) for i, _ in kept) for row in result]
            found[table] = sorted(plain, key=repr)
    engine.dispose()
    return found


def _plain(value):
    if isinstance(value, bool):
        return int(value)
    return bytes(value) if isinstance(value, memoryview) else value


@pytest.mark.postgres
@pytest.mark.skipif(not POSTGRES, reason="no BURNISH_TEST_POSTGRES")
@pytest.mark.parametrize(("graph", "settings"), WORKS, ids=[name for name, _ in WORKS])
async def test_both_databases_hold_the_same_trace(tmp_path, monkeypatch, graph, settings):
    here = await trace(f"sqlite:///{tmp_path}/runs.db", monkeypatch, graph, settings)
    with postgres_url() as url:
        there = await trace(url, monkeypatch, graph, settings)
    assert len(here["call"]) >= 9
    for table in TABLES:
        assert here[table] == there[table], table
