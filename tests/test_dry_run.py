"""`burnish run --dry-run`: what would be run, what bounds it, what is wrong with it; nothing is run or stored."""

import json

import pytest

from burnish import Budget, ScriptedEngine, Task
from burnish.graphs.bounds import Bounds, bounds
from burnish.graphs.registry import BUILTIN, check_settings
from tests.cli_kit import burnish as burnish
from tests.helpers import session

TASKS = [
    {"prompt": "What is 17 + 25?", "verifier": {"name": "numeric", "expected": 42}},
    {"prompt": "What is 6 * 7?", "verifier": "exact", "reference": "42", "sampling": {"max_tokens": 10}},
]
STEPS = {"step_tokens": 4, "depth": 3, "stop_at_pass": False}
SMALL = {
    "single": {},
    "best_of_n": {"n": 3, "stop_at_pass": False},
    "majority": {"n": 3},
    "draw": {"n": 3},
    "worthwhile": {"n": 3, "types": [[1.0, 0.5]], "tpr": 0.9, "fpr": 0.1},
    "tree_of_thought": {"nodes": 7, **STEPS},
    "rebase": {"n": 4, **STEPS},
    "beam": {"total_width": 4, **STEPS},
}


@pytest.fixture
def tasks(burnish, tmp_path):
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in TASKS))
    return burnish


def test_it_says_what_would_be_run(tasks, tmp_path):
    done = tasks(
        "run", "best_of_n", "--tasks", "tasks.jsonl", "--dry-run", "--json", "--set", "n=3", "--seed", "7", "--model", "m"
    )
    assert done.status == 0
    data = done.data
    assert (data["graph"], data["seed"], data["tasks"], data["concurrency"]) == ("best_of_n", 7, 2, 16)
    assert (data["settings"]["n"], data["settings"]["max_tokens"]) == (3, 512)
    assert data["engine"] == {"engine": "vllm", "model": "m", "args": {}}
    assert data["verifiers"] == {'{"expected":42,"name":"numeric"}': 1, "exact": 1}
    assert data["bounds"]["run"] == {"calls": 3, "output_tokens": 3 * 512, "tokens": None, "usd": None}
    assert data["bounds"]["all"] == {"calls": 6, "output_tokens": 3 * 512 + 30, "tokens": None, "usd": None}
    assert [p.name for p in tmp_path.iterdir()] == ["tasks.jsonl"]


def test_a_budget_bounds_what_settings_do_not(tasks):
    done = tasks("run", "plangen", "--tasks", "tasks.jsonl", "--dry-run", "--json", "--budget", "calls=4,tokens=100,usd=0.5")
    assert done.data["bounds"]["all"] == {"calls": 8, "output_tokens": 200, "tokens": 200, "usd": 1.0}
    words = tasks("run", "plangen", "--tasks", "tasks.jsonl", "--dry-run", "--budget", "calls=4,tokens=100")
    assert "all runs, at most: 8 calls, 200 generated tokens, 200 tokens in all" in words.out
    assert "not forecasts" in words.out
    assert "no bound" in tasks("run", "plangen", "--tasks", "tasks.jsonl", "--dry-run").out


def test_a_verifier_that_asks_the_model_leaves_no_bound():
    def calls(verifier, **rest):
        settings = check_settings(BUILTIN["best_of_n"], {"verifier": verifier, **rest})
        return bounds(settings, Task(prompt="x", reference="y"), Budget()).calls

    assert calls("exact") == 8
    assert calls(None) == 8
    assert calls("llm_judge") is None
    assert calls({"name": "first_of", "verifiers": ["exact", "numeric"]}) == 8
    assert calls({"name": "first_of", "verifiers": ["exact", "llm_judge"]}) is None
    assert calls({"name": "noisy", "verifier": "llm_judge"}) is None
    assert bounds(None, Task(prompt="x"), Budget()) == Bounds()


@pytest.mark.parametrize("graph", SMALL)
async def test_the_bounds_hold(tmp_path, graph):
    settings = {"max_tokens": 9, **SMALL[graph]}
    task = Task(prompt="What is 17 + 25?", verifier={"name": "numeric", "expected": 42})
    most = bounds(check_settings(BUILTIN[graph], settings), task, Budget())
    engine = ScriptedEngine(lambda call: f"step {call.seed % 7}\n" * 9 + str(call.seed % 5))
    async with session(tmp_path, engine=engine) as s:
        used = (await s.run(graph, task, settings=settings)).usage
    assert 1 <= used.calls <= most.calls
    assert used.output_tokens <= most.output_tokens
    if graph in ("single", "best_of_n", "majority", "draw", "tree_of_thought"):
        assert used.calls == most.calls


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nope", "x"], 2),
        (["best_of_n", "x", "--set", "n=0"], 2),
        (["best_of_n", "x", "--verifier", "nope"], 2),
        (["best_of_n", "x", "--set", "verifier=nope"], 2),
        (["best_of_n", "x", "--engine", "scripted", "--engine-arg", "speed=1"], 2),
        (["best_of_n", "x", "--store", "carrier-pigeon://roof"], 2),
        (["best_of_n", "x", "--budget", "calls=0"], 2),
        (["best_of_n", "--tasks", "needs.jsonl", "--engine", "scripted"], 5),
        (["best_of_n", "--tasks", "wrong.jsonl"], 2),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(burnish, tmp_path, arguments, status):
    (tmp_path / "needs.jsonl").write_text('{"prompt": "x", "sampling": {"regex": "a+"}}\n')
    (tmp_path / "wrong.jsonl").write_text('{"prompt": "x"}\n{"prompt": 3}\n')
    done = burnish("run", *arguments, "--dry-run")
    assert (done.status, done.out, done.err.startswith("error: ")) == (status, "", True)
    assert not (tmp_path / "burnish.db").exists()
