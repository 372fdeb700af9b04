"""HumanEval: Python functions to be written from a signature and a docstring, graded by their tests.

The prompt asks for the whole function in a code block, the usual form for models tuned on instructions. The verifier runs a third
of the tests, as somebody would who has a few examples; the grader runs all.
"""

from __future__ import annotations

import ast
from pathlib import Path

from ...core.ids import Json
from ...core.task import Task
from .registry import TaskSet
from .rows import Row, json_lines

PROMPT = "Complete this Python function. Reply with the whole function in one code block and nothing else.\n\n```python\n{}\n```"
MAX_TOKENS = 512
SECONDS = 10.0
"""Seconds that a problem's tests may take."""


def load(folder: Path | None, seed: int) -> list[Task]:
    """The problems in the file's order, under the file's ids."""
    assert folder is not None
    path = sorted(folder.glob("HumanEval.jsonl*"))[0]
    return [_task(row) for row in json_lines(path)]


def _task(row: Row) -> Task:
    prompt, entry_point, tests = row.text("prompt"), row.text("entry_point"), row.text("test")
    number = row.text("task_id").rpartition("/")[2]
    if not entry_point.isidentifier():
        raise row.error("the field 'entry_point' is no name of a function")
    try:
        fewer = some_tests(tests, entry_point)
    except (SyntaxError, ValueError, RecursionError):
        raise row.error("the field 'test' is no Python source with a function 'check'") from None
    common: dict[str, Json] = {"name": "python_tests", "entry_point": entry_point, "prelude": prompt, "timeout": SECONDS}
    return Task(
        prompt=PROMPT.format(prompt.strip()),
        id=f"humaneval/{number}",
        reference=row.text("canonical_solution"),
        grader={**common, "tests": f"{tests}\n\ncheck({entry_point})\n"},
        verifier={**common, "tests": fewer} if fewer else None,
        extract="exact_text",
        sampling={"max_tokens": MAX_TOKENS},
        metadata={"set": "humaneval", "entry_point": entry_point},
    )


def some_tests(tests: str, entry_point: str) -> str | None:
    """Every third test of the function `check`, from the first on; None if there is a single one.

    A test is a statement with an assertion in it, a loop included. Assertions of a constant test nothing and are left out;
    what the tests need (imports, values) stays.

    Raises:
        SyntaxError, ValueError: this is no source with a function `check`.
    """
    tree = ast.parse(tests)
    check = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"), None)
    if check is None:
        raise ValueError("no function check")
    real = [statement for statement in check.body if _is_test(statement)]
    if len(real) < 2:
        return None
    chosen = real[::3]
    check.body = [statement for statement in check.body if statement in chosen or not _has_assert(statement)]
    return f"{ast.unparse(tree)}\n\ncheck({entry_point})\n"


def _is_test(statement: ast.stmt) -> bool:
    return _has_assert(statement) and not (isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Constant))


def _has_assert(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(statement))


HUMANEVAL = TaskSet(
    name="humaneval",
    about="Python functions from a docstring, graded by running their tests",
    source="github openai/human-eval, commit 6d43fb9, data/HumanEval.jsonl.gz",
    licence="MIT",
    needs_data=True,
    size=164,
    load=load,
    files=("HumanEval.jsonl*",),
)
"""All problems."""
