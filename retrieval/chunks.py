"""Cutting a document into passages: at paragraphs where they fit, else at sentences, else at words.

Lengths are in characters, which every language has; what a passage holds is a plain slice of the document. A cut prefers the
best kind of border in the second half of the longest passage that is allowed; the next passage begins up to `overlap`
characters before the cut, at the beginning of a sentence if there is one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.errors import ConfigError
from ..core.ids import Json

_PARAGRAPH = re.compile(r"\n[ \t\r]*\n\s*")
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？][”’」』]*")
_WORD = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How long passages of a document are."""

    size: int = 800
    """Most characters of a passage: some 130 English words, 190 tokens."""
    overlap: int = 100
    """Most characters that a passage repeats of the one before it."""

    def __post_init__(self) -> None:
        if not 50 <= self.size <= 1_000_000:
            raise ConfigError(f"passages of {self.size} characters cannot be cut", hint="between 50 and 1,000,000")
        if not 0 <= self.overlap <= self.size // 2 - 1:
            raise ConfigError(
                f"an overlap of {self.overlap} is too much for passages of {self.size} characters",
                hint=f"between 0 and {self.size // 2 - 1}",
            )

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return {"size": self.size, "overlap": self.overlap}


def spans(text: str, how: Chunking) -> Iterator[tuple[int, int]]:
    """Beginning and end of each passage of a text, without the white space around it. They cover all that is no space."""
    ends = [m.end() for m in _PARAGRAPH.finditer(text)]
    sentences = sorted({*ends, *(m.end() for m in _SENTENCE.finditer(text))})
    words = [m.end() for m in _WORD.finditer(text)]
    kinds, begin, end = (ends, sentences, words), 0, len(text.rstrip())
    while begin < end:
        cut = end if end - begin <= how.size else _border(kinds, begin, how.size)
        inner = text[begin:cut]
        if inner.strip():
            start = begin + len(inner) - len(inner.lstrip())
            yield start, begin + len(inner.rstrip())
        begin = cut if cut == end else _after(sentences, words, cut, how.overlap)


def _border(kinds: Sequence[Sequence[int]], begin: int, size: int) -> int:
    """Where a passage that begins at `begin` ends."""
    for borders in kinds:
        last = bisect_right(borders, begin + size) - 1
        if last >= 0 and borders[last] > begin + size // 2:
            return borders[last]
    return begin + size


def _after(sentences: Sequence[int], words: Sequence[int], cut: int, overlap: int) -> int:
    """Where the passage after a cut begins; never so far back that it would not go on."""
    for borders in (sentences, words):
        first = bisect_left(borders, cut - overlap)
        if first < len(borders) and borders[first] <= cut:
            return borders[first]
    return cut - overlap
