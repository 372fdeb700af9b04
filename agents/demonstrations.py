"""Worked examples with documents of their own, as data: one JSON object a line.

    {"question": "...", "documents": [{"title": "...", "text": "..."}], "answer": "...",
     "steps": [{"query": "...", "documents": [...], "answer": "a sentence"}]}

Documents stand best first, as a retriever gives them; `steps` are sub-queries, what each found, and its answer. One file serves
all methods: DRAG shows question, documents and answer, IterDRAG the steps as well, IRCoT their answers as a chain of thought.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, cast

from ..core.errors import ConfigError
from ..core.text import one_line
from ..retrieval.passage import Hit

_SHAPE = (
    '{"question": "...", "documents": [{"title": "...", "text": "..."}], "steps": [{"query", "documents", "answer"}], "answer"}'
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One sub-query and its answer."""

    query: str
    documents: tuple[Hit, ...]
    """What it found, best first."""
    answer: str
    """A sentence."""


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """One question, worked."""

    question: str
    documents: tuple[Hit, ...]
    """What the question found, best first."""
    steps: tuple[Step, ...]
    answer: str
    """In a few words."""


def demonstrations(count: int, file: str = "") -> tuple[Demonstration, ...]:
    """The first `count` worked examples of a file, or of those that ship with burnish.

    Raises:
        ConfigError: the file cannot be read, a line is malformed, or there are fewer.
    """
    if count == 0:
        return ()
    where = file or "the examples that ship with burnish"
    lines = [(n, line) for n, line in enumerate(_text(file).split("\n"), 1) if line.strip()]
    if len(lines) < count:
        hint = f"at most {len(lines)}" if file else f"at most {len(lines)}, or a file of your own: examples=FILE"
        raise ConfigError(f"{count} shots are more than {one_line(where, 300)} hold", hint=hint)
    return tuple(_demonstration(line, f"{where}, line {n}") for n, line in lines[:count])


def _text(file: str) -> str:
    if not file:
        folder = resources.files(__spec__.parent) / "prompts"
        return (folder / "rag_examples.jsonl").read_text(encoding="utf-8")
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        why = (e.strerror if isinstance(e, OSError) else "") or "it is no text in UTF-8"
        raise ConfigError(f"{one_line(file)} cannot be read: {why}", hint=f"lines of {_SHAPE}") from None


def _demonstration(line: str, where: str) -> Demonstration:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError(f"{one_line(where, 300)}: no JSON", hint=_SHAPE) from None
    row = _object(value, where)
    steps = [_object(one, where) for one in _list(row, "steps", where)]
    return Demonstration(
        question=_string(row, "question", where),
        documents=_documents(row, where),
        steps=tuple(
            Step(query=_string(s, "query", where), documents=_documents(s, where), answer=_string(s, "answer", where))
            for s in steps
        ),
        answer=_string(row, "answer", where),
    )


def _documents(row: Mapping[str, Any], where: str) -> tuple[Hit, ...]:
    hits: list[Hit] = []
    for rank, value in enumerate(_list(row, "documents", where), 1):
        one = _object(value, where)
        title = _string(one, "title", where) if "title" in one else ""
        text = _string(one, "text", where)
        # An example's documents come from no corpus: title and text tell whether two are one.
        hits.append(Hit(id=f"{title}\n{text}", title=title, text=text, score=1 / rank, rank=rank))
    return tuple(hits)


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{one_line(where, 300)}: a {type(value).__name__} where an object belongs", hint=_SHAPE)
    return cast("Mapping[str, Any]", value)


def _list(row: Mapping[str, Any], name: str, where: str) -> Sequence[object]:
    value: object = row.get(name, [])
    if not isinstance(value, list):
        raise ConfigError(f"{one_line(where, 300)}: {name} is no list", hint=_SHAPE)
    return cast("Sequence[object]", value)


def _string(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{one_line(where, 300)}: {name} is missing or empty", hint=_SHAPE)
    return " ".join(value.split()) if name != "text" else value.strip()
