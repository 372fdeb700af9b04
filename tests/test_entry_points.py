"""Extensions by entry points: a small distribution, installed into a folder that is put on the path."""

import pytest

from burnish import ConfigError, ScriptedEngine, Task, make_verifier
from burnish.core.candidate import Candidate
from burnish.core.extensions import extensions
from burnish.core.verify import judge
from burnish.engine.registry import from_recipe, make_engine, recipe
from burnish.graphs.registry import build_graph, is_graph
from burnish.retrieval import open_retriever
from burnish.verifiers.describe import describe
from tests.cli_kit import burnish as burnish
from tests.helpers import session

MODULE = '''
"""What a distribution brings along."""
from dataclasses import dataclass
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

from burnish import ScriptedEngine, Verdict
from burnish.core.candidate import Candidate


class State(TypedDict, total=False):
    prompt: str
    answer: str


def shout(mark: str = "!") -> StateGraph:
    """The prompt, louder."""

    async def say(state: State) -> State:
        return {"answer": state["prompt"].upper() + mark}

    builder = StateGraph(State)
    builder.add_node("say", say)
    builder.add_edge(START, "say")
    builder.add_edge("say", END)
    return builder


@dataclass(frozen=True, kw_only=True)
class Longer:
    """The answer is longer than so many characters."""

    than: int
    """How many."""
    name = "longer"
    version = "1"
    oracle = False
    judges_truncated = True

    async def verify(self, task, candidate, ctx=None):
        return Verdict.passed() if len(candidate.text) > self.than else Verdict.failed("too short")


def polite(task, text):
    """It says please."""
    return "please" in text


def parrot(word: str = "again", model: str | None = None) -> ScriptedEngine:
    return ScriptedEngine(word)


class Nothing:
    identity = {"kind": "nothing"}

    async def search(self, queries, k=10, exclude=()):
        return [[] for _ in queries]

    async def close(self):
        pass
'''
POINTS = """
[burnish.graphs]
shout = acme_extras:shout
best_of_n = acme_extras:shout
gone = acme_extras.gone:graph
module_only = acme_extras

[burnish.verifiers]
longer = acme_extras:Longer
polite = acme_extras:polite
exact = acme_extras:polite

[burnish.engines]
parrot = acme_extras:parrot

[burnish.retrievers]
nothing = acme_extras:Nothing
"""


def install(folder, name, points, module=""):
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(points)
    if module:
        (folder / f"{name}.py").write_text(module)


@pytest.fixture
def acme(tmp_path_factory, monkeypatch):
    """The distribution, installed for one test."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "acme_extras", POINTS, MODULE)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_graph_is_found_listed_shown_run_and_resumed(acme, burnish):
    listed = {g["name"]: g for g in burnish("graphs", "list", "--json").data}
    assert (listed["shout"]["origin"], listed["shout"]["summary"]) == ("acme_extras 1.5", "The prompt, louder.")
    assert listed["single"]["origin"] == "burnish"
    settings = burnish("graphs", "show", "shout", "--json").data["settings"]
    assert [(setting["name"], setting["default"]) for setting in settings] == [("mark", "!")]
    done = burnish("run", "shout", "hello", "--engine", "scripted", "--set", "mark=?")
    assert (done.status, done.out) == (0, "HELLO?\n")
    [run] = burnish("runs", "list", "--json").data
    assert (run["graph"], is_graph("shout"), is_graph("whisper")) == ("shout", True, False)


def test_what_is_broken_or_clashes_is_named_and_harms_nothing_else(acme, burnish):
    done = burnish("graphs", "list")
    rows = {line.split()[0]: line for line in done.out.splitlines() if "acme" in line}
    assert "refused: it has the name of a built-in one" in rows["best_of_n"]
    assert "broken" in rows["gone"]
    assert "refused: it is no module:attribute" in rows["module_only"]
    assert "The prompt, louder." in rows["shout"]
    assert done.err.count("warning: the graph") == 3
    assert build_graph("best_of_n").name == "best_of_n"
    with pytest.raises(ConfigError, match="the graph gone of acme_extras "):
        build_graph("gone")
    assert "the verifier exact of acme_extras 1.5 has the name of a built-in one" in burnish("verifiers", "list").err
    assert type(make_verifier("exact")).__module__.startswith("burnish.")


def test_a_name_that_two_distributions_have_is_refused(acme):
    install(acme, "other_extras", "[burnish.graphs]\nshout = acme_extras:shout\n[burnish.engines]\nloud = acme_extras:parrot\n")
    extensions.__globals__["_found"].cache_clear()
    with pytest.raises(ConfigError, match="another distribution has too"):
        build_graph("shout")
    assert make_engine("loud")


async def test_verifiers_take_arguments_as_built_in_ones_do(acme):
    task, short = Task(prompt="x"), Candidate.of("please")
    assert (await judge(make_verifier({"name": "longer", "than": 3}), task, short)).outcome == "pass"
    assert (await judge(make_verifier({"name": "longer", "than": 9}), task, short)).outcome == "fail"
    assert (await judge(make_verifier("polite"), task, short)).outcome == "pass"
    for wrong in ({"name": "longer"}, {"name": "longer", "than": "many"}, {"name": "longer", "than": 1, "then": 2}):
        with pytest.raises(ConfigError, match="longer"):
            make_verifier(wrong)
    with pytest.raises(ConfigError) as caught:
        make_verifier("politely")
    assert "longer, polite" in caught.value.hint
    told = describe("longer")
    assert (told.summary, told.oracle) == ("The answer is longer than so many characters.", "no")
    assert [(a.name, a.required, a.doc) for a in told.arguments] == [("than", True, "How many.")]


def test_an_engine_is_made_by_name_and_from_its_recipe(acme, burnish):
    assert isinstance(from_recipe(recipe("parrot", None, {"word": "hm"})), ScriptedEngine)
    assert burnish("run", "single", "hello", "--engine", "parrot", "--engine-arg", "word=hm").out == "hm\n"
    with pytest.raises(ConfigError, match="takes no wort"):
        make_engine("parrot", None, {"wort": "x"})


async def test_a_retriever_is_opened_by_name(acme, tmp_path, monkeypatch):
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path))
    retriever = open_retriever("nothing")
    assert retriever.identity == {"kind": "nothing"}
    async with session(tmp_path) as s:
        assert (await s.run("naive_rag", "What?", settings={"corpus": "nothing"})).answer == "42"
    with pytest.raises(ConfigError, match="titles of nothing are not known"):
        open_retriever("nothing", links=1)
    with pytest.raises(ConfigError, match="nowhere"):
        open_retriever("nowhere")


def test_nothing_is_looked_for_where_a_built_in_is_meant(monkeypatch):
    def fail(*args):
        raise AssertionError("entry points were read")

    monkeypatch.setattr("importlib.metadata.entry_points", fail)
    extensions.__globals__["_found"].cache_clear()
    assert make_verifier("exact")
    assert build_graph("single")
    assert make_engine("scripted")
