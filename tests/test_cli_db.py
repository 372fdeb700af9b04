"""Looking after the database: its size, its wholeness, removing runs and texts; on both databases."""

import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from burnish.cli.db import _bytes
from burnish.core.errors import ConfigError, StoreError
from burnish.core.ids import new_run_id
from burnish.core.runs import RunEnd, RunSpec
from burnish.core.task import Task
from burnish.traces import connect, maintain, prune
from burnish.traces.audit import audit
from burnish.traces.maintain import alone, bring_up_to_date, store_size, vacuum
from burnish.traces.migrate import HEAD
from burnish.traces.prune import Rule
from burnish.traces.store import Store
from tests.cli_kit import burnish as burnish
from tests.cli_kit import ended, kill, program, start, until
from tests.helpers import rows
from tests.test_cli_process import HANGS, QUESTION, SLOW, STORE
from tests.test_cli_run import JUDGED, RIGHT
from tests.test_cli_runs import many_runs
from tests.test_traces_store import url as url
from tests.traces_kit import intent, one_of_each, outcome

DAY = 86_400 * 10**9


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Tests that are not alone need not wait for the others to leave."""
    monkeypatch.setattr(maintain, "BUSY", 500)


async def finished(store, *, batch=None, prompt="shared", own="", status="done"):
    """A run with one record of each kind, a prompt that others share, and a text of its own."""
    asked = RunSpec(id=new_run_id(), task=Task(prompt="What is 6 times 7?"), graph="best_of_n", batch_id=batch)
    await store.create_run(asked)
    journal = await store.acquire(asked.id)
    for record in one_of_each(asked.id):
        await journal.write(record)
    await journal.write(intent("/a/y", prompt=prompt), outcome("/a/y", own or asked.id))
    await journal.finish(RunEnd(status=status, outcome="rejected" if status == "done" else None), 1.0)
    return asked.id


def ids(url):
    reader = Store.open_reader(url)
    try:
        return [r.id for r in reader.runs(limit=1000)]
    finally:
        reader.close()


def execute(url, *statements):
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def value(url, sql):
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(text(sql)).scalar()
    engine.dispose()
    return found


@pytest.fixture
async def three(url):
    """A database of three runs of their own, the oldest first, closed."""
    store = await Store.open(url)
    made = [await finished(store) for _ in range(3)]
    await store.close()
    return made


async def test_the_size_is_told_table_by_table(url, three):
    size = store_size(url)
    counted = {t.name: t.rows for t in size.tables}
    assert (counted["run"], counted["call"], counted["candidate"], counted["batch"]) == (3, 6, 3, 0)
    assert counted["blob"] == value(url, "SELECT count(*) FROM blob")
    assert (size.revision, dict(size.runs)) == (HEAD, {"done": 3})
    assert size.bytes > 0
    assert 0 < size.stored_text_bytes <= size.text_bytes == value(url, "SELECT sum(size) FROM blob")
    told = [t.bytes for t in size.tables if t.bytes is not None]
    assert sum(told) <= size.bytes
    if url.startswith("postgresql"):
        assert len(told) == len(size.tables)
        assert "burnish" in size.store


async def test_a_whole_database_has_no_findings(url, three):
    assert audit(url) == []


DAMAGES = {
    "damaged_text": ["UPDATE blob SET size = size + 1 WHERE sha = (SELECT min(sha) FROM blob)"],
    "missing_text": ["DELETE FROM blob WHERE sha = (SELECT text_sha FROM call WHERE position = '/a/y' LIMIT 1)"],
    "dangling": ["UPDATE verdict SET candidate_id = 'f' WHERE id = (SELECT min(id) FROM verdict)"],
    "gap": ["DELETE FROM tell WHERE run_id = (SELECT min(id) FROM run)"],
}


@pytest.mark.parametrize("kind", DAMAGES)
async def test_damage_is_found_and_named(url, three, kind):
    execute(url, *DAMAGES[kind])
    (found,) = audit(url)
    assert (found.level, found.kind, found.count, len(found.examples)) == ("damage", kind, 1, 1)
    assert "backup" in found.mend
    if kind == "gap":
        assert found.examples == (three[0],)
    assert [f.kind for f in audit(url, quick=True)] == ([] if kind == "damaged_text" else [kind])


async def test_texts_that_were_altered_are_found_however_they_are_packed(url):
    store = await Store.open(url)
    await finished(store, own="long " * 1000)
    await store.close()
    execute(
        url,
        "UPDATE blob SET codec = 'raw' WHERE codec = 'zstd'",
        "UPDATE blob SET codec = 'zstd' WHERE size = (SELECT min(size) FROM blob)",
    )
    (found,) = audit(url)
    assert (found.kind, found.count >= 2) == ("damaged_text", True)


async def test_a_call_that_a_kill_left_open_is_a_note_and_no_damage(url):
    store = await Store.open(url)
    asked = RunSpec(id=new_run_id(), task=Task(prompt="hi"), graph="single")
    await store.create_run(asked)
    journal = await store.acquire(asked.id)
    await journal.write(intent("/a/x"))
    assert audit(url) == [], "somebody is at work on it"
    await store.close()
    (found,) = audit(url)
    assert (found.level, found.kind, found.count, found.examples) == ("note", "unfinished_call", 1, (asked.id,))


def test_pages_and_foreign_keys_of_a_file_are_checked(burnish):
    burnish("run", "best_of_n", QUESTION, *RIGHT, *JUDGED, "--json")
    assert burnish("db", "check").status == 0
    database = sqlite3.connect("burnish.db")
    database.execute("INSERT INTO candidate_parent VALUES ('c', 0, 'p')")
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ix_run_task_id'").fetchone()[0]
    size = database.execute("PRAGMA page_size").fetchone()[0]
    database.close()
    found = {f["kind"] for f in burnish("db", "check", "--json").data["findings"]}
    assert found == {"foreign_keys", "dangling"}
    with open("burnish.db", "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    damaged = burnish("db", "check", "--json")
    assert damaged.status == 6
    assert damaged.data["whole"] is False
    assert {"integrity", "unreadable"} & {f["kind"] for f in damaged.data["findings"]}
    plain = burnish("db", "check")
    assert (plain.status, plain.err) == (6, "the database is damaged\n")
    assert "mend: restore the database from a backup" in plain.out


async def test_the_newest_runs_are_kept(url, three):
    assert prune.prune(url, Rule(keep_last=3)).runs == 0
    done = prune.prune(url, Rule(keep_last=1))
    assert (done.runs, done.batches) == (2, 0)
    assert ids(url) == three[2:]
    for table in ("step", "call", "candidate", "verdict", "decision", "tell", "budget_entry"):
        assert value(url, f"SELECT count(*) FROM {table} WHERE run_id <> '{three[2]}'") == 0
        assert value(url, f"SELECT count(*) FROM {table}") > 0
    # Each had one text of its own; all the others are the third one's too.
    assert (done.texts, done.text_bytes) == (2, 64)
    assert audit(url) == []
    assert prune.prune(url, Rule(keep_last=0)).runs == 1
    assert value(url, "SELECT count(*) FROM blob") == 0


async def test_a_dry_run_removes_nothing(url, three):
    assert prune.prune(url, Rule(keep_last=1), dry_run=True) == prune.Pruned(runs=2, batches=0, texts=None, text_bytes=None)
    assert len(ids(url)) == 3
    assert audit(url) == []


async def test_the_age_is_that_of_the_end(url, three):
    execute(url, f"UPDATE run SET ended_ns = ended_ns - {3 * DAY} WHERE id IN ('{three[0]}', '{three[2]}')")
    assert prune.prune(url, Rule(older_than_ns=4 * DAY)).runs == 0
    assert prune.prune(url, Rule(older_than_ns=2 * DAY, keep_last=1)).runs == 1
    assert ids(url) == [three[2], three[1]]
    assert prune.prune(url, Rule(older_than_ns=2 * DAY)).runs == 1
    assert ids(url) == [three[1]]


async def test_a_batch_goes_whole_or_not_at_all(url):
    store = await Store.open(url)
    plain, named = await store.create_batch({}), await store.create_batch({}, "pool/mine")
    for batch in (plain, plain, named):
        await finished(store, batch=batch)
    other = await store.create_batch({})
    await finished(store, batch=other)
    await store.create_run(RunSpec(id=new_run_id(), task=Task(prompt="later"), graph="single", batch_id=other))
    await store.close()
    assert prune.prune(url, Rule(keep_last=4)).runs == 0, "a batch with one of the newest stays"
    assert prune.prune(url, Rule(keep_last=3)).runs == 2
    assert value(url, f"SELECT count(*) FROM batch WHERE id = '{plain}'") == 0
    assert prune.prune(url, Rule(keep_last=0)).runs == 0, "one has a name, one is not done"
    done = prune.prune(url, Rule(keep_last=0, named=True))
    assert (done.runs, done.batches) == (1, 1)
    assert len(ids(url)) == 2
    assert audit(url) == []


async def test_what_is_not_done_goes_only_if_asked_for_and_idle(url):
    store = await Store.open(url)
    failed = await finished(store, status="failed")
    stopped = await finished(store, status="interrupted")
    queued = RunSpec(id=new_run_id(), task=Task(prompt="later"), graph="single")
    await store.create_run(queued)
    await store.close()
    assert prune.prune(url, Rule(keep_last=0)).runs == 1
    assert failed not in ids(url)
    assert prune.prune(url, Rule(keep_last=0, unfinished=True)).runs == 0, "it was heard of within the hour"
    later = time.time_ns() + 2 * prune.IDLE_NS
    assert prune.prune(url, Rule(keep_last=0), now_ns=later).runs == 0
    assert set(ids(url)) == {stopped, queued.id}
    assert prune.prune(url, Rule(keep_last=0, unfinished=True), now_ns=later).runs == 2


async def test_what_waits_for_a_person_goes_by_its_age_only(url):
    store = await Store.open(url)
    waiting = await finished(store, status="waiting")
    await store.close()
    later = time.time_ns() + 2 * prune.IDLE_NS
    assert prune.prune(url, Rule(keep_last=0, unfinished=True), now_ns=later).runs == 0
    assert prune.prune(url, Rule(keep_last=0, older_than_ns=prune.IDLE_NS), now_ns=later).runs == 0
    assert ids(url) == [waiting]
    assert prune.prune(url, Rule(older_than_ns=prune.IDLE_NS, unfinished=True), now_ns=later).runs == 1


async def test_a_run_that_somebody_has_is_never_removed(url, monkeypatch):
    store = await Store.open(url)
    await finished(store)
    asked = RunSpec(id=new_run_id(), task=Task(prompt="hi"), graph="single")
    await store.create_run(asked)
    journal = await store.acquire(asked.id)
    await journal.write(intent("/a/x"))
    done = prune.prune(url, Rule(keep_last=0, unfinished=True))
    assert done == prune.Pruned(runs=1, batches=0, texts=None, text_bytes=None)
    # One that was taken up between the choice and the removal is looked at again.
    monkeypatch.setattr(prune, "_chosen", lambda *_: [asked.id])
    assert prune.prune(url, Rule(keep_last=0)).runs == 0
    await journal.write(outcome("/a/x"))
    await journal.finish(RunEnd(status="done", outcome="unverified"), 1.0)
    await store.close()
    assert ids(url) == [asked.id]
    assert audit(url) == []


async def test_texts_that_a_writer_remembers_are_left(url):
    """A process that stored a text does not store it again: while it lives nobody may take the text away."""
    store = await Store.open(url)
    await finished(store, own="the same", batch=await store.create_batch({}))
    assert prune.prune(url, Rule(keep_last=0)).texts is None
    await finished(store, own="the same")
    await store.close()
    assert audit(url) == []
    done = prune.prune(url, Rule(keep_last=0))
    assert (done.runs, done.batches, done.texts) == (1, 1, 6)
    assert value(url, "SELECT count(*) FROM batch") == 0
    assert value(url, "SELECT count(*) FROM blob") == 0


async def test_a_prune_that_is_broken_off_is_finished_by_the_next(url, three, monkeypatch):
    monkeypatch.setattr(prune, "_RUNS_AT_ONCE", 1)
    plain, times = prune._remove, []

    def breaks(*args):
        times.append(1)
        if len(times) == 2:
            raise KeyboardInterrupt
        return plain(*args)

    monkeypatch.setattr(prune, "_remove", breaks)
    with pytest.raises(KeyboardInterrupt):
        prune.prune(url, Rule(keep_last=0))
    assert ids(url) == three[:0:-1]
    assert audit(url) == []
    monkeypatch.setattr(prune, "_remove", plain)
    done = prune.prune(url, Rule(keep_last=0))
    assert done.runs == 2
    assert value(url, "SELECT count(*) FROM blob") == 0


async def test_who_is_alone_and_who_is_not(url, three):
    left = threading.Event()

    def newcomer():
        assert prune.prune(url, Rule(keep_last=2)).runs == 1
        left.set()

    with ThreadPoolExecutor() as pool:
        with alone(url) as run:
            assert run is not None
            waiting = pool.submit(newcomer)
            assert not left.wait(0.5), "who comes waits"
        waiting.result(60)
    assert len(ids(url)) == 2
    store = await Store.open(url)
    await finished(store)
    with alone(url) as run:
        assert run is None
    await store.close()

    def break_off():
        with alone(url) as run:
            run("DELETE FROM run")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert len(ids(url)) == 3

    def unknown():
        with alone(url) as run:
            run("DELETE FROM nothing")

    with pytest.raises(StoreError, match="nothing"):
        unknown()


async def test_who_waits_too_long_is_told_that_it_is_locked(url, three, monkeypatch):
    monkeypatch.setattr(connect, "ALONE_MS", 100)
    monkeypatch.setattr(connect, "BUSY_MS", 100)
    with alone(url) as run:
        assert run is not None
        with pytest.raises(StoreError) as caught:
            prune.prune(url, Rule(keep_last=0))
    assert (caught.value.code, caught.value.retryable) == ("locked", True)
    assert len(ids(url)) == 3


async def test_freed_space_is_given_back(url):
    store = await Store.open(url)
    for i in range(40):
        await finished(store, own="".join(f"{i * 7919 + j:x}" for j in range(5000)))
    await store.close()
    prune.prune(url, Rule(keep_last=1))
    before, after = vacuum(url)
    if url.startswith("sqlite"):
        assert after < before / 2
        assert store_size(url).free_bytes == 0
    assert after == store_size(url).bytes
    assert audit(url) == []


async def test_a_database_is_migrated_at_a_time_of_ones_choosing(url, tmp_path):
    if url.startswith("sqlite"):
        with pytest.raises(StoreError, match="there is no database"):
            bring_up_to_date(url)
        Path(url.removeprefix("sqlite:///")).touch()
    assert bring_up_to_date(url) == (None, HEAD)
    assert bring_up_to_date(url) == (HEAD, HEAD)
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer schema"):
        bring_up_to_date(url)


def test_a_prune_beside_a_process_at_work(tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS)
    (tmp_path / "go").touch()
    assert program("run", "best_of_n", QUESTION, *SLOW, cwd=tmp_path).status == 3
    (tmp_path / "go").unlink()
    (tmp_path / "sent.log").unlink()
    execute(f"sqlite:///{tmp_path}/runs.db", "UPDATE run SET ended_ns = ended_ns - 1")
    process = start("run", "best_of_n", QUESTION, *SLOW, cwd=tmp_path)
    until(lambda: len((tmp_path / "sent.log").read_text().splitlines() if (tmp_path / "sent.log").exists() else []) == 5)
    until(lambda: rows(tmp_path, "SELECT count(*) FROM verdict") == [(9,)])
    try:
        done = program("db", "prune", "--keep-last", "0", "--unfinished", "--yes", *STORE, "--json", cwd=tmp_path)
        assert done.data == {"dry_run": False, "runs": 1, "batches": 0, "texts": None, "text_bytes": None}
        process.send_signal(2)
        assert ended(process).status == 130
    finally:
        kill(process)
    (tmp_path / "go").touch()
    assert program("runs", "resume", "--all", *STORE, cwd=tmp_path).status == 0
    assert rows(tmp_path, "SELECT count(*) FROM verdict") == [(6,)]
    assert audit(f"sqlite:///{tmp_path}/runs.db") == []


def test_the_command_line_asks_before_it_removes(burnish):
    for _ in range(3):
        burnish("run", "single", QUESTION, *RIGHT, "--json")
    refused = burnish("db", "prune", "--keep-last", "1")
    assert (refused.status, "removes 2 runs" in refused.err, "--yes" in refused.err) == (2, True, True)
    assert burnish("db", "prune").status == 2
    assert burnish("db", "prune", "--older-than", "old").status == 2
    assert "would remove: 2 runs, 0 batches" in burnish("db", "prune", "--keep-last", "1", "--dry-run").err
    done = burnish("db", "prune", "--keep-last", "1", "--yes", "--json").data
    assert (done["runs"], done["batches"], done["texts"]) == (2, 0, 0)
    assert len(burnish("runs", "--json").data) == 1
    assert "burnish db vacuum" in burnish("db", "prune", "--keep-last", "0", "--yes").err


def test_every_command_gives_one_envelope(burnish):
    for command in (("stats",), ("check",), ("migrate",), ("vacuum",), ("prune", "--keep-last", "1", "--yes")):
        missing = burnish("db", *command, "--json")
        assert (missing.status, missing.error["kind"]) == (6, "missing")
    assert not Path("burnish.db").exists()
    burnish("run", "single", QUESTION, *RIGHT, "--json")
    stats = burnish("db", "stats", "--json").data
    assert burnish("db", "--json").data["tables"] == stats["tables"]
    assert {t["name"]: t["rows"] for t in stats["tables"]}["run"] == 1
    assert burnish("db", "check", "--json").data == {"whole": True, "findings": []}
    assert burnish("db", "migrate", "--json").data == {"before": HEAD, "after": HEAD}
    assert set(burnish("db", "vacuum", "--json").data) == {"before", "after"}
    for command in (("stats",), ("check",), ("migrate",), ("vacuum",)):
        plain = burnish("db", *command)
        assert (plain.status, "{" in plain.out) == (0, False)
    assert "run " in burnish("db", "stats").out
    assert json.loads(burnish("db", "check", "--quick", "--json").out)["data"]["whole"] is True


def test_a_rule_has_to_say_something():
    with pytest.raises(ConfigError, match="which runs are to go"):
        Rule(unfinished=True, named=True)


def test_sizes_are_told_for_people():
    assert [_bytes(n) for n in (None, 0, 999, 1000, 1_500_000, 10**16)] == [
        "-",
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "10,000.0 TB",
    ]


def test_ten_thousand_runs_are_pruned(burnish):
    import asyncio

    asyncio.run(many_runs(10_000))
    database = sqlite3.connect("burnish.db")
    database.execute("UPDATE run SET status = 'done', ended_ns = created_ns")
    database.execute("UPDATE batch SET name = ''")
    database.commit()
    database.close()
    assert burnish("db", "prune", "--keep-last", "10", "--yes", "--json").data["runs"] == 4995
