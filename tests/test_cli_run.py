"""Running from the command line: what is printed where, exit statuses, verifiers, graphs of one's own, rubbish from models."""

import json
from pathlib import Path

import pytest

from tests.cli_kit import burnish as burnish

QUESTION = "What is 17 + 25?"
RIGHT = ("--engine", "scripted", "--engine-arg", "accuracy=1")
WRONG = ("--engine", "scripted", "--engine-arg", "accuracy=0")
JUDGED = ("--verifier", "numeric", "--reference", "42")
HOSTILE = "\x1b]0;owned\x07\x1b[2Jfine\u202e\x9b31m\r\nsecond\x00line"


def scripted(text: str) -> tuple[str, ...]:
    """Flags of an engine that says one thing."""
    Path("replies.py").write_text(f"REPLIES = {text!r}\n")
    return ("--engine", "scripted", "--engine-arg", "replies=replies.py:REPLIES")


def harmless(text: str) -> bool:
    """Whether nothing but printable characters and line breaks is there."""
    return all(c == "\n" or c.isprintable() for c in text)


def test_the_answer_alone_is_on_stdout_and_the_id_comes_first_on_stderr(burnish):
    run = burnish("run", "best_of_n", QUESTION, *RIGHT, *JUDGED)
    assert run.status == 0
    assert run.out == "42\n"
    first, second, *rest = run.err.splitlines()
    assert first.startswith("run 0")
    assert second == "verified, score 1.00"
    assert any(line.startswith("verifier: ") for line in rest)
    listed = burnish("runs", "list", "--json").data
    assert [r["id"] for r in listed] == [first.split()[1]]


def test_json_is_one_envelope(burnish):
    run = burnish("run", "best_of_n", QUESTION, *RIGHT, *JUDGED, "--json")
    assert run.data["answer"] == "42"
    assert run.data["verified"] is True
    assert run.data["usage"]["verdicts"] >= 1
    assert run.data["error"] is None


@pytest.mark.parametrize(
    ("arguments", "status", "outcome"),
    [
        (("best_of_n", QUESTION, *RIGHT, *JUDGED), 0, "verified"),
        (("best_of_n", QUESTION, *RIGHT), 0, "unverified"),
        (("best_of_n", QUESTION, *WRONG, *JUDGED), 3, "rejected"),
        (("best_of_n", QUESTION, *RIGHT, "--verifier", "abstains.py:judge"), 3, "unverified"),
        (("majority", QUESTION, *RIGHT, *JUDGED), 0, "verified"),
        (("single", QUESTION, "--engine", "scripted", "--engine-arg", "failures=1"), 1, "no_answer"),
        (("single", QUESTION, *RIGHT, "--budget", "tokens=3"), 4, "no_answer"),
        (("majority", QUESTION, *RIGHT, "--budget", "calls=3"), 0, "unverified"),
    ],
)
def test_exit_statuses_of_a_run_that_ends(arguments, status, outcome, burnish):
    Path("abstains.py").write_text("def judge(task, text):\n    raise RuntimeError('cannot say')\n")
    run = burnish("run", *arguments, "--json")
    assert (run.status, run.data["outcome"]) == (status, outcome)


def test_a_run_that_fails_says_so_and_how_to_go_on(burnish):
    Path("own.py").write_text(OWN.replace('return {"answer"', 'raise ValueError("no\\x1b[2J idea")\n        return {"answer"'))
    run = burnish("run", "own.py:graph", "hi", *RIGHT)
    assert run.status == 1
    assert run.out == ""
    assert "ValueError" in run.err
    assert "\x1b" not in run.err
    failed = burnish("run", "own.py:graph", "hi", *RIGHT, "--json")
    assert failed.error["kind"] == "graph_error"
    assert burnish("runs", "--status", "failed", "--json").data[0]["id"] == failed.error["run_id"]


def test_a_batch_is_a_table_in_the_order_of_the_file_and_a_status(burnish):
    lines = [
        {"id": f"t{i}", "prompt": f"What is {i} + {i}?", "verifier": {"name": "numeric", "expected": 2 * i}} for i in range(5)
    ]
    lines[3]["verifier"] = {"name": "numeric", "expected": -1}
    lines[4]["grader"] = {"name": "numeric", "expected": 8}
    Path("tasks.jsonl").write_text("\n".join(map(json.dumps, lines)))
    batch = burnish("run", "single", "--tasks", "tasks.jsonl", *RIGHT, "--name", "mine")
    assert batch.status == 0
    head, *rows = batch.out.splitlines()
    assert head.split() == ["TASK", "RUN", "ENDED", "SCORE", "GRADE", "ANSWER"]
    assert [(r.split()[0], r.split()[2]) for r in rows] == [
        ("t0", "verified"),
        ("t1", "verified"),
        ("t2", "verified"),
        ("t3", "rejected"),
        ("t4", "verified"),
    ]
    told = batch.err.splitlines()
    assert told[0].startswith("batch 0")
    assert sum(line.startswith("[") for line in told) == 5
    assert "5 runs: 4 verified, 1 rejected" in told
    assert "grade: 1 of 1 right (100.0%)" in told
    assert len(burnish("runs", "list", "--batch", "mine", "--json").data) == 5
    again = burnish("run", "single", "--tasks", "tasks.jsonl", *RIGHT, "--json").data
    assert again["totals"]["outcomes"] == {"verified": 4, "rejected": 1}
    assert [r["task_id"] for r in again["results"]] == ["t0", "t1", "t2", "t3", "t4"]


def test_one_failed_run_fails_the_batch_and_the_others_go_on(burnish):
    Path("own.py").write_text(OWN.replace('return {"answer"', 'int(state["prompt"])\n        return {"answer"'))
    Path("tasks.jsonl").write_text('{"prompt": "1"}\n{"prompt": "x"}\n{"prompt": "2"}\n')
    batch = burnish("run", "own.py:graph", "--tasks", "tasks.jsonl", *RIGHT, "--json")
    assert batch.status == 1
    assert [r["outcome"] for r in batch.data["results"]] == ["unverified", None, "unverified"]
    assert "ValueError" in batch.data["results"][1]["error"]["message"]


def test_a_verifier_flag_replaces_those_of_the_tasks_in_any_graph(burnish):
    Path("own.py").write_text(OWN)
    Path("tasks.jsonl").write_text('{"prompt": "hi", "verifier": "regex:^never$"}\n')
    for graph in ("single", "own.py:graph"):
        arguments = ("run", graph, "--tasks", "tasks.jsonl", *RIGHT, "--json")
        assert burnish(*arguments).data["totals"]["outcomes"] == {"rejected": 1}
        assert burnish(*arguments, "--verifier", "regex:.").data["totals"]["outcomes"] == {"verified": 1}
        assert burnish(*arguments, "--verifier", "none").data["totals"]["outcomes"] == {"unverified": 1}


def test_what_user_code_prints_does_not_get_between_the_data(burnish):
    Path("own.py").write_text(OWN.replace('return {"answer"', 'print("noise")\n        return {"answer"'))
    run = burnish("run", "own.py:graph", "hi", *RIGHT, "--json")
    assert run.data["answer"] == "hi"
    assert "noise" in run.err


def test_control_characters_of_a_model_reach_no_terminal(burnish):
    flags = scripted(HOSTILE)
    run = burnish("run", "single", "hi", *flags, "--verifier", "regex:^never$")
    assert run.status == 3
    assert "fine" in run.out
    assert harmless(run.out + run.err)
    run_id = burnish("runs", "list", "--json").data[0]["id"]
    for arguments in (("list",), ("show", run_id), ("show", run_id, "--content"), ("tree", run_id)):
        shown = burnish("runs", *arguments)
        assert shown.status == 0
        assert "fine" in shown.out
        assert harmless(shown.out + shown.err)
        as_json = burnish("runs", *arguments, "--json")
        assert as_json.out.isascii()
        assert harmless(as_json.out)
    assert burnish("runs", "show", run_id, "--content", "--json").data["answer"] == HOSTILE
    Path("tasks.jsonl").write_text(json.dumps({"prompt": "hi", "id": HOSTILE}) + "\n")
    batch = burnish("run", "single", "--tasks", "tasks.jsonl", *flags)
    assert batch.status == 0
    assert harmless(batch.out + batch.err)


def test_graphs_are_listed_and_drawn(burnish):
    names = [g["name"] for g in burnish("graphs", "--json").data]
    assert {"single", "best_of_n", "plangen", "iad", "worthwhile"} <= set(names)
    assert names == sorted(names)
    assert "best_of_n" in burnish("graphs").out
    shown = burnish("graphs", "show", "best_of_n", "--json").data
    assert {"name": "n", "default": 8, "description": "Samples"} in shown["settings"]
    assert {"from": "search", "to": "__end__", "conditional": False} in shown["edges"]
    Path("own.py").write_text(OWN)
    own = burnish("graphs", "show", "own.py:graph", "--set", "suffix=x")
    assert "Repeats the prompt." in own.out
    assert "__start__ --> repeat" in own.out
    assert burnish("graphs", "show", "own.py:graph", "--set", "n=1").status == 2


OWN = '''
from typing import TypedDict
from burnish.graphs.nodes import task_verifier
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from burnish import Completion, Context


class State(TypedDict, total=False):
    prompt: str
    answer: str
    candidate_id: str


def graph(suffix: str = "") -> StateGraph:
    """Repeats the prompt."""

    async def repeat(state: State, runtime: Runtime[Context]) -> State:
        ctx = runtime.context
        candidate = await ctx.add(Completion(text=state["prompt"] + suffix))
        verifier = task_verifier(ctx)
        if verifier:
            await ctx.verify(verifier, candidate)
        return {"answer": candidate.text, "candidate_id": candidate.id}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("repeat", repeat)
    builder.add_edge(START, "repeat")
    builder.add_edge("repeat", END)
    return builder
'''
