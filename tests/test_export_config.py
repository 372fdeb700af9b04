"""A run's configuration as a file: running it gives the same run."""

import asyncio
import json
from pathlib import Path

import pytest

from burnish import ScriptedEngine, Task
from tests.cli_kit import burnish as burnish
from tests.helpers import session

TASKS = [
    {
        "id": f"t{n}",
        "prompt": f"What is 17 + {n}?",
        "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
        "reference": 17 + n,
        "verifier": {"name": "numeric", "abs_tol": 0.5},
        "grader": "numeric",
        "sampling": {"max_tokens": 32},
        "metadata": {"level": 1},
    }
    for n in (25, 30)
]
HOW = (
    "--engine",
    "scripted",
    "--engine-arg",
    "accuracy=0.4",
    "--set",
    "n=3",
    "--set",
    "stop_at_pass=false",
    "--budget",
    "calls=9",
)


@pytest.fixture
def batch(burnish):
    """Two runs of a batch, whose seeds derive from the batch's."""
    Path("tasks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in TASKS))
    made = burnish("run", "best_of_n", "--tasks", "tasks.jsonl", *HOW, "--budget", "calls=9", "--seed", "7", "--json").data
    return [result["run_id"] for result in made["results"]]


def test_running_it_gives_the_same_run(burnish, batch):
    for run_id in batch:
        name = f"{run_id}.json"
        assert burnish("runs", "export-config", run_id[-8:], "--out", name).status == 0
        # The project's defaults do not change it.
        Path("burnish.toml").write_text('verifier = "regex:x"\nseed = 99\n[graphs.best_of_n]\nn = 9\n[budget]\ncalls = 1\n')
        again = burnish("run", name, "--json")
        assert again.status in (0, 3), again.err
        compared = burnish("runs", "diff", run_id, again.data["run_id"], "--json").data
        assert (compared["same"], compared["facts"]) == (True, {})
        Path("burnish.toml").unlink()


def test_flags_change_it(burnish, batch):
    assert burnish("runs", "export-config", batch[0], "-o", "run.json").status == 0
    more = burnish(
        "run", "run.json", "--set", "n=5", "--seed", "3", "--engine-arg", "accuracy=1.0", "--verifier", "none", "--json"
    )
    assert (more.data["usage"]["calls"], more.data["answer"], more.data["outcome"]) == (5, "42", "unverified")
    shown = burnish("runs", "show", more.data["run_id"], "--json").data
    assert shown["run"]["seed"] == 3
    assert shown["engines"]["default"]["recipe"]["args"]["accuracy"] == "1.0"
    less = burnish("run", "run.json", "--budget", "calls=2", "--json")
    assert (less.data["budget_limit"], less.data["usage"]["calls"]) == ("calls", 2)
    other = burnish("run", "run.json", "--engine", "scripted", "--json")
    assert burnish("runs", "show", other.data["run_id"], "--json").data["engines"]["default"]["recipe"]["args"] == {}


def test_it_stands_on_stdout_and_is_never_written_over(burnish, batch):
    printed = burnish("runs", "export-config", batch[0]).out
    value = json.loads(printed)
    assert (value["graph"], value["task"], value["run"]) == ("best_of_n", TASKS[0], batch[0])
    assert burnish("runs", "export-config", batch[0], "-o", "run.json").status == 0
    assert Path("run.json").read_text() == printed
    assert Path("run.json").stat().st_mode & 0o777 == 0o600
    for wrong in ("run.json", "run.toml", "nowhere/run.json"):
        assert burnish("runs", "export-config", batch[0], "-o", wrong).status == 2
    assert Path("run.json").read_text() == printed


def test_what_cannot_be_run_as_it_is_is_said(tmp_path, burnish):
    task = Task(prompt="go", verifier={"name": "regex", "pattern": "sk-" + "a" * 20})

    async def runs():
        async with session(tmp_path, engine=ScriptedEngine("x")) as s:
            made = await s.run("best_of_n", task, settings={"n": 1})
            return made, await s.fork(made.run_id, "search", verifier="regex:x")

    made, forked = asyncio.run(runs())
    store = ("--store", f"sqlite:///{tmp_path}/runs.db")
    told = burnish("runs", "export-config", made.run_id, *store)
    assert told.status == 0
    assert "--engine NAME" in told.err
    assert "[redacted]" in told.err
    assert "begins with nothing" in burnish("runs", "export-config", forked.run_id, "-o", "run.json", *store).err
    assert burnish("run", "run.json").status == 2
    assert burnish("run", "run.json", "--engine", "scripted", "--engine-arg", "accuracy=1").out.strip() == "go"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: "[" * 100_000, "no JSON"),
        (lambda v: "[1]", "no configuration"),
        (lambda v: json.dumps({**v, "burnish_run": 2}), "no configuration"),
        (lambda v: json.dumps({**v, "sed": 3}), "unknown key 'sed'"),
        (lambda v: json.dumps({**v, "seed": True}), "seed is missing"),
        (lambda v: json.dumps({**v, "task": {}}), "'prompt'"),
        (lambda v: json.dumps({**v, "budget": {"cals": 3}}), "cals"),
        (lambda v: json.dumps({**v, "settings": {"m": 3}}), "no setting"),
        (lambda v: json.dumps({**v, "engines": {"default": None}}), "not stored"),
        (lambda v: json.dumps({**v, "task": {"prompt": "x", "verifier": "nosuch"}}), "nosuch"),
    ],
)
def test_files_that_are_none(burnish, change, told):
    run_id = burnish("run", "single", "go", "--engine", "scripted", "--json").data["run_id"]
    Path("run.json").write_text(change(json.loads(burnish("runs", "export-config", run_id).out)))
    done = burnish("run", "run.json", "--json")
    assert done.status == 2
    assert told in done.error["message"]


def test_what_does_not_go_with_it(burnish):
    assert burnish("run", "none.json").status == 2
    assert burnish("run", "none.json", "a prompt").status == 2
