"""The experiment on feedback, on scripted models that heed it or do not: each arm is what it says, done once, matched."""

import json

import pytest

from burnish import ConfigError, Task
from burnish.bench import iad as bench
from burnish.compare.plan import Arm
from burnish.compare.summary import summarise
from burnish.engine.scripted import ScriptedEngine
from tests.helpers import rows

TASKS = [
    Task(
        id=f"t{i}",
        prompt=f"Say word {i}.",
        grader={"name": "constraints", "checks": [{"contains": f"yes{i}"}]},
        verifier={"name": "constraints", "checks": [{"contains": "yes"}]},
        sampling={"max_tokens": 8},
    )
    for i in range(8)
]


def heeds(call):
    """Guesses one in three; told truly what is missing it is right."""
    number = call.text.split("Say word ")[1].split(".")[0]
    return f"yes{number}" if call.seed % 3 == 0 or f"yes{number}" in call.text or f'"yes{number}" must' in call.text else "no"


def order(path, **more):
    defaults = {"tasks": TASKS, "name": "t", "samples": 3, "tokens": 40, "store": path / "runs.db"}
    return bench.Order(**{**defaults, **more})


async def measured(judge, match, what, engine):
    plan = bench.plan(judge, match, what)
    return plan, await bench.carried_out(f"sqlite:///{what.store}", plan, engine)


async def test_arms_that_are_told_the_truth_win_and_placebos_do_not(tmp_path):
    plan, trials = await measured("grader", "samples", order(tmp_path), ScriptedEngine(heeds))
    right = {a.name: a.right for a in summarise(plan, trials)}
    assert list(right) == ["single", "best_of_n", *bench.ARMS]
    assert right["directional"] == right["remarks"] == right["turns"] == len(TASKS)
    assert right["foreign"] < len(TASKS)
    assert right["none"] < len(TASKS)
    assert all(len(t.candidates) <= 3 for own in trials.values() for t in own)
    first = {arm: [t.candidates[0].said for t in own] for arm, own in trials.items() if arm not in ("single", "noisy", "sparse")}
    assert len({tuple(said) for said in first.values()}) == 1, "all arms share the first draw"


async def test_at_equal_tokens_no_arm_has_more(tmp_path):
    plan, trials = await measured(
        "grader", "tokens", order(tmp_path, arms=("none", "critique")), ScriptedEngine(lambda call: "no no")
    )
    spent = {arm: [t.usage.output_tokens for t in own] for arm, own in trials.items()}
    assert max(map(max, spent.values())) <= plan.budget.output_tokens
    assert min(spent["best_of_n"]) > 20
    assert rows(tmp_path, "SELECT count(*) FROM call WHERE role = 'critic'")[0][0] > 0


def test_the_command_prints_writes_and_does_nothing_twice(tmp_path, capsys):
    asked = []
    engine = ScriptedEngine(lambda call: (asked.append(call), "one two three")[1])
    where = ["--store", str(tmp_path / "runs.db"), "--out", str(tmp_path / "out")]
    size = ["--family", "six_words", "--limit", "3", "--samples", "2", "--arms", "none,repair", "--match", "samples"]
    assert bench.main(["micro", *size, *where], engine) == 0
    out, err = capsys.readouterr()
    assert "3 tasks with 1 run each can show a difference of about" in err
    assert "== iad-micro-six_words-3x2x512-grader-samples" in out
    written = json.loads((tmp_path / "out" / "iad-micro-six_words-default.json").read_text())
    found = written["comparisons"]["iad-micro-six_words-3x2x512-task-samples"]
    assert [a["name"] for a in found["arms"]] == ["single", "best_of_n", "none", "repair"]
    assert set(found["bootstrap"]["none"]) == {"single", "best_of_n", "repair"}
    before = len(asked)
    assert bench.main(["micro", *size, *where], engine) == 0
    assert len(asked) == before


def test_a_wrong_order_is_refused_before_anything_runs(tmp_path, capsys):
    asked = []
    engine = ScriptedEngine(lambda call: (asked.append(call), "x")[1])
    assert bench.main(["micro", "--arms", "none,magic", "--store", str(tmp_path / "r.db")], engine) == 2
    assert "no arm is called 'magic'" in capsys.readouterr().err
    assert asked == []


def test_a_verifier_can_be_wrapped_around_each_tasks_own():
    task, bare = TASKS[0], Task(id="bare", prompt="?", grader="exact", reference="a")
    noisy = Arm.of('a=best_of_n:verifier={"name": "noisy", "verifier": "task", "flip": 0.2}')
    assert noisy.prepared([task])[0].verifier == {"name": "noisy", "verifier": task.verifier, "flip": 0.2}
    oracle = Arm(name="a", graph="iad", verifier={"name": "sparse", "verifier": "grader"})
    assert oracle.prepared([task])[0].verifier == {"name": "sparse", "verifier": task.grader}
    plain = Arm(name="a", graph="iad", verifier={"name": "noisy", "verifier": {"name": "exact"}})
    assert plain.prepared([task])[0].verifier == {"name": "noisy", "verifier": {"name": "exact"}}
    with pytest.raises(ConfigError, match="has no verifier, which the arm a wraps"):
        noisy.prepared([bare])
