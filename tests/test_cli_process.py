"""The real program in a process of its own: killed, interrupted, piped, and how little it imports."""

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.traces.migrate import HEAD
from tests.cli_kit import ended, environment, kill, program, start, until
from tests.helpers import rows

QUESTION = "What is 17 + 25?"
SLOW = (
    *("--engine", "scripted", "--engine-arg", "accuracy=0", "--engine-arg", "latency=0.4", "--engine-arg", "log=sent.log"),
    *("--verifier", "numeric", "--reference", "42", "--set", "n=6", "--set", "width=2", "--store", "sqlite:///runs.db"),
)


def sent(folder: Path) -> list[str]:
    """Requests that reached the engine."""
    log = folder / "sent.log"
    return log.read_text().splitlines() if log.exists() else []


def judged(folder: Path) -> int:
    return rows(folder, "SELECT count(*) FROM verdict")[0][0]


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    process = start("run", "best_of_n", QUESTION, *SLOW, cwd=tmp_path)
    until(lambda: (tmp_path / "runs.db").exists() and len(sent(tmp_path)) >= 3 and judged(tmp_path) >= 2)
    kill(process)
    before = judged(tmp_path)
    ((run_id, status),) = rows(tmp_path, "SELECT id, status FROM run")
    assert status == "running"
    store = ("--store", "sqlite:///runs.db")
    assert "killed" in program("runs", *store, cwd=tmp_path).out
    resumed = program("runs", "resume", run_id[-8:], *store, "--json", cwd=tmp_path)
    assert resumed.status == 3
    assert resumed.data["outcome"] == "rejected"
    assert resumed.data["usage"]["verdicts"] == 6 == judged(tmp_path)
    assert before < 6
    finished = rows(tmp_path, "SELECT count(*) FROM call WHERE state = 'ok'")[0][0]
    assert finished == 6
    # Two were in flight when it was killed: they, and no others, were sent twice.
    assert 6 <= len(sent(tmp_path)) <= 8


def test_the_first_signal_stops_in_order_and_the_run_can_go_on(tmp_path):
    process = start("run", "best_of_n", QUESTION, *SLOW, "--json", cwd=tmp_path)
    until(lambda: len(sent(tmp_path)) >= 3)
    process.send_signal(signal.SIGINT)
    stopped = ended(process)
    assert stopped.status == 130
    assert stopped.error["kind"] == "cancelled"
    run_id = stopped.error["run_id"]
    assert f"burnish runs resume {run_id[-8:]}" in stopped.error["hint"]
    assert rows(tmp_path, "SELECT status FROM run") == [("interrupted",)]
    resumed = program("runs", "resume", "--all", "--store", "sqlite:///runs.db", "--json", cwd=tmp_path)
    assert resumed.status == 0
    assert [r["run_id"] for r in resumed.data["results"]] == [run_id]
    assert judged(tmp_path) == 6


def test_the_second_signal_ends_at_once(tmp_path):
    (tmp_path / "blocks.py").write_text(BLOCKS)
    flags = ("--engine", "scripted", "--store", "sqlite:///runs.db")
    process = start("run", "blocks.py:graph", "hi", *flags, cwd=tmp_path)
    until((tmp_path / "blocked").exists)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGINT)
    assert ended(process).status == 130


def test_an_interrupted_batch_says_what_is_left(tmp_path):
    (tmp_path / "tasks.jsonl").write_text("".join(f'{{"prompt": "What is {i} + 1?"}}\n' for i in range(6)))
    process = start("run", "single", "--tasks", "tasks.jsonl", *SLOW[:8], "--concurrency", "1", cwd=tmp_path)
    until(lambda: len(sent(tmp_path)) >= 2)
    process.send_signal(signal.SIGTERM)
    stopped = ended(process)
    assert stopped.status == 130
    assert " not begun" in stopped.err
    batch = next(line.split()[1] for line in stopped.err.splitlines() if line.startswith("batch "))
    assert f"burnish runs resume --batch {batch[-8:]}" in stopped.err
    resumed = program("runs", "resume", "--batch", batch, "--json", cwd=tmp_path)
    assert resumed.status == 0
    assert len(resumed.data["results"]) >= 4
    with sqlite3.connect(tmp_path / "burnish.db") as connection:
        assert connection.execute("SELECT count(*) FROM run WHERE status = 'done'").fetchone() == (6,)
    connection.close()


def test_a_run_that_another_process_has_is_refused(tmp_path):
    process = start("run", "best_of_n", QUESTION, *SLOW, cwd=tmp_path)
    try:
        until(lambda: len(sent(tmp_path)) >= 1)
        ((run_id,),) = rows(tmp_path, "SELECT id FROM run")
        refused = program("runs", "resume", run_id, "--store", "sqlite:///runs.db", "--json", cwd=tmp_path)
        assert (refused.status, refused.error["kind"]) == (7, "fenced")
    finally:
        kill(process)


def test_redirected_output_has_no_control_codes_and_no_progress_bar(tmp_path):
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "What is 1 + 1?"}\n{"prompt": "What is 1 + 2?"}\n')
    batch = program("run", "single", "--tasks", "tasks.jsonl", "--engine", "scripted", cwd=tmp_path, FORCE_COLOR="1")
    assert batch.status == 0
    assert "\x1b" not in batch.out + batch.err
    assert "\r" not in batch.out + batch.err
    assert "[2/2]" in batch.err


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    script = "from burnish.cli.main import invoke, main; import os; os.close(0); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "graphs", "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == b""


def test_help_and_version_are_light(tmp_path):
    code = (
        "import json, sys\n"
        "from burnish.cli.main import invoke\n"
        "status = invoke(sys.argv[1:])\n"
        "print(json.dumps([status, sorted(sys.modules)]))\n"
    )
    heavy = {"alembic", "langgraph", "litellm", "openai", "rich", "sqlalchemy", "torch", "transformers", "vllm"}
    for arguments in (["--help"], ["--version"], ["run", "--help"], ["runs", "list", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        status, modules = json.loads(done.stdout.splitlines()[-1])
        assert status == 0
        assert heavy & set(modules) == set()
    assert program("--version", cwd=tmp_path).out == f"burnish 0.1.0 (store schema {HEAD})\n"


BLOCKS = """
import pathlib
import time
from typing import TypedDict
from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    prompt: str
    answer: str


def graph():
    async def block(state: State) -> State:
        pathlib.Path("blocked").touch()
        time.sleep(60)
        return {"answer": "late"}

    builder = StateGraph(State)
    builder.add_node("block", block)
    builder.add_edge(START, "block")
    builder.add_edge("block", END)
    return builder
"""
