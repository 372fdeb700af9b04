"""Scores are FlashRAG's where their name says so, checked against values worked out by hand from its rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import ConfigError
from burnish.retrieval import Hit
from burnish.retrieval.metrics import answer_scores, mean_scores, normalized, retrieval_scores, support_scores


def scores(prediction, *references):
    return {s.scorer: s.value for s in answer_scores(prediction, references)}


def hits(*texts):
    return [Hit(str(i), "", text, 1.0, i + 1) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("The  Beatles'  \n song", "beatles song"),
        ("U.S.A.", "usa"),
        ("well-known", "wellknown"),
        ("a_b", "ab"),
        ("An analysis of the theme", "analysis of theme"),
        ("naïve – “quoted”", "naïve – “quoted”"),
        ("the", ""),
    ],
)
def test_normalisation_deletes_ascii_punctuation(text, becomes):
    assert normalized(text) == becomes


@pytest.mark.parametrize(
    ("prediction", "references", "em", "acc", "f1", "precision", "recall"),
    [
        ("The Trial.", ["trial"], 1, 1, 1, 1, 1),
        ("It was the Trial", ["The Trial"], 0, 1, 0.5, 1 / 3, 1),
        ("Kafka", ["Franz Kafka", "Kafka F."], 0, 0, 2 / 3, 1, 0.5),
        ("yes", ["yes"], 1, 1, 1, 1, 1),
        ("yes it is", ["yes"], 0, 1, 0, 0, 0),  # a closed answer has to be said alone
        ("no", ["no way"], 0, 0, 0, 0, 0),
        ("noanswer", ["answer"], 0, 1, 0, 0, 0),
        ("", ["x"], 0, 0, 0, 0, 0),
        ("x x y", ["x z"], 0, 0, 0.4, 1 / 3, 0.5),  # words count as often as both have them
        ("1989", ["in 1989", "year 1989 or so"], 0, 0, 2 / 3, 1, 0.5),
        ("category", ["cat"], 0, 1, 0, 0, 0),  # acc is of characters, f1 of words
    ],
)
def test_answers_score_as_flashrag_scores_them(prediction, references, em, acc, f1, precision, recall):
    found = scores(prediction, *references)
    wanted = {"em": em, "acc": acc, "f1": f1, "precision": precision, "recall": recall}
    assert {k: found[f"flashrag.{k}"] for k in wanted} == pytest.approx(wanted)


def test_each_word_score_is_the_best_over_references_by_itself():
    found = scores("a b c d", "b", "b c d e f g h i")
    assert found["flashrag.precision"] == 1.0  # by the second, since "a" is no word
    assert found["flashrag.recall"] == 1.0  # by the first
    assert found["flashrag.f1"] == pytest.approx(6 / 11)


@pytest.mark.parametrize(
    ("prediction", "reference", "flashrag", "autorag"),
    [
        ("New-York", "new york", 0, 1),
        ("Kafka Franz", "Franz Kafka", 0, 1),
        ("yes", "true", 0, 1),
        ("no", "true", 0, 0),
        ("newyork", "New York", 0, 1),
        ("Franz", "Franz Kafka", 0, 0),
        ("x y", "x x", 0, 1),  # all words of the reference are among as many
        ("the trial", "Trial", 1, 1),
    ],
)
def test_the_scorer_of_auto_rag_has_its_own_name(prediction, reference, flashrag, autorag):
    found = scores(prediction, reference)
    assert (found["flashrag.em"], found["autorag.em"]) == (flashrag, autorag)


def test_a_reference_without_a_word_is_not_contained_in_everything():
    assert scores("anything", "The", "some")["flashrag.acc"] == 0.0
    for empty in (["the"], ["!!"], []):
        with pytest.raises(ConfigError, match="no reference"):
            answer_scores("anything", empty)
        with pytest.raises(ConfigError, match="no reference"):
            retrieval_scores(hits("x"), empty)


def test_one_text_is_no_list_of_references():
    with pytest.raises(ConfigError, match="list"):
        answer_scores("x", "x")


def test_retrieval_scores_ask_for_the_answer_in_the_first_passages():
    found = hits("nothing", "In Prague, The Trial was written.", "trial", "x", "x", "trial")

    def at(k):
        return {s.scorer: s.value for s in retrieval_scores(found, ["the Trial"], k)}

    assert at(1) == {"flashrag.retrieval_recall_top1": 0.0, "flashrag.retrieval_precision_top1": 0.0}
    assert at(5) == {"flashrag.retrieval_recall_top5": 1.0, "flashrag.retrieval_precision_top5": 0.4}
    assert at(50)["flashrag.retrieval_precision_top50"] == 0.5
    assert [s.value for s in retrieval_scores([], ["x"])] == [0.0, 0.0]
    title = [Hit("0", "The Trial", "a novel", 1.0, 1)]
    assert retrieval_scores(title, ["trial"])[0].value == 1.0
    with pytest.raises(ConfigError):
        retrieval_scores(found, ["x"], 0)


def test_support_is_told_by_ids_or_titles():
    assert [(s.scorer, s.value) for s in support_scores(["a", "b", "c"], {"a", "c"}, 2)] == [
        ("support_recall_top2", 0.5),
        ("support_all_top2", 0.0),
    ]
    assert [s.value for s in support_scores(["a", "a", "c"], ["c", "a"], 3)] == [1.0, 1.0]
    with pytest.raises(ConfigError, match="no passage is known"):
        support_scores(["a"], [])


def test_a_mean_is_over_all_questions_or_none():
    rows = [answer_scores("x", ["x"]), answer_scores("y", ["x"])]
    assert mean_scores(rows)["flashrag.em"] == 0.5
    assert mean_scores([]) == {}
    with pytest.raises(ConfigError, match="support_all_top5"):
        mean_scores([rows[0], [*rows[1], *support_scores(["a"], ["a"])]])


@given(st.text(max_size=40), st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_scores_are_in_range_and_agree_with_each_other(prediction, references):
    if not any(normalized(r) for r in references):
        return
    found = scores(prediction, *references)
    assert all(0.0 <= v <= 1.0 for v in found.values())
    assert found["flashrag.em"] <= found["flashrag.acc"]
    assert found["flashrag.em"] <= found["flashrag.f1"]
