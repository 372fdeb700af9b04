"""Titles that texts name, and the hop to the passages that have them: against a brute force, and within runs."""

from __future__ import annotations

import json
import random
import re
import time

import pytest

from burnish import ConfigError, ReplayMismatch, RetrievalFailed, ScriptedEngine
from burnish.cli.main import invoke
from burnish.graphs.registry import build_graph
from burnish.retrieval import Lexical, Linked, Retriever, build_corpus, open_retriever
from burnish.retrieval.record import EFFECT, Retrieval
from burnish.retrieval.titles import MOST_TEXT, MOST_WORDS, Titles
from burnish.traces.store import Store
from tests.helpers import session
from tests.rag_kit import Model, answer, graph
from tests.retrieval_kit import home, lines

__all__ = ["home"]

GARDEN = [
    ("hollin", "Hollin Garden", "Hollin Garden was laid out by the botanist Ada Quill, whose brother ran The Moss House."),
    ("quill", "Ada Quill", "Ada Quill was born in Marrow Bay."),
    ("bay", "Marrow Bay (village)", "Marrow Bay lies on the coast."),
    ("moss", "The Moss House", "A house of moss."),
    ("pond", "Pond", "A pond in a garden; which village was it?"),
    ("gate", "Gate", "The gate of a garden, by its designer."),
]
TITLES = {i: re.sub(r" \(.*", "", title) for i, title, _ in GARDEN}
TEXTS = {i: text for i, _, text in GARDEN}
QUESTION = "In which village was the designer of Hollin Garden born?"


@pytest.fixture
def corpus(home, tmp_path):
    return build_corpus("garden", lines(tmp_path / "c.jsonl", GARDEN))


def ids(hits):
    return [hit.id for hit in hits]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("by ADA QUILL, of Marrow Bay.", [1, 2]),
        ("Marrow Bay, Ada Quill and Marrow Bay again", [2, 1]),
        ("ada Quill and a pond", []),  # A name begins with no lower case.
        ("The Moss House", [3]),
        ("Adam Quill, Quill Ada, Marrowbay", []),
        ("Ada-Quill", [1]),
        ("Pond", [4]),
        ("", []),
        ("x " * MOST_TEXT + "Ada Quill", []),
    ],
)
def test_a_text_names_a_title_by_its_words(text, named):
    assert Titles(title for _, title, _ in GARDEN).named(text) == named


def test_of_titles_that_begin_at_one_word_the_longest_counts_and_equal_ones_all():
    titles = Titles(["New York", "New York City", "York", "New York (film)", "", "??", "Of", "1984", "w " * (MOST_WORDS + 1)])
    assert titles.named("New York City") == [1]
    assert titles.named("In New York, Of 1984") == [0, 3, 7]
    assert titles.named("Old York City") == [2]
    assert Titles([]).named("New York") == []


def test_named_titles_are_those_of_a_brute_force():
    chance = random.Random(3)
    words = ["Ab", "cd", "Ef", "12", "gh", "Ijk"]

    def text(most):
        return " ".join(chance.choices(words, k=chance.randint(1, most)))

    for _ in range(300):
        titles, said = [text(3) for _ in range(4)], text(12)
        assert Titles(titles).named(said) == _named(titles, said)


def _named(titles, text):
    """Every beginning is tried with every title; the words of the longest that fits are used up."""
    words, found, at = text.split(), [], 0
    while at < len(words):
        begins = [t for t in titles if len(t) > 2 and words[at : at + len(t.split())] == t.split()]
        if words[at][0].islower() or not begins:
            at += 1
            continue
        longest = max(begins, key=lambda t: len(t.split()))
        found += [row for row, t in enumerate(titles) if t == longest and row not in found]
        at += len(longest.split())
    return found


@pytest.mark.parametrize("title", ["(" * 5000, "a" + " " * 100_000 + "b", "A (" + "x" * 100_000, "\ud800", "\0\x1b[2J"])
def test_a_title_may_be_anything(title):
    began = time.monotonic()
    Titles([title] * 20).named(title * 3)
    assert time.monotonic() - began < 5


async def test_the_hop_reaches_what_the_question_does_not_name(corpus):
    plain, linked = Lexical(corpus), Linked(Lexical(corpus), corpus, read=2)
    assert isinstance(linked, Retriever)
    assert "quill" not in ids((await plain.search([QUESTION], 3))[0])
    assert ids((await linked.search([QUESTION], 3))[0]) == ["hollin", "quill", "moss"]  # All that is named there.
    await plain.close()
    await linked.close()


async def test_it_is_the_fusion_of_three_rankings(corpus):
    linked, plain = Linked(Lexical(corpus), corpus, read=3), Lexical(corpus)
    for query in (QUESTION, "Ada Quill's village", "Pond or Gate", "moss", "nothing of it"):
        found = ids((await plain.search([query], 50))[0])
        first = _by_rank([found, _in_order(query)])[:3]
        follows = [i for read in first for i in _in_order(TEXTS[read]) if i != read]
        expected = _by_rank([found, _in_order(query), list(dict.fromkeys(follows))])
        assert ids((await linked.search([query], 10))[0]) == expected


def _in_order(text):
    """Ids of the passages whose titles stand in a text, in its order."""
    return sorted((i for i, title in TITLES.items() if title in text), key=lambda i: text.find(TITLES[i]))


def _by_rank(rankings):
    """Reciprocal rank fusion."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, i in enumerate(ranking, 1):
            scores[i] = scores.get(i, 0) + 1 / (60 + rank)
    return sorted(scores, key=lambda i: -scores[i])


async def test_it_keeps_the_contract(corpus):
    linked = open_retriever("garden", links=2)
    everything, nothing, again = await linked.search([QUESTION, " \n", QUESTION], 50)
    assert nothing == []
    assert again == everything
    assert [h.rank for h in everything] == list(range(1, len(everything) + 1))
    assert len(everything) <= len(GARDEN)
    # A passage that was shown is not found again, and still tells where to go on.
    assert ids((await linked.search([QUESTION], 2, ["hollin", "no such id"]))[0]) == ids(everything)[1:3]
    assert (await linked.search([QUESTION], 2, [i for i, _, _ in GARDEN]))[0] == []
    assert len((await linked.search(["Ada Quill " * 500_000], 2))[0]) == 2
    assert linked.identity["of"] == Lexical(corpus).identity
    assert linked.identity != open_retriever("garden", links=3).identity
    for k in (0, 10_001):
        with pytest.raises(ConfigError, match="k is between"):
            await linked.search(["x"], k)
    await linked.close()
    await linked.close()


def test_links_are_refused_where_no_titles_are_known(corpus):
    with pytest.raises(ConfigError, match="titles of http://x/ are not known"):
        open_retriever("http://x/", links=1)
    with pytest.raises(ConfigError, match="between 1 and"):
        open_retriever("garden", links=51)
    with pytest.raises(ConfigError, match="are not known"):
        build_graph("naive_rag", {"corpus": "http://x/", "links": 1})


@pytest.mark.parametrize("name", ["naive_rag", "auto_rag", "ircot", "iter_retgen", "drag", "iter_drag"])
async def test_every_graph_that_retrieves_can_follow_links(corpus, tmp_path, name):
    size = {"documents": 2, "shots": 0} if name in ("drag", "iter_drag") else {"k": 2}
    said = f"Initial Query: {QUESTION}" if name == "auto_rag" else "So the final answer is: Marrow Bay"
    run = await answer(
        tmp_path, lambda call: said, made=build_graph(name, {"corpus": "garden", "links": 2, **size}), task=QUESTION
    )
    assert _found(tmp_path, run)[0] == ["hollin", "quill"]


def _found(path, run):
    reader = Store.open_reader(f"sqlite:///{path}/runs.db")
    try:
        values = reader.recorded_calls(run.run_id)
        found = [values[c.position].value for c in reader.calls(run.run_id) if c.kind == EFFECT]
        return [[hit.id for hit in Retrieval.from_json(value).hits] for value in found]
    finally:
        reader.close()


class Dying(Lexical):
    """Fails once, at its second search."""

    searches = 0

    async def search(self, queries, k, exclude=()):
        self.searches += 1
        if self.searches == 2:
            raise RetrievalFailed("the index died", code="unreachable", retryable=True)
        return await super().search(queries, k, exclude)


async def test_a_run_goes_on_by_its_record_and_not_with_other_links(corpus, tmp_path):
    (tmp_path / "whole").mkdir()
    model = Model(f"Initial Query: {QUESTION}", "Refined Query: Ada Quill", "Final Answer: Marrow Bay")
    whole = await answer(tmp_path / "whole", model, Linked(Lexical(corpus), corpus, read=2), k=2, task=QUESTION)
    async with session(tmp_path, engine=ScriptedEngine(model)) as s:
        started: list[str] = []
        dying = Linked(Dying(corpus), corpus, read=2)
        with pytest.raises(RetrievalFailed):
            await s.run(graph(dying, k=2), QUESTION, on_start=started.append)
        with pytest.raises(ReplayMismatch):
            await s.resume(started[0], graph(Linked(Lexical(corpus), corpus, read=3), k=2))
        resumed = await s.resume(started[0], graph(dying, k=2))
    assert resumed.answer == whole.answer == "Marrow Bay"
    assert _found(tmp_path, resumed) == _found(tmp_path / "whole", whole) == [["hollin", "quill"], ["bay", "moss"]]


def test_a_corpus_is_searched_with_links_from_the_command_line(corpus, capsys):
    assert invoke(["corpus", "search", "garden", QUESTION, "-k", "2", "--links", "2", "--json"]) == 0
    assert [hit["id"] for hit in json.loads(capsys.readouterr().out)["data"]] == ["hollin", "quill"]
