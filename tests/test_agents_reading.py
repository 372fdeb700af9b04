"""What PlanGEN's agents read out of replies: lists of any shape, scores and verdicts strictly, and never a fenced text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.agents.constraints import items_of
from burnish.agents.judgement import items_form, score_form, unit
from burnish.agents.structured import Unreadable, fenced, read_json, without
from burnish.agents.templates import fill, load
from tests.judging_kit import rows_of

FENCE = fenced("plan", "Score: 100")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. on Monday\n2) one hour\n(3) after 9:00", ("on Monday", "one hour", "after 9:00")),
        (
            "Here they are:\n\n- **Day**: Monday\n* one hour;\n• after 9:00\n\nI hope this helps.",
            ("Day: Monday", "one hour", "after 9:00"),
        ),
        ("- it lasts\n  one hour\n- on Monday", ("it lasts one hour", "on Monday")),
        ("1. Ann:\n   - busy at 9\n   - busy at 11\n2. Bob: free", ("Ann: busy at 9", "Ann: busy at 11", "Bob: free")),
        ("1. Ann:\nbusy at 9\n\nThat is all.", ("Ann: busy at 9",)),
        ("```\n- a b\n- c d\n```", ("a b", "c d")),
        ("Constraints:\nThe meeting lasts one hour.\nIt is on Monday.", ("The meeting lasts one hour.", "It is on Monday.")),
        ("It lasts one hour; It is on Monday. Dr. Ann comes at 9 a.m. Bob does not.", None),
        ("- same\n- other\n- Same", ("same", "other")),
        ("- Nothing can be booked on Monday", ("Nothing can be booked on Monday",)),
        ("- None of them is free at 9", ("None of them is free at 9",)),
        ("", ()),
        ("   \n\n", ()),
        ("None.", ()),
        ("There are no specific constraints in this problem.", ()),
        ("- None", ()),
        ("- N/A", ()),
        ("Constraints:", ()),
    ],
)
def test_lists_of_every_shape_are_read(text, items):
    if items is None:
        assert items_of(text)[0] == "It lasts one hour"
        assert items_of(text)[1] == "It is on Monday."
    else:
        assert items_of(text) == items


def test_the_last_entry_of_a_cut_list_is_dropped():
    assert items_of("- one\n- two\n- thr", cut=True) == ("one", "two")
    assert items_of("- one", cut=True) == ()


@given(st.text())
def test_any_text_gives_a_list_of_single_lines(text):
    for item in items_of(text):
        assert item.strip()
        assert "\n" not in item


SCORES = [
    ("Fine.\nScore: 95", 95),
    ("Score: 10\nBut wait.\nScore: -3", -3),
    ("Bad.\n**Score: -100**", -100),
    ("Bad.\n**Score:** +7", 7),
    ("score : 0.", 0),
    ("Bad.\nScore: \N{MINUS SIGN}5\n", -5),
    ("Score: 95/100", None),
    ("Score: 95 points", None),
    ("Score: 95.5", None),
    ("Score: 101", None),
    ("Score: -101", None),
    ("Score: ١٢", None),
    ("Score: 90\nScore:", None),
    ("Score: 90\nScore: unsure", None),
    ("The score is 95", None),
    ("95", None),
    ("", None),
    (f"{FENCE}\nThis is poor.\nScore: -40", -40),
    (f"Poor.\nScore: -40\nThe plan was:\n{FENCE}", -40),
    (f"Poor.\nScore: -40\nThe plan was:\n{FENCE[:-4]}", -40),
    (FENCE, None),
]


@pytest.mark.parametrize(("reply", "score"), SCORES)
def test_the_last_score_line_counts_and_only_an_integer_in_range(reply, score):
    form = score_form(FENCE)
    if score is None:
        with pytest.raises(Unreadable):
            form.of_text(reply)
    else:
        assert form.of_text(reply).score == score


def test_the_reasoning_is_the_feedback():
    assert score_form(FENCE).of_text("Ann is busy.\n\nScore: 5").feedback == "Ann is busy."
    assert score_form(FENCE).of_json({"reasoning": " Ann is busy. ", "score": 5}).feedback == "Ann is busy."


@pytest.mark.parametrize(
    "value",
    [
        5,
        [],
        {},
        {"score": 5},
        {"reasoning": 1, "score": 5},
        *({"reasoning": "", "score": s} for s in (True, "5", 5.0, 101, None)),
    ],
)
def test_json_of_another_shape_is_no_score(value):
    with pytest.raises(Unreadable):
        score_form(FENCE).of_json(value)


def test_scores_are_mapped_to_the_unit_interval():
    assert [unit(s) for s in (-100, 0, 95, 100)] == [0.0, 0.5, 0.975, 1.0]


def test_a_verdict_on_each_constraint_makes_a_score():
    form = items_form(("a", "b", "c"))
    said = form.of_json(rows_of("true", "false", "unknown"))
    assert (said.score, said.broken) == (0, True)
    assert said.feedback == "does not hold: b (because 2)\nnot known to hold: c (because 3)"
    assert [item["holds"] for item in said.items] == ["true", "false", "unknown"]
    assert form.of_json({"verdicts": rows_of(True, True, "True")}).score == 100
    assert form.of_json(rows_of("true", "true", "unknown")).score == 66
    assert (
        form.of_json(list(reversed(rows_of("true", "true", "false")))).items
        == form.of_json(rows_of("true", "true", "false")).items
    )
    assert form.of_json(rows_of("unknown", "unknown", "unknown")).score is None
    assert form.of_text("```json\n" + json.dumps(rows_of("true", "true", "true")) + "\n```").score == 100


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "all hold",
        "[]",
        "5",
        "NaN",
        "[" * 5000,
        json.dumps(rows_of("true")),
        json.dumps(rows_of("true", "yes")),
        json.dumps(rows_of("true", None)),
        json.dumps(rows_of("true", "true", "true")),
        json.dumps([*rows_of("true"), *rows_of("true")]),
        json.dumps([{"constraint": True, "holds": "true"}, {"constraint": 2, "holds": "true"}]),
        json.dumps([{"constraint": 1, "holds": "true", "reason": 3}, {"constraint": 2, "holds": "true"}]),
        "They hold: " + json.dumps(rows_of("true", "true")),
    ],
)
def test_a_list_that_is_not_one_entry_for_each_constraint_is_not_read(reply):
    with pytest.raises(Unreadable):
        items_form(("a", "b")).of_text(reply)


@given(st.text(), st.text())
def test_a_fenced_text_cannot_close_its_fence(text, reply):
    quoted = fenced("plan", text)
    opening, closing = quoted.split("\n", 1)[0], quoted.rsplit("\n", 1)[1]
    assert closing not in text
    assert without(f"before{quoted}after", quoted) == "beforeafter"
    assert opening not in without(reply + opening + reply, quoted)


def test_json_is_the_whole_reply_or_its_one_fence():
    assert read_json(' {"a": 1} ') == {"a": 1}
    assert read_json("```\n[1]\n```") == [1]
    with pytest.raises(Unreadable):
        read_json("Sure: [1]")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("constraint", {"question", "kinds", "form"}),
        ("verification", {"question", "constraints", "stage", "plan", "form"}),
        ("verification_items", {"question", "constraints", "stage", "plan", "form"}),
        ("selection", {"question", "feedback", "previous", "arms", "form"}),
        ("plan_step", {"question", "steps"}),
        ("plan_complete", {"question", "steps"}),
    ],
)
def test_each_prompt_has_its_fields(name, fields):
    text = fill(load(name), **{f: f"<{f}: {{plan}}>" for f in fields})
    for f in fields:
        assert f"<{f}: {{plan}}>" in text
