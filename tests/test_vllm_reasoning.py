"""Telling reasoning from the answer; needs no vLLM."""

from __future__ import annotations

import pytest

from burnish.engine.vllm_reasoning import Marks, split

MARKS = Marks(open=1, close=2)
BLANK = frozenset({9})


@pytest.mark.parametrize(
    ("text", "ids", "begun", "expected"),
    [
        ("<think>why</think>\n\nBecause.", (1, 5, 2, 9, 6), False, ("why", "Because.", 3)),
        ("\n<think>\nwhy\n</think>Because.", (9, 1, 5, 2, 6), False, ("why", "Because.", 4)),
        ("why</think>Because.", (5, 2, 6), True, ("why", "Because.", 2)),
        ("<think>cut in the mid", (1, 5, 5, 5), False, ("cut in the mid", "", 4)),
        ("still at it", (5, 5), True, ("still at it", "", 2)),
        ("No thoughts.", (5, 5), False, ("", "No thoughts.", 0)),
        ("Write <think>x</think> like so.", (5, 1, 5, 2, 5), False, ("", "Write <think>x</think> like so.", 0)),
        ("<think>a</think>b</think>c", (1, 5, 2, 5, 2, 5), False, ("a", "b</think>c", 3)),
        ("<think></think>", (1, 2), False, ("", "", 2)),
        ("", (), False, ("", "", 0)),
        ("", (), True, ("", "", 0)),
    ],
)
def test_split(text: str, ids: tuple[int, ...], begun: bool, expected: tuple[str, str, int]) -> None:
    parts = split(text, ids, MARKS, begun=begun)
    assert (parts.reasoning, parts.answer, parts.tokens) == expected


@pytest.mark.parametrize(
    ("prompt", "prefix", "begun"),
    [
        ((7, 7), (), False),
        ((7, 1), (), True),
        ((7, 1, 9), (), True),  # the template opens it and breaks the line
        ((1, 7), (), False),  # somebody wrote the mark in a message
        ((7, 1, 9, 2, 9), (), False),  # the template opens and closes it
        ((7, 1), (5, 5), True),
        ((7, 1), (5, 2, 5), False),
        ((7,), (1, 5), True),
        ((7,), (1, 5, 2), False),
    ],
)
def test_begun(prompt: tuple[int, ...], prefix: tuple[int, ...], begun: bool) -> None:
    assert MARKS.begun(prompt, prefix, BLANK) == begun
