"""The verifiers of short answers: agreement with references by named scorers, and support by passages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish import ScriptedEngine, Session, make_verifier
from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import AnswerMatch, Supported, check_task
from tests.helpers import rows

PASSAGES = [
    {"title": "Franz Kafka", "text": "Kafka wrote “The Trial” in Prague; it was not published before 1925."},
    "Max Brod published the novels of his friend's estate.",
    {"id": "7", "contents": "Vltava\nThe Vltava is 430.3 km long."},
]
TASK = Task(prompt="?", context={"passages": PASSAGES}, reference=["Max Brod", "Brod"])


async def verdict(verifier, text, task=TASK):
    return await judge(make_verifier(verifier), task, Candidate.of(text))


@pytest.mark.parametrize(
    ("spec", "text", "outcome", "score"),
    [
        ("answer_match", "max brod.", "pass", 1.0),
        ("answer_match", "Brod", "pass", 1.0),
        ("answer_match", "It was Max Brod", "fail", 0.0),
        ("answer_match:flashrag.acc", "It was Max Brod", "pass", 1.0),
        ({"name": "answer_match", "scorer": "flashrag.f1", "threshold": 0.6}, "It was Max Brod", "pass", 2 / 3),
        ("answer_match:flashrag.f1", "It was Max Brod", "fail", 2 / 3),
        ("answer_match:autorag.em", "Brod Max", "pass", 1.0),
        ({"name": "answer_match", "extract": "first_line"}, "Max Brod\nbecause I say so", "pass", 1.0),
        ({"name": "answer_match", "extract": "boxed"}, "Max Brod", "fail", 0.0),
        ("answer_match", "  ", "fail", 0.0),
    ],
)
async def test_an_answer_is_scored_by_the_scorer_that_is_named(spec, text, outcome, score):
    found = await verdict(spec, text)
    assert (found.outcome, found.score) == (outcome, pytest.approx(score))
    assert "Brod" not in found.feedback


async def test_the_evidence_names_the_scorer_and_has_all_scores():
    found = await verdict("answer_match:flashrag.f1", "It was Max Brod")
    assert found.evidence["scorer"] == "flashrag.f1"
    assert found.evidence["scores"]["flashrag.em"] == 0.0
    assert found.evidence["scores"]["flashrag.f1"] == found.score
    assert {"flashrag.acc", "autorag.em", "autorag.f1"} <= found.evidence["scores"].keys()


async def test_a_reference_may_be_a_number_and_long_answers_are_scored_whole():
    assert (await verdict("answer_match", "1925", Task(prompt="?", reference=1925))).outcome == "pass"
    long = " ".join(f"word{n}" for n in range(300))
    found = await verdict({"name": "answer_match", "extract": "words"}, long.upper(), Task(prompt="?", reference=long))
    assert found.outcome == "pass"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: AnswerMatch(scorer="em"), "flashrag.em"),  # pyright: ignore[reportArgumentType]
        (lambda: make_verifier("answer_match:f1"), "scorer"),
        (lambda: AnswerMatch(threshold=0.0), "threshold"),
        (lambda: AnswerMatch(threshold=float("nan")), "threshold"),
        (lambda: AnswerMatch(extract="x"), "extractor"),
        (lambda: check_task(AnswerMatch(), Task(prompt="?")), "has none"),
        (lambda: check_task(AnswerMatch(), Task(prompt="?", reference="The")), "no reference holds a word"),
        (lambda: Supported(what="all"), "what"),  # pyright: ignore[reportArgumentType]
        (lambda: Supported(passages="one"), "list"),
        (lambda: Supported(extract="x"), "extractor"),
        (lambda: check_task(Supported(), Task(prompt="?")), "has none"),
        (lambda: check_task(Supported(), Task(prompt="?", context={"passages": "x"})), "no list"),
        (lambda: check_task(Supported(), Task(prompt="?", context={"passages": [{"title": "x"}]})), "no passage"),
        (lambda: check_task(Supported(), Task(prompt="?", context={"passages": [3]})), "no passage"),
    ],
)
def test_what_cannot_be_judged_is_said_before_a_run(make, told):
    with pytest.raises(ConfigError, match=told):
        make()


@pytest.mark.parametrize(
    ("text", "outcome", "reason"),
    [
        ("Max Brod", "pass", ""),
        ("the MAX  brod!", "pass", ""),
        ("430.3 km", "pass", ""),
        ("Franz Kafka", "pass", ""),  # titles count
        ("friends estate", "pass", ""),  # apostrophes do not
        ("Max Bro", "fail", "unsupported"),  # words are whole
        ("Brod and Kafka", "fail", "unsupported"),
        ("Prague Max Brod", "fail", "unsupported"),  # not across passages
        ("yes", "abstain", "closed_answer"),
        ("!!!", "fail", "unsupported"),
        ('Yes, since "Kafka wrote The Trial in Prague".', "pass", ""),
        ("It was Brod: “published the novels” and «430.3 km».", "pass", ""),
        ('It says "Kafka wrote … before 1925".', "pass", ""),
        ('It says "before 1925 ... Kafka wrote".', "fail", "unsupported"),
        ('It says "Kafka published the novels".', "fail", "unsupported"),
        ("The sources agree.", "fail", "unsupported"),
    ],
)
async def test_an_answer_or_its_quotations_are_looked_for(text, outcome, reason):
    found = await verdict("supported", text)
    assert (found.outcome, found.reason) == (outcome, reason), found


async def test_the_feedback_names_the_quotation_that_is_not_found_and_the_score_is_a_share():
    found = await verdict("supported", 'It says "Max Brod", and "burnt all of it\x1b[1m", and "430.3 km", and "x" "y".')
    assert found.score == pytest.approx(2 / 5)
    assert found.feedback == 'no passage contains "burnt all of it\\x1b[1m"; "x"; "y"'
    many = await verdict("supported", " ".join(f'"no{n}"' for n in range(9)))
    assert many.feedback.endswith(" and 4 more")
    right = await verdict("supported", 'See "430.3 km".')
    assert right.evidence["quotes"] == [{"quote": "430.3 km", "passage": 3}]


async def test_what_has_to_be_found_can_be_chosen():
    assert (await verdict("supported:quotes", "Max Brod")).reason == "no_quotes"
    assert (await verdict("supported:quotes", '"Max Brod"')).outcome == "pass"
    assert (await verdict("supported:answer", 'No: "Max Brod" it is')).reason == "unsupported"
    lines = {"name": "supported", "what": "answer", "extract": "first_line"}
    assert (await verdict(lines, "Max Brod\nI am sure")).outcome == "pass"


async def test_passages_that_are_given_stand_in_for_the_tasks():
    bare = Task(prompt="?")
    given = Supported(passages=["Max Brod was a friend."])
    check_task(given, bare)
    assert (await verdict(given, "Max Brod", bare)).outcome == "pass"
    assert (await verdict(given, "Vltava")).outcome == "fail"
    assert (await verdict(Supported(), "Max Brod", bare)).reason == "no_passages"
    other = Task(prompt="?", context={"documents": ["Max Brod"]})
    assert (await verdict(Supported(key="documents"), "Max Brod", other)).outcome == "pass"


@settings(max_examples=40)
@given(st.text(max_size=60), st.lists(st.text(max_size=60), min_size=1, max_size=3))
async def test_whatever_the_texts_there_is_a_verdict(answer, passages):
    found = await verdict(Supported(passages=passages), answer)
    assert found.outcome in ("pass", "fail", "abstain")
    assert found.reason != "verifier_error"


@settings(max_examples=40)
@given(st.lists(st.text("abc XY.-'", min_size=1, max_size=30), min_size=1, max_size=3), st.data())
async def test_what_is_cut_out_of_a_passage_between_words_is_found(passages, data):
    words = data.draw(st.sampled_from(passages)).split()
    if not re.search(r"[bcXY]", " ".join(words)):
        return  # Articles and punctuation alone are no answer.
    assert (await verdict(Supported(passages=passages, what="answer"), " ".join(words))).outcome == "pass"


async def test_best_of_n_and_a_grader_over_passages(tmp_path):
    replies = iter(["Kafka himself", 'Not known, "published by nobody"', "Max Brod"])
    task = Task(
        prompt="Who published The Trial?",
        reference="Max Brod",
        context={"passages": PASSAGES},
        verifier="supported",
        grader="answer_match",
    )
    async with Session(ScriptedEngine(lambda _: next(replies)), store=f"sqlite:///{tmp_path}/runs.db") as session:
        result = await session.run("best_of_n", task, settings={"n": 3, "width": 1})
    assert (result.answer, result.outcome, result.grade.outcome) == ("Max Brod", "verified", "pass")
    stored = rows(tmp_path, "SELECT verifier, oracle, grading, outcome FROM verdict ORDER BY seq")
    assert stored == [
        ("supported", 0, 0, "fail"),
        ("supported", 0, 0, "fail"),
        ("supported", 0, 0, "pass"),
        ("answer_match", 1, 1, "pass"),
    ]
