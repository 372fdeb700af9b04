"""FlashRAG's data sets as tasks: a line is `{"id", "question", "golden_answers", "metadata"}`, the file `NAME/SPLIT.jsonl`.

The prompt is the bare question, so that it can be the query. The golden answers are the reference, each an alternative, and
`answer_match` is the grader. Keys that FlashRAG does not define are kept in the metadata; the name of the set is its `set`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ...core.errors import ConfigError
from ...core.ids import as_json
from ...core.task import Task

_FORM = '{"id": "...", "question": "...", "golden_answers": ["..."]}'
_KNOWN = {"id", "question", "golden_answers", "metadata"}


def is_flashrag(value: Mapping[str, Any]) -> bool:
    """Whether an object is a line of a FlashRAG data set, and no task of our own form."""
    return "golden_answers" in value and "prompt" not in value


def set_name(path: str) -> str:
    """The name of the data set that a file belongs to: that of its folder, else its own; empty for stdin."""
    file = Path(path)
    return "" if path == "-" else file.parent.name or file.stem


def flashrag_task(value: Mapping[str, Any], name: str = "") -> Task:
    """The task that a line of the data set `name` describes.

    Raises:
        ConfigError: naming the field that is missing or wrong. Multiple choice, where the golden answers are numbers of
            `choices`, is not read.
    """
    if "choices" in value:
        raise ConfigError("a question with 'choices' is multiple choice, which is not read", hint="write it as a task")
    question, answers = value.get("question"), value.get("golden_answers")
    if not isinstance(question, str) or not question.strip():
        raise ConfigError("the field 'question' is missing or not a text", hint=_FORM)
    texts = cast("list[object]", answers) if isinstance(answers, list) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ConfigError("the field 'golden_answers' is no list of texts", hint=_FORM)
    given = cast("object", value.get("metadata") or {})
    if not isinstance(given, Mapping):
        raise ConfigError("the field 'metadata' is not an object", hint=_FORM)
    metadata = {**({"set": name} if name else {}), **cast("Mapping[str, Any]", given)}
    metadata |= {k: v for k, v in value.items() if k not in _KNOWN}
    fields = {"prompt": question, "reference": texts, "grader": "answer_match", "metadata": as_json(metadata)}
    return Task.from_json({**fields, **({"id": value["id"]} if "id" in value else {})})
