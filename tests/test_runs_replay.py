"""Replays of stored runs: another verifier or policy over what was generated, with no model call and nothing invented."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from burnish import ConfigError, ScriptedEngine, Task, Verdict
from burnish.compare.reselect import Change, replay_run, replay_runs
from burnish.core.errors import GenerationFailed
from burnish.core.target import load_target
from burnish.engine.recalled import Turns
from burnish.engine.replies import Reply
from tests.cli_kit import burnish as burnish
from tests.helpers import rows, session
from tests.plangen_kit import SMALL, Model

TASK = Task(prompt="What is 17 + 25?", id="sum", reference=42, verifier="numeric", grader="numeric")
DRAWN = ["1", "2", "42", "2"]
ALL = {"n": 4, "stop_at_pass": False, "width": 1}


async def begun(path, graph="best_of_n", task=TASK, settings=ALL, replies=DRAWN, **options):
    """A run whose samples come in turn."""
    given = iter(replies)
    engine = options.pop("engine", None) or ScriptedEngine(lambda call: next(given))
    async with session(path, engine=engine) as s:
        return (await s.run(graph, task, settings=settings, **options)).run_id


async def replayed(path, run_id, **changes):
    async with session(path) as s:
        return await replay_run(s.store.reader(), run_id, Change(**changes))


async def test_with_nothing_changed_the_same_comes_out_and_nothing_is_stored(tmp_path):
    run_id = await begun(tmp_path)
    before = rows(tmp_path, "SELECT count(*) FROM call"), rows(tmp_path, "SELECT * FROM run")
    made = await replayed(tmp_path, run_id)
    assert (made.changed, made.rejudged, made.missing, made.error) == (False, (), (), None)
    assert made.before == made.after
    assert (made.after.answer, made.after.right, made.after.calls, made.after.candidates) == ("42", True, 4, 4)
    assert before == (rows(tmp_path, "SELECT count(*) FROM call"), rows(tmp_path, "SELECT * FROM run"))


async def test_another_verifier_chooses_another_answer(tmp_path):
    run_id = await begun(tmp_path)
    made = await replayed(tmp_path, run_id, verifier="regex:^2$")
    assert made.changed
    assert (made.before.answer, made.after.answer, made.after.position) == ("42", "2", "/search@1/s0/x1")
    assert (made.before.right, made.after.right) == (True, False)
    turned = [(v.position[-2:], v.before.outcome, v.after.outcome) for v in made.rejudged]
    assert turned == [("x1", "fail", "pass"), ("x2", "pass", "fail"), ("x3", "fail", "pass")]
    assert (await replayed(tmp_path, run_id, verifier={"name": "numeric", "expected": 1})).after.answer == "1"


async def test_another_policy_chooses_among_the_same_samples(tmp_path):
    run_id = await begun(tmp_path)
    voted = await replayed(tmp_path, run_id, graph="majority")
    assert (voted.after.answer, voted.after.right, voted.missing, voted.after.calls) == ("2", False, (), 4)
    first = await replayed(tmp_path, run_id, graph="single")
    assert (first.after.answer, first.after.calls) == ("1", 1)
    bounded = {"types": [[1.0, 0.5]], "tpr": 0.9, "fpr": 0.01, "width": 1}
    stopped = await replayed(tmp_path, run_id, graph="worthwhile", settings=bounded)
    assert (stopped.after.answer, stopped.after.calls) == ("42", 3)


async def test_what_was_never_generated_is_missing_and_not_invented(tmp_path):
    run_id = await begun(tmp_path)
    more = await replayed(tmp_path, run_id, settings={"n": 6})
    assert more.missing == ("/search@1/s0/x4/call", "/search@1/s0/x5/call")
    assert (more.after.answer, more.after.candidates) == ("42", 4)
    hotter = await replayed(tmp_path, run_id, settings={"temperature": 1.5})
    assert (len(hotter.missing), hotter.after.answer, hotter.after.right) == (4, None, False)
    refined = await replayed(tmp_path, run_id, graph="self_refine")
    assert refined.missing
    assert refined.after.candidates <= 4


async def test_the_order_in_which_samples_came_is_kept(tmp_path):
    """The last sample came first and passed: it was chosen, and is so again, whatever order it is asked for in."""
    waits = iter([0.3, 0.2, 0.1, 0.0])
    engine = ScriptedEngine(lambda call: "42", latency=lambda call: next(waits))
    run_id = await begun(tmp_path, settings={"n": 4}, engine=engine)
    made = await replayed(tmp_path, run_id)
    assert (made.before.position, made.after.position) == ("/search@1/s0/x3", "/search@1/s0/x3")
    assert made.missing == ()
    # The others were cut off when it passed, so that a policy that wants them all lacks them.
    assert len((await replayed(tmp_path, run_id, settings={"stop_at_pass": False})).missing) == 3


class Slow:
    """A verifier that takes longest over what came first, and passes everything."""

    name, version, oracle, judges_truncated = "slow", "1", False, False

    async def verify(self, task, candidate, ctx=None):
        await asyncio.sleep(0.1 / len(candidate.text))
        return Verdict.passed(1.0)


async def test_a_slow_verifier_does_not_change_the_order(tmp_path):
    run_id = await begun(tmp_path, settings={**ALL, "width": None}, replies=["1", "22", "333", "4444"])
    made = await replayed(tmp_path, run_id, verifier=f"{__file__}:Slow", settings={"stop_at_pass": True})
    assert made.after.position == "/search@1/s0/x0"


async def test_a_verifier_in_a_worker_is_given_the_stored_task(tmp_path):
    function = "def judge(task, text):\n    return text == '2' and task.reference == 42 and task.verifier == 'numeric'\n"
    (tmp_path / "mine.py").write_text(function)
    run_id = await begun(tmp_path)
    made = await replayed(tmp_path, run_id, verifier=f"{tmp_path}/mine.py:judge")
    assert [(v.position[-2:], v.after.outcome) for v in made.rejudged] == [("x1", "pass"), ("x2", "fail"), ("x3", "pass")]
    assert made.after.answer == "2"


class Asks:
    """A verifier that asks the model."""

    name, version, oracle, judges_truncated = "asks", "1", False, False
    question = "Is it right?"

    async def verify(self, task, candidate, ctx=None):
        return Verdict.of((await ctx.generate(f"{self.question} {candidate.text}", key="ask")).text == "yes")


class Asks2(Asks):
    version = "2"


class AsksOtherwise(Asks):
    version, question = "3", "Is it wrong?"


async def test_a_verifier_that_asks_the_model_gets_what_was_recorded(tmp_path):
    given = iter(DRAWN)
    engine = ScriptedEngine(lambda call: ("yes" if "2" in call.text[12:] else "no") if "right" in call.text else next(given))
    run_id = await begun(tmp_path, task=Task(prompt="go", verifier=f"{__file__}:Asks"), engine=engine)
    assert len(rows(tmp_path, "SELECT 1 FROM call WHERE purpose = 'verifier'")) == 4
    same = await replayed(tmp_path, run_id)
    assert (same.changed, same.rejudged, same.after.calls) == (False, (), 4)
    again = await replayed(tmp_path, run_id, verifier=f"{__file__}:Asks2")
    assert (again.changed, again.rejudged, again.missing, again.after.outcome) == (False, (), (), "verified")
    lacking = await replayed(tmp_path, run_id, verifier=f"{__file__}:AsksOtherwise")
    assert [v.after.outcome for v in lacking.rejudged] == ["abstain"] * 4
    assert (len(lacking.missing), lacking.after.outcome) == (4, "unverified")


async def test_calls_that_failed_fail_again(tmp_path):
    replies = ["1", Reply(error=GenerationFailed("no", code="odd")), "42", "2"]
    run_id = await begun(tmp_path, replies=replies)
    made = await replayed(tmp_path, run_id)
    assert (made.after.candidates, made.missing, made.after.calls, made.before.calls) == (3, (), 4, 4)


async def test_graphs_of_several_roles_are_replayed_whole(tmp_path):
    task = Task(prompt="Plan a meeting", id="meeting")
    run_id = await begun(tmp_path, "plangen", task, SMALL, engine=ScriptedEngine(Model()))
    made = await replayed(tmp_path, run_id)
    assert made.error is None
    assert made.missing == ()
    assert (made.before.answer, made.before.position) == (made.after.answer, made.after.position)


async def test_effects_are_read_and_never_done(tmp_path):
    run_id = await begun(tmp_path, f"{__file__}:with_effect", Task(prompt="go"), {"say": "a"}, ["x"])
    assert (await replayed(tmp_path, run_id)).after.answer == "done 1 x"
    other = await replayed(tmp_path, run_id, settings={"say": "b"})
    assert other.after.answer is None
    assert (other.error.code, len(other.missing)) == ("not_recorded", 1)
    assert load_target(f"{__file__}:DONE", what="list") == [1]


DONE = []


def with_effect(say):
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    from burnish.core.context import Context
    from burnish.graphs.nodes import State

    async def act(state, runtime):
        async def perform():
            DONE.append(1)
            return len(DONE)

        done = await runtime.context.effect("touch", {"say": say}, perform)
        return {"answer": f"done {done} {(await runtime.context.generate('go')).text}"}

    act.__annotations__ = {"state": State, "runtime": Runtime[Context]}
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("act", act)
    builder.add_edge(START, "act")
    builder.add_edge("act", END)
    return builder.compile()


async def test_the_budget_holds_in_a_replay(tmp_path):
    run_id = await begun(tmp_path, budget="calls=3")
    made = await replayed(tmp_path, run_id)
    assert (made.before.calls, made.after.calls, made.after.answer) == (3, 3, "42")


async def test_a_batch(tmp_path):
    tasks = [Task(prompt=f"What is 17 + {n}?", id=f"t{n}", reference=17 + n, verifier="numeric") for n in (1, 2)]
    async with session(tmp_path, lambda call: "18") as s:
        ids = [r.run_id async for r in s.batch("best_of_n", tasks, settings=ALL)]
        made = [one async for one in replay_runs(s.store.reader(), ids, Change(grader="numeric", verifier=None))]
    assert sorted((one.task_id, one.before.right, one.after.right) for one in made) == [("t1", True, True), ("t2", False, False)]
    assert {one.after.outcome for one in made} == {"unverified"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"graph": "nosuch"}, "nosuch"),
        ({"verifier": "nosuch"}, "no verifier"),
        ({"settings": {"nosuch": 1}}, "no setting"),
        ({"graph": "worthwhile"}, "types"),
        ({"graph": f"{__file__}:nosuch"}, "nosuch"),
    ],
)
async def test_changes_that_cannot_be_made(tmp_path, changes, told):
    run_id = await begun(tmp_path)
    with pytest.raises(ConfigError, match=told):
        await replayed(tmp_path, run_id, **changes)


async def test_turns_pass_over_whoever_has_left():
    turns, gone = Turns(), []

    async def wait(number):
        await turns.mine(number)
        gone.append(number)

    tasks = [asyncio.create_task(wait(n)) for n in (3, 1, 2)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert gone == [2, 3]
    await asyncio.wait_for(wait(9), 5)


def test_on_the_command_line(burnish):
    task = ("What is 17 + 25?", "--reference", "42", "--verifier", "numeric", "--engine", "scripted")
    run_id = burnish("run", "best_of_n", *task, "--set", "n=6", "--set", "stop_at_pass=false", "--json").data["run_id"]
    same = burnish("runs", "replay", run_id[-8:])
    assert (same.status, "the same answer" in same.out) == (0, True), same.err
    made = burnish("runs", "replay", run_id, "--select", "majority", "--set", "n=8", "--grader", "numeric", "--json")
    assert (made.status, len(made.data["runs"][0]["missing"]), made.data["totals"]["missing"]) == (0, 2, 2), made.err
    assert "never generated: 2 calls" in burnish("runs", "replay", run_id, "--set", "n=8").out
    assert burnish("runs", "replay").status == 2
    assert burnish("runs", "replay", run_id, "--batch", "x").status == 2
    Path("tasks.jsonl").write_text('{"id":"a","prompt":"1 + 1","reference":2}\n{"id":"b","prompt":"2 + 2","reference":4}\n')
    drawn = ("--set", "n=4", "--engine", "scripted", "--set", "stop_at_pass=false")
    batch = burnish("run", "best_of_n", "--tasks", "tasks.jsonl", *drawn, "--name", "two", "--json").data["batch_id"]
    many = burnish("runs", "replay", "--batch", "two", "--verifier", "numeric", "--grader", "numeric")
    assert (many.status, many.out.count("\n")) == (0, 3), many.err
    assert "of 2 (" in many.err
    totals = burnish("runs", "replay", "--batch", batch, "--verifier", "numeric", "--grader", "numeric", "--json").data["totals"]
    assert (totals["runs"], totals["graded"], totals["right_after"]) == (2, 2, 2)
    assert burnish("runs", "list", "--json").data[0]["batch_id"] == batch, "a replay stores nothing"


def test_the_page_on_replay_does_what_it_says(burnish):
    page = (Path(__file__).parent.parent / "docs" / "replay.md").read_text()
    Path("tasks.jsonl").write_text('{"id":"a","prompt":"1 + 1","reference":2}\n{"id":"b","prompt":"2 + 2","reference":4}\n')
    known = {}
    for command, shown in re.findall(r"^    \$ burnish (.+)\n((?:    [^$\n].*\n)*)", page, re.M):
        for name, real in known.items():
            command = command.replace(name, real)
        if "otlp" in command:
            pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
        done = burnish(*shlex.split(command))
        assert done.status in (0, 3), (command, done.err)
        for line in shown.splitlines():
            assert line.strip() in done.out, (command, done.out)
        if command.startswith(("run ", "runs fork")):
            newest = burnish("runs", "list", "--limit", "1", "--json").data[0]["id"]
            known.setdefault("1a2b3c4d", newest)
            known["5e6f7a8b"] = newest
    code = re.search(r"```python\n(.*?)```", page, re.S)[1]
    body = "".join(f"    {line}\n" for line in code.splitlines())
    namespace = {}
    exec(f"async def main():\n{body}", namespace)
    asyncio.run(namespace["main"]())
