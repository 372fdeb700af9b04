"""Roles with engines of their own: named on the command line or in the file, stored with the run, and resumed with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.cli.engines import ROLES
from tests.cli_kit import Done
from tests.cli_kit import burnish as burnish

Program = Callable[..., Done]
FILE = """
engine = "scripted"
[engines.scripted]
replies = "said.py:solve"
[engines.strict]
engine = "scripted"
model = "judge-1"
replies = "said.py:strict"
[engines.mild]
engine = "scripted"
model = "judge-2"
replies = "said.py:mild"
"""
SAID = """
from pathlib import Path
from typing import TypedDict

from burnish import Context
from burnish.core.errors import EngineUnavailable
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime


def solve(call):
    return "It is 42."


def strict(call):
    return "No."


def mild(call):
    return "Yes."


class State(TypedDict, total=False):
    prompt: str
    answer: str


def graph():
    async def ask(state: State, runtime: Runtime[Context]) -> State:
        ctx = runtime.context
        said = await ctx.generate(state["prompt"], key="solve")
        judged = await ctx.generate(said.text, role="judge", key="judge")
        if not Path(__file__).with_name("open").exists():
            raise EngineUnavailable("closed")
        return {"answer": f"{said.text} {judged.text}"}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    return builder
"""


@pytest.fixture
def files(burnish: Program, tmp_path: Path) -> Program:
    (tmp_path / "burnish.toml").write_text(FILE)
    (tmp_path / "said.py").write_text(SAID)
    (tmp_path / "open").touch()
    return burnish


def asked(*flags: str) -> tuple[str, ...]:
    return ("run", "said.py:graph", "What is 17 + 25?", "--json", *flags)


def models(burnish: Program, run_id: str) -> dict[str, Any]:
    engines = burnish("runs", "show", run_id, "--json").data["engines"]
    return {role: engine["model"] for role, engine in engines.items()}


def test_a_flag_goes_before_the_file_and_others_keep_the_one_engine(files: Program, tmp_path: Path) -> None:
    alone = files(*asked()).data
    assert alone["answer"] == "It is 42. It is 42."
    judged = files(*asked("--role", "judge=strict")).data
    assert judged["answer"] == "It is 42. No."
    assert models(files, judged["run_id"]) == {"default": "scripted", "judge": "judge-1"}
    assert {c["role"]: c["model"] for c in files("runs", "calls", judged["run_id"], "--json").data} == {
        "proposer": "scripted",
        "judge": "judge-1",
    }
    (tmp_path / "burnish.toml").write_text(FILE + '[roles]\njudge = "strict"\n')
    assert files(*asked()).data["answer"] == "It is 42. No."
    assert files(*asked("--role", "judge=mild")).data["answer"] == "It is 42. Yes."
    shown = {
        v["name"]: (v["value"], v["origin"]) for v in files("config", "show", "--json", "--role", "critic=mild").data["values"]
    }
    assert (shown["roles.judge"], shown["roles.critic"]) == (("strict", "project"), ("mild", "flag"))
    plan = files(*asked("--dry-run")).data
    assert (plan["engine"]["engine"], plan["roles"]["judge"]["model"]) == ("scripted", "judge-1")
    assert "engine of the role judge: scripted, model judge-1" in files("run", "single", "x", "--dry-run").out


def test_a_run_goes_on_with_the_engines_of_its_roles(files: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").unlink()
    store = ("--store", f"sqlite:///{tmp_path}/runs.db")
    stopped = files(*asked("--role", "judge=strict", *store))
    assert stopped.status == 5
    run_id = stopped.error["run_id"]
    (tmp_path / "open").touch()

    other = files("runs", "resume", run_id, "--json", "--role", "judge=mild", *store)
    assert (other.status, "judge-1" in other.error["message"]) == (5, True)
    none = files("runs", "resume", run_id, "--json", "--role", "critic=mild", *store)
    assert (none.status, none.error["hint"]) == (2, "roles that have one: judge")

    monkeypatch.chdir("/")  # where there is no file that names engines
    resumed = files("runs", "resume", run_id, "--json", *store)
    assert resumed.data["answer"] == "It is 42. No."
    monkeypatch.chdir(tmp_path)
    forked = files("runs", "fork", run_id, "--at", "ask", "--role", "judge=mild", "--json", *store)
    assert forked.data["answer"] == "It is 42. Yes."
    assert models(lambda *words: files(*words, *store), forked.data["run_id"]) == {"default": "scripted", "judge": "judge-2"}
    assert files("runs", "export-config", run_id, "--out", "run.json", *store).status == 0
    assert files("run", "run.json", "--json").data["answer"] == "It is 42. No."
    assert files("run", "run.json", "--json", "--role", "judge=mild", "--model", "m").data["answer"] == "It is 42. Yes."


def test_a_comparison_is_not_gone_on_with_by_another_judge(files: Program, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "a", "reference": "x", "grader": "exact"}\n')
    (tmp_path / "open").unlink()
    command = ("compare", "said.py:graph", "--tasks", "tasks.jsonl", "--name", "one", "--json")
    assert files(*command, "--role", "judge=strict").status == 1
    (tmp_path / "open").touch()
    for roles in ((), ("--role", "judge=mild")):
        other = files(*command, *roles)
        assert (other.status, "begun by another engine" in other.error["message"]) == (2, True), other.out
    assert files(*command, "--role", "judge=strict").status == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--role", "judge"), "no ROLE=ENGINE"),
        (("--role", "judge="), "no ROLE=ENGINE"),
        (("--role", "default=mild"), "of all others"),
        (("--role", "judge=nobody"), "no engine is called 'nobody'"),
    ],
)
def test_roles_that_cannot_be_are_refused(files: Program, flags: tuple[str, ...], message: str) -> None:
    done = files(*asked(*flags))
    assert done.status == 2
    assert message in done.error["message"]


def test_a_file_that_is_wrong_is_named(files: Program, tmp_path: Path) -> None:
    for text, message in (
        ("[roles]\njudge = 3", "roles.judge is not the name"),
        ("[engines.x]\nengine = 3", "engine is not a text"),
    ):
        (tmp_path / "burnish.toml").write_text(text)
        done = files(*asked("--engine", "x"))
        assert (done.status, message in done.error["message"]) == (2, True)


def test_a_role_that_nothing_has_is_pointed_out(files: Program) -> None:
    assert "did you mean judge?" in files(*asked("--role", "jugde=mild")).err
    assert files(*asked("--role", "referee=mild")).err.count("note") == 0
    sources = "".join(path.read_text() for path in (Path(__file__).parent.parent / "agents").glob("*.py"))
    assert sorted(set(re.findall(r'role: str = "(\w+)"', sources))) == list(ROLES)


def test_the_example_of_the_page_runs(burnish: Program, tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "cli.md").read_text().partition("### Engines of one's own")[2]
    (tmp_path / "burnish.toml").write_text(re.findall(r"```toml\n(.*?)```", page, re.S)[0])
    (tmp_path / "replies.py").write_text(re.findall(r"```python\n(.*?)```", page, re.S)[0])
    command = shlex.split(re.findall(r"^    burnish (run .*)$", page, re.M)[0])
    done = burnish(*command, "--json").data
    assert (done["outcome"], done["score"]) == ("verified", 0.9)
    assert models(burnish, done["run_id"]) == {"default": "scripted", "judge": "strict"}
