"""Where two runs part, on SQLite always and on PostgreSQL where there is a server."""

import dataclasses
from pathlib import Path

from burnish.core.completion import Completion
from burnish.core.errors import ConfigError
from burnish.core.ids import new_run_id
from burnish.core.policy import Selection
from burnish.core.records import Decided, Outcome
from burnish.core.runs import RunEnd, RunSpec
from burnish.core.task import Task
from burnish.core.verdict import Verdict
from burnish.traces.diff import compare_runs
from tests.cli_kit import burnish as burnish
from tests.test_cli_run import JUDGED, RIGHT, WRONG
from tests.test_traces_store import store as store
from tests.test_traces_store import url as url
from tests.traces_kit import candidate, intent, judged, one_of_each, outcome

QUESTION = "What is 17 + 25?"


async def ended(store, *changes, drop=(), add=(), **spec):
    """A run with one record of each kind, some of them changed, dropped or added."""
    asked = RunSpec(id=new_run_id(), task=Task(prompt="What is 6 times 7?"), graph="best_of_n", **spec)
    await store.create_run(asked)
    journal = await store.acquire(asked.id)
    records = [r for r in one_of_each(asked.id) if type(r) not in drop]
    for change in changes:
        records = [change(asked.id) if type(r) is type(change(asked.id)) else r for r in records]
    for record in (*records, *(a(asked.id) for a in add)):
        await journal.write(record)
    await journal.finish(RunEnd(status="done", outcome="rejected", answer="42"), 1.0)
    return asked.id


def first(made, what):
    (part,) = (p for p in made.parts if p.what == what)
    return part.first


async def test_runs_that_did_the_same_are_the_same(store):
    a, b = await ended(store), await ended(store)
    made = compare_runs(store.reader(), a, b)
    assert made.same
    assert [(p.what, p.same, p.differ, p.only_a, p.only_b) for p in made.parts] == [
        (what, 1, 0, 0, 0) for what in ("step", "call", "candidate", "verdict", "decision")
    ]
    assert (made.facts, made.ends) == ({}, {})
    assert made.usage[0] == made.usage[1]


async def test_another_answer_to_the_same_question(store):
    a = await ended(store)
    b = await ended(store, lambda _: outcome("/a/x", "43"), lambda i: candidate(i, "/a/c0", "43", answer="43"))
    made = compare_runs(store.reader(), a, b)
    assert not made.same
    call, made_of_it = first(made, "call"), first(made, "candidate")
    assert (call.position, call.how, list(call.a)) == ("/a/x", "answered", ["text_sha"])
    assert (made_of_it.how, made_of_it.a["answer"], made_of_it.b["answer"]) == ("answered", "42", "43")
    assert first(made, "verdict") is None


async def test_another_question_at_the_same_place(store):
    a = await ended(store)
    b = await ended(store, lambda _: intent("/a/x", prompt="bye"))
    call = first(compare_runs(store.reader(), a, b), "call")
    assert (call.how, list(call.a)) == ("asked", ["request_hash"])


async def test_what_only_one_has(store):
    a = await ended(store, add=[lambda _: intent("/a/y"), lambda i: candidate(i, "/a/c1")])
    b = await ended(store)
    made, turned = compare_runs(store.reader(), a, b), compare_runs(store.reader(), b, a)
    assert (first(made, "call").how, first(turned, "call").how) == ("only_a", "only_b")
    assert first(made, "call").b is None
    assert first(turned, "call").a is None
    assert first(turned, "call").b["state"] == "intent"
    assert [(p.only_a, p.only_b) for p in made.parts] == [(0, 0), (1, 0), (1, 0), (0, 0), (0, 0)]
    assert [(p.only_a, p.only_b) for p in turned.parts] == [(0, 0), (0, 1), (0, 1), (0, 0), (0, 0)]


async def test_the_first_of_several_differences_is_told(store):
    more = [intent(f"/a/{name}") for name in "zyw"]
    a = await ended(store, add=[lambda _, r=r: r for r in (*more, *(outcome(r.position) for r in more))])
    b = await ended(store, add=[lambda _, r=r: r for r in (*more, *(outcome(r.position, "no") for r in more[1:]))])
    (calls,) = (p for p in compare_runs(store.reader(), a, b).parts if p.what == "call")
    assert (calls.same, calls.differ, calls.first.position) == (1, 3, "/a/z")
    assert (calls.first.a["state"], calls.first.b["state"]) == ("ok", "intent")


async def test_verdicts_choices_and_parents_are_compared_by_what_they_are_of(store):
    def other_parent(run_id):
        return candidate(run_id, "/a/c1", kind="refine", parents=(candidate(run_id, "/a/c9").id,))

    def same_parent(run_id):
        return candidate(run_id, "/a/c1", kind="refine", parents=(candidate(run_id, "/a/c0").id,))

    a = await ended(store, add=[lambda i: candidate(i, "/a/c9"), same_parent])
    b = await ended(store, add=[lambda i: candidate(i, "/a/c9"), same_parent])
    c = await ended(store, add=[lambda i: candidate(i, "/a/c9"), other_parent])
    assert compare_runs(store.reader(), a, b).same
    assert (first(compare_runs(store.reader(), a, c), "candidate").position) == "/a/c1"
    assert (first(compare_runs(store.reader(), a, c), "candidate").how) == "asked"
    d = await ended(store, lambda i: judged(i, "/a/c0", Verdict.passed()))
    verdict = first(compare_runs(store.reader(), a, d), "verdict")
    assert (verdict.a["outcome"], verdict.b["outcome"]) == ("fail", "pass")
    e = await ended(
        store,
        lambda i: Decided(
            position="/a/s0", policy="best_of_n", selection=Selection(id=None, reason="none"), candidate_id=None, options=[]
        ),
    )
    assert first(compare_runs(store.reader(), a, e), "decision").how == "answered"


async def test_settings_and_cost_are_told(store):
    a = await ended(store, settings={"n": 1}, seed=1)
    b = await ended(
        store,
        lambda _: Outcome(position="/a/x", state="ok", completion=Completion("42"), seconds=1.0),
        settings={"n": 2},
        seed=2,
    )
    made = compare_runs(store.reader(), a, b)
    assert made.facts == {"settings": ('{"n":1}', '{"n":2}'), "seed": (1, 2)}
    assert made.same, "tokens and money are cost, not what was said"
    assert made.usage[0].prompt_tokens == 10
    assert made.usage[1] == dataclasses.replace(made.usage[1], prompt_tokens=0, usd=0.0)


def test_on_the_command_line(burnish):
    right = burnish("run", "best_of_n", QUESTION, *RIGHT, *JUDGED, "--set", "n=1", "--json").data["run_id"]
    again = burnish("run", "best_of_n", QUESTION, *RIGHT, *JUDGED, "--set", "n=1", "--json").data["run_id"]
    wrong = burnish("run", "best_of_n", QUESTION, *WRONG, *JUDGED, "--set", "n=3", "--json").data["run_id"]
    same = burnish("runs", "diff", right, again)
    assert (same.status, "the runs did and said the same" in same.out) == (0, True)
    data = burnish("runs", "diff", right, wrong, "--json").data
    assert (data["a"], data["b"], data["same"]) == (right, wrong, False)
    assert data["facts"]["settings"] == [{"n": 1}, {"n": 3}]
    assert data["ends"]["outcome"] == ["verified", "rejected"]
    parts = {p["what"]: p for p in data["parts"]}
    assert parts["call"]["first"]["texts"]["text"]["a"] == "42"
    assert parts["verdict"]["first"]["a"]["outcome"] == "pass"
    assert [u["calls"] for u in data["usage"]] == [len(burnish("runs", "calls", r, "--json").data) for r in (right, wrong)]
    plain = burnish("runs", "diff", right, wrong).out
    for part in ('settings: {"n":1} | {"n":3}', "first call, at /search@1/s0/x0/call", "outcome: verified | rejected"):
        assert part in plain
    assert burnish("runs", "diff", right, "ffff0000").status == ConfigError.exit_code


def test_where_long_texts_part(burnish):
    stem = "the same words " * 50
    Path("replies.py").write_text(f"ONE = {stem + 'one'!r}\nTWO = {stem + 'two'!r}\n")
    flags = ("run", "single", QUESTION, "--engine", "scripted", "--json", "--engine-arg")
    one, two = (burnish(*flags, f"replies=replies.py:{name}").data["run_id"] for name in ("ONE", "TWO"))
    parts = {p["what"]: p for p in burnish("runs", "diff", one, two, "--json").data["parts"]}
    told = parts["call"]["first"]["texts"]["text"]
    assert told["at"] == len(stem)
    assert told["a"].endswith("words one")
    assert told["b"].endswith("words two")
    assert f"apart from character {len(stem)} on" in burnish("runs", "diff", one, two).out
