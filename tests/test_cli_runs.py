"""Looking at stored runs, and going on with them."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from burnish import Cancelled, Session, Task
from burnish.core.ids import new_run_id
from burnish.core.runs import RunSpec
from burnish.core.target import load_target
from burnish.engine.registry import make_engine
from burnish.traces.store import Store
from tests.cli_kit import burnish as burnish
from tests.test_cli_run import JUDGED, OWN, QUESTION, RIGHT, WRONG


async def many_runs(count: int) -> list[str]:
    """A store in the current folder with runs that wait."""
    store = await Store.open()
    task = Task(prompt="What is 1 + 1?", id="sum")
    batch = await store.create_batch({}, "many")
    start = 1_700_000_000_000
    specs = [
        RunSpec(id=new_run_id(start + i), task=task, graph="single", batch_id=batch if i % 2 else None) for i in range(count)
    ]
    await store.create_runs(specs)
    await store.close()
    return [s.id for s in specs]


def test_show_tells_what_happened(burnish):
    run_id = burnish("run", "best_of_n", QUESTION, *WRONG, *JUDGED, "--set", "n=3", "--json").data["run_id"]
    data = burnish("runs", "show", run_id[-8:], "--json").data
    assert data["run"]["id"] == run_id
    assert data["run"]["outcome"] == "rejected"
    assert data["task"]["prompt"] == QUESTION
    assert data["engines"]["default"]["recipe"]["engine"] == "scripted"
    assert data["usage"]["calls"] == 3
    assert [s["node"] for s in data["steps"]] == ["search"]
    assert len(data["candidates"]) == 3
    assert sum(c["chosen"] for c in data["candidates"]) == 1
    assert all(c["verdicts"][0]["reason"] == "mismatch" for c in data["candidates"])
    assert data["decisions"][0]["policy"] == "best_of_n"
    assert data["failed_calls"] == []
    assert "text" not in data["candidates"][0]
    whole = burnish("runs", "show", run_id, "--content", "--json").data
    assert whole["candidates"][0]["text"] == data["candidates"][0]["preview"]
    plain = burnish("runs", "show", run_id)
    for part in (f"run {run_id}: rejected", QUESTION, "verifier: 3 verdicts", "mismatch", "decision: best_of_n chose"):
        assert part in plain.out


def test_why_a_verifier_abstained_is_told(burnish):
    Path("judge.py").write_text("def judge(task, text):\n    raise ValueError('no \\x1b[31mmeasure')\n")
    Path("tasks.jsonl").write_text('{"prompt": "a", "id": "a"}\n{"prompt": "b", "id": "b"}\n')
    judged = ("--verifier", "judge.py:judge", "--set", "n=3", "--engine", "scripted")
    one = burnish("run", "best_of_n", QUESTION, *judged)
    (why,) = [line for line in one.err.splitlines() if line.startswith("abstained: ")]
    assert why.startswith("abstained: judge: verifier_error: ValueError: no \\x1b[31mmeasure (")
    shown = burnish("runs", "show", one.err.splitlines()[-1].split()[-1]).out
    assert len(re.findall(r"^abstained on \w{8}, \w{8}, \w{8}: judge: verifier_error: ValueError: no ", shown, re.M)) == 1
    assert "\x1b" not in shown + one.err
    batch = burnish("run", "best_of_n", "--tasks", "tasks.jsonl", *judged)
    assert re.search(r"^abstained: judge: verifier_error: .* \(\d of \d abstentions\)$", batch.err, re.M)
    assert "abstained: " not in burnish("run", "best_of_n", QUESTION, *RIGHT, *JUDGED).err


def test_show_tells_votes_and_failed_calls(burnish):
    flags = ("--engine", "scripted", "--engine-arg", "failures=0.5", "--engine-arg", "accuracy=1")
    run_id = burnish("run", "majority", QUESTION, *flags, "--json").data["run_id"]
    shown = burnish("runs", "show", run_id).out
    assert "votes: '42' " in shown
    assert "scripted" in shown.partition("CALL ")[2]


def test_tree_marks_the_chosen_candidate(burnish):
    run_id = burnish("run", "best_of_n", QUESTION, *WRONG, *JUDGED, "--set", "n=3", "--json").data["run_id"]
    lines = burnish("runs", "tree", run_id).out.splitlines()
    assert lines[1] == "search@1/s0  best_of_n: all_failed"
    assert [line[:2] for line in lines[2:]] == ["├─", "├─", "└─"]
    assert sum("<- chosen" in line for line in lines) == 1
    assert all("x fail 0.00 mismatch" in line for line in lines[2:])
    data = burnish("runs", "tree", run_id, "--json").data
    assert [c["chosen"] for c in data["candidates"]].count(True) == 1


def test_tree_draws_children_below_their_parents_however_deep(burnish):
    Path("deep.py").write_text(OWN.replace(REPEATED, DEEP))
    run_id = burnish("run", "deep.py:graph", "hi", *RIGHT, "--json").data["run_id"]
    data = burnish("runs", "tree", run_id, "--json").data
    assert [c["depth"] for c in data["candidates"]] == [*range(1200), 1]
    assert data["candidates"][1]["parents"] == [data["candidates"][0]["id"]]
    lines = burnish("runs", "tree", run_id).out.splitlines()
    assert "refine" in lines[3]
    assert lines[3].startswith("   ├─ ")
    assert lines[-1].startswith("   └─ ")


def test_a_list_pages_and_filters(burnish):
    ids = asyncio.run(many_runs(7))[::-1]
    first = burnish("runs", "--limit", "3", "--json")
    assert [r["id"] for r in first.data] == ids[:3]
    assert json.loads(first.out)["truncated"] is True
    rest = burnish("runs", "list", "--before", ids[2], "--json")
    assert [r["id"] for r in rest.data] == ids[3:]
    assert json.loads(rest.out)["truncated"] is False
    assert len(burnish("runs", "--batch", "many", "--json").data) == 3
    assert len(burnish("runs", "--status", "queued", "--task", "sum", "--graph", "single", "--json").data) == 7
    assert burnish("runs", "--status", "done", "--json").data == []
    plain = burnish("runs", "--limit", "2")
    assert [line.split()[0] for line in plain.out.splitlines()[1:]] == [i[-8:] for i in ids[:2]]
    assert f"--before {ids[1][-8:]}" in plain.err


def test_ten_thousand_runs_are_listed(burnish):
    ids = asyncio.run(many_runs(10_000))
    assert [r["id"] for r in burnish("runs", "--json", "--limit", "10000").data] == ids[::-1]
    assert len(burnish("runs", "--json").data) == 50


def test_ids_that_match_nothing_or_several_are_refused(burnish):
    ids = asyncio.run(many_runs(2))
    assert burnish("runs", "show", "ffff0000").status == 2
    several = burnish("runs", "show", ids[0][:8])
    assert several.status == 2
    assert all(i in several.err for i in ids)
    assert burnish("runs", "list", "--batch", "nope").status == 2


def test_queued_runs_that_name_no_engine_need_one(burnish):
    ids = asyncio.run(many_runs(2))
    plain = burnish("runs", "resume", ids[0])
    assert plain.status == 2
    assert "--engine NAME" in plain.err
    done = burnish("runs", "resume", "--all", *RIGHT, "--json")
    assert done.status == 0
    assert done.data["totals"]["outcomes"] == {"unverified": 2}
    assert {r["run_id"] for r in done.data["results"]} == set(ids)
    assert burnish("runs", "resume", ids[0], *RIGHT).status == 2
    nothing = burnish("runs", "resume", "--all", "--json")
    assert (nothing.status, nothing.data["results"]) == (0, [])


async def stopped_object() -> str:
    """A run of a graph that was given as an object, stopped before its work."""
    ids: list[str] = []
    async with Session(make_engine("scripted"), store="sqlite:///burnish.db") as session:

        def stop(run_id: str) -> None:
            ids.append(run_id)
            session.stop.request("test")

        with pytest.raises(Cancelled):
            await session.run(load_target("own.py:graph", what="graph"), QUESTION, settings={"suffix": "!"}, on_start=stop)
    return ids[0]


def test_a_run_of_a_graph_given_as_an_object_needs_it_named(burnish):
    Path("own.py").write_text(OWN)
    run_id = asyncio.run(stopped_object())
    for which in (run_id, "--all"):
        plain = burnish("runs", "resume", which, "--engine", "scripted")
        assert plain.status == 2
        assert "--graph module:attribute" in plain.err
    assert f"burnish runs resume {run_id[-8:]} --graph FILE.py:ATTRIBUTE" in burnish("runs", "stuck").out
    named = burnish("runs", "resume", run_id, "--graph", "own.py:graph", "--engine", "scripted")
    assert named.status == 0
    assert named.out == QUESTION + "!\n"


def test_runs_that_cannot_go_on_do_not_hold_up_the_others(burnish):
    Path("own.py").write_text(OWN)
    lost = asyncio.run(stopped_object())
    damaged, *good = asyncio.run(many_runs(3))
    with closing(sqlite3.connect("burnish.db")) as database, database:
        database.execute("UPDATE run SET settings = '{\"n\": ' WHERE id = ?", [damaged])
    assert burnish("runs", "resume", damaged, *RIGHT).status == 6
    resumed = burnish("runs", "resume", "--all", *RIGHT, "--json")
    assert resumed.status == 1
    assert {r["run_id"] for r in resumed.data["results"]} == set(good)
    assert {(r["run_id"], r["kind"]) for r in resumed.data["left_alone"]} == {(lost, "config"), (damaged, "unreadable")}
    assert f"left alone: {lost[-8:]}: the graph" in resumed.err
    assert f"left alone: {damaged[-8:]}: what the run {damaged[-8:]} is to do cannot be read" in resumed.err
    # Nothing is left that can go on: the first reason is the error, as of a single run.
    none = burnish("runs", "resume", "--all", *RIGHT)
    assert none.status in (2, 6)
    assert "left alone" in none.err


REPEATED = """        candidate = await ctx.add(Completion(text=state["prompt"] + suffix))
"""
DEEP = """        first = candidate = await ctx.add(Completion(text="0"))
        for i in range(1199):
            candidate = await ctx.add(Completion(text=str(i + 1)), kind="refine", parents=[candidate])
        await ctx.add(Completion(text="second child"), kind="refine", parents=[first])
"""
