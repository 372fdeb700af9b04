"""reasoning-gym: what is done around the library, with a stand-in for it, and the library itself where it is installed."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from burnish.bench.sets import reasoning_gym as gym
from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import make_verifier

installed = pytest.mark.skipif(importlib.util.find_spec(gym.LIBRARY) is None, reason="reasoning-gym is not installed")


@pytest.fixture(autouse=True)
def _fresh():
    gym._dataset.cache_clear()
    yield
    gym._dataset.cache_clear()


class StandIn(list):
    """A dataset as the library makes it: items by index, and a score for an answer."""

    scores = {"right": 1.0, "nearly": 0.999, "odd": float("nan"), "below": -0.5, "above": 1.5}

    def score_answer(self, answer: str, entry: dict) -> float:
        return self.scores.get(answer, 0.25)


@pytest.fixture
def stand_in(monkeypatch):
    def create_dataset(name: str, *, size: int, seed: int) -> StandIn:
        return StandIn({"question": f" {name} {seed} {i}? \n", "answer": "right", "metadata": {}} for i in range(size))

    monkeypatch.setitem(sys.modules, gym.LIBRARY, SimpleNamespace(create_dataset=create_dataset))


def test_without_the_library_its_installation_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, gym.LIBRARY, None)
    with pytest.raises(ConfigError, match="needs the library reasoning-gym") as caught:
        gym.REASONING_GYM.load(None, 0)
    assert f"pip install reasoning-gym=={gym.VERSION}" in caught.value.hint


def test_tasks_of_every_family(stand_in):
    tasks = gym.REASONING_GYM.load(None, 5)
    assert len(tasks) == len({task.id for task in tasks}) == gym.REASONING_GYM.size
    for task in tasks:
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
        # The library judges the model's text, so it does so in a process that can be killed.
        assert make_verifier(task.grader).timeout == gym.TIMEOUT
        assert make_verifier(task.grader).oracle
        assert task.prompt.startswith(f"{task.metadata['family']} 5 {task.metadata['index']}?")
        assert task.verifier is None or not make_verifier(task.verifier).oracle
    unsafe = "binary_matrix countdown intermediate_integration n_queens polynomial_multiplication puzzle24 simple_integration "
    unsafe += "spiral_matrix string_insertion codeio number_sorting quantum_lock spell_backward"
    assert not set(unsafe.split()) & gym.FAMILIES.keys()


@pytest.mark.parametrize(
    ("text", "outcome", "score"),
    [
        ("right", "pass", 1.0),
        ("I think <answer>wrong</answer>, no: <answer> right\n</answer>.", "pass", 1.0),
        ("above", "pass", 1.0),
        ("nearly", "fail", 0.999),
        ("the right one", "fail", 0.25),
        ("below", "fail", 0.0),
        ("odd", "abstain", None),
    ],
)
def test_only_a_full_score_passes(stand_in, text, outcome, score):
    verdict = gym.gym_grade(gym.REASONING_GYM.load(None, 0)[0], text)
    assert (verdict.outcome, verdict.score) == (outcome, score)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": "another question"}, "other_item"),
        ({"reference": "left"}, "other_item"),
        ({"context": {"family": "countdown", "seed": 0, "index": 0}}, "no_item"),
        ({"context": {"family": "lcm", "seed": 0, "index": 99}}, "no_item"),
    ],
)
def test_an_item_that_is_not_the_one_asked_is_not_judged(stand_in, change, reason):
    verdict = gym.gym_grade(replace(gym.REASONING_GYM.load(None, 0)[0], **change), "right")
    assert (verdict.outcome, verdict.reason) == ("abstain", reason)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" a \n", "a"),
        ("<answer>a</answer> b", "a"),
        ("<answer>a</answer><answer>b", "a"),
        ("<answer>a <answer>b</answer>", "b"),
        ("a</answer>", "a</answer>"),
        ("<answer>a", "<answer>a"),
        ("", ""),
    ],
)
def test_the_answer_stands_in_the_last_tags(text, answer):
    assert gym.answer_text(text) == answer


@pytest.mark.parametrize(
    ("family", "text", "outcome"),
    [
        ("lcm", "<answer>-12</answer>", "pass"),
        ("lcm", "The answer is 12", "fail"),
        ("chain_sum", "1,024.50", "pass"),
        ("syllogism", "Yes", "pass"),
        ("syllogism", "Yes, it does", "fail"),
        ("tower_of_hanoi", "Move disk 1 from Peg 1 to Peg 3\nMove disk 2 from Peg 1 to Peg 2", "pass"),
        ("tower_of_hanoi", "Move disk one", "fail"),
        ("shortest_path", "up down", "pass"),
        ("mini_sudoku", "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1", "pass"),
        ("jugs", '["fill A"]', "pass"),
        ("lcm", "1" * 100_000 + "x", "fail"),
        ("shortest_path", "up" + " up" * 20_000 + "?", "fail"),
    ],
)
async def test_the_verifier_looks_at_the_form_only(stand_in, family, text, outcome):
    task = next(task for task in gym.REASONING_GYM.load(None, 0) if task.metadata["family"] == family)
    candidate = replace(Candidate.of(text), id="1")
    verdict = await judge(make_verifier(task.verifier), task, candidate)
    assert (verdict.outcome, verdict.score) == (outcome, None)


@installed
async def test_every_own_answer_passes_and_rubbish_does_not():
    for task in gym.REASONING_GYM.load(None, 1):
        grader = make_verifier(task.grader)
        assert (await judge(grader, task, Candidate.of(f"So: <answer>{task.reference}</answer>"))).outcome == "pass"
        for rubbish in ("rubbish", "[]", "1\n" * 50, "__import__('os').getcwd()"):
            verdict = await judge(grader, task, Candidate.of(rubbish))
            assert verdict.outcome == "fail", (task.id, rubbish, verdict)
        if task.verifier is not None:
            assert (await judge(make_verifier(task.verifier), task, Candidate.of(str(task.reference)))).outcome == "pass"


@installed
@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_items_do_not_depend_on_the_hash_seed(hash_seed):
    code = (
        "import json; from burnish.bench.sets.reasoning_gym import REASONING_GYM as R; "
        "print(json.dumps([task.to_json() for task in R.load(None, 3)]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(found.stdout) == json.loads(json.dumps([task.to_json() for task in gym.REASONING_GYM.load(None, 3)]))
