"""A batch on the real engine from the command line: killed in the middle, nothing is left running, and it goes on."""

import json
import sqlite3
import time

import psutil
import pytest

from burnish.bench.microtasks import tasks
from tests.cli_kit import Done, kill, start
from tests.helpers import rows

pytestmark = pytest.mark.vllm


def finished(folder):
    """Calls with a result, as they were recorded."""
    try:
        return set(rows(folder, "SELECT id, attempts, ended_seq, text_sha FROM call WHERE state = 'ok'"))
    except sqlite3.OperationalError:
        return set()


def test_a_killed_batch_leaves_no_engine_behind_and_goes_on(tmp_path):
    lines = [json.dumps(t.to_json()) for family in ("three_words", "json_person") for t in tasks(family, 2, 6)]
    (tmp_path / "tasks.jsonl").write_text("\n".join(lines))
    store = {"BURNISH_STORE": f"sqlite:///{tmp_path}/runs.db"}
    # Few calls at a time are slow enough to be killed in the middle.
    slow = ("--set", "n=8", "--set", "stop_at_pass=false", "--set", "width=1", "--concurrency", "2")
    engine = ("--engine-arg", "max_model_len=1024")
    child = start("run", "best_of_n", "--tasks", "tasks.jsonl", *slow, *engine, cwd=tmp_path, **store)
    deadline = time.monotonic() + 240
    while len(finished(tmp_path)) < 10:
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline, "the engine did not get going"
        time.sleep(0.05)
    family = psutil.Process(child.pid).children(recursive=True)
    assert family
    kill(child)
    before = finished(tmp_path)
    assert len(before) < 96
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == [], "an engine process outlived its owner"

    child = start("runs", "resume", "--all", "--json", cwd=tmp_path, **store)
    out, err = child.communicate(timeout=300)
    done = Done(child.returncode, out, err)
    assert done.status == 0, done.err
    assert all(r["error"] is None for r in done.data["results"])
    assert before <= finished(tmp_path), "a finished call was made again"
    assert rows(tmp_path, "SELECT status, count(*) FROM run GROUP BY status") == [("done", 12)]
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE state = 'ok'") == [(96,)]
