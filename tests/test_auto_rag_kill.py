"""Kill -9 in the middle of dialogues, resume, and hold the record against runs that nobody disturbed.

This file is also the program that is killed: `python test_auto_rag_kill.py STORE LOG [RUN_ID ...]` starts a batch, or resumes
runs. LOG gets one line for each request that reaches the engine (its seed) or the retriever (run and query).
"""

import asyncio
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from burnish import ScriptedEngine, Session, Task
from tests.rag_kit import GARDEN, Model, Shelf, graph
from tests.test_plangen_kill import Logged, Record

TASKS = [Task(id=f"t{i}", prompt=f"Where does the Rill number {i} end?") for i in range(4)]
HERE = f"{Path(__file__).resolve()}:made"
QUERIES = ("the Rill", "Ada Quill", "Dorn", "the Lenn", "Moss", "nothing of that")


class Watched(Shelf):
    """Writes down each search that reaches it."""

    async def search(self, queries, k, exclude=()):
        for query in queries:
            Logged.note(f"search\t{query}\t{sorted(exclude)}")
        return await super().search(queries, k, exclude)


def made():
    return graph(Watched(GARDEN * 3), rounds=6, elicit=2, k=1, retries=2, temperature=0.5)


def said(call):
    """A turn by the call's seed: mostly a query, now and then an answer or nothing that can be read."""
    draw = call.seed % 23
    if draw == 0:
        return f"Final Answer: answer {call.seed % 1000}"
    return "Hm." if draw < 4 else f"Analysis: {call.seed}\nRefined Query: {QUERIES[call.seed % len(QUERIES)]}"


def model():
    return Model(said, recall=lambda call: f"a document {call.seed}", closed=lambda call: f"closed {call.seed}")


async def work(store, engine, ids=()):
    async with Session(engine, store=store, concurrency=2) as session:
        async for result in session.resume_all(ids) if ids else session.batch(HERE, TASKS, seed=3):
            if result.error:
                raise result.error


class Runs(Record):
    """A store, and the log of what reached engine and retriever."""

    program = __file__

    def lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def stored(self, kind):
        return self.query(f"SELECT count(*) FROM call WHERE kind = '{kind}' AND state = 'ok'")[0][0]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    runs = Runs(tmp_path_factory.mktemp("undisturbed"))
    asyncio.run(work(runs.url, ScriptedEngine(model())))
    return runs


def test_the_undisturbed_runs_are_worth_disturbing(undisturbed):
    kinds = Counter(kind for (kind,) in undisturbed.query("SELECT kind FROM call"))
    roles = {role for (role,) in undisturbed.query("SELECT role FROM call")}
    assert kinds["generate"] > 20
    assert kinds["retrieve"] > 10
    assert {"proposer", "recall"} <= roles
    assert len(undisturbed.query("SELECT DISTINCT reason FROM decision")) > 1


def test_dialogues_that_are_killed_go_on_as_if_nothing_had_happened(tmp_path, undisturbed):
    rng, runs = random.Random(os.environ.get("BURNISH_KILL_SEED", "0")), Runs(tmp_path)
    for kills in range(3):
        done, before = runs.finished(), len(runs.lines())
        assert done or not kills
        if kills < 2:
            runs.killed_after(rng.randint(6, 16))
        else:
            runs.went_on()
        assert not done & set(runs.lines()[before:]), "a finished call was sent again"
    assert runs.outcome() == undisturbed.outcome()
    searched = sum(line.startswith("search") for line in runs.lines())
    assert searched <= runs.stored("retrieve") + 2 * 2, "only what was in flight at a kill is searched for again"


def latency(call):
    return random.Random(call.seed).uniform(0, 0.01)


if __name__ == "__main__":
    Logged.log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    asyncio.run(work(sys.argv[1], Logged(model(), latency=latency), sys.argv[3:]))
