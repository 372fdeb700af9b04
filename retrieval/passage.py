"""Passages and hits: what is searched, and what a search finds.

A passage is FlashRAG's: an id and `contents`, the title being the first line. Contents of one line are a text without a
title, since a title alone would leave nothing to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.ids import Json


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of a corpus."""

    id: str
    contents: str
    """The title on the first line, then the text; what is indexed."""

    @property
    def title(self) -> str:
        """The first line; empty if there is only one."""
        return parted(self.contents)[0]

    @property
    def text(self) -> str:
        """All that follows the title."""
        return parted(self.contents)[1]


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found."""

    id: str
    title: str
    text: str
    score: float
    """The retriever's own; scores of two retrievers cannot be compared."""
    rank: int
    """From 1, without gaps."""

    @property
    def contents(self) -> str:
        """Title and text as they stand in the corpus."""
        return f"{self.title}\n{self.text}" if self.title else self.text

    def to_json(self) -> Mapping[str, Json]:
        """Plain form."""
        return {"id": self.id, "rank": self.rank, "score": self.score, "title": self.title, "text": self.text}


def parted(contents: str) -> tuple[str, str]:
    """Title and text of a passage's contents."""
    first, found, rest = contents.partition("\n")
    return (first.strip(), rest) if found else ("", contents)


def hit_of(id: str, contents: str, score: float, rank: int) -> Hit:
    """The hit for a passage. Scores keep seven digits: 32-bit numbers have no more."""
    title, text = parted(contents)
    return Hit(id, title, text, float(f"{score:.7g}"), rank)
