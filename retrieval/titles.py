"""The titles that a text names: exact mentions, which link passages where nobody has written links.

Titles are compared by their words in lower case, without what stands in brackets at their end (`The Trial (1962 film)`). A text
names a title where the same words stand in it, the first of them not in lower case; of several that begin there the longest. A
word that begins a sentence may so be taken for a title. Titles of fewer than three characters, or of more than `MOST_WORDS`
words or `MOST_TITLE` characters, are not looked for. Where words are not parted by spaces, none is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MOST_WORDS = 10
"""Words of the longest title that is looked for."""
MOST_TITLE = 300
"""Characters of the longest."""
MOST_TEXT = 20_000
"""Characters of a text that are read."""
_LEAST_CHARACTERS = 3
_WORD = re.compile(r"\w+")
_BRACKETED = re.compile(r"\s*\([^()]*\)\s*$")


class Titles:
    """Which rows of a corpus have which title."""

    def __init__(self, titles: Iterable[str]) -> None:
        """Take the titles in the order of rows."""
        self._rows: dict[str, list[int]] = {}
        self._longest: dict[str, int] = {}  # By their first word, how many words a title has at most.
        for row, title in enumerate(titles):
            words = _words(title) if len(title) <= MOST_TITLE else []
            if len(words) <= MOST_WORDS and len("".join(words)) >= _LEAST_CHARACTERS:
                self._rows.setdefault(" ".join(words), []).append(row)
                self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    def named(self, text: str) -> list[int]:
        """Rows whose titles a text names, in the order of their first mention, each once."""
        written = _WORD.findall(text[:MOST_TEXT])
        words = [word.lower() for word in written]
        found: dict[int, None] = {}
        at = 0
        while at < len(words):
            rows, length = ((), 1) if written[at][0].islower() else self._at(words, at)
            found |= dict.fromkeys(rows)
            at += length
        return list(found)

    def _at(self, words: Sequence[str], at: int) -> tuple[Sequence[int], int]:
        """The rows of the longest title that begins here, and how many words it has; without one, nothing and one word."""
        for length in range(min(self._longest.get(words[at], 0), len(words) - at), 0, -1):
            if rows := self._rows.get(" ".join(words[at : at + length])):
                return rows, length
        return (), 1


def _words(title: str) -> list[str]:
    return _WORD.findall(_BRACKETED.sub("", title).lower())
