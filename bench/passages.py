"""Passages that a benchmark has at hand, as the file that a corpus is built from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path


def write_passages(path: Path, contents: Iterable[str]) -> None:
    """Write passages as FlashRAG's JSON Lines, numbered from 0."""
    with path.open("w", encoding="utf-8") as out:
        for number, text in enumerate(contents):
            out.write(json.dumps({"id": str(number), "contents": text}) + "\n")


def titled(passages: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Passages by title and text, the title on the first line."""
    return (f"{title}\n{text}" for title, text in passages)
