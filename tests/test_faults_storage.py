"""The storage fails in the midst of runs: a typed error with its mend, and the runs go on as if nothing had happened.

The runs are whole sessions with an engine that takes its time. What must hold once they are done is in `kill_kit.py`.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import string
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import Runtime
from sqlalchemy import NullPool, create_engine, text

from burnish import Context, Sampling, ScriptedEngine, Session, Task
from burnish.core.errors import Cancelled, StoreError
from burnish.core.ids import derived_seed
from burnish.graphs.builtin import one_node
from burnish.graphs.nodes import State
from burnish.traces import commit, connect
from burnish.traces.audit import audit
from burnish.traces.commit import Transaction
from tests import postgres_kit
from tests.kill_kit import answers, check_facts, tree
from tests.traces_kit import asked

SETTINGS = {"verifier": {"name": "numeric", "expected": 2}, "n": 6, "stop_at_pass": False, "width": 2}
BUDGET = {"calls": 100, "output_tokens": 100_000}
TASKS = [Task(id=f"t{i}", prompt=f"number {i}?") for i in range(3)]


class Batch:
    """A batch on a store, and what reached the engine for it."""

    def __init__(self, url: str) -> None:
        self.url, self.sent = url, []
        self._reads = create_engine(url, poolclass=NullPool)

    def query(self, sql: str, *values: object) -> list:
        return asked(self._reads, sql, *values)

    def session(self, midway: Callable[[Session], Any] | None = None, latency: float = 0.01) -> Session:
        """A session whose engine calls `midway` once, when half of all requests have come."""

        def reply(call: Any) -> str:
            self.sent.append(call.seed)
            if len(self.sent) == 9 and midway:
                midway(session)
            return f"{_noise(call.seed)} {derived_seed(call.seed) % 4}"

        session = Session(ScriptedEngine(reply, latency=latency), store=self.url)
        return session

    async def start(self, midway: Callable[[Session], Any] | None = None, latency: float = 0.01) -> None:
        async with self.session(midway, latency) as session:
            await _through(session.batch("best_of_n", TASKS, settings=SETTINGS, budget=BUDGET, seed=7))

    async def resume(self) -> None:
        async with self.session() as session:
            await _through(session.resume_all([i for (i,) in self.query("SELECT id FROM run WHERE status <> 'done'")]))

    def check(self, undisturbed: Batch, in_flight: int) -> None:
        """All is done and as in a batch that nobody disturbed; at most `in_flight` calls were made twice."""
        assert (tree(self), answers(self)) == (tree(undisturbed), answers(undisturbed))
        assert len(set(self.sent)) == 18
        assert len(self.sent) - 18 <= in_flight
        assert audit(self.url) == []
        for run_id, status, owner in self.query("SELECT id, status, owner FROM run"):
            assert (status, owner) == ("done", None)
            check_facts(self, run_id)


def _noise(seed: int) -> str:
    """Letters that no database can make smaller, so that one without space notices."""
    return "".join(random.Random(seed).choices(string.ascii_letters, k=3000))


async def _through(results: Any) -> None:
    async for result in results:
        if result.error:
            raise result.error


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    batch = Batch(f"sqlite:///{tmp_path_factory.mktemp('undisturbed')}/runs.db")
    asyncio.run(batch.start())
    assert len(batch.sent) == 18
    return batch


@contextmanager
def locked(url: str):
    """Another process writes, and does not come to an end."""
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_database_locked_for_long_is_waited_for(url, undisturbed, monkeypatch):
    """A minute in small: SQLite's own patience is spent many times over, the writer's is not."""
    monkeypatch.setattr(connect, "BUSY_MS", 10)
    batch, holding = Batch(url), []

    async def hold() -> None:
        with locked(url):
            await asyncio.sleep(0.6)

    await batch.start(lambda _: holding.append(asyncio.create_task(hold())))
    assert holding[0].done()
    batch.check(undisturbed, in_flight=0)


async def test_a_database_locked_for_too_long_ends_the_runs_and_they_can_be_resumed(url, undisturbed, monkeypatch):
    monkeypatch.setattr(connect, "BUSY_MS", 10)
    monkeypatch.setattr(commit, "LOCK_PATIENCE", 0.3)
    batch, lock = Batch(url), locked(url)
    with pytest.raises(StoreError, match="locked") as caught:
        await batch.start(lambda _: lock.__enter__())
    assert (caught.value.code, caught.value.retryable, bool(caught.value.hint)) == ("locked", True, True)
    lock.__exit__(None, None, None)
    await batch.resume()
    batch.check(undisturbed, in_flight=8)


async def test_a_disk_that_is_full_ends_the_runs_and_they_can_be_resumed(url, undisturbed):
    batch = Batch(url)

    def fill(tx: Transaction) -> None:
        (pages,) = tx._cursor.execute("PRAGMA page_count").fetchone()
        tx._cursor.execute(f"PRAGMA max_page_count={pages}")

    def full(session: Session) -> None:
        # SQLite itself then says what it says of a disk without space; a new connection has space again.
        filling.append(asyncio.ensure_future(session.store._writer.do(fill)))

    filling: list[Any] = []
    with pytest.raises(StoreError, match="full") as caught:
        await batch.start(full)
    assert caught.value.code == "disk_full"
    assert "free some space" in caught.value.hint
    await batch.resume()
    batch.check(undisturbed, in_flight=8)


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("psycopg")
    if postgres_kit.programs() is None:
        pytest.skip("PostgreSQL's programs are not here")
    with tempfile.TemporaryDirectory(prefix="burnish-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with postgres_kit.server(Path(folder) / "home") as running:
            yield running


@pytest.fixture
def schema(server):
    """The URL of a schema of its own on that server."""
    name = f"t{time.time_ns()}"
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    return f"{server.url}&options=-csearch_path%3D{name}"


@pytest.mark.postgres
@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_a_database_server_that_comes_back_is_waited_for(server, schema, undisturbed, way):
    batch, restarting = Batch(schema), []

    def restart() -> None:
        getattr(server, way)()
        time.sleep(0.3)
        server.start()

    await batch.start(lambda _: restarting.append(asyncio.create_task(asyncio.to_thread(restart))))
    await restarting[0]
    batch.check(undisturbed, in_flight=0)


@pytest.mark.postgres
async def test_a_database_server_that_stays_away_ends_the_runs_and_they_can_be_resumed(server, schema, undisturbed, monkeypatch):
    monkeypatch.setattr(commit, "LOCK_PATIENCE", 0.5)
    batch = Batch(schema)
    with pytest.raises(StoreError, match="does not answer") as caught:
        await batch.start(lambda _: server.kill())
    assert (caught.value.code, caught.value.retryable, caught.value.hint) == ("disconnected", True, "is the server up?")
    server.start()
    await batch.resume()
    batch.check(undisturbed, in_flight=8)


async def test_a_clock_that_is_set_back_changes_nothing(url, undisturbed, monkeypatch):
    real, back = time.time_ns, 0
    monkeypatch.setattr(time, "time_ns", lambda: real() - back)
    batch = Batch(url)

    def set_back(session: Session) -> None:
        nonlocal back
        back = 3600 * 10**9
        session.stop.request("interrupted")

    with pytest.raises(Cancelled):
        await batch.start(set_back)
    assert {s for (s,) in batch.query("SELECT status FROM run")} == {"interrupted"}
    await batch.resume()
    assert {s for (s,) in batch.query("SELECT started_ns > ended_ns FROM run")} == {1}
    batch.check(undisturbed, in_flight=8)
    for elapsed_ns, longest in batch.query(
        "SELECT elapsed_ns, max(seconds) FROM run JOIN call ON run_id = run.id GROUP BY run.id"
    ):
        assert 0 < elapsed_ns < 60 * 10**9
        assert 0 <= longest < 60


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
async def test_what_a_power_cut_leaves_is_a_beginning_that_can_be_resumed(url, undisturbed, tmp_path, torn):
    """Copies of the files at any moment, as a cut would leave them; the end of the log perhaps not whole on the disk."""
    batch, rng, images = Batch(url), random.Random(torn), []

    async def copy() -> None:
        while len(batch.sent) < 18:  # Then the session closes, and the log goes into the database.
            await asyncio.sleep(0.01)
            image = tmp_path / f"image{len(images)}.db"
            shutil.copyfile(tmp_path / "runs.db", image)
            log = (tmp_path / "runs.db-wal").read_bytes()
            Path(f"{image}-wal").write_bytes(log[: rng.randrange(len(log) * 3 // 4, len(log))] if torn else log)
            images.append(Batch(f"sqlite:///{image}"))

    copying = []
    await batch.start(lambda _: copying.append(asyncio.create_task(copy())), latency=0.02)
    await copying[0]
    for image in (images[n] for n in {0, len(images) // 2, len(images) - 1}):
        before = image.query("SELECT count(*) FROM call WHERE state = 'ok'")[0][0]
        assert [f for f in audit(image.url) if f.level == "damage"] == []
        await image.resume()
        assert len(set(image.sent)) <= 18 - before, "a call whose result had reached the disk is not made again"
        assert (tree(image), answers(image)) == (tree(undisturbed), answers(undisturbed))
        assert audit(image.url) == []


async def test_a_row_that_cannot_be_read_ends_its_own_run_only(url, undisturbed):
    batch = Batch(url)
    with pytest.raises(Cancelled):
        await batch.start(lambda session: session.stop.request("interrupted"))
    ((bad, sha),) = batch.query("SELECT run_id, text_sha FROM call WHERE state = 'ok' ORDER BY run_id LIMIT 1")
    ((whole,),) = batch.query("SELECT data FROM blob WHERE sha = ?", sha)
    _put(url, sha, b"rubbish")
    async with batch.session() as session:
        ids = [i for (i,) in batch.query("SELECT id FROM run")]
        errors = {r.run_id: r.error async for r in session.resume_all(ids) if r.error}
        assert {i: e.code for i, e in errors.items()} == {bad: "corrupt"}
        assert "backup" in errors[bad].hint
        assert [f.kind for f in audit(url) if f.level == "damage"] == ["damaged_text"]
        assert batch.query("SELECT status, error_code, owner FROM run WHERE id = ?", bad) == [("interrupted", "corrupt", None)]
        _put(url, sha, whole)
        assert (await session.resume(bad)).error is None  # In the same session: the lease was given back.
    batch.check(undisturbed, in_flight=8)


def _put(url: str, sha: str, data: bytes) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as other:
        other.execute("UPDATE blob SET data = ? WHERE sha = ?", (data, sha))
        other.commit()


async def test_a_record_that_cannot_be_stored_leaves_the_run_to_whoever_comes_next(url):
    """Its lease goes back although the process goes on living."""
    worse = [True]

    async def node(state: State, runtime: Runtime[Context]) -> State:
        too_large = Sampling(seed=2**70) if worse else None
        return {"answer": (await runtime.context.generate("?", too_large)).text}

    graph, started = one_node("odd", node), []
    async with Session(ScriptedEngine("42"), store=url) as session:
        with pytest.raises(StoreError, match="cannot be stored"):
            await session.run(graph, "?", on_start=started.append)
        assert session.store.reader().run(started[0]).owner is None
        worse.clear()
        assert (await session.resume(started[0], graph)).answer == "42"


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
async def test_a_run_whose_task_is_cancelled_gives_its_lease_back(url, again):
    async with Session(ScriptedEngine("2", latency=0.05), store=url) as session:
        for steps in range(0, 60, 7):
            task = asyncio.create_task(session.run("best_of_n", "number?", settings=SETTINGS))
            await asyncio.sleep(steps / 1000)
            task.cancel()
            if again:
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        results = session.resume_all([run.id for run in session.store.reader().runs()])
        assert {r.error async for r in results} == {None}  # None of them is Fenced.
        assert {run.status for run in session.store.reader().runs()} == {"done"}
