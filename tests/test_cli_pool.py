"""Pools from the command line: drawn, gone on with, listed, shown, compared on."""

import asyncio
import json
import re
import shlex
import signal
import sqlite3
import textwrap
from pathlib import Path

import pytest

from burnish import ConfigError
from burnish.cli.task_source import listed_tasks
from tests.cli_kit import burnish as burnish
from tests.cli_kit import ended, kill, program, start, until

SCRIPTED = ("--engine", "scripted")
TASKS = [
    {"id": f"t{i}", "prompt": f"What is {i} + 40?", "reference": i + 40, "verifier": "regex:^[0-9]+$", "grader": "numeric"}
    for i in range(4)
]


def write(tasks=TASKS, name="tasks.jsonl"):
    Path(name).write_text("".join(json.dumps(t) + "\n" for t in tasks))
    return ("--tasks", name)


def calls(folder=Path()):
    with sqlite3.connect(folder / "burnish.db") as connection:
        found = connection.execute("SELECT count(*), sum(attempts) FROM call WHERE state = 'ok'").fetchone()
    connection.close()
    return found


def test_a_pool_is_drawn_once(burnish):
    draw = ("pool", "draw", "sums", *write(), "-k", "3", *SCRIPTED)
    first = burnish(*draw)
    assert first.status == 0
    assert first.out == "the pool 'sums' has 3 samples of each of 4 tasks; look: burnish pool show sums\n"
    assert "drawn by this command: 4 tasks" in first.err
    assert calls() == (12, 12)
    again = burnish(*draw)
    assert (again.status, again.out) == (0, first.out)
    assert "it was finished before: nothing was drawn" in again.err
    data = burnish(*draw, "--json").data
    assert (data["name"], data["tasks"], data["drawn"], data["failed"], data["finished"]) == ("sums", 4, 0, [], True)
    assert calls() == (12, 12)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-k", "2"), "k=3, not 2"),
        (("--set", "max_tokens=9"), "other settings: max_tokens=512"),
        (("--seed", "1"), "the seed 0, not 1"),
        (("--limit", "2"), "other tasks"),
        (("--model", "another"), "another engine: scripted, not scripted another"),
        (("--engine-arg", "accuracy=1"), "another engine"),
    ],
)
def test_another_pool_of_that_name_is_refused(burnish, flags, message):
    draw = ("pool", "draw", "sums", *write(), "-k", "3", *SCRIPTED)
    assert burnish(*draw).status == 0
    refused = burnish(*draw, *flags, "--json")
    assert (refused.status, refused.error["kind"]) == (2, "config")
    assert message in refused.error["message"]
    assert calls() == (12, 12)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "no tasks are given"),
        (("--tasks", "tasks.jsonl", "--benchmark", "micro"), "both a tasks file and a task set"),
        (("--benchmark", "nonsense"), "no task set is called 'nonsense'"),
        (("--tasks", "nowhere.jsonl"), "cannot be read"),
        (("--tasks", "tasks.jsonl", "--set", "n=4"), "no setting of a pool"),
        (("--tasks", "tasks.jsonl", "--set", "verifier=exact"), "draw has no setting 'verifier'"),
        (("--tasks", "tasks.jsonl", "-k", "0"), "greater than or equal to 1"),
    ],
)
def test_what_makes_no_pool_is_said_before_anything_starts(burnish, flags, message):
    write()
    refused = burnish("pool", "draw", "p", *flags, *SCRIPTED)
    assert refused.status == 2
    assert message in refused.err
    assert not Path("burnish.db").exists()


def test_listing_and_showing(burnish):
    for name, k in (("one", "2"), ("two", "8")):
        assert burnish("pool", "draw", name, *write(), "-k", k, "--seed", "3", *SCRIPTED).status == 0
    listed = burnish("pool", "--json").data
    assert [(p["name"], p["tasks"], p["done"], p["k"], p["seed"]) for p in listed] == [("two", 4, 4, 8, 3), ("one", 4, 4, 2, 3)]
    plain = burnish("pool", "list").out.splitlines()
    assert re.match(r"two +\d{4}-\d\d-\d\d [\d:]+ +4 of 4 +8$", plain[1])
    data = burnish("pool", "show", "two", "--json").data
    assert (data["engine"]["model"], data["samples"], data["k"], data["lost"]) == ("scripted", 32, 8, 0)
    assert list(data["pass_at"]) == list(data["majority_at"]) == ["1", "2", "4", "8"]
    assert data["pass_at"]["1"] == data["majority_at"]["1"]
    assert data["mean_logprob"] < 0
    shown = burnish("pool", "show", "two").out
    for part in ("pool two: scripted scripted, seed 3", "4 tasks, 32 samples (k = 8)", "PASS@K", "log-probability"):
        assert part in shown
    missing = burnish("pool", "show", "three", "--json")
    assert (missing.status, missing.error["hint"]) == (2, "one of: two, one")
    assert burnish("pool", "show", "one", "--store", "sqlite:///nowhere.db").status == 6


def test_methods_are_compared_on_it(burnish):
    assert burnish("pool", "draw", "p", *write(), "-k", "4", *SCRIPTED).status == 0
    before = calls()
    done = burnish("compare", "single", "majority:n=4", "best_of_n:n=4,verifier=grader", "--pool", "p", "--orders", "5", "--json")
    assert done.status == 0
    arms = {a["name"]: a for a in done.data["arms"]}
    shown = burnish("pool", "show", "p", "--json").data
    assert arms["best_of_n:n=4,verifier=grader"]["accuracy"]["value"] == shown["pass_at"]["4"]["value"]
    assert calls() == before
    assert burnish("compare", "single", "--pool", "p", "--model", "another").status == 2


def test_failed_calls_are_missing_samples(burnish):
    done = burnish("pool", "draw", "p", *write(), "-k", "4", *SCRIPTED, "--engine-arg", "failures=0.4")
    assert done.status == 0
    lost = burnish("pool", "show", "p", "--json").data["lost"]
    assert lost > 0
    assert f"{lost} call" in done.err


def test_an_engine_without_log_probabilities_is_told_of_the_way_out(burnish):
    code = "from burnish import ScriptedEngine\nfrom burnish.core.engine import Capabilities\n"
    Path("plain.py").write_text(code + "def engine():\n    return ScriptedEngine('42', capabilities=Capabilities())\n")
    draw = ("pool", "draw", "p", *write(), "--engine", "plain.py:engine")
    refused = burnish(*draw)
    assert refused.status == 5
    assert "without them: --set logprobs=false" in refused.err
    assert burnish(*draw, "--set", "logprobs=false").status == 0


def test_hostile_names_and_answers_reach_no_terminal(burnish):
    Path("replies.py").write_text("REPLIES = '\\x1b]0;owned\\x07 42'\n")
    name = "\x1b[2Jp"
    for arguments in (
        ("draw", name, *write(), *SCRIPTED, "--engine-arg", "replies=replies.py:REPLIES"),
        ("show", name),
        ("list",),
        ("show", "\x1b[31m"),
    ):
        done = burnish("pool", *arguments)
        assert "\x1b" not in done.out + done.err


SLOW = (*SCRIPTED, "--engine-arg", "latency=0.2", "--concurrency", "1")


def test_a_killed_draw_goes_on_where_it_was(tmp_path):
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in TASKS))
    draw = ("pool", "draw", "p", "--tasks", "tasks.jsonl", "-k", "2", *SLOW)
    process = start(*draw, cwd=tmp_path)
    until(lambda: (tmp_path / "burnish.db").exists() and _done(tmp_path) >= 1)
    kill(process)
    unfinished = program("pool", "show", "p", cwd=tmp_path)
    assert unfinished.status == 2
    assert "is unfinished" in unfinished.err
    done = program(*draw, "--json", cwd=tmp_path)
    assert done.status == 0, done.err
    assert 1 <= done.data["drawn"] <= 3
    good, attempts = calls(tmp_path)
    assert good == 8
    assert attempts <= 10  # At most the two in flight were sent again.
    assert program("pool", "show", "p", "--json", cwd=tmp_path).data["samples"] == 8


def test_an_interrupted_draw_says_how_to_go_on(tmp_path):
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in TASKS))
    draw = ("pool", "draw", "p", "--tasks", "tasks.jsonl", "-k", "2", *SLOW)
    process = start(*draw, cwd=tmp_path)
    until(lambda: (tmp_path / "burnish.db").exists() and _done(tmp_path) >= 1)
    process.send_signal(signal.SIGINT)
    stopped = ended(process)
    assert stopped.status == 130
    assert "go on with it: the same command again" in stopped.err
    assert program(*draw, cwd=tmp_path).status == 0


def _done(folder):
    connection = sqlite3.connect(folder / "burnish.db")
    try:
        return connection.execute("SELECT count(*) FROM run WHERE status = 'done'").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def test_a_subset_of_a_file_begins_with_the_smaller_one(tmp_path):
    file = tmp_path / "tasks.jsonl"
    file.write_text("".join(json.dumps({"id": str(i), "prompt": f"{i}?"}) + "\n" for i in range(30)))
    every = listed_tasks(str(file), None, None, None, 0)
    assert [t.id for t in every] == [str(i) for i in range(30)]
    five, ten = (listed_tasks(str(file), None, "ignored", n, 0) for n in (5, 10))
    assert ten[:5] == five
    assert [t.id for t in listed_tasks(str(file), None, None, 10, 1)] != [t.id for t in ten]
    assert len(listed_tasks(str(file), None, None, 99, 0)) == 30
    assert [t.id for t in listed_tasks(None, "micro", None, 3, 0)] == [t.id for t in listed_tasks(None, "micro", None, 5, 0)][:3]
    with pytest.raises(ConfigError):
        listed_tasks(str(file), None, None, 0, 0)


def test_the_document_shows_what_happens(burnish):
    text = (Path(__file__).parent.parent / "docs" / "pools.md").read_text()
    Path("tasks.jsonl").write_text(re.search(r"```json\n(.*?)```", text, re.S)[1])
    sessions = re.findall(r"((?:^    .*\n|^\n(?=    ))+)", text, re.M)
    shown = [s for s in sessions if s.lstrip().startswith("$ burnish")]
    assert len(shown) >= 3
    for block in shown:
        command, _, output = block.strip("\n").replace("    ", "", 1).partition("\n")
        done = burnish(*shlex.split(command.removeprefix("$ burnish ")))
        assert done.status == 0, done.err
        expected = "\n".join(line.removeprefix("    ").rstrip() for line in output.splitlines()).strip()
        assert done.out.strip().startswith(expected), done.out
    found = {}
    code = re.search(r"```python\n(.*?)```", text, re.S)[1]
    exec("async def main():\n" + textwrap.indent(code, "    ") + "    return trials\n", found)
    trials = asyncio.run(found["main"]())
    assert [len(t) for t in trials.values()] == [60, 60]
