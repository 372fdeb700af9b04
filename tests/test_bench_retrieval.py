"""The benchmark of retrieval measures what it says, on a small scale, and its data is read strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish import ConfigError
from burnish.bench import hops, retrieval
from burnish.bench.sets import hotpotqa
from tests.retrieval_kit import PASSAGES, home

__all__ = ["home"]

QUESTION = {
    "_id": "1",
    "question": "Who published The Trial?",
    "answer": "Max Brod",
    "supporting_facts": [["Franz Kafka", 0], ["Max Brod", 0], ["Max Brod", 1]],
}


def data(folder, questions=(QUESTION,), corpus=None):
    root = folder / hotpotqa.FOLDER
    root.mkdir(parents=True)
    (root / hotpotqa.QUESTIONS).write_text(json.dumps(questions))
    (root / hotpotqa.CORPUS).write_text(json.dumps(corpus or {title: [text] for _, title, text in PASSAGES}))
    return folder


def test_recall_is_of_supporting_passages(home, tmp_path):
    section = retrieval.recall(["lexical"], data(tmp_path / "data"))
    assert not section.missed
    found = {m.name.strip(): m.value for m in section.measures}
    assert found["lexical recall @10"] == found["both @10, lexical"] == 1.0
    assert section.details["passages"] == len(PASSAGES)
    assert section.details["mean"]["lexical"]["flashrag.retrieval_recall_top5"] == 1.0


def test_without_data_recall_is_skipped(monkeypatch, tmp_path):
    monkeypatch.delenv("BURNISH_DATA", raising=False)
    assert "are not there" in retrieval.recall(["lexical"]).skipped
    assert "are not there" in retrieval.recall(["lexical"], tmp_path).skipped


@pytest.mark.parametrize(
    ("questions", "corpus"),
    [
        ([{**QUESTION, "supporting_facts": []}], None),
        ([{**QUESTION, "supporting_facts": [[]]}], None),
        ([{**QUESTION, "answer": 3}], None),
        ({"a": 1}, None),
        ([QUESTION], {"title": "text"}),
        ([QUESTION], {"title": [1]}),
        ([QUESTION], ["title"]),
    ],
)
def test_malformed_data_is_an_error(tmp_path, questions, corpus):
    root = hotpotqa.folder_of(data(tmp_path, questions, corpus))
    with pytest.raises(ConfigError, match="hotpotqa_train"):
        hotpotqa.questions(root), hotpotqa.passages(root)


@pytest.mark.parametrize("cost", [retrieval.lexical_cost, retrieval.dense_cost])
def test_costs_are_beside_a_plain_scan(home, cost):
    section = cost(300)
    found = {m.name.strip(): m.value for m in section.measures}
    assert {"query", "plain scan", "open", "index on disk", "build, 300 passages"} <= found.keys()
    assert all(value >= 0 for value in found.values())
    if "recall @10 of the graph" in found:
        assert found["recall @10 of the graph"] > 0.9
    elif Path("/proc/self/statm").exists():
        assert found["memory to open and ask"] > 0


def test_links_are_held_against_one_search_and_the_ceiling(home, tmp_path):
    kafka = "Franz Kafka wrote The Trial, which his friend Max Brod published in Berlin."
    corpus = {"Franz Kafka": [kafka], "Max Brod": ["A writer."]} | {f"The {n}th trial": ["Some court."] for n in range(9)}
    root = data(tmp_path / "data", [QUESTION] * 3, corpus)
    (root / hotpotqa.FOLDER / hops.OTHERS[0]).write_text(
        json.dumps([{"title": "Max Brod", "text": "x"}, {"title": "B", "text": "y"}])
    )
    section = hops.links(["lexical"], root)
    assert not section.missed
    for passages in (len(corpus), len(corpus) + 1):
        found = section.details[f"lexical, {passages} passages, 6 documents"]
        assert [found[way]["value"] for way in ("once", "links", "titles", "gain")] == [0.0, 1.0, 1.0, 1.0]
        assert found["gap_closed"] == found["other_half"]["gap_closed"] == 1.0
    assert hops.in_turn([["a", "b", "c"], ["b"], []]) == ["a", "b", "c"]
    assert "are not there" in hops.links(["lexical"], tmp_path).skipped
