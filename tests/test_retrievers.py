"""Retrievers: what they find, what they do with bad arguments and bad servers, and that a run records what was found."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from importlib import metadata
from importlib.util import find_spec
from typing import TypedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from burnish import BurnishError, ConfigError, Context, ReplayMismatch, RetrievalFailed
from burnish.cli.main import invoke
from burnish.retrieval import Dense, Hit, Hybrid, Lexical, Remote, Reranked, Retriever, build_corpus, open_retriever, retrieve
from burnish.retrieval import dense as dense_module
from burnish.retrieval.hybrid import fused
from burnish.retrieval.lexical import best
from burnish.retrieval.retriever import MOST_QUERY
from burnish.retrieval.sentence_model import DISTRIBUTION, SentenceModel
from tests.helpers import rows, session
from tests.retrieval_kit import PASSAGES, HashEmbedder, home, lines, server

__all__ = ["home"]


@pytest.fixture
def corpus(home, tmp_path):
    return build_corpus("small", lines(tmp_path / "c.jsonl"), kind="hybrid", embedder=HashEmbedder())


@pytest.fixture(params=["lexical", "dense", "hybrid"])
def retriever(request, corpus):
    return open_retriever("small", request.param, embedder=HashEmbedder())


def ids(hits):
    return [hit.id for hit in hits]


async def test_every_retriever_keeps_the_contract(retriever):
    assert isinstance(retriever, Retriever)
    first, none, second, again = await retriever.search(
        ["Kafka wrote The Trial", " \n", "capital of Bohemia", "Kafka wrote The Trial"], 3
    )
    assert first[0].id == "kafka"
    assert (first[0].title, first[0].text) == PASSAGES[0][1:]
    assert second[0].id == "prague"
    assert none == []
    assert again == first
    for hits in (first, second):
        assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert await retriever.search([], 3) == []
    everything = (await retriever.search(["Kafka wrote The Trial"], 10_000))[0]
    assert len(everything) <= len(PASSAGES)
    assert ids(everything)[:3] == ids(first)
    without = (await retriever.search(["Kafka wrote The Trial"], 3, ["kafka", "no such id"]))[0]
    assert ids(without) == [i for i in ids(everything) if i != "kafka"][:3]
    assert (await retriever.search(["Kafka"], 3, [p[0] for p in PASSAGES]))[0] == []
    json.dumps(dict(retriever.identity))
    for k in (0, -1, 10_001):
        with pytest.raises(ConfigError, match="k is between"):
            await retriever.search(["x"], k)
    await retriever.close()
    await retriever.close()


@pytest.mark.parametrize(
    "query", ["Kafka " * 500_000, "\ud800 Kafka", "\0Kafka\x1b[2J", "Kafka" + "\u202e" * 9, "x" * 10_000_000]
)
async def test_a_query_may_be_anything(retriever, query):
    hits = (await retriever.search([query], 2))[0]
    assert len(hits) <= 2
    if query.startswith("Kafka "):
        assert hits[0].id in ("kafka", "brod")


async def test_work_is_done_off_the_event_loop(corpus):
    class Watching(HashEmbedder):
        threads: set[int] = set()

        def embed(self, texts, *, query):
            self.threads.add(threading.get_ident())
            return super().embed(texts, query=query)

    embedder = Watching()
    await Dense(corpus, embedder).search(["x"], 1)
    assert embedder.threads
    assert threading.get_ident() not in embedder.threads


async def test_searches_at_once_find_what_they_find_alone(retriever):
    queries = [f"{p[1]} {p[2]}" for p in PASSAGES] * 10
    alone = [(await retriever.search([q], 3))[0] for q in queries[: len(PASSAGES)]] * 10
    at_once = await asyncio.gather(*(retriever.search([q], 3) for q in queries))
    assert [found[0] for found in at_once] == alone
    assert await retriever.search(queries, 3) == alone


async def test_identities_tell_corpora_and_settings_apart(home, corpus, tmp_path):
    copy = build_corpus("copy", lines(tmp_path / "c.jsonl"), kind="hybrid", embedder=HashEmbedder())
    other = build_corpus("other", lines(tmp_path / "d.jsonl", PASSAGES[:4]))
    assert Lexical(copy).identity == Lexical(corpus).identity
    assert Lexical(other).identity != Lexical(corpus).identity
    assert open_retriever("copy", embedder=HashEmbedder()).identity["kind"] == "hybrid"
    assert open_retriever("other").identity["kind"] == "lexical"
    for name, kind, says in (
        ("other", "dense", "none that is dense"),
        ("other", "exact", "no kind"),
        ("http://x/", "dense", "a server"),
    ):
        with pytest.raises(ConfigError, match=says):
            open_retriever(name, kind)


# Lexical


async def test_words_are_stemmed_single_ones_count_and_none_is_a_stop_word(corpus):
    lexical = Lexical(corpus)

    async def first(query):
        hits = (await lexical.search([query], 1))[0]
        return hits[0].id if hits else None

    assert await first("oranges preventing") == "vitamin"
    assert await first("orange") == "vitamin"
    assert await first("c") == "vitamin"
    assert await first("the who") == "who"
    assert await first("xylophone") is None
    assert await first("?!") is None


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=40), st.integers(1, 50))
def test_the_best_rows_are_those_of_a_sort(scores, k):
    wanted = sorted((i for i, s in enumerate(scores) if s > 0), key=lambda i: (-scores[i], i))[:k]
    assert best(np.array(scores, dtype=np.float32), k).tolist() == wanted


def test_a_corpus_without_a_word_has_no_lexical_index(home, tmp_path):
    with pytest.raises(ConfigError, match="no passage holds a word"):
        build_corpus("dots", lines(tmp_path / "c.jsonl", [("a", "...", "!?"), ("b", "-", "~")]))


async def test_a_corpus_of_one_passage_and_of_odd_ids_can_be_searched(home, tmp_path):
    build_corpus("one", lines(tmp_path / "c.jsonl", [{"id": "\x1b[31mé", "contents": "single\nword"}]))
    hits = (await open_retriever("one").search(["WORD"], 10))[0]
    assert ids(hits) == ["\x1b[31mé"]
    assert hits[0].score > 0


# Dense


@pytest.mark.parametrize("exact", [True, False])
async def test_the_neighbours_are_the_nearest(home, tmp_path, monkeypatch, exact):
    monkeypatch.setattr(dense_module, "EXACT_MOST", 10_000 if exact else 0)
    rng = random.Random(1)
    texts = [" ".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(400)]
    made = build_corpus(
        "many",
        lines(tmp_path / "c.jsonl", [(str(i), "t", t) for i, t in enumerate(texts)]),
        kind="dense",
        embedder=HashEmbedder(),
    )
    dense = Dense(made, HashEmbedder())
    found = await dense.search(texts[:40], 5)
    embedder = HashEmbedder()
    all_of = await asyncio.to_thread(lambda: embedder.embed([f"t\n{t}" for t in texts], query=True).vectors)
    asked = await asyncio.to_thread(lambda: embedder.embed(texts[:40], query=True).vectors)
    true = np.sort(asked @ all_of.T, axis=1)[:, ::-1][:, :5]
    near = [
        abs(hit.score - want) < 0.002
        for hits, wants in zip(found, true, strict=True)
        for hit, want in zip(hits, wants, strict=True)
    ]
    assert sum(near) == len(near) if exact else sum(near) >= 0.9 * len(near)


@pytest.mark.vllm
@pytest.mark.skipif(
    find_spec("transformers") is None
    or find_spec("torch") is None
    or DISTRIBUTION not in {d.name for d in metadata.distributions()},
    reason="needs transformers, torch and the embedding model",
)
async def test_the_default_model_knows_what_words_mean(home, tmp_path, capfd):
    model = SentenceModel()
    assert (model.dimensions, model.most_tokens) == (384, 256)
    pair = await asyncio.to_thread(
        model.embed, ["A cat sits on the mat.", "A kitten lies on the rug.", "Taxes are due in May."], query=False
    )
    near, far = pair.vectors[0] @ pair.vectors[1], pair.vectors[0] @ pair.vectors[2]
    assert near > 0.5
    assert far < 0.2
    assert np.linalg.norm(pair.vectors, axis=1) == pytest.approx(1.0, abs=1e-3)
    assert model.embed(["word " * 400, "word"], query=False).cut == 1
    made = build_corpus("real", lines(tmp_path / "c.jsonl"), kind="dense", embedder=model)
    assert Dense(made).identity["embedder"] == model.identity
    hits = (await Dense(made, model).search(["Which author was born in the Czech capital?"], 2))[0]
    assert "prague" in ids(hits) or "kafka" in ids(hits)
    assert "Loading" not in capfd.readouterr().err


def test_models_that_are_none_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        SentenceModel(tmp_path)
    (tmp_path / "config.json").write_text('{"hidden_size": 4}')
    with pytest.raises(ConfigError, match="has no model"):
        SentenceModel(tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    with pytest.raises(ConfigError, match="pools by pooling_mode_cls_token"):
        SentenceModel(tmp_path)


# Hybrid


def test_fusion_is_of_ranks_alone():
    def ranking(*names):
        return [Hit(name, "", name, 1000.0 - i, i + 1) for i, name in enumerate(names)]

    hits = fused([ranking("a", "b", "c"), ranking("c", "d", "a")])
    assert ids(hits) == ["a", "c", "b", "d"]  # a and c tie: 1/61 + 1/63; b and d tie: 1/62
    assert hits[0].score == pytest.approx(1 / 61 + 1 / 63)
    assert [h.rank for h in hits] == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match="two retrievers"):
        Hybrid([])


# Reranked


class Longest:
    """The longer a passage, the better."""

    identity = {"model": "longest"}

    def __init__(self, scores=None):
        self.scores, self.asked = scores, []

    def score(self, query, passages):
        assert threading.current_thread() is not threading.main_thread()
        self.asked.append((query, len(passages)))
        return [len(p) for p in passages] if self.scores is None else self.scores


async def test_the_first_hits_are_put_in_another_order(corpus):
    reranker = Longest()
    reranked = Reranked(Lexical(corpus), reranker, depth=3)
    found, none = await reranked.search(["  is a the ", ""], 2, ["kafka"])
    by_words = (await Lexical(corpus).search(["is a the"], 3, ["kafka"]))[0]
    assert ids(found) == ids(sorted(by_words, key=lambda h: -len(h.contents)))[:2]
    assert [(h.rank, h.score) for h in found] == [(i + 1, len(h.contents)) for i, h in enumerate(found)]
    assert none == []
    assert reranker.asked == [("is a the", 3)]
    assert reranked.identity["of"] == Lexical(corpus).identity
    assert isinstance(reranked, Retriever)
    with pytest.raises(ConfigError):
        Reranked(Lexical(corpus), reranker, depth=0)
    await reranked.close()


@pytest.mark.parametrize("scores", [[], [1.0], [float("nan")] * 6])
async def test_a_reranker_that_gives_no_scores_fails_the_search(corpus, scores):
    with pytest.raises(RetrievalFailed, match="the reranker gave"):
        await Reranked(Lexical(corpus), Longest(scores)).search(["is a the"], 2)


# Remote


def answer_of(passages=PASSAGES):
    def answer(body, _):
        assert body["return_scores"] is True
        found = [{"document": {"id": p[0], "contents": f"{p[1]}\n{p[2]}"}, "score": 9.0 - i} for i, p in enumerate(passages)]
        return 200, {"result": [found[: body["topk"]] for _ in body["queries"]]}

    return answer


async def test_a_server_is_asked_in_batches_and_keeps_the_contract():
    with server(answer_of()) as (url, asked):
        remote = Remote(url)
        found = await remote.search(["q"] * 65 + [""], 2, ["brod"])
        assert [len(f) for f in found] == [2] * 65 + [0]
        assert ids(found[0]) == ["kafka", "prague"]
        assert [(h.rank, h.score) for h in found[0]] == [(1, 9.0), (2, 7.0)]
        assert [(len(a["queries"]), a["topk"]) for a in asked] == [(64, 3), (1, 3)]
        assert remote.identity == {"kind": "remote", "url": url}
        await remote.close()
        await remote.close()


async def test_what_passes_is_tried_again():
    def answer(body, number):
        return answer_of()(body, number) if number == 3 else (503 if number == 1 else 429, {"detail": "busy"})

    with server(answer, Retry_After="0.01") as (url, asked):
        remote = Remote(url, wait=0.01)
        assert ids((await remote.search(["q"], 1))[0]) == ["kafka"]
        assert len(asked) == 3
        await remote.close()


async def test_a_server_that_stays_down_is_a_failure_that_can_be_tried_later():
    with server(lambda body, n: (500, b"\x1b[31mboom")) as (url, asked):
        remote = Remote(url, wait=0.0, attempts=3)
        with pytest.raises(RetrievalFailed, match=r"status 500: \\x1b\[31mboom \(attempt 3 of 3\)") as caught:
            await remote.search(["q"], 1)
        assert (caught.value.code, caught.value.retryable, len(asked)) == ("http_500", True, 3)
        await remote.close()
    gone = Remote(url, wait=0.0, attempts=2)
    with pytest.raises(RetrievalFailed, match="cannot be reached") as caught:
        await gone.search(["q"], 1)
    assert caught.value.code == "unreachable"
    await gone.close()


async def test_a_server_that_is_silent_is_left():
    release = threading.Event()

    def answer(body, number):
        release.wait(30)
        return 200, {"result": []}

    with server(answer) as (url, _):
        remote = Remote(url, timeout=0.1, attempts=1)
        try:
            with pytest.raises(RetrievalFailed, match=r"did not answer in 0\.1 s"):
                await remote.search(["q"], 1)
        finally:
            release.set()
            await remote.close()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ([], "no list under 'result'"),
        ({"result": {}}, "no list under 'result'"),
        ({"result": []}, "0 rankings for 1 queries"),
        ({"result": ["x"]}, "a ranking that is no list"),
        ({"result": [[{"document": {"id": "1"}, "score": 1}]]}, "a document without contents"),
        ({"result": [["text"]]}, "a document without contents"),
        ({"result": [[{"document": {"contents": "x"}}]]}, "a score that is no number"),
        (b'{"result": [[{"document": {"contents": "x"}, "score": NaN}]]}', "a score that is no number"),
        ({"result": [[{"document": {"contents": "x"}, "score": True}]]}, "a score that is no number"),
    ],
)
async def test_rubbish_from_a_server_is_an_error_and_not_tried_again(body, says):
    with server(lambda asked, n: (200, body)) as (url, asked):
        remote = Remote(url, wait=0.0)
        with pytest.raises(RetrievalFailed, match=says) as caught:
            await remote.search(["q"], 1)
        assert (caught.value.code, caught.value.retryable, len(asked)) == ("bad_response", False, 1)
        await remote.close()


async def test_servers_that_give_no_ids_or_too_much_are_understood():
    entries = [{"document": {"contents": c}, "score": 1} for c in ("same", "same", "other\n\ud800")]
    with server(lambda body, n: (200, {"result": [[*entries, {"document": {"id": 7, "contents": "x"}, "score": 0}]]})) as (
        url,
        _,
    ):
        remote = Remote(url)
        hits = (await remote.search(["q"], 10))[0]
        assert len(hits) == 3  # The same contents are one passage.
        assert hits[0].id.startswith("text:")
        assert hits[2].id == "7"
        assert hits[1].text == "?"
        again = (await remote.search(["q"], 10, [hits[0].id]))[0]
        assert ids(again) == ids(hits)[1:]
        await remote.close()


async def test_a_refusal_is_not_tried_again():
    with server(lambda body, n: (404, {"detail": "Not Found"})) as (url, asked):
        remote = Remote(url, wait=0.0)
        with pytest.raises(RetrievalFailed, match="status 404"):
            await remote.search(["q"], 1)
        assert len(asked) == 1
        await remote.close()


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "localhost:8000", "http://me:secret@x/", "http://x/?key=secret"])
def test_an_address_that_is_wrong_or_holds_a_secret_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        Remote(url)
    assert "secret" not in str(caught.value)


def test_a_remote_can_be_used_from_one_loop_after_another():
    with server(answer_of()) as (url, _):
        remote = Remote(url)

        async def once():
            found = await remote.search(["q"], 1)
            await remote.close()
            return ids(found[0])

        assert asyncio.run(once()) == asyncio.run(once()) == ["kafka"]


# In a run


class State(TypedDict, total=False):
    prompt: str
    answer: str


class Counting:
    """A retriever that counts its searches, and fails as often as it is told."""

    def __init__(self, of, failures=0):
        self.of, self.failures, self.searches = of, failures, 0

    @property
    def identity(self):
        return self.of.identity

    async def search(self, queries, k, exclude=()):
        self.searches += 1
        if self.failures:
            self.failures -= 1
            raise RetrievalFailed("the index died", code="unreachable", retryable=True)
        return await self.of.search(queries, k, exclude)

    async def close(self):
        await self.of.close()


def asking(retriever, *, fail=None, query="Kafka wrote", **how):
    """A graph that searches twice, and fails after the first search as often as `fail` says."""

    async def node(state: State, runtime: Runtime[Context]):
        first = await retrieve(runtime.context, retriever, query, 2, **how)
        if fail:
            fail.pop()
            raise RuntimeError("in the middle")
        seen = [h.id for h in first.hits]
        second = await retrieve(runtime.context, retriever, query, 2, seen, **how)
        found = [h.id for h in (*first.hits, *second.hits)]
        return {"answer": ",".join([*found, first.error_code]).strip(",")}

    builder = StateGraph(State, context_schema=Context)
    builder.add_node("ask", node)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    return builder.compile()


async def failed(s, graph):
    ids: list[str] = []
    with pytest.raises(BurnishError) as caught:
        await s.run(graph, "q", on_start=ids.append)
    return ids[0], caught.value


async def test_a_resumed_run_reads_what_it_found(corpus, tmp_path, monkeypatch, capsys):
    retriever = Counting(Lexical(corpus))
    async with session(tmp_path) as s:
        graph = asking(retriever, fail=[1])
        run_id, _ = await failed(s, graph)
        assert retriever.searches == 1
        result = await s.resume(run_id, graph)
    assert result.answer == "kafka,brod"  # The second search finds nothing that was not seen.
    assert retriever.searches == 2
    states = rows(tmp_path, "select kind, state from call order by seq")
    assert states == [("retrieve", "ok"), ("retrieve", "ok")]
    monkeypatch.setenv("BURNISH_STORE", f"sqlite:///{tmp_path}/runs.db")
    assert invoke(["runs", "show", run_id]) == 0
    shown = capsys.readouterr().out
    assert "retrieve at /ask@1/retrieve:" in shown
    assert '"asked":"Kafka wrote","documents":[{"id":"kafka","rank":1,"score":' in shown
    assert invoke(["runs", "show", run_id, "--json"]) == 0
    effects = json.loads(capsys.readouterr().out)["data"]["effects"]
    assert [d["id"] for d in effects[0]["value"]["documents"]] == ["kafka", "brod"]
    assert effects[0]["value"]["texts"][0] == list(PASSAGES[0][1:])


async def test_a_run_that_goes_on_over_another_corpus_is_refused(corpus, home, tmp_path):
    other = build_corpus("other", lines(tmp_path / "d.jsonl", PASSAGES[:4]))
    async with session(tmp_path) as s:
        run_id, _ = await failed(s, asking(Lexical(corpus), fail=[1], key=None))
        with pytest.raises(ReplayMismatch):
            await s.resume(run_id, asking(Lexical(other)))


async def test_an_index_that_dies_ends_the_run_which_can_be_resumed(corpus, tmp_path):
    retriever = Counting(Lexical(corpus), failures=1)
    async with session(tmp_path) as s:
        run_id, error = await failed(s, asking(retriever))
        assert isinstance(error, RetrievalFailed)
        assert rows(tmp_path, "select status, error_code from run") == [("failed", "unreachable")]
        assert (await s.resume(run_id, asking(retriever))).answer == "kafka,brod"


async def test_a_failure_that_is_recorded_stays_on_resume(corpus, tmp_path):
    retriever = Counting(Lexical(corpus), failures=1)
    async with session(tmp_path) as s:
        graph = asking(retriever, fail=[1], on_failure="record")
        run_id, _ = await failed(s, graph)
        assert (await s.resume(run_id, graph)).answer == "kafka,brod,unreachable"
    assert retriever.searches == 2


async def test_a_query_without_end_is_recorded_cut(corpus, tmp_path):
    async with session(tmp_path) as s:
        assert (await s.run(asking(Lexical(corpus), query="Kafka " * 1_000_000), "q")).answer
    assert rows(tmp_path, "select max(size) from blob")[0][0] < 10 * MOST_QUERY


async def test_a_run_that_is_stopped_does_not_wait_for_the_server(tmp_path):
    asked, release = threading.Event(), threading.Event()

    def answer(body, number):
        asked.set()
        release.wait(30)
        return 200, {"result": [[]]}

    with server(answer) as (url, _):
        remote = Remote(url, timeout=60)
        try:
            async with session(tmp_path) as s:
                running = asyncio.create_task(s.run(asking(remote), "q"))
                assert await asyncio.to_thread(asked.wait, 30)
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(running, 20)
            assert rows(tmp_path, "select status from run") == [("interrupted",)]
        finally:
            release.set()
            await remote.close()
