"""HotpotQA-100: a hundred multi-hop questions over a corpus of 994 passages, as HippoRAG published them.

Each question has two supporting passages, known by their titles, and eight distractors; the corpus is the passages of all
questions together. The set `hotpotqa` asks the bare question, so that it can be the query: for measuring what retrieves. The
set `hotpotqa_distractor` asks it below its own ten passages, in which `supported` looks for the answer.

Source: OSU-NLP-Group/HippoRAG at commit 7d47f5a4b2cb8e34aab128f7927cc7cf15e5055c, folder data; text of Wikipedia, CC BY-SA 4.0
(unconfirmed).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ...core.errors import ConfigError
from ...core.ids import Json
from ...core.task import Task
from ...core.text import one_line
from .registry import DATA_VARIABLE, TaskSet
from .rows import Row, json_list

QUESTIONS, CORPUS = "hotpotqa_train.json", "hotpotqa_train_corpus.json"
FOLDER = "hipporag_multihop"
MAX_TOKENS = 64
READING = "{passages}\n\nQuestion: {question}\nAnswer with a few words of the passages, or with yes or no. Answer:"
GRADER: Json = "answer_match"
"""Exact match decides; F1 and the others are in the evidence."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question, and what is known of its answer."""

    id: str
    question: str
    answer: str
    support: frozenset[str]
    """Titles of the passages that it takes to answer."""
    passages: tuple[tuple[str, str], ...] = ()
    """Title and text of its own passages, distractors included; empty where the file has none."""
    about: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """`type` (bridge or comparison) and `level`, as far as they are said."""


def folder_of(given: Path | None = None) -> Path:
    """The folder with the files: the given one or what BURNISH_DATA names, or one below it.

    Raises:
        ConfigError: they are not there.
    """
    root = given or (Path(value) if (value := os.environ.get(DATA_VARIABLE)) else None)
    for place in (root, root / FOLDER) if root else ():
        if all((place / name).is_file() for name in (QUESTIONS, CORPUS)):
            return place
    raise ConfigError(
        f"{QUESTIONS} and {CORPUS} are not there", hint=f"{DATA_VARIABLE} names the folder {FOLDER}, or what holds it"
    )


def questions(folder: Path) -> list[Question]:
    """All questions.

    Raises:
        ConfigError: the file is malformed.
    """
    return [_question(row) for row in json_list(folder / QUESTIONS)]


def passages(folder: Path) -> list[tuple[str, str]]:
    """Title and text of each passage.

    Raises:
        ConfigError: the file is malformed.
    """
    try:
        found: object = json.loads((folder / CORPUS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise ConfigError(f"{CORPUS} cannot be read: {one_line(str(e), 200)}", hint="fetch it again") from None
    if not isinstance(found, dict):
        raise Row(CORPUS, {}).error("no JSON object")
    return [(title, _sentences(title, text)) for title, text in cast("dict[str, object]", found).items()]


def load(folder: Path | None, seed: int) -> list[Task]:
    """The questions alone."""
    assert folder is not None
    return [_task(question, "hotpotqa") for question in questions(folder)]


def load_distractor(folder: Path | None, seed: int) -> list[Task]:
    """The questions below their own passages, which are in the context too."""
    assert folder is not None
    return [_reading(question) for question in questions(folder)]


def _task(question: Question, name: str, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "prompt": question.question,
        "id": f"{name}/{question.id}",
        "reference": question.answer,
        "grader": GRADER,
        "metadata": {"set": name, "support": sorted(question.support), **question.about},
    }
    return Task(**{**fields, **more})


def _reading(question: Question) -> Task:
    if not question.passages:
        raise Row(QUESTIONS, {}).error(f"the question {one_line(question.id)} has no context")
    shown = "\n\n".join(f"{title}: {text}" for title, text in question.passages)
    passages: list[Json] = [{"title": title, "text": text} for title, text in question.passages]
    return _task(
        question,
        "hotpotqa_distractor",
        prompt=READING.format(passages=shown, question=question.question),
        verifier={"name": "supported", "what": "answer"},
        sampling={"max_tokens": MAX_TOKENS},
        context={"passages": passages},
    )


def _sentences(title: str, text: object) -> str:
    if not isinstance(text, list) or not all(isinstance(part, str) for part in cast("list[object]", text)):
        raise Row(CORPUS, {}).error(f"the passage {one_line(title)!r} is no list of sentences")
    return "".join(cast("list[str]", text))


def _question(row: Row) -> Question:
    facts = row.values.get("supporting_facts")
    if not isinstance(facts, Sequence) or not facts:
        raise row.error("no supporting facts")
    try:
        support = frozenset(str(fact[0]) for fact in cast("Sequence[Sequence[object]]", facts))
    except (TypeError, IndexError):
        raise row.error("a supporting fact is no pair of title and sentence") from None
    return Question(
        id=row.text("_id"),
        question=row.text("question"),
        answer=row.text("answer"),
        support=support,
        passages=_own(row),
        about={name: value for name in ("type", "level") if isinstance(value := row.values.get(name), str)},
    )


def _own(row: Row) -> tuple[tuple[str, str], ...]:
    try:
        given = cast("Sequence[tuple[str, object]]", row.values.get("context", ()))
        return tuple((str(title), _sentences(str(title), text)) for title, text in given)
    except (TypeError, ValueError):
        raise row.error("the context is no list of pairs of title and sentences") from None


def _set(name: str, about: str, load: Callable[[Path | None, int], Sequence[Task]]) -> TaskSet:
    return TaskSet(
        name=name,
        about=about,
        source="github OSU-NLP-Group/HippoRAG, commit 7d47f5a, data/hotpotqa_train.json",
        licence="CC BY-SA 4.0 (unconfirmed); HippoRAG MIT",
        needs_data=True,
        size=100,
        load=load,
        folder=FOLDER,
        files=(QUESTIONS,),
    )


HOTPOTQA = _set("hotpotqa", "multi-hop questions, for what retrieves by itself", load)
"""The questions alone."""
HOTPOTQA_DISTRACTOR = _set(
    "hotpotqa_distractor", "multi-hop questions below two right passages and eight others", load_distractor
)
"""The distractor setting."""
