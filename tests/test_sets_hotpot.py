"""HotpotQA as a task set in two settings, and FlashRAG's data sets as tasks, on rows of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish import make_verifier
from burnish.bench.sets.flashrag import flashrag_task
from burnish.bench.sets.hotpotqa import FOLDER, QUESTIONS
from burnish.bench.sets.registry import load_tasks
from burnish.cli.tasks import read_tasks
from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import check_task
from tests.cli_kit import burnish as burnish
from tests.test_cli_run import scripted

ROWS = [
    {
        "_id": "q1",
        "question": "Who published The Trial?",
        "answer": "Max Brod",
        "type": "bridge",
        "level": "easy",
        "supporting_facts": [["Franz Kafka", 0], ["Max Brod", 1]],
        "context": [["Franz Kafka", ["Kafka wrote. ", "The Trial."]], ["Max Brod", ["Brod published it."]]],
    },
    {
        "_id": "q2",
        "question": "Is the Vltava longer than the Elbe?",
        "answer": "no",
        "supporting_facts": [["Vltava", 0], ["Elbe", 0]],
        "context": [["Vltava", ["430 km."]], ["Elbe", ["1,094 km."]]],
    },
]


@pytest.fixture
def data(tmp_path):
    def write(rows=ROWS) -> Path:
        (tmp_path / FOLDER).mkdir(exist_ok=True)
        (tmp_path / FOLDER / QUESTIONS).write_text(json.dumps(rows))
        return tmp_path

    return write


async def outcome(spec, task, text):
    return (await judge(make_verifier(spec), task, Candidate.of(text))).outcome


async def test_the_bare_question_is_the_prompt(data):
    tasks = {t.id: t for t in load_tasks("hotpotqa", data())}
    task = tasks["hotpotqa/q1"]
    assert (task.prompt, task.reference, task.verifier, task.context) == (ROWS[0]["question"], "Max Brod", None, {})
    assert task.metadata == {"set": "hotpotqa", "support": ["Franz Kafka", "Max Brod"], "type": "bridge", "level": "easy"}
    assert not task.sampling, "a graph that retrieves sets the length of its own replies"
    assert await outcome(task.grader, task, "The Max Brod!") == "pass"
    assert await outcome(task.grader, task, "Kafka") == "fail"


async def test_the_distractor_setting_shows_the_passages_and_has_a_verifier_without_the_reference(data):
    tasks = {t.id: t for t in load_tasks("hotpotqa_distractor", data())}
    first, second = tasks["hotpotqa_distractor/q1"], tasks["hotpotqa_distractor/q2"]
    assert "Franz Kafka: Kafka wrote. The Trial." in first.prompt
    assert ROWS[0]["question"] in first.prompt
    verifier = make_verifier(first.verifier)
    assert not verifier.oracle
    for task in (first, second):
        check_task(verifier, task)
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert await outcome(verifier, first, "Max Brod") == "pass"
    assert await outcome(verifier, first, "Kafka") == "pass"  # supported, and wrong
    assert await outcome(verifier, first, "Felice Bauer") == "fail"
    assert await outcome(verifier, second, "no") == "abstain"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"context": [["title"]]}, "context"),
        ({"context": [["title", "text"]]}, "no list of sentences"),
        ({"context": []}, "no context"),
        ({"context": 3}, "context"),
        ({"answer": ""}, "answer"),
    ],
)
def test_a_malformed_row_is_named(data, change, told):
    with pytest.raises(ConfigError, match=told):
        load_tasks("hotpotqa_distractor", data([{**ROWS[0], **change}]))


FLASHRAG = {"id": "test_0", "question": "who published the trial", "golden_answers": ["Max Brod", "Brod"], "metadata": {"hop": 2}}


async def test_a_line_of_flashrag_is_a_task():
    task = flashrag_task({**FLASHRAG, "split": "test"}, "nq")
    assert (task.id, task.prompt, task.reference) == ("test_0", "who published the trial", ["Max Brod", "Brod"])
    assert task.metadata == {"set": "nq", "hop": 2, "split": "test"}
    check_task(make_verifier(task.grader), task)
    assert await outcome(task.grader, task, "brod") == "pass"
    bare = flashrag_task({"question": "q", "golden_answers": ["a"], "metadata": None})
    assert (bare.metadata, bool(bare.id)) == ({}, True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"question": " "}, "question"),
        ({"question": 3}, "question"),
        ({"golden_answers": []}, "golden_answers"),
        ({"golden_answers": "Max Brod"}, "golden_answers"),
        ({"golden_answers": [0], "choices": ["a", "b"]}, "multiple choice"),
        ({"golden_answers": [1]}, "golden_answers"),
        ({"metadata": [1]}, "metadata"),
        ({"id": 1.5}, "id"),
    ],
)
def test_a_line_that_is_no_question_is_refused(tmp_path, change, told):
    path = tmp_path / "dev.jsonl"
    path.write_text(json.dumps(FLASHRAG) + "\n" + json.dumps({**FLASHRAG, "id": "x", **change}))
    with pytest.raises(ConfigError, match=rf"dev\.jsonl:2: .*{told}"):
        read_tasks(str(path))


def test_golden_answers_without_a_word_are_refused_with_their_line(tmp_path):
    path = tmp_path / "dev.jsonl"
    path.write_text(json.dumps({**FLASHRAG, "golden_answers": ["The", "?"]}))
    with pytest.raises(ConfigError, match=r"dev\.jsonl:1: grader: .*no reference holds a word"):
        read_tasks(str(path))


def test_a_file_of_flashrag_runs_as_it_is(burnish):
    Path("nq").mkdir()
    other = {"id": "own", "prompt": "?", "reference": 1, "grader": "exact"}
    Path("nq/test.jsonl").write_text(json.dumps(FLASHRAG) + "\n" + json.dumps(other) + "\n")
    ran = burnish("run", "single", "--tasks", "nq/test.jsonl", *scripted("Max Brod."), "--json")
    assert ran.status == 0, ran.err
    grades = {r["task_id"]: r["grade"]["outcome"] for r in ran.data["results"]}
    assert grades == {"test_0": "pass", "own": "fail"}
    assert read_tasks("nq/test.jsonl")[0].metadata["set"] == "nq"
