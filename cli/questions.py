"""What a waiting run asks, in the words of its error: all of its open questions, and the command that answers one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import Waiting
from ..core.text import one_line
from .output import count, short

if TYPE_CHECKING:
    from ..traces.questions import Asked
    from ..traces.reader import Reader


def name_questions(error: Waiting, found: Reader, run_id: str) -> None:
    """Have the error of a run that waits name every open question, and say how to answer."""
    from ..traces.questions import open_questions

    asked = open_questions(found, run_id)
    if len(asked) > 1:
        texts = "; ".join(f"{one.number}: {one_line(one.question.text, 100)}" for one in asked)
        error.message = f"the run {short(run_id)} waits for answers to {count(len(asked), 'question')}: {texts}"
    error.hint = error.hint or f"go on with it: {answer_command(run_id, asked, asked[0].number if asked else None)}"


def answer_command(run_id: str, asked: Sequence[Asked], number: int | None) -> str:
    """The command that answers one of a run's open questions."""
    which = f" --question {number}" if len(asked) > 1 else ""
    return f"burnish runs answer {short(run_id)}{which}"
