"""GSM8K: word problems of grade-school arithmetic, graded by their last number.

The prompt is zero-shot chain of thought with the data set's own mark for the final answer, `####`.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...core.extract import number_key
from ...core.ids import Json
from ...core.task import Task
from .functions import verifier
from .graders_gsm8k import equations_hold
from .registry import TaskSet
from .rows import Row, json_lines

PROMPT = (
    "{}\n\nThink step by step, and write each calculation as an equation. "
    "End with a line that holds #### and the answer as a number."
)
MAX_TOKENS = 512
_ANSWER = re.compile(r"####\s*(-?[\d,]+(?:\.\d+)?)\s*$")


def load(folder: Path | None, seed: int) -> list[Task]:
    """The problems of the test file; a problem's id is its line, counted from 0."""
    assert folder is not None
    return [_task(row, number) for number, row in enumerate(json_lines(folder / "test.jsonl"))]


def _task(row: Row, number: int) -> Task:
    return Task(
        prompt=PROMPT.format(row.text("question").strip()),
        id=f"gsm8k/test/{number}",
        reference=_reference(row),
        grader={"name": "numeric", "extract": "last_number"},
        verifier=verifier(equations_hold),
        extract="last_number",
        sampling={"max_tokens": MAX_TOKENS},
        metadata={"set": "gsm8k", "index": number},
    )


def _reference(row: Row) -> Json:
    found = _ANSWER.search(row.text("answer"))
    key = number_key(found.group(1)) if found else None
    if key is None:
        raise row.error("the answer does not end in #### and a number")
    return float(key) if "." in key else int(key)


GSM8K = TaskSet(
    name="gsm8k",
    about="word problems of grade-school arithmetic, graded by the final number",
    source="github openai/grade-school-math, commit 3101c7d, grade_school_math/data/test.jsonl",
    licence="MIT",
    needs_data=True,
    size=1319,
    load=load,
    files=("test.jsonl",),
)
"""The test set."""
