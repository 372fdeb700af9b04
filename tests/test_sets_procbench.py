"""ProcBench: each procedure by hand, the tasks the same everywhere, and the metrics."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.bench.sets.procbench import ITEMS, LEVELS, PROCBENCH, STEPS, procbench_task
from burnish.bench.sets.procbench_score import Metrics, matches, measure, numbered_lines, procbench_check, procbench_grade
from burnish.bench.sets.procbench_tasks import PROCEDURES
from burnish.bench.sets.procbench_text import TEXTS, WORDS, prompt, shown_line
from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import check_task, make_verifier

NAMES = list(PROCEDURES)
BY_HAND = {
    "sort": ({"string": "cabab"}, ["acbab", "aabcb", "aabbc"]),
    "gather": ({"strings": ["abcde", "vwxyz"], "triples": [[1, 0, 2], [0, 3, 2], [1, 4, 1]]}, ["vw", "vwde", "vwdez"]),
    "count": ({"strings": ["a1b02", "xyz", "77"]}, [["a1b02", 2, 102, 204], ["xyz", 3, 0, 0], ["77", 0, 77, 0], 204]),
    "search": ({"strings": ["aaaa", "abab", "c"], "substrings": ["aa", "ab"]}, [[2, 0, 0], [2, 2, 0]]),
    "copy": ({"strings": ["ab", "c"], "indices": [1, 0, 0]}, ["c", "cab", "cabab"]),
    "substitute": ({"string": "aba", "table": {"a": "x", "b": "b"}}, ["xba", "xba", "xbx"]),
    "encode": ({"string": "0010"}, [["0_2"], ["0_2", "1_1"], ["0_2", "1_1", "0_1"]]),
    "split_at": ({"string": "abcdef", "positions": [4, 1]}, [["abcd", "ef"], ["a", "bcd", "ef"]]),
    "split_piece": ({"string": "abcdef", "pairs": [[0, 4], [1, 1]]}, [["abcd", "ef"], ["abcd", "e", "f"]]),
    "compose": ({"string": "abab", "rules": {"ab": "c", "cc": "a"}}, [list("abc"), list("cc"), ["a"]]),
    "decompose": ({"string": "xaya", "rules": {"a": "pq", "y": "rs"}}, ["xpqya", "xpqrsa", "xpqrspq"]),
    "rhythm": ({"numbers": [1, 2], "letters": ["a", "b", "c"], "steps": 4}, ["1a", "1a2b", "1a2b1c", "1a2b1c2a"]),
    "compare": ({"target": "abc", "candidates": ["abd", "axc", "abc", "abe"]}, ["ab", "a", ["ab", "a", "abc"]]),
    "count_letters": ({"sentence": "Ab bz"}, [[1, 1, *[0] * 24], [1, 2, *[0] * 23, 1]]),
    "decode": ({"pieces": [["0", 2], ["1", 1], ["0", 3]]}, ["00", "001", "001000"]),
    "push_pop": (
        {"string": "ab", "actions": [["push_left", "x"], ["pop_right", ""], ["push_right", "y"], ["pop_left", ""]]},
        ["xab", "xa", "xay", "ay"],
    ),
    "rotate": ({"string": "abcde", "pairs": [[0, 5], [1, 3]]}, ["eabcd", "ebacd"]),
    "fill_word": ({"sentence": "a [2] b [1]", "words": [[1, "x"], [2, "y"]]}, ["a [2] b x", "a y b x"]),
    "delete_char": ({"string": "banana", "letters": ["a", "n"]}, ["bnana", "bana"]),
    "delete_word": ({"sentence": "able ab able ab c", "words": ["ab", "able"]}, ["able able ab c", "able ab c"]),
    "cumulate": ({"start": 2, "operations": [["Add", 3], ["Multiply", 4], ["Multiply", 0]]}, [5, 20, 0]),
    "move_cyclic": ({"row": "-x---", "moves": [["left", 2], ["right", 5], ["right", 3]]}, ["----x", "----x", "--x--"]),
    "find_cyclic": ({"string": "a1b2", "letter": "b", "number": 3}, [["2", 2], ["a", 1], "1"]),
}
DIGEST = "0184b3aadf98516b"
"""Of three tasks of each procedure: they are the same on every machine."""


def answer(task: Task) -> str:
    states = [*task.reference["intermediate"], task.reference["final"]]
    return "\n".join(f"{number}. {shown_line(state)}" for number, state in enumerate(states, 1))


def sample() -> list[Task]:
    return [procbench_task(name, steps, 1, seed=3) for name in NAMES for steps in (2, 13, 25)]


@pytest.mark.parametrize("name", NAMES)
def test_states_by_hand(name):
    inputs, states = BY_HAND[name]
    assert PROCEDURES[name].states(inputs) == states
    assert "{" not in prompt(name, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_tasks_have_as_many_states_as_asked_and_their_answers_pass(name):
    for steps in STEPS:
        task = procbench_task(name, steps, steps % ITEMS, seed=steps)
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
        assert len(task.reference["intermediate"]) + 1 == steps == task.metadata["steps"]
        text = answer(task)
        assert len(text) < task.sampling["max_tokens"]
        assert procbench_grade(task, text).outcome == procbench_check(task, text).outcome == "pass"


def test_the_drawn_tasks_satisfy_what_defines_their_procedure():
    for index in range(20):
        rng = random.Random(index)
        steps = rng.randint(2, 25)
        drawn = {name: procedure.drawn(rng, steps) for name, procedure in PROCEDURES.items()}
        final = {name: PROCEDURES[name].states(inputs)[-1] for name, inputs in drawn.items()}
        assert final["sort"] == "".join(sorted(drawn["sort"]["string"]))
        assert "".join(piece[0] * int(piece[2:]) for piece in final["encode"]) == drawn["encode"]["string"]
        assert final["count_letters"] == [Counter(drawn["count_letters"]["sentence"])[c] for c in "abcdefghijklmnopqrstuvwxyz"]
        assert final["decode"] == "".join(char * count for char, count in drawn["decode"]["pieces"])
        assert (
            final["find_cyclic"]
            == (s := drawn["find_cyclic"])["string"][(s["string"].index(s["letter"]) + steps) % len(s["string"])]
        )
        for split, where in (("split_at", "positions"), ("split_piece", "pairs")):
            assert "".join(final[split]) == drawn[split]["string"]
            assert len(final[split]) == 1 + len(drawn[split][where])
        cuts = sorted(drawn["split_at"]["positions"])
        assert final["split_at"] == [drawn["split_at"]["string"][a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        assert not any(a + b in drawn["compose"]["rules"] for a, b in zip(final["compose"], final["compose"][1:], strict=False))
        assert not set(final["decompose"]) & drawn["decompose"]["rules"].keys()
        assert final["substitute"] == drawn["substitute"]["string"].translate(str.maketrans(drawn["substitute"]["table"]))
        assert final["search"] == [sum(s.count(x) for x in drawn["search"]["substrings"]) for s in drawn["search"]["strings"]]
        assert final["count"] == sum(row[3] for row in PROCEDURES["count"].states(drawn["count"])[:-1])
        assert sorted(final["delete_word"].split() + drawn["delete_word"]["words"]) == sorted(
            drawn["delete_word"]["sentence"].split()
        )
        assert sorted(final["delete_char"] + "".join(drawn["delete_char"]["letters"])) == sorted(drawn["delete_char"]["string"])
        assert sorted(final["rotate"]) == sorted(drawn["rotate"]["string"])
        assert "[" not in final["fill_word"]


def test_the_set_is_whole():
    tasks = PROCBENCH.load(None, 0)
    assert len(tasks) == PROCBENCH.size == 5520
    assert len({task.id for task in tasks}) == 5520
    assert len({task.prompt for task in tasks}) > 5500
    assert Counter(task.metadata["level"] for task in tasks) == {"short": 1150, "medium": 2300, "long": 2070}
    assert {steps for those in LEVELS.values() for steps in those} == set(STEPS)
    assert tasks[17] == procbench_task("sort", 3, 7)
    assert list(TEXTS) == NAMES
    assert len(NAMES) == 23
    assert len(set(WORDS)) == len(WORDS) > 40


def digest() -> str:
    return hashlib.sha256(json.dumps([task.to_json() for task in sample()], sort_keys=True).encode()).hexdigest()[:16]


def test_tasks_are_the_same_on_every_machine():
    assert digest() == DIGEST
    assert procbench_task("sort", 5, 0, seed=1).prompt != procbench_task("sort", 5, 0, seed=2).prompt


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_tasks_do_not_depend_on_the_hash_seed(hash_seed):
    code = (
        "import hashlib, json; from burnish.bench.sets.procbench import procbench_task; "
        "from burnish.bench.sets.procbench_tasks import PROCEDURES as P; "
        "found = [procbench_task(name, steps, 1, seed=3).to_json() for name in P for steps in (2, 13, 25)]; "
        "print(hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16])"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.strip() == digest()


async def test_grader_and_verifier_run_as_the_task_names_them():
    for task in sample():
        grader, verifier = make_verifier(task.grader), make_verifier(task.verifier)
        check_task(grader, task)
        assert grader.oracle
        assert not verifier.oracle
        for judging in (grader, verifier):
            assert (await judge(judging, task, Candidate.of(answer(task)))).outcome == "pass"
            assert (await judge(judging, task, Candidate.of("1. nothing of the kind"))).outcome == "fail"


@pytest.mark.parametrize(
    ("right", "given", "expected"),
    [
        (["a", "b"], ["a", "b"], Metrics(2, 1.0, True, True)),
        (["a", "b"], ["a"], Metrics(1, 0.5, False, False)),
        (["a", "b"], ["a", "b", "b"], Metrics(2, 2 / 3, False, True)),
        (["a", "b"], ["x", "b"], Metrics(0, 0.0, False, True)),
        (["a", "b", "c", "d"], ["a", "x", "c", "d"], Metrics(1, 0.25, False, True)),
        (["a", "b"], ["b"], Metrics(0, 0.0, False, True)),
        (["a", "b"], [], Metrics(0, 0.0, False, False)),
        (["a", "b"], [None, "b"], Metrics(0, 0.0, False, True)),
        ([], [], Metrics(0, 0.0, False, False)),
    ],
)
def test_metrics(right, given, expected):
    assert measure(right, given) == expected


@given(st.lists(st.sampled_from("ab"), max_size=6), st.lists(st.sampled_from("ab"), max_size=6))
def test_metrics_hang_together(right, given):
    found = measure(right, given)
    assert 0 <= found.accuracy <= 1
    assert found.whole == (bool(right) and right == given)
    assert found.whole == (found.accuracy == 1)
    assert found.final or not found.whole
    assert right[: found.matching] == given[: found.matching]


@pytest.mark.parametrize(
    ("right", "given", "same"),
    [
        ("ab", "ab", True),
        ("ab", '"ab"', True),
        ("ab", "AB", False),
        (7, "7", True),
        (7, "007", True),
        (7, "7.0", False),
        (7, "seven", False),
        (7, "9" * 5000, False),
        (["a", 1], "a, 1", True),
        (["a", 1], "['a', 1]", True),
        (["a", 1], "a,1", True),
        (["a", 1], "1, a", False),
        (["a", 1], "a", False),
        ([], "", False),
        ("a", None, False),
        (["1"], "1", True),
    ],
)
def test_a_state_matches_by_its_type(right, given, same):
    assert matches(right, given) is same


def test_lines_are_read_by_their_numbers():
    text = "Let me see.\n1. ab\n\n2) cd\n  3: ef  \n5. gh\n"
    assert [line.text for line in numbered_lines(text)] == ["ab", "cd", "ef", None]
    assert [text[: line.end][-4:] for line in numbered_lines(text)] == [" ab\n", " cd\n", "f  \n", " gh\n"]
    assert numbered_lines("no numbers\n- here") == []


def test_the_score_is_the_prefix_accuracy_and_only_a_whole_answer_passes():
    task = procbench_task("cumulate", 4, 0)
    lines = answer(task).splitlines()
    verdict = procbench_grade(task, "\n".join([*lines[:2], "3. -1", lines[3]]))
    assert (verdict.outcome, verdict.score) == ("fail", 0.5)
    assert verdict.evidence == {"pml": 2, "pa": 0.5, "sm": 0, "fm": 1, "lines": 4}
    verdict = procbench_grade(task, "\n".join([*lines, "5. 0"]))
    assert (verdict.outcome, verdict.score, verdict.evidence["fm"]) == ("fail", 0.8, 0)
    assert procbench_grade(task, "I cannot do this").reason == "no_answer"


def test_the_verifier_names_the_first_wrong_step_and_keeps_what_is_right():
    task = Task(prompt="x", context={"procedure": "push_pop", "inputs": BY_HAND["push_pop"][0]})
    right = "Well:\n1. xab\n2. xa\n3. xay\n4. ay"
    assert procbench_check(task, right).outcome == "pass"
    verdict = procbench_check(task, "Well:\n1. xab\n2. ab\n3. xay\n4. ay")
    assert (verdict.reason, verdict.score) == ("wrong_step", 0.25)
    assert verdict.feedback == "step 2 is wrong: ab; the state after step 1 is right: xab"
    assert right[: verdict.valid_prefix] == "Well:\n1. xab\n"
    verdict = procbench_check(task, "1. xab\n2. xa")
    assert (verdict.reason, verdict.valid_prefix) == ("length", len("1. xab\n2. xa"))
    assert "steps are missing" in verdict.feedback
    verdict = procbench_check(task, right + "\n5. ay")
    assert (verdict.reason, verdict.valid_prefix) == ("length", len(right) + 1)
    assert "ends after step 4" in verdict.feedback
    assert procbench_check(task, "2. xab").feedback == "a line has the wrong number; no step is right"
    assert procbench_check(task, "?").reason == "no_answer"


@pytest.mark.parametrize("name", NAMES)
def test_the_feedback_never_says_the_next_state(name):
    task = procbench_task(name, 6, 0, seed=9)
    lines = answer(task).splitlines()
    verdict = procbench_check(task, "\n".join([*lines[:3], "4. ?", *lines[4:]]))
    assert verdict.feedback == f"step 4 is wrong: ?; the state after step 3 is right: {lines[2].removeprefix('3. ')}"


async def test_a_task_without_its_inputs_is_no_judgement():
    task = Task(prompt="x", context={"procedure": "sort", "inputs": {}}, verifier=procbench_task("sort", 2, 0).verifier)
    verdict = await judge(make_verifier(task.verifier), task, Candidate.of("1. ab"))
    assert (verdict.outcome, verdict.reason) == ("abstain", "verifier_error")


@pytest.mark.parametrize(("name", "steps", "index"), [("sorting", 2, 0), ("sort", 1, 0), ("sort", 26, 0), ("sort", 2, -1)])
def test_there_is_no_such_task(name, steps, index):
    with pytest.raises(ConfigError, match="ProcBench has no"):
        procbench_task(name, steps, index)
