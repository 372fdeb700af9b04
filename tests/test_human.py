"""A person in the loop: runs that ask and wait, replies that come later, from several people, after a kill."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

import burnish as package
from burnish import BestOfN, ConfigError, Context, Question, Reply, ScriptedEngine, Verdict, Waiting
from burnish.core.human import Traffic
from burnish.traces.questions import answer, open_questions, questions
from burnish.traces.store import Store
from tests.cli_kit import burnish as burnish
from tests.cli_kit import environment
from tests.helpers import rows, searching, session
from tests.test_docs import ROOT, blocks

PAGE = (ROOT / "docs" / "human-in-the-loop.md").read_text()


class State(TypedDict, total=False):
    prompt: str
    aside: str
    answer: str


def chain(*nodes, **options):
    """A graph of nodes one after another."""
    builder = StateGraph(State, context_schema=Context)
    names = [START, *(n.__name__ for n in nodes), END]
    for node in nodes:
        builder.add_node(node.__name__, node)
    for a, b in pairwise(names):
        builder.add_edge(a, b)
    return builder.compile(**options)


async def draft(state: State, runtime: Runtime[Context]) -> State:
    return {"aside": (await runtime.context.generate(state["prompt"])).text}


async def check(state: State, runtime: Runtime[Context]) -> State:
    reply = await runtime.context.ask("Good?", kind="approve", about=state["aside"])
    return {"answer": f"{reply.approved} {reply.text} {reply.by}".strip()}


LETTER = chain(draft, check)


async def waiting(s, graph=LETTER, task="write") -> str:
    with pytest.raises(Waiting) as caught:
        await s.run(graph, task)
    return caught.value.run_id


async def test_a_run_waits_and_goes_on_with_the_reply(tmp_path):
    async with session(tmp_path, "dear") as s:
        run_id = await waiting(s)
        reader = s.store.reader()
        assert (reader.run(run_id).status, reader.run(run_id).owner) == ("waiting", None)
        [asked] = open_questions(reader, run_id)
        assert (asked.question, asked.step) == (Question(text="Good?", kind="approve", about="dear"), "/check@2")
        assert await answer(s.store, run_id, asked.number, Reply(approved=False, text="no", by="eva")) == 0
        assert reader.run(run_id).status == "interrupted"
    async with session(tmp_path, "dear") as s:
        result = await s.resume(run_id, LETTER)
        assert (result.answer, result.usage.calls) == ("False no eva", 1)
        assert open_questions(s.store.reader(), run_id) == []
        assert questions(s.store.reader(), run_id)[0].reply == Reply(approved=False, text="no", by="eva")


async def test_of_two_people_at_once_one_is_first(tmp_path):
    async with session(tmp_path) as s:
        run_id = await waiting(s)
        [asked] = open_questions(s.store.reader(), run_id)
        both = [answer(s.store, run_id, asked.number, Reply(by=name)) for name in ("ann", "bob")]
        done = await asyncio.gather(*both, return_exceptions=True)
        [error] = [d for d in done if d != 0]
        winner = questions(s.store.reader(), run_id)[0].reply.by
        assert isinstance(error, ConfigError)
        assert error.code == "answered"
        assert f"answered already by {winner}: approved" in error.message
        assert (await s.resume(run_id, LETTER)).answer.endswith(winner)
        with pytest.raises(ConfigError, match="answered already"):
            await answer(s.store, run_id, asked.number, Reply(by="late"))
        assert s.store.reader().run(run_id).status == "done"


async def test_in_a_batch_the_others_go_on(tmp_path):
    async def only_if_told(state: State, runtime: Runtime[Context]) -> State:
        if state["prompt"] == "ask":
            await runtime.context.ask("Well?")
        return {"answer": "done"}

    async with session(tmp_path, concurrency=1) as s:
        results = [r async for r in s.batch(chain(only_if_told), ["ask", "one", "two"])]
    assert sorted((r.answer or r.error.code) for r in results) == ["done", "done", "waiting"]
    assert rows(tmp_path, "SELECT status, count(*) FROM run GROUP BY status ORDER BY status") == [("done", 2), ("waiting", 1)]


@pytest.mark.parametrize("plain", [True, False])
async def test_an_asker_answers_at_once(tmp_path, plain):
    seen = []

    def ask(question):
        seen.append(question.text)
        return True

    async def ask_later(question):
        return ask(question)

    async with session(tmp_path, ask=ask if plain else ask_later) as s:
        result = await s.run(LETTER, "write")
        assert (result.answer, seen) == ("True", ["Good?"])
        assert (await s.resume(result.run_id, LETTER)).answer == "True"
    assert seen == ["Good?"]


async def test_an_asker_without_an_answer_lets_the_run_wait(tmp_path):
    async with session(tmp_path, ask=lambda question: None) as s:
        assert s.store.reader().run(await waiting(s)).status == "waiting"


def test_the_synchronous_run_asks_too(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    engine = ScriptedEngine("dear")
    assert package.run(LETTER, "write", engine, store=url, ask=lambda question: question.about == "dear").answer == "True"
    with pytest.raises(Waiting):
        package.run(LETTER, "write", engine, store=url)


async def test_a_reply_that_does_not_fit_is_refused_and_the_run_still_waits(tmp_path):
    async def pick(state: State, runtime: Runtime[Context]) -> State:
        return {"answer": (await runtime.context.ask("Which?", kind="choose", options=["a", "b"])).text}

    async with session(tmp_path) as s:
        run_id = await waiting(s, chain(pick))
        [asked] = open_questions(s.store.reader(), run_id)
        for wrong in (Reply(text="c"), Reply(text="a", approved=False), Reply()):
            with pytest.raises(ConfigError):
                await answer(s.store, run_id, asked.number, wrong)
        with pytest.raises(ConfigError, match="no question 99"):
            await answer(s.store, run_id, 99, Reply(text="a"))
        assert s.store.reader().run(run_id).status == "waiting"


def test_questions_that_make_no_sense_are_refused():
    for wrong in (
        {"text": " "},
        {"text": "x", "kind": "shout"},
        {"text": "x", "kind": "choose"},
        {"text": "x", "options": ("a",)},
    ):
        with pytest.raises(ConfigError):
            Question(**wrong)
    with pytest.raises(ConfigError):
        Question(text="x", kind="choose", options=("a", "a"))
    for kind, said in (("approve", "yes"), ("text", True), ("text", 3)):
        with pytest.raises(ConfigError):
            Question(text="x", kind=kind).replied(said)


async def test_what_is_in_flight_ends_before_the_run_waits(tmp_path):
    class Person:
        name, version, oracle, judges_truncated = "person", "1", False, True

        async def verify(self, task, candidate, ctx=None):
            reply = await ctx.ask("Right?", kind="approve", about=candidate.text)
            return Verdict.passed() if reply.approved else Verdict.failed(reply.text)

    graph = searching(BestOfN(4, stop_at_pass=False), Person())
    async with session(tmp_path, lambda call: str(call.seed % 97), latency=lambda call: (call.seed % 5) / 100) as s:
        run_id = await waiting(s, graph)
        asked = open_questions(s.store.reader(), run_id)
        assert len(asked) == 4
        left = [await answer(s.store, run_id, a.number, Reply(approved=a is asked[2])) for a in asked]
        assert left == [3, 2, 1, 0]
        result = await s.resume(run_id, graph)
        assert (result.outcome, result.answer, result.usage.calls) == ("verified", asked[2].question.about, 4)


async def test_traffic_is_over_when_the_last_call_has_ended():
    traffic, order = Traffic(), []

    async def call(name, begins):
        await asyncio.sleep(begins)
        with traffic:
            await asyncio.sleep(0.01)
            order.append(name)

    with traffic:
        waits = asyncio.create_task(traffic.over())
        await asyncio.gather(call("a", 0), call("b", 0.005))
        assert not waits.done()
    await waits
    assert order == ["a", "b"]


async def test_a_node_that_catches_everything_does_not_go_on(tmp_path):
    async def careless(state: State, runtime: Runtime[Context]) -> State:
        try:
            await runtime.context.ask("Well?")
        except Exception:
            return {"answer": "whatever"}
        return {"answer": "told"}

    async with session(tmp_path) as s:
        run_id = await waiting(s, chain(careless))
        [asked] = open_questions(s.store.reader(), run_id)
        await answer(s.store, run_id, asked.number, Reply(text="x"))
        assert (await s.resume(run_id, chain(careless))).answer == "told"


async def test_code_that_asks_something_else_is_told(tmp_path):
    def asking(text):
        async def node(state: State, runtime: Runtime[Context]) -> State:
            return {"answer": (await runtime.context.ask(text, key="q")).text}

        return chain(node)

    async with session(tmp_path) as s:
        run_id = await waiting(s, asking("one"))
        with pytest.raises(package.ReplayMismatch):
            await s.resume(run_id, asking("another"))
        with pytest.raises(ConfigError, match="cannot be called"):
            await s.run(chain(effect_named_ask), "x")


async def effect_named_ask(state: State, runtime: Runtime[Context]) -> State:
    await runtime.context.effect("ask", None, lambda: asyncio.sleep(0, "x"))
    return {"answer": "x"}


async def left(state: State, runtime: Runtime[Context]) -> State:
    await runtime.context.generate("left")
    first = interrupt("First?")
    await runtime.context.generate("more")
    return {"answer": f"{first} {interrupt({'text': 'Second?', 'kind': 'approve'})}"}


async def right(state: State, runtime: Runtime[Context]) -> State:
    await runtime.context.generate("right")
    return {"aside": interrupt("Beside?")}


def interrupting(**options):
    builder = StateGraph(State, context_schema=Context)
    for node in (left, right):
        builder.add_node(node.__name__, node)
        builder.add_edge(START, node.__name__)
        builder.add_edge(node.__name__, END)
    return builder.compile(**options)


async def test_langgraph_interrupts_are_questions(tmp_path):
    graph, asked = interrupting(checkpointer=InMemorySaver()), []
    async with session(tmp_path) as s:
        run_id = await waiting(s, graph)
        for _ in range(2):
            now = open_questions(s.store.reader(), run_id)
            asked.append([a.question.text for a in now])
            for a in now:
                await answer(s.store, run_id, a.number, Reply(text="" if a.question.kind == "approve" else "yes"))
            if len(asked) == 1:
                with pytest.raises(Waiting):
                    await s.resume(run_id, graph)
        result = await s.resume(run_id, graph)
    assert (result.answer, result.usage.calls) == ("yes True", 3)
    assert asked == [["First?", "Beside?"], ["Second?"]]


async def test_an_interrupt_without_a_checkpointer_is_an_error_that_says_so(tmp_path):
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match="checkpointer"):
            await s.run(interrupting(), "x")


CHILD = """
import asyncio, os, signal, sys
from burnish.core.records import Outcome
from burnish.traces.store import Store
from burnish.traces.questions import open_questions

async def main(url, run_id, write):
    store = await Store.open(url)
    [asked] = open_questions(store.reader(), run_id)
    journal = await store.acquire(run_id)
    if write:
        value = {"approved": True, "text": "", "by": "ghost"}
        await journal.write(Outcome(position=asked.position, state="ok", value=value))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] == "write"))
"""


async def test_a_kill_while_answering_loses_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    async with session(tmp_path) as s:
        run_id = await waiting(s)

    def child(what):
        return subprocess.run([sys.executable, "-c", CHILD, url, run_id, what], check=False, timeout=60).returncode

    assert await asyncio.to_thread(child, "look") == -9
    store = await Store.open(url)
    [asked] = open_questions(store.reader(), run_id)
    assert asked.reply is None
    await store.close()
    assert await asyncio.to_thread(child, "write") == -9
    async with session(tmp_path) as s:
        with pytest.raises(ConfigError, match="answered already by ghost"):
            await answer(s.store, run_id, asked.number, Reply(by="late"))
        assert (await s.resume(run_id, LETTER)).answer == "True  ghost"


def in_folder(burnish, command, run_id=""):
    [_, *words] = re.findall(r'"[^"]*"|\S+', command.replace("ID", run_id))
    return burnish(*(w.strip('"') for w in words))


def test_the_command_line_asks_lists_shows_and_answers(burnish, tmp_path):
    for name, code in blocks(PAGE).items():
        (tmp_path / name).write_text(code)
    commands = re.findall(r"^    \$ (burnish .+)$", PAGE, re.M)
    asked = in_folder(burnish, commands[0])
    assert asked.status == 8
    [run_id] = re.findall(r"^hint: .*burnish runs answer (\w+)$", asked.err, re.M)
    assert "Is the letter as you want it?" in in_folder(burnish, commands[1]).out
    assert f"burnish runs answer {run_id}, --text" in burnish("runs", "show", run_id).out
    assert burnish("runs", "answer", run_id, "--approve").status == 2
    assert burnish("runs", "resume", run_id).status == 8
    assert "wait for answers: 1 run" in burnish("runs", "resume", "--all").err
    assert f"burnish runs answer {run_id}" in burnish("runs", "stuck").out
    assert in_folder(burnish, commands[2], run_id).status == 8
    last = in_folder(burnish, commands[3], run_id)
    assert (last.status, last.out) == (0, "Dear Ann, come at eight.\n")
    shown = burnish("runs", "show", run_id, "--json").data["questions"]
    assert [q["reply"]["text"] for q in shown] == ["Dear Ann, come at eight.", ""]
    again = burnish("runs", "answer", run_id, "--approve")
    assert (again.status, "asks nothing" in again.err) == (2, True)


def test_the_other_programs_of_the_page_run(burnish, tmp_path):
    for name, code in blocks(PAGE).items():
        (tmp_path / name).write_text(code)
    commands = re.findall(r"^    \$ (burnish .+)$", PAGE, re.M)
    asked = in_folder(burnish, commands[4], "")
    assert asked.status == 8
    run = lambda name: subprocess.run([sys.executable, name], cwd=tmp_path, env=environment(), capture_output=True, text=True)  # noqa: E731
    assert run("asker.py").stdout.splitlines()[-1] == "DEAR ANN"
    assert run("reply.py").returncode == 0
    assert "verified" in burnish("runs", "resume", "--all").err
    asked = in_folder(burnish, commands[5])
    run_id = asked.err.split()[-1]
    assert in_folder(burnish, commands[6], run_id).out == "blue\n"


TWO = """
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph

from burnish import Context


class State(TypedDict, total=False):
    prompt: str
    told: Annotated[list, lambda a, b: [*a, *b]]
    answer: str


def asking(colour):
    async def node(state, runtime):
        return {"told": [(await runtime.context.ask(f"Is it {colour}?", kind="approve")).approved]}

    return node


async def end(state):
    return {"answer": str(sorted(state["told"]))}


def graph():
    builder = StateGraph(State, context_schema=Context)
    builder.add_node("end", end)
    for colour in ("red", "blue"):
        builder.add_node(colour, asking(colour))
        builder.add_edge(START, colour)
    builder.add_edge(["red", "blue"], "end")
    builder.add_edge("end", END)
    return builder
"""


def test_all_open_questions_are_named_with_the_command_for_one(burnish, tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    first = burnish("run", "two.py:graph", "x", "--engine", "scripted")
    assert first.status == 8
    [run_id, number] = re.findall(r"burnish runs answer (\w+) --question (\d+)$", first.err, re.M)[0]
    again = burnish("runs", "resume", run_id)
    for said in (first.err, again.err):
        assert all(part in said for part in ("2 questions", "Is it red?", "Is it blue?", f"answer {run_id} --question {number}"))
    numbers = [str(q["number"]) for q in burnish("runs", "show", run_id, "--json").data["questions"]]
    shown = burnish("runs", "show", run_id).out
    assert all(f"burnish runs answer {run_id} --question {n}, --approve" in shown for n in numbers)
    assert f"--question {number}, and --approve" in burnish("runs", "answer", run_id).err
    assert burnish("runs", "answer", run_id, "--question", number, "--approve").status == 8
    assert f"burnish runs answer {run_id}, --approve" in burnish("runs", "show", run_id).out
    assert burnish("runs", "answer", run_id, "--reject").out == "[False, True]\n"


def test_an_answer_for_later_and_its_json(burnish, tmp_path):
    (tmp_path / "letter.py").write_text(blocks(PAGE)["letter.py"])
    error = burnish("run", "letter.py:graph", "Invite \x1b[31mAnn.", "--engine", "scripted", "--json").error
    assert (error["kind"], "answer" in error["hint"]) == ("waiting", True)
    run_id = error["run_id"]
    stored = burnish("runs", "answer", run_id, "--text", "a\x1b[31mb", "--by", "e", "--later", "--json")
    assert (stored.status, stored.data) == (0, {"run_id": run_id, "left": 0})
    assert burnish("runs", "list", "--status", "waiting", "--json").data == []
    assert burnish("runs", "resume", run_id).status == 8
    shown = burnish("runs", "show", run_id).out
    assert ("\x1b" in shown, "a\\x1b[31mb" in shown, "answered by e" in shown) == (False, True, True)


def test_a_batch_that_waits_has_a_status_of_its_own(burnish, tmp_path):
    (tmp_path / "letter.py").write_text(blocks(PAGE)["letter.py"])
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    done = burnish("run", "letter.py:graph", "--tasks", "tasks.jsonl", "--engine", "scripted")
    assert (done.status, "2 runs with questions" in done.err) == (8, True)
    assert len(burnish("runs", "list", "--status", "waiting", "--json").data) == 2


def test_the_terminal_is_asked_until_the_answer_fits(burnish, tmp_path, monkeypatch, capsys):
    from burnish.cli import answer as command

    (tmp_path / "letter.py").write_text(blocks(PAGE)["letter.py"])
    run_id = burnish("run", "letter.py:graph", "Invite Ann.", "--engine", "scripted", "--json").error["run_id"]

    class Terminal:
        lines = iter(["maybe\n", "no too long\n"])

        def isatty(self):
            return True

        def readline(self):
            return next(self.lines, "")

    monkeypatch.setattr(command.sys, "stdin", Terminal())
    monkeypatch.setenv("EDITOR", f"{sys.executable} -c \"import sys; open(sys.argv[1], 'a').write('!')\"")
    assert burnish("runs", "answer", run_id).status == 8
    done = burnish("runs", "answer", run_id)
    assert done.out == "not sent: too long\n"
    [first, _] = burnish("runs", "show", run_id, "--json").data["questions"]
    assert first["reply"]["text"] == first["question"]["about"] + "!"


def test_the_example_runs_as_it_says(burnish, tmp_path):
    text = (ROOT / "examples" / "ask_a_person.py").read_text()
    [first, _, approve, reject] = re.findall(r"^    (burnish .+)$", text, re.M)
    asked = in_folder(burnish, first.replace("examples/", f"{ROOT}/examples/"))
    assert asked.status == 8
    run_id = asked.err.split()[-1]
    assert in_folder(burnish, reject, run_id).status == 8
    assert in_folder(burnish, approve, run_id).status == 0
    assert "refine" in burnish("runs", "tree", run_id).out
    assert sqlite3.connect(Path("burnish.db")).execute("SELECT count(*) FROM call WHERE kind = 'ask'").fetchone() == (2,)
