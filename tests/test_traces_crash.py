"""Processes that share a store, stop without warning, or sleep through the loss of their lease."""

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from burnish.core.errors import Fenced, StoreError
from burnish.core.records import StepStart, Told
from burnish.traces import leases
from burnish.traces.store import Store
from tests.traces_kit import begun, gapless, intent, numbers, outcome, spec

CHILD = Path(__file__).with_name("traces_child.py")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def start():
    """Starts children, and ends them with the test."""
    children = []

    def go(mode, url, run_id="-"):
        command = [sys.executable, str(CHILD), mode, url, run_id]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield go
    for child in children:
        child.kill()
        child.communicate()


async def accepted(url):
    """A stored run that nobody holds."""
    store = await Store.open(url)
    run = spec()
    await store.create_run(run)
    await store.close()
    return run.id


def query(url, sql, *values):
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        found = connection.execute(sql, values).fetchall()
        connection.commit()
        return found


def acks(text):
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("ack ") and line.split()[1:]]


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_writer_loses_nothing_acknowledged(url, start, seed):
    run_id = await accepted(url)
    child = start("flood", url, run_id)
    lines = [child.stdout.readline()]
    for _ in range(random.Random(seed).randrange(5, 400)):
        lines.append(child.stdout.readline())
    child.kill()
    rest, _ = child.communicate()
    acknowledged = acks("".join(lines) + rest.rpartition("\n")[0])
    stored = [n for (n,) in query(url, "SELECT number FROM tell WHERE run_id = ? ORDER BY number", run_id)]
    assert acknowledged
    assert stored == list(range(len(stored)))
    assert set(acknowledged) <= set(stored)
    assert query(url, "PRAGMA integrity_check") == [("ok",)]
    assert query(url, "PRAGMA foreign_key_check") == []
    store = await Store.open(url)
    journal = await store.acquire(run_id)
    assert list(journal.told("/s")) == ["x" * 500] * len(stored)
    await journal.write(Told(scope="/s", number=len(stored), id="y"))
    assert gapless(numbers(store, run_id))
    assert query(url, "SELECT lease_epoch FROM run") == [(2,)]
    await store.close()


async def test_eight_processes_write_to_one_file(url, start):
    runs = [await accepted(url) for _ in range(8)]
    children = [start("some", url, run_id) for run_id in runs]
    for child in children:
        out, _ = await asyncio.to_thread(child.communicate, timeout=60)
        assert out == "done\n"
    assert query(url, "SELECT run_id, COUNT(*), MIN(seq), MAX(seq) FROM tell GROUP BY run_id ORDER BY 1") == [
        (run_id, 500, 1, 500) for run_id in sorted(runs)
    ]


async def test_processes_that_open_a_new_file_at_once_migrate_it_once(url, start):
    children = [start("create", url) for _ in range(4)]
    assert [(await asyncio.to_thread(c.communicate, timeout=60))[0] for c in children] == ["done\n"] * 4
    assert query(url, "SELECT COUNT(*) FROM alembic_version") == [(1,)]


async def test_a_process_that_ends_without_closing_has_written_its_queue(url, start):
    run_id = await accepted(url)
    child = start("forget", url, run_id)
    await asyncio.to_thread(child.communicate, timeout=60)
    assert child.returncode == 0
    assert query(url, "SELECT COUNT(*) FROM tell") == [(300,)]
    assert query(url, "SELECT status, owner FROM run") == [("interrupted", None)]


async def test_a_live_owner_keeps_its_run_and_a_dead_one_loses_it_at_once(url, start):
    run_id = await accepted(url)
    child = start("hold", url, run_id)
    assert child.stdout.readline() == "ready\n"
    store = await Store.open(url)
    with pytest.raises(Fenced, match=f"process {child.pid} on"):
        await store.acquire(run_id)
    child.kill()
    await asyncio.to_thread(child.wait)
    journal = await store.acquire(run_id)
    await journal.write(StepStart(position="/a", node="a"))
    await store.close()


async def test_an_owner_that_slept_through_its_lease_is_fenced(url, start):
    run_id = await accepted(url)
    child = start("hold", url, run_id)
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "ack 0\n"
    child.send_signal(signal.SIGSTOP)
    query(url, "UPDATE run SET heartbeat_ns = heartbeat_ns - 60000000000")
    store = await Store.open(url)
    journal = await store.acquire(run_id)
    assert list(journal.told("/s")) == ["x"]
    child.send_signal(signal.SIGCONT)
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "failed fenced\n"
    await journal.write(Told(scope="/s", number=1, id="mine"))
    assert [t.told for t in store.reader().tells(run_id)] == ["x", "mine"]
    assert gapless(numbers(store, run_id))
    await store.close()


async def test_a_lease_is_renewed(url, monkeypatch):
    monkeypatch.setattr("burnish.traces.writer.HEARTBEAT_SECONDS", 0.05)
    store = await Store.open(url)
    journal = await begun(store)
    before = store.reader().run(journal.run_id)
    for _ in range(200):
        await asyncio.sleep(0.02)
        row = store.reader().run(journal.run_id)
        if row.heartbeat_ns > before.heartbeat_ns:
            break
    assert row.heartbeat_ns > before.heartbeat_ns
    assert row.elapsed_ns > 0
    await store.close()


class LateCommit:
    """A connection whose first commit succeeds and is then reported as failed."""

    def __init__(self, real):
        self.real, self.failures = real, 0

    def __getattr__(self, name):
        return getattr(self.real, name)

    def cursor(self):
        return LateCursor(self, self.real.cursor())


class LateCursor:
    def __init__(self, connection, real):
        self.connection, self.real = connection, real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def execute(self, sql, *values):
        result = self.real.execute(sql, *values)
        if sql == "COMMIT" and not self.connection.failures:
            self.connection.failures += 1
            error = sqlite3.OperationalError("lost contact during commit")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return result


async def test_a_commit_of_unknown_outcome_is_repeated_without_harm(url):
    store = await Store.open(url)
    journal = await begun(store)
    await journal.write(intent("/a/x"))
    committer = store._shared.writer._committer
    committer._connection = LateCommit(committer._connection)
    await asyncio.gather(
        journal.write(outcome("/a/x")), journal.write(intent("/a/y")), journal.write(Told(scope="/s", number=0, id="e"))
    )
    assert committer._connection.failures == 1
    calls = store.reader().calls(journal.run_id)
    assert [(c.position, c.state, c.attempts) for c in calls] == [("/a/x", "ok", 1), ("/a/y", "intent", 1)]
    assert gapless(numbers(store, journal.run_id))
    await store.close()


async def test_a_crash_of_the_writer_is_told_to_everybody(url, monkeypatch):
    """Even a fault in burnish itself never lets a run go on unrecorded."""
    store = await Store.open(url)
    journal = await begun(store)
    monkeypatch.setattr(store._shared.writer._committer, "commit", lambda groups: 1 / 0)
    results = await asyncio.gather(
        *(journal.write(Told(scope="/s", number=n, id="x")) for n in range(20)), return_exceptions=True
    )
    assert all(isinstance(r, StoreError) and r.code == "writer" for r in results)
    with pytest.raises(StoreError):
        await journal.write(StepStart(position="/a", node="a"))
    await store.close()


def test_leases_of_dead_processes_do_not_hold():
    me, now = leases.this_process(), 10**18
    host, boot, pid, started = me.split("|")
    assert leases.is_live(me, now, now)
    assert not leases.is_live(me, now - 31 * 10**9, now)
    assert not leases.is_live(f"{host}|{boot}|{pid}|{int(started) + 1}", now, now)
    assert not leases.is_live(f"{host}|{boot}|{2**22 + 1}|5", now, now)
    assert leases.is_live(f"elsewhere|{boot}|{2**22 + 1}|5", now, now)
    assert leases.is_live("rubbish", now, now)
    assert not leases.is_live(None, now, now)
    assert not leases.is_live(me, None, now)
