"""BIG-Bench Hard: 27 tasks, graded by exact match of the final answer.

The prompt is the example's own text and, zero-shot, a request for steps and for the answer in a box. Votes read the box, so that
answers meet whatever the reasoning before them. Closing brackets would break the box and are asked for alone.
"""

from __future__ import annotations

from pathlib import Path

from ...core.ids import Json
from ...core.task import Task
from .functions import grader, verifier
from .graders_bbh import VOCABULARIES, bbh_form, bbh_grade, options
from .registry import TaskSet
from .rows import Row, json_list

KINDS: dict[str, str] = {
    "boolean_expressions": "boolean",
    "causal_judgement": "yes_no",
    "date_understanding": "option",
    "disambiguation_qa": "option",
    "dyck_languages": "brackets",
    "formal_fallacies": "validity",
    "geometric_shapes": "option",
    "hyperbaton": "option",
    "logical_deduction_five_objects": "option",
    "logical_deduction_seven_objects": "option",
    "logical_deduction_three_objects": "option",
    "movie_recommendation": "option",
    "multistep_arithmetic_two": "number",
    "navigate": "yes_no",
    "object_counting": "number",
    "penguins_in_a_table": "option",
    "reasoning_about_colored_objects": "option",
    "ruin_names": "option",
    "salient_translation_error_detection": "option",
    "snarks": "option",
    "sports_understanding": "yes_no",
    "temporal_sequences": "option",
    "tracking_shuffled_objects_five_objects": "option",
    "tracking_shuffled_objects_seven_objects": "option",
    "tracking_shuffled_objects_three_objects": "option",
    "web_of_lies": "yes_no",
    "word_sorting": "words",
}
"""What kind of answer each task wants."""

_FORMS = {
    "option": "the letter of the right option in brackets",
    "number": "a number",
    "words": "the sorted words with spaces between them",
    **{kind: " or ".join(words) for kind, words in VOCABULARIES.items()},
}
_BOX = "{}\n\nThink step by step. Then write the final answer, {}, as \\boxed{{...}}."
_ALONE = "{}\n\nReply with the missing closing brackets only, with spaces between them."
MAX_TOKENS = {"brackets": 64}
"""Most tokens of an answer by kind; 512 for the others."""


def load(folder: Path | None, seed: int) -> list[Task]:
    """The examples of all tasks; an example's id holds its task and its place in the file, counted from 0.

    Three examples, whose options were cut apart at commas, are left out: their target is none of the options.
    """
    assert folder is not None
    tasks: list[Task] = []
    for name, kind in KINDS.items():
        rows = json_list(folder / f"{name}.json", "examples")
        tasks += [_task(row, name, kind, number) for number, row in enumerate(rows) if _answerable(row, kind)]
    return tasks


def _answerable(row: Row, kind: str) -> bool:
    return kind != "option" or row.text("target").strip().strip("()") in options(row.text("input"))


def _task(row: Row, name: str, kind: str, number: int) -> Task:
    question, target = row.text("input").strip(), row.text("target").strip()
    context: dict[str, Json] = {"kind": kind, "input": question}
    return Task(
        prompt=_ALONE.format(question) if kind == "brackets" else _BOX.format(question, _FORMS[kind]),
        id=f"bbh/{name}/{number}",
        reference=target,
        context=context,
        grader=grader(bbh_grade),
        verifier=verifier(bbh_form),
        extract="words" if kind == "brackets" else "boxed",
        sampling={"max_tokens": MAX_TOKENS.get(kind, 512)},
        metadata={"set": "bbh", "task": name, "index": number},
    )


BBH = TaskSet(
    name="bbh",
    about="27 reasoning tasks of BIG-Bench Hard, graded by exact match",
    source="github suzgunmirac/BIG-Bench-Hard, commit 9ee07bd, bbh/*.json",
    licence="MIT; carries the BIG-bench canary",
    needs_data=True,
    size=6508,
    load=load,
    files=tuple(f"{name}.json" for name in KINDS),
)
"""All tasks."""
