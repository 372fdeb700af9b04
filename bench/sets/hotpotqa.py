"""HotpotQA-100: a hundred multi-hop questions over a corpus of 994 passages, as HippoRAG published them.

Each question has two supporting passages, known by their titles; the corpus is the distractors of all questions together. It
is for measuring retrieval, and what is built on it. Source: OSU-NLP-Group/HippoRAG at commit
7d47f5a4b2cb8e34aab128f7927cc7cf15e5055c, folder data; text of Wikipedia, CC BY-SA 4.0 (unconfirmed).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ...core.errors import ConfigError
from ...core.text import one_line
from .registry import DATA_VARIABLE
from .rows import Row, json_list

QUESTIONS, CORPUS = "hotpotqa_train.json", "hotpotqa_train_corpus.json"
FOLDER = "hipporag_multihop"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question, and what is known of its answer."""

    id: str
    question: str
    answer: str
    support: frozenset[str]
    """Titles of the passages that it takes to answer."""


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
    return Question(id=row.text("_id"), question=row.text("question"), answer=row.text("answer"), support=support)
