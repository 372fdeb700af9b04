"""`burnish rag`: fitted on recorded runs and on files, planned from; what is missing or malformed is named."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from burnish import ScriptedEngine, Session
from burnish.stats.allocation import REPORTED, Allocation, Informativeness
from burnish.stats.effective_length import Configuration, Lengths
from tests.cli_kit import burnish as burnish
from tests.test_docs import blocks

PAGE = (Path(__file__).parent.parent / "docs" / "rag-scaling.md").read_text()

GRAPH = """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from burnish import Context


class State(TypedDict, total=False):
    prompt: str
    answer: str
    candidate_id: str


def graph(documents=0, shots=0, iterations=1):
    async def answer(state, runtime: Runtime[Context]):
        ctx = runtime.context
        text = f"{documents} {shots} {iterations} | {state['prompt']} | " + "word " * (10 * documents * (shots + 1))
        for n in range(iterations):
            said = await ctx.generate(text, key=str(n))
        made = await ctx.add(said, key="answer")
        return {"answer": made.text, "candidate_id": made.id}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile()
"""
MODEL = Allocation(a=(0.325, 0.101, 0.177), b=(-0.067, -0.008, 0.0), c=-0.730, sigmoid=REPORTED)
SETS = {"a": Informativeness(documents=0.1, shots=0.3), "b": Informativeness(documents=0.5, shots=0.1)}
GRID = [Configuration(k, m, n) for k in (0, 1, 8) for m in (0, 1, 4) for n in (1, 2)]
LENGTHS = Lengths(document=130, question=40, instruction=60)
TASKS = 8
RUN_GRID = [Configuration(k, m, n) for k in (0, 1, 8) for m in (0, 1) for n in (1, 2)]


def score(name, configuration):
    return 0.45 + 0.15 * MODEL.value(configuration, SETS[name])


def lines(grid=GRID, sets=SETS, **more):
    rows = (
        {"dataset": s, "documents": c.documents, "shots": c.shots, "iterations": c.iterations, "score": score(s, c), **more}
        for s in sets
        for c in grid
    )
    return [{**row, "tokens": LENGTHS.estimate(Configuration(row["documents"], row["shots"]))} for row in rows]


def write(rows, path="measured.jsonl"):
    if path.endswith(".csv"):
        names = [*rows[0]]
        text = "\n".join([",".join(names), *(",".join(str(row[n]) for n in names) for row in rows)])
    else:
        text = "\n".join(json.dumps(row) for row in rows)
    Path(path).write_text(text + "\n")
    return ("--measurements", path)


def right(name, c):
    """Of the tasks of a data set, how many come out right."""
    of_documents, of_shots = {"a": (2, 2), "b": (4, 1)}[name]
    return 1 + of_documents * (c.documents > 0) + of_shots * (c.shots > 0) + (c.documents > 1) + (c.iterations > 1)


def says(call):
    head, prompt, _ = call.prompt.messages[-1].text.split(" | ")
    name, number = prompt.split()[-1].split("/")
    return "right" if int(number) < right(name, Configuration(*map(int, head.split()))) else "wrong"


async def recorded():
    Path("rag.py").write_text(GRAPH)
    listed = [
        {"id": f"{s}{n}", "prompt": f"Q {s}/{n}", "reference": "right", "grader": "answer_match", "metadata": {"set": s}}
        for s in SETS
        for n in range(TASKS)
    ]
    async with Session(ScriptedEngine(says), store="sqlite:///burnish.db") as session:
        for c in RUN_GRID:
            settings = {"documents": c.documents, "shots": c.shots, "iterations": c.iterations}
            settings = {name: value for name, value in settings.items() if (name, value) not in (("shots", 0), ("iterations", 1))}
            async for result in session.batch("rag.py:graph", listed, settings=settings, name=f"g{c.values}"):
                assert result.error is None


async def test_recorded_runs_are_measured_with_their_settings(burnish):
    await recorded()
    fitted = burnish("rag", "fit", "model.json", "--all", "--graph", "rag.py:graph", "--json")
    assert fitted.status == 0, fitted.out
    assert (fitted.data["runs"], fitted.data["measurements"]) == (2 * TASKS * len(RUN_GRID), 2 * len(RUN_GRID))
    assert (fitted.data["left_out"], fitted.data["uneven"]) == ({}, [])
    model = Allocation.from_json(json.loads(Path("model.json").read_text()))
    assert model.to_json() == Allocation.from_json(fitted.data["model"]).to_json()
    assert model.informativeness["a"] == Informativeness(documents=2 / 8, shots=2 / 8)
    assert model.informativeness["b"] == Informativeness(documents=4 / 8, shots=1 / 8)
    assert model.r2 > 0.9
    assert all(a > 0 for a in model.a)
    assert model.lengths.document == pytest.approx(10, rel=0.2)
    assert (model.least, model.most) == (Configuration(0, 0, 1), Configuration(8, 1, 2))
    planned = burnish("rag", "plan", "model.json", "--budget-tokens", "200", "--dataset", "a", "--json").data
    assert planned["tokens"] <= 200
    assert planned["documents"] >= 1
    of_batch = burnish("rag", "fit", "m2.json", "--batch", f"g{RUN_GRID[0].values}", "--graph", "rag.py:graph", "--json")
    assert "not measured at" in of_batch.error["message"]
    by_f1 = burnish("rag", "fit", "m2.json", "--all", "--graph", "rag.py:graph", "--scorer", "flashrag.f1", "--json")
    assert by_f1.data["model"]["a"] == fitted.data["model"]["a"]  # of one word both are the same
    unknown = burnish("rag", "fit", "m2.json", "--all", "--graph", "rag.py:graph", "--scorer", "f1")
    assert "no grade by f1" in unknown.err


async def test_runs_that_do_not_count_are_told(burnish):
    Path("rag.py").write_text(GRAPH)
    async with Session(ScriptedEngine("right"), store="sqlite:///burnish.db") as session:
        await session.run("rag.py:graph", {"prompt": "a | b", "id": "x"})
        await session.run("single", {"prompt": "?", "reference": 1, "grader": "exact"})
    told = burnish("rag", "fit", "m.json", "--all", "--graph", "rag.py:graph", "--graph", "single", *write(lines()))
    assert told.status == 0, told.err
    assert "left out: 1 run without a grader" in told.err
    assert "left out: 1 run without the setting documents" in told.err
    assert "0 runs" in told.err


@pytest.mark.parametrize("path", ["measured.jsonl", "measured.csv"])
def test_measurements_in_a_file_are_fitted_and_planned_from(burnish, path):
    fitted = burnish("rag", "fit", "model.json", *write(lines(), path))
    assert fitted.status == 0, fitted.err
    assert fitted.out.splitlines()[1].split()[0] == "documents"
    assert "burnish rag plan model.json" in fitted.err
    again = burnish("rag", "plan", "model.json", "--budget-tokens", "4000", "--dataset", "b")
    assert again.status == 0, again.err
    assert again.out.splitlines()[0].split() == ["DOCUMENTS", "SHOTS", "ITERATIONS", "TOKENS", "VALUE"]
    data = burnish("rag", "plan", "model.json", "--budget-tokens", "4000", "--informativeness", "0.5,0.1", "--json").data
    assert data["tokens"] <= data["budget_tokens"] == 4000
    assert len(data["alternatives"]) == 4
    assert all(data["x"] >= other["x"] for other in data["alternatives"])
    beyond = burnish("rag", "plan", "model.json", "--budget-tokens", "4000", "--informativeness", "0.9,0.9")
    assert "the first document raised the score by" in beyond.err
    wide = ("rag", "plan", "model.json", "--budget-tokens", "1000000", "--dataset", "a", "--json")
    assert burnish(*wide).data["documents"] <= 8
    assert burnish(*wide, "--extrapolate").data["documents"] > 8
    longer = ("--length", "document=2000", "--length", "subquery=9")
    assert burnish(*wide, *longer).data["tokens"] > burnish(*wide).data["tokens"]


def test_files_with_several_metrics_are_normalised_apart(burnish):
    both = lines(metric="em") + [{**row, "score": row["score"] * 0.8} for row in lines(metric="f1")]
    fitted = burnish("rag", "fit", "model.json", *write(both), "--sigmoid", "reported", "--json")
    assert fitted.status == 0, fitted.out
    assert set(fitted.data["model"]["informativeness"]) == {"a/em", "b/em", "a/f1", "b/f1"}
    assert fitted.data["model"]["sigmoid"]["scale"] == 3.3


def test_without_lengths_they_are_asked_for(burnish):
    rows = [{name: value for name, value in row.items() if name != "tokens"} for row in lines()]
    fitted = burnish("rag", "fit", "model.json", *write(rows), "--sigmoid", "none")
    assert "no lengths could be fitted" in fitted.err
    plan = ("rag", "plan", "model.json", "--budget-tokens", "4000", "--dataset", "a")
    asked = burnish(*plan)
    assert (asked.status, "has no lengths: document, question" in asked.err) == (2, True)
    assert burnish(*plan, "--length", "document=130", "--length", "question=40").status == 0


def test_what_cannot_be_told_is_refused_or_left_out(burnish):
    only = write(lines([c for c in GRID if c.iterations == 1]))
    refused = burnish("rag", "fit", "model.json", *only)
    assert refused.status == 2
    assert "measure some configurations with more than 1" in refused.err
    assert not Path("model.json").exists()
    fitted = burnish("rag", "fit", "model.json", *only, "--partial")
    assert fitted.status == 0
    assert "left out, since the measurements do not tell them: iterations" in fitted.err
    planned = burnish("rag", "plan", "model.json", "--budget-tokens", "9999", "--dataset", "a")
    assert "taken to make no difference: iterations" in planned.err
    assert planned.out.splitlines()[1].split()[2] == "1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("fit", "m.json"), "say what is to be fitted on"),
        (("fit", "m.json", "--all"), "no database"),
        (("fit", "m.json", "--measurements", "nowhere.csv"), "cannot be read"),
        (("fit", "nowhere/m.json", "--measurements", "measured.jsonl"), "cannot be written"),
        (("plan", "nowhere.json", "--budget-tokens", "10"), "cannot be read"),
        (("plan", "measured.jsonl", "--budget-tokens", "10"), "is no JSON"),
        (("plan", "other.json", "--budget-tokens", "10"), "no allocation model"),
        (("plan", "model.json", "--budget-tokens", "10", "--dataset", "a"), "no configuration fits into 10 tokens"),
        (("plan", "model.json", "--budget-tokens", "99"), "knows several data sets"),
        (("plan", "model.json", "--budget-tokens", "99", "--dataset", "c"), "no data set is called 'c'"),
        (("plan", "model.json", "--budget-tokens", "99", "--informativeness", "1"), "no pair of numbers"),
        (("plan", "model.json", "--budget-tokens", "99", "--informativeness", "nan,0"), "difference of scores is nan"),
        (("plan", "model.json", "--budget-tokens", "99", "--informativeness", "1,2", "--dataset", "a"), "both"),
        (("plan", "model.json", "--budget-tokens", "99", "--dataset", "a", "--length", "d=3"), "no length is called"),
        (("plan", "model.json", "--budget-tokens", "99", "--dataset", "a", "--length", "document"), "is no length"),
        (("plan", "model.json", "--budget-tokens", "99", "--dataset", "a", "--length", "document=-3"), "is -3"),
    ],
)
def test_wrong_usage_is_told_in_a_line(burnish, arguments, told):
    write(lines())
    Path("model.json").write_text(json.dumps(replace(MODEL, informativeness=SETS, lengths=LENGTHS).to_json()))
    Path("other.json").write_text("[1]")
    run = burnish("rag", *arguments)
    assert run.status != 0
    assert told in run.err
    assert len(run.err.strip().splitlines()) <= 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"dataset": "a"}', "missing: documents"),
        (json.dumps({**lines()[0], "ducoments": 1}), "unknown: ducoments"),
        (json.dumps({**lines()[0], "documents": "x"}), "invalid literal"),
        (json.dumps({**lines()[0], "documents": 1.5}), "documents is 1.5"),
        (json.dumps({**lines()[0], "score": 45}), "a score is 45"),
        (json.dumps({**lines()[0], "score": "high"}), "could not convert"),
        (json.dumps({**lines()[0], "tokens": -1}), "tokens are -1"),
    ],
)
def test_a_line_that_is_no_measurement_is_named(burnish, line, told):
    Path("m.jsonl").write_text(json.dumps(lines()[0]) + "\n\n" + line + "\n")
    run = burnish("rag", "fit", "model.json", "--measurements", "m.jsonl")
    assert run.status == 2
    assert "m.jsonl:3: " in run.err
    assert told in run.err


def test_a_table_with_a_wrong_column_is_named(burnish):
    Path("m.csv").write_text("dataset,documents,shots\na,1,0\n")
    run = burnish("rag", "fit", "model.json", "--measurements", "m.csv")
    assert "m.csv:2: missing: iterations, score" in run.err
    Path("m.csv").write_text("dataset,documents,shots,iterations,score\n")
    assert "no measurement" in burnish("rag", "fit", "model.json", "--measurements", "m.csv").err


def test_the_page_shows_what_is_printed(burnish, capsys):
    """Words as they stand, numbers to a hundredth: the last digit differs by machine."""
    code = blocks(PAGE)["simulate.py"]
    capsys.readouterr()
    exec(compile(code, "simulate.py", "exec"), {})
    Path("measured.csv").write_text(capsys.readouterr().out)
    shown = re.findall(r"```text\n(.*?)```", PAGE, re.S)
    commands = re.findall(r"^    \$ burnish (.+)$", PAGE, re.M)
    assert len(shown) == len(commands) == 2
    for command, text in zip(commands, shown, strict=True):
        printed = burnish(*shlex.split(command)).out.split()
        for ours, theirs in zip(printed, text.split(), strict=True):
            assert ours == theirs or number(ours) == pytest.approx(number(theirs), abs=0.011), (printed, text)


def number(text):
    return float(text.replace(",", "").rstrip(",;"))
