"""Reading a turn: both labels, their order, what is cut, and rubbish."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.agents.auto_rag_labels import MOST_REPLY, read

QUERY, ANSWER, NOTHING = "query", "answer", "nothing"


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        ("Analysis: x.\nInitial Query: who dug the Rill", QUERY, "who dug the Rill"),
        ("Intermediate Answer_2: x.\nRefined Query: Dorn", QUERY, "Dorn"),
        ("Intermediate Answer: x.\nFinal Answer: the Lenn", ANSWER, "the Lenn"),
        ("refined query: dorn", QUERY, "dorn"),
        ("FINAL ANSWER: yes", ANSWER, "yes"),
        ("query: dorn", QUERY, "dorn"),
        ("**Refined Query:** Dorn", QUERY, "Dorn"),
        ("**Final Answer**: Dorn", ANSWER, "Dorn"),
        ("_Final Answer_: Dorn", ANSWER, "Dorn"),
        ("- Query: Dorn", QUERY, "Dorn"),
        ("Refined Query_2: Dorn", QUERY, "Dorn"),
        ("Refined_Query: Dorn", QUERY, "Dorn"),
        ('Refined Query: "Dorn"', QUERY, "Dorn"),
        ("Refined Query: [Dense] Dorn", QUERY, "Dorn"),
        ("Refined Query:\n\nDorn\nand more", QUERY, "Dorn"),
        ("Final Answer:\nDorn", ANSWER, "Dorn"),
        ("Final Answer: Dorn\nThat is because of the Lenn.", ANSWER, "Dorn"),
        ("It is all there. Final Answer: Dorn", ANSWER, "Dorn"),
        ("Refined Query: a: b", QUERY, "a: b"),
        # The last label wins.
        ("Refined Query: Dorn\nFinal Answer: Lenn", ANSWER, "Lenn"),
        ("Final Answer: Lenn\nRefined Query: Dorn", QUERY, "Dorn"),
        ("Initial Query: a\nRefined Query: b", QUERY, "b"),
        # A document that the model invents ends its turn.
        ("Refined Query: Dorn\nRetrieved Document_2: Dorn is a town.\nFinal Answer: Dorn", QUERY, "Dorn"),
        ("Final Answer: Lenn\nRetrieved Document: x\nRefined Query: y", ANSWER, "Lenn"),
        ("Retrieved Document_1: x\nFinal Answer: y", NOTHING, "it has neither a query nor a final answer"),
        # No label.
        ("", NOTHING, "it has neither a query nor a final answer"),
        ("The answer is Dorn.", NOTHING, "it has neither a query nor a final answer"),
        ("An SQL query: select 1", NOTHING, "it has neither a query nor a final answer"),
        ("The final answer is Dorn.", NOTHING, "it has neither a query nor a final answer"),
        ("Refined Query:", NOTHING, "the query is empty"),
        ('Refined Query: " "', NOTHING, "the query is empty"),
        ("Final Answer: **", NOTHING, "the final answer is empty"),
    ],
)
def test_what_a_reply_says(reply, kind, text):
    found = read(reply, cut=False)
    assert (found.kind, found.text) == (kind, text)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("Analysis: x\nInitial Query: a query that goes o", QUERY),
        ("Final Answer: the Le", NOTHING),
        ("Final Answer: the Lenn\nFor it is", ANSWER),
        ("Refined Query: Dorn\nRetrieved Document_2: Dorn is", QUERY),
        ("Final Answer: Lenn\nRetrieved Document_2: Dorn is", ANSWER),
        ("Analysis: I go on and on", NOTHING),
    ],
)
def test_a_reply_that_was_cut(reply, kind):
    assert read(reply, cut=True).kind == kind


def test_the_dialogue_goes_on_with_what_counts():
    reply = "Intermediate Answer_1: x\nRefined Query: Dorn\nand so on\nRetrieved Document_2: invented"
    assert read(reply, cut=False).said == "Intermediate Answer_1: x\nRefined Query: Dorn"


@pytest.mark.parametrize("piece", ["\n", " ", "*", "_", "query", "final answer ", "refined_", "Retrieved Document_", "\n>>> "])
def test_megabytes_are_read_at_once(piece):
    began = time.monotonic()
    found = read(piece * (4_000_000 // len(piece)), cut=False)
    assert time.monotonic() - began < 10
    assert found.kind == NOTHING
    assert len(found.said) <= MOST_REPLY


PIECES = [*"ab:*_ \n", "Refined Query:", "Final Answer:", "Retrieved Document_1:"]


@given(st.lists(st.sampled_from(PIECES)).map("".join), st.booleans())
def test_any_text_is_read(reply, cut):
    found = read(reply, cut=cut)
    assert found.text
    assert found.said in reply
    if found.kind != NOTHING:
        assert found.text in found.said
        assert "\n" not in found.text
        assert read(found.said, cut=False).text == found.text
