"""`burnish compare` from the command line: tables and JSON, going on after a kill, what is refused."""

import contextlib
import json
import random
import sqlite3
from pathlib import Path

import pytest

from tests.cli_kit import burnish as burnish
from tests.cli_kit import ended, kill, program, start, until

ENGINE = ("--engine", "scripted", "--engine-arg", "accuracy=0.5")
ARMS = ("single", "majority:n=3", "oracle=best_of_n:n=4,verifier=grader")


def write_tasks(folder: Path, n: int = 10, **more: object) -> str:
    draw = random.Random(5)
    lines = []
    for i in range(n):
        a, b = draw.randrange(50), draw.randrange(50)
        task = {
            "id": f"t{i}",
            "prompt": f"What is {a} + {b}?",
            "reference": a + b,
            "grader": "numeric",
            "verifier": "regex:[0-9]",
        }
        lines.append(json.dumps({**task, "extract": "last_number", **more}))
    (folder / "tasks.jsonl").write_text("\n".join(lines))
    return "tasks.jsonl"


def test_the_tables_say_what_the_json_says(burnish, tmp_path):
    tasks = write_tasks(tmp_path)
    run = burnish("compare", *ARMS, "--tasks", tasks, *ENGINE, "--name", "sums")
    assert run.status == 0, run.err
    assert "10 tasks with 1 run each can show a difference of about" in run.err
    data = burnish("compare", "--name", "sums", "--json").data
    single, majority, oracle = data["arms"]
    assert [a["name"] for a in data["arms"]] == ["single", "majority:n=3", "oracle"]
    assert oracle["accuracy"]["value"] > single["accuracy"]["value"]
    assert single["cost"]["samples"] == 1
    assert majority["cost"]["samples"] == 3
    assert oracle["verification"]["accepted_wrong"] == 0
    for arm in data["arms"]:
        line = next(line for line in run.out.splitlines() if line.startswith(arm["name"] + " "))
        assert f"{arm['right']}/10" in line
    assert data["plan"]["arms"][2]["verifier"] == "grader"
    assert any("scripted" in m for m in data["models"])


def test_the_same_command_costs_nothing_the_second_time(burnish, tmp_path):
    tasks = write_tasks(tmp_path)
    command = ("compare", *ARMS, "--tasks", tasks, *ENGINE, "--json")
    first, second = burnish(*command), burnish(*command)
    assert first.data == second.data
    assert "arms" not in second.err
    with sqlite3.connect("burnish.db") as db:
        assert db.execute("SELECT count(*) FROM batch").fetchone() == (3,)


def test_a_killed_comparison_goes_on(tmp_path):
    tasks = write_tasks(tmp_path, 30)
    slow = ("--engine", "scripted", "--engine-arg", "accuracy=0.5", "--engine-arg", "latency=0.2")
    arguments = ("compare", *ARMS, "--tasks", tasks, *slow, "--name", "sums")
    process = start(*arguments, cwd=tmp_path)

    def half() -> bool:
        path = tmp_path / "burnish.db"
        if not path.exists():
            return False
        with sqlite3.connect(path) as db:
            try:
                return db.execute("SELECT count(*) FROM verdict").fetchone()[0] > 45
            except sqlite3.OperationalError:
                return False

    until(half)
    kill(process)
    again = program(*arguments, "--json", cwd=tmp_path)
    assert again.status == 0, again.err
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    write_tasks(undisturbed, 30)
    whole = program(*arguments, "--json", cwd=undisturbed)
    for ours, theirs in zip(again.data["arms"][:2], whole.data["arms"][:2], strict=True):
        assert (ours["right"], ours["by_group"], ours["pass_at"]) == (theirs["right"], theirs["by_group"], theirs["pass_at"])
        assert ours["runs"] == 30


def test_two_processes_at_one_comparison_do_not_call_each_other_a_failure(burnish, tmp_path):
    slow = ("--engine", "scripted", "--engine-arg", "latency=4")
    arguments = ("compare", "single", "--tasks", write_tasks(tmp_path, 1), *slow, "--name", "sums")
    first = start(*arguments, cwd=tmp_path)

    def begun() -> bool:
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(tmp_path / "burnish.db")) as db:
            return db.execute("SELECT count(*) FROM run WHERE status = 'running'").fetchone() == (1,)
        return False

    until(begun)
    second = burnish(*arguments)
    assert second.status == 7
    assert "another process is at work on 1 run of it" in second.err
    assert "failed" not in second.err
    assert "sums: 1 arm, 1 task, 1 seed\n" in second.err
    assert ended(first).status == 0
    assert burnish(*arguments).status == 0


def test_a_picture_is_written(burnish, tmp_path):
    pytest.importorskip("matplotlib")
    run = burnish("compare", *ARMS, "--tasks", write_tasks(tmp_path), *ENGINE, "--plot", "a.svg")
    assert run.status == 0
    assert "<svg" in Path("a.svg").read_text()
    assert "written: a.svg" in run.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("single",), "tasks"),
        ((), "nothing to compare"),
        (("--name", "unknown"), "no comparison called 'unknown'"),
        (("--tasks", "tasks.jsonl"), "nothing to compare"),
        (("single", "single", "--tasks", "tasks.jsonl"), "two arms"),
        (("best_of_n:m=3", "--tasks", "tasks.jsonl"), "no setting 'm'"),
        (("sinle", "--tasks", "tasks.jsonl"), "no graph 'sinle'"),
        (("single", "--tasks", "nowhere.jsonl"), "cannot be read"),
        (("single", "--tasks", "tasks.jsonl", "--benchmark", "micro"), "both"),
        (("single", "--benchmark", "mirco"), "mirco"),
        (("single", "--tasks", "tasks.jsonl", "--baseline", "other"), "no arm is called 'other'"),
        (("single", "--tasks", "tasks.jsonl", "--budget", "calls=0"), "nothing could start"),
        (("single:budget.calls=0", "--tasks", "tasks.jsonl"), "nothing could start"),
        (("single", "--tasks", "tasks.jsonl", "--plot", "a.gif"), ".png or .svg"),
        (("single", "--tasks", "bare.jsonl"), "no grader"),
        (("single", "--tasks", "half.jsonl"), "reference"),
    ],
)
def test_what_cannot_be_compared_is_said_before_an_engine_starts(burnish, tmp_path, arguments, says):
    write_tasks(tmp_path)
    Path("bare.jsonl").write_text('{"prompt": "?"}')
    Path("half.jsonl").write_text('{"prompt": "?", "grader": "exact"}')
    run = burnish("compare", *arguments, "--engine", "scripted")
    assert run.status == 2, run.err
    assert says in run.err
    assert len(run.err.strip().splitlines()) <= 2
    assert not Path("burnish.db").exists() or sqlite3.connect("burnish.db").execute("SELECT count(*) FROM run").fetchone() == (0,)


def test_a_name_stands_for_one_comparison(burnish, tmp_path):
    tasks = write_tasks(tmp_path)
    assert burnish("compare", "single", "--tasks", tasks, *ENGINE, "--name", "sums").status == 0
    other = burnish("compare", "majority", "--tasks", tasks, *ENGINE, "--name", "sums")
    assert other.status == 2
    assert "another comparison called 'sums'" in other.err
    write_tasks(tmp_path, 9)
    assert burnish("compare", "single", "--tasks", tasks, *ENGINE, "--name", "sums").status == 2


def test_failed_runs_are_said_and_can_be_done_again(burnish, tmp_path):
    tasks = write_tasks(tmp_path, 6)
    Path("graph.py").write_text(
        "from pathlib import Path\n"
        "from burnish import BestOfN, Solver, search_node\n"
        "from burnish.graphs.builtin import one_node\n"
        "def graph():\n"
        "    inner = search_node(BestOfN(2), Solver())\n"
        "    async def node(state, runtime):\n"
        "        if not Path('mended').exists():\n"
        "            raise RuntimeError('broken')\n"
        "        return await inner(state, runtime)\n"
        "    return one_node('g', node)\n"
    )
    command = ("compare", "graph.py:graph", "--tasks", tasks, *ENGINE, "--name", "g")
    broken = burnish(*command)
    assert broken.status == 1
    assert "6 runs failed" in broken.err
    assert "burnish compare --name g" in broken.err
    Path("mended").touch()
    assert burnish(*command).status == 0
