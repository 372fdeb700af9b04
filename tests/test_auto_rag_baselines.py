"""What Auto-RAG shares: the policies over rounds, naive RAG, the closed book, a server that is lent to many runs."""

import asyncio

import pytest

from burnish import ScriptedEngine
from burnish.agents.rounds import Answer, Limits, Query, Round, seen, shown, told
from burnish.core.completion import Completion
from burnish.core.errors import ConfigError, RetrievalFailed
from burnish.engine.replies import Reply
from burnish.graphs.auto_rag import auto_rag
from burnish.graphs.rag import rag_graph
from burnish.graphs.rag_corpus import RagCorpus
from burnish.graphs.rag_loop import RagLoop
from burnish.graphs.rag_settings import AutoRagSettings, RagSettings
from burnish.graphs.registry import build_graph
from burnish.retrieval import Hit, Remote
from tests.helpers import rows, session
from tests.rag_kit import GARDEN, Model, Shelf, answer, dialogue, ended, graph, naive
from tests.retrieval_kit import server

PLAN = "Analysis: x\nInitial Query: the Rill"
DONE = "Intermediate Answer_1: x\nFinal Answer: Dorn"


def found(*scores, source="search"):
    """A round that found a passage for each name and score."""
    return Round(query="q", source=source, hits=tuple(Hit(i, "", i, score, n) for n, (i, score) in enumerate(scores, 1)))


TWO = (found(("a", 3.0), ("b", 2.0)), found(("c", 5.0), ("b", 4.0)))


@pytest.mark.parametrize(
    ("accumulate", "order", "most", "ids"),
    [
        ("replace", "best_first", None, "cb"),
        ("replace", "best_last", None, "bc"),
        ("replace", "best_last", 1, "c"),
        ("append", "best_first", None, "abc"),
        ("append", "best_last", None, "bac"),
        ("append", "best_first", 2, "bc"),
        ("append", "best_first", 0, ""),
        ("merge", "best_first", None, "cba"),
        ("merge", "best_last", None, "abc"),
        ("merge", "best_last", 2, "bc"),
    ],
)
def test_which_passages_are_shown(accumulate, order, most, ids):
    assert "".join(h.id for h in shown(TWO, accumulate, order, most)) == ids
    assert shown((), accumulate, order, most) == []


def test_merging_keeps_the_best_score():
    assert {h.id: h.score for h in shown(TWO, "merge")} == {"a": 3.0, "b": 4.0, "c": 5.0}


def test_what_is_told_of_rounds():
    rounds = (*TWO, Round(query="q", source="recall", recalled="text"))
    assert seen(rounds) == {"a", "b", "c"}
    assert told(rounds) == {"searches": 2, "documents": 4, "recalled": 1}


class Repeating:
    """Asks the question again and again, and answers with what it was shown once it must."""

    def __init__(self):
        self.turns = []

    async def step(self, ctx, turn):
        self.turns.append(turn)
        if turn.must:
            return Answer(text=" ".join(h.id for h in shown(turn.rounds, "merge")), completion=Completion(""))
        return Query(text=turn.question, calls=0)


@pytest.mark.parametrize(("unseen", "ids"), [(True, "rill quill"), (False, "rill")])
async def test_a_method_of_ones_own_under_other_limits(tmp_path, unseen, ids):
    asker = Repeating()
    limits = Limits(rounds=3, k=1, first="question", unseen=unseen, at_end="force")
    corpus = RagCorpus(retriever=Shelf(GARDEN[:2]))
    loop = RagLoop("auto_rag", limits, asker=asker, reader=asker, recaller=None, corpus=corpus)
    result = await answer(tmp_path, Model(), made=rag_graph(loop, RagSettings()), task="Ada Quill")
    assert result.answer == ids
    assert [(len(t.rounds), t.must) for t in asker.turns] == [(1, False), (2, False), (3, True)]


async def test_naive_rag_searches_once_with_the_question(tmp_path):
    model, shelf = Model(read="Answer: Dorn\n\nFor she was born there."), Shelf()
    result = await answer(tmp_path, model, made=naive(shelf, k=2, order="best_last"), task="Where was Ada Quill born?")
    assert result.answer == "Dorn"
    assert shelf.asked == [("Where was Ada Quill born?", [])]
    (prompt,) = model.prompts("read")
    assert "Doc 1(Title: Ada Quill) Ada Quill was born in Dorn.\nDoc 2(Title: The Rill)" in prompt.messages[-1].text
    assert prompt.messages[-1].text.endswith("Question: Where was Ada Quill born?")
    reason, details = ended(tmp_path, result)
    assert (reason, details["searches"], details["documents"]) == ("answered", 1, 2)


async def test_naive_rag_that_finds_nothing_says_so(tmp_path):
    model = Model()
    await answer(tmp_path, model, made=naive(), task="Atlantis?")
    assert "Documents:\n(nothing was found" in model.prompts("read")[0].messages[-1].text


async def test_a_reply_that_is_cut_or_empty_is_asked_for_again(tmp_path):
    model = Model(read=lambda call: Reply("It was", finish_reason="length"))
    result = await answer(tmp_path, model, made=naive(retries=0), task="Ada?")
    assert (result.answer, ended(tmp_path, result)[0]) == (None, "format_failure")
    model = Model(read=lambda call: "Dorn" if len(call.prompt.messages) > 1 else "")
    result = await answer(tmp_path, model, made=naive(retries=1), task="Ada?")
    assert (result.answer, ended(tmp_path, result)[0]) == ("Dorn", "answered")
    assert "it is empty" in model.asked[-1][1].messages[-1].text


def test_a_graph_has_the_nodes_that_its_method_can_come_to():
    assert set(graph().nodes) == {"__start__", "think", "search", "recall", "close", "finish"}
    assert set(graph(elicit=0).nodes) == {"__start__", "think", "search", "close", "finish"}
    assert set(graph(rounds=0).nodes) == {"__start__", "think", "recall", "close", "finish"}
    assert set(naive().nodes) == {"__start__", "think", "search", "close", "finish"}
    assert set(build_graph("closed_book").nodes) == {"__start__", "close", "finish"}


async def test_the_closed_book_searches_nothing(tmp_path):
    model = Model(closed="the Lenn")
    async with session(tmp_path, engine=ScriptedEngine(model)) as s:
        result = await s.run("closed_book", "Where does the Rill end?")
    assert (result.answer, model.roles()) == ("the Lenn", ["closed"])
    assert ended(tmp_path, result)[0] == "closed_book"
    assert rows(tmp_path, "SELECT count(*) FROM call") == [(1,)]


async def test_earlier_turns_of_the_task_stay(tmp_path):
    task = {"prompt": "Where?", "messages": [{"role": "user", "content": "Be brief."}, {"role": "assistant", "content": "Yes."}]}
    for model, made in ((Model(PLAN, DONE), None), (Model(), naive())):
        await answer(tmp_path, model, made=made, task=task)
        assert "Be brief." in [m.text for m in model.asked[0][1].messages]


def documents(body, number):
    hits = [{"document": {"id": i, "contents": f"{title}\n{text}"}, "score": 1.0} for i, title, text in GARDEN[:2]]
    return 200, {"result": [hits for _ in body["queries"]]}


async def test_a_server_is_searched_and_left(tmp_path):
    with server(documents) as (url, asked):
        made = auto_rag(AutoRagSettings(corpus=url, k=1))
        async with session(tmp_path, engine=ScriptedEngine(Model(PLAN, DONE)), concurrency=3) as s:
            answers = [result.answer async for result in s.batch(made, ["one", "two", "three"])]
    assert answers == ["Dorn"] * 3
    assert [body["topk"] for body in asked] == [1] * 3


async def test_a_server_that_dies_in_mid_run(tmp_path):
    def dying(body, number):
        return documents(body, number) if number == 1 else (418, {})

    model = Model(PLAN, "Refined Query: Ada", DONE)
    with server(dying) as (url, _):
        async with session(tmp_path, engine=ScriptedEngine(model)) as s:
            with pytest.raises(RetrievalFailed):
                await s.run(auto_rag(AutoRagSettings(corpus=url, k=1)), "Where?")
            result = await s.run("closed_book", "Where?")
            assert result.answer == "from memory"
            settings = AutoRagSettings(corpus=url, k=1, on_failure="close", elicit=0)
            result = await s.run(auto_rag(settings), "Where?")
    reason, details = ended(tmp_path, result)
    assert (result.answer, reason, details["cause"]) == ("from memory", "closed_book", "retrieval_failed")
    assert "418" in details["error"]


def test_a_method_that_searches_needs_something_to_search_in():
    with pytest.raises(ConfigError, match="no corpus"):
        RagLoop("mine", Limits(), asker=Repeating(), reader=Repeating(), recaller=None, corpus=None)


async def test_connections_are_closed_with_the_last_run():
    closed = []

    class Closing(Remote):
        async def close(self):
            closed.append(self.url)
            await super().close()

    corpus = RagCorpus("http://localhost:1/retrieve")
    corpus._opened = Closing("http://localhost:1/retrieve")
    assert await corpus.borrow("one") is await corpus.borrow("two")
    await corpus.leave("one")
    await corpus.leave("one")
    await corpus.leave("a stranger")
    assert not closed
    await corpus.leave("two")
    assert len(closed) == 1


async def test_a_retriever_of_ones_own_stays_open():
    class Open(Shelf):
        async def close(self):
            raise AssertionError("it is its owner's")

    corpus = RagCorpus(retriever=Open())
    await corpus.borrow("one")
    await corpus.leave("one")


async def test_a_run_that_is_stopped_leaves_the_server(tmp_path):
    asked = asyncio.Event()

    class Hanging(Shelf):
        async def search(self, queries, k, exclude=()):
            asked.set()
            await asyncio.sleep(60)

    corpus = RagCorpus(retriever=Hanging())
    loop = RagLoop("auto_rag", Limits(), asker=Repeating(), reader=Repeating(), recaller=None, corpus=corpus)
    async with session(tmp_path) as s:
        running = asyncio.create_task(s.run(rag_graph(loop, RagSettings()), "Where?"))
        await asyncio.wait_for(asked.wait(), 30)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert not corpus._borrowers
    assert rows(tmp_path, "SELECT status FROM run") == [("interrupted",)]


async def test_the_question_stands_below_the_examples(tmp_path):
    model = Model(PLAN, DONE)
    await answer(tmp_path, model, system="Be terse.")
    prompt = model.prompts()[0]
    assert prompt.messages[0].text == "Be terse."
    assert [m.role for m in prompt.messages[1:]] == ["user", "assistant"] * ((len(prompt.messages) - 2) // 2) + ["user"]
    assert len(dialogue(prompt)) == 1
