"""Feedback in words: a function of verdicts alone, and no channel for the reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import Candidate, Task, Verdict, make_verifier
from burnish.agents.feedback import direction, scored, without_reference
from burnish.verifiers import AllOf, Exact, Numeric

GOLD = "Zanzibar"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (None, ""),
        (Verdict.abstain("timeout", "took too long"), ""),
        (Verdict.failed(score=0.25), "score 0.25 of 1"),
        (Verdict.passed(), "score 1.00 of 1"),
        (Verdict.failed(score=None), "judged wrong"),
        (Verdict.passed(None), "judged right"),
    ],
)
def test_a_verdict_in_a_few_words(verdict, said):
    assert scored(verdict) == said


def test_nothing_is_said_where_nothing_is_known():
    assert direction(None) == ""
    assert direction(Verdict.abstain("truncated", "cut"), Verdict.failed("no")) == ""
    assert direction(Verdict.passed()) == ""


def test_the_gap_the_relation_and_what_is_wrong():
    text = direction(Verdict.failed("add a title", score=0.75), Verdict.failed("too short", score=0.25))
    assert "lacks 0.25" in text
    assert "worse by 0.50" in text
    assert "What is wrong with the best answer: add a title" in text
    assert "What is wrong with the rejected answer: too short" in text


def test_the_same_fault_is_named_once():
    text = direction(Verdict.failed("no title", score=0.5), Verdict.failed("no title", score=0.25))
    assert text.count("no title") == 1


def test_a_rejected_answer_that_is_no_worse_by_score_is_not_called_worse():
    assert "no better" in direction(Verdict.passed(0.5), Verdict.failed(score=0.75))
    assert "worse than the best one" in direction(Verdict.failed(score=None), Verdict.failed(score=0.5))


async def test_checks_are_compared_by_name():
    task = Task(prompt="?")
    both = AllOf(
        verifiers=[make_verifier("regex:title"), make_verifier({"name": "constraints", "checks": [{"contains": "fox"}]})]
    )
    verdicts = [await both.verify(task, Candidate.of(text)) for text in ("title", "fox")]
    text = direction(*verdicts)
    assert "Checks that the best answer fails: constraints." in text
    assert "It is better than the rejected one at: regex." in text
    assert "It is worse than the rejected one at: constraints." in text


def test_it_is_pure_and_bounded():
    best, rejected = Verdict.failed("x" * 10**6, score=0.5), Verdict.failed("y\n" * 10**5, score=0.1)
    assert direction(best, rejected) == direction(best, rejected)
    assert len(direction(best, rejected)) < 3000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(GOLD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["verifier", "outcome", "score", "x"]), inner),
    max_leaves=8,
)


@given(JSON, JSON)
def test_of_the_evidence_only_names_and_scores_of_parts_are_read(one, two):
    hidden = {"gold": GOLD, "expected": [GOLD], "one": one}
    parts = [{"verifier": "exact", "outcome": "fail", "score": 0, "evidence": {"gold": GOLD}, "feedback": GOLD, "reason": GOLD}]
    best = Verdict.failed("not right", score=0.5, evidence={**hidden, "parts": parts})
    assert GOLD not in direction(best, Verdict.failed("no", score=0.1, evidence={**hidden, "parts": parts}))
    for rubbish in (one, [two], {"verifier": two}, [{"outcome": one, "score": two}]):
        direction(best.but(evidence={"parts": rubbish}), best.but(evidence={"parts": [rubbish]}))


@pytest.mark.parametrize(
    ("feedback", "reference", "kept"),
    [
        ("I wanted Zanzibar.", GOLD, False),
        ("I wanted ZANZIBAR", GOLD, False),
        ("expected 42, got 41", 42, False),
        ("expected 42, got 41", "42", False),
        ("expected 420", 42, True),
        ("line 4.2 is off", 4, True),
        ("the number is not right", 42, True),
        ("either Rome or Oslo", ["Oslo", "Paris"], False),
        ("it should be SELECT a\n  FROM t", "SELECT a FROM t", False),
        ("true is not allowed", True, True),
        ("Paris is wrong", "Paris", True),
        ("Berlin is in the question", "Berlin", True),
        ("", GOLD, True),
        ("(.*) matches", "(.*)", False),
    ],
)
def test_feedback_that_quotes_the_reference_is_left_out(feedback, reference, kept):
    task, candidate = Task(prompt="Is it in Berlin?", reference=reference), Candidate.of("Paris")
    shown = without_reference(Verdict.failed(feedback, score=0.25), task, candidate)
    assert shown is not None
    assert shown.feedback == (feedback if kept else "")
    assert shown.score == 0.25


def test_no_verdict_is_no_verdict():
    assert without_reference(None, Task(prompt="?", reference=GOLD), Candidate.of("x")) is None


@pytest.mark.parametrize("verifier", [Exact(), Numeric(extract="last_number")])
async def test_built_in_oracles_say_nothing_of_the_reference(verifier):
    task = Task(prompt="?", reference="40417")
    for text in ("12", "none", "40418", ""):
        verdict = await verifier.verify(task, Candidate.of(text))
        assert verdict.outcome == "fail"
        assert "40417" not in direction(verdict, verdict)
        assert "40417" not in verdict.feedback
