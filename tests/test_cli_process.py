"""The real program in a process of its own: killed, interrupted, piped, and how little it imports."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.traces.migrate import HEAD
from tests.cli_kit import ended, environment, kill, program, start, until
from tests.helpers import rows

QUESTION = "What is 17 + 25?"
HANGS = """
import itertools
from pathlib import Path

from burnish.engine.replies import Reply

calls = itertools.count()


def reply(call):
    # Three calls are answered at once; the others never, unless there is a file `go`.
    return Reply("41", latency=0.0 if next(calls) < 3 or Path("go").exists() else 600.0)
"""
ENGINE = ("--engine", "scripted", "--engine-arg", "replies=hangs.py:reply", "--engine-arg", "log=sent.log")
STORE = ("--store", "sqlite:///runs.db")
SLOW = (*ENGINE, *STORE, "--verifier", "numeric", "--reference", "42", "--set", "n=6", "--set", "width=2")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS)
    return tmp_path


def hanging(folder: Path) -> bool:
    """Whether three calls are through and the next two hang."""
    return len(sent(folder)) == 5 and judged(folder) == 3


def sent(folder: Path) -> list[str]:
    """Requests that reached the engine."""
    log = folder / "sent.log"
    return log.read_text().splitlines() if log.exists() else []


def judged(folder: Path) -> int:
    return rows(folder, "SELECT count(*) FROM verdict")[0][0]


def test_a_killed_run_goes_on_where_it_was(folder):
    process = start("run", "best_of_n", QUESTION, *SLOW, cwd=folder)
    until(lambda: hanging(folder))
    kill(process)
    ((run_id, status),) = rows(folder, "SELECT id, status FROM run")
    assert status == "running"
    assert "killed" in program("runs", *STORE, cwd=folder).out
    (folder / "go").touch()
    resumed = program("runs", "resume", run_id[-8:], *STORE, "--json", cwd=folder)
    assert resumed.status == 3
    assert resumed.data["outcome"] == "rejected"
    assert resumed.data["usage"]["verdicts"] == 6 == judged(folder)
    assert rows(folder, "SELECT count(*) FROM call WHERE state = 'ok'") == [(6,)]
    # The two that were in flight when it was killed were sent twice, and no others.
    assert len(sent(folder)) == 8


def test_the_first_signal_stops_in_order_and_the_run_can_go_on(folder):
    process = start("run", "best_of_n", QUESTION, *SLOW, "--json", cwd=folder)
    until(lambda: hanging(folder))
    process.send_signal(signal.SIGINT)
    stopped = ended(process)
    assert stopped.status == 130
    assert stopped.error["kind"] == "cancelled"
    run_id = stopped.error["run_id"]
    assert f"burnish runs resume {run_id[-8:]}" in stopped.error["hint"]
    assert rows(folder, "SELECT status FROM run") == [("interrupted",)]
    (folder / "go").touch()
    resumed = program("runs", "resume", "--all", *STORE, "--json", cwd=folder)
    assert resumed.status == 0
    assert [r["run_id"] for r in resumed.data["results"]] == [run_id]
    assert judged(folder) == 6


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


def test_an_interrupted_batch_says_what_is_left(folder):
    (folder / "tasks.jsonl").write_text("".join(f'{{"prompt": "What is {i} + 1?"}}\n' for i in range(6)))
    process = start("run", "single", "--tasks", "tasks.jsonl", *ENGINE, *STORE, "--concurrency", "1", cwd=folder)
    until(lambda: len(sent(folder)) == 4)
    process.send_signal(signal.SIGTERM)
    stopped = ended(process)
    assert stopped.status == 130
    assert "4 runs: 3 unverified, 1 interrupted" in stopped.err
    assert "2 not begun" in stopped.err
    batch = next(line.split()[1] for line in stopped.err.splitlines() if line.startswith("batch "))
    assert f"burnish runs resume --batch {batch[-8:]}" in stopped.err
    (folder / "go").touch()
    resumed = program("runs", "resume", "--batch", batch, *STORE, "--json", cwd=folder)
    assert resumed.status == 0
    assert len(resumed.data["results"]) == 3
    assert rows(folder, "SELECT count(*) FROM run WHERE status = 'done'") == [(6,)]


def test_a_run_that_another_process_has_is_refused(folder):
    process = start("run", "best_of_n", QUESTION, *SLOW, cwd=folder)
    try:
        until(lambda: hanging(folder))
        ((run_id,),) = rows(folder, "SELECT id FROM run")
        refused = program("runs", "resume", run_id, *STORE, "--json", cwd=folder)
        assert (refused.status, refused.error["kind"]) == (7, "fenced")
        left = program("runs", "resume", "--all", *STORE, "--json", cwd=folder)
        assert (left.status, left.data["results"]) == (0, [])
        assert "1 run" in left.err
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
