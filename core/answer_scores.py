"""Scores of answers against references, as FlashRAG computes them, and as Auto-RAG does under names of their own.

FlashRAG's, and where they part from it, which a scorer's name never hides:

- A text is normalised by lower case, ASCII punctuation deleted (not spaced), the words a, an, the taken out, spaces collapsed.
- `em` is equality with a reference, `acc` that one is contained; `f1`, `precision` and `recall` count words, each the best over
  the references by itself. Where one side is yes, no or noanswer and the other is not the same, they are 0.
- A reference that normalises to nothing is contained in every text: it counts for nothing here, where FlashRAG scores 1.

`autorag.em` and `autorag.f1` are the scorers of Auto-RAG's repository: punctuation becomes spaces, and its `em` is more lenient.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from .errors import ConfigError
from .ids import Json

Scorer: TypeAlias = Literal[
    "flashrag.em", "flashrag.acc", "flashrag.f1", "flashrag.precision", "flashrag.recall", "autorag.em", "autorag.f1"
]
"""What scores an answer against references."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_DELETED = str.maketrans("", "", string.punctuation)
_SPACED = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))
CLOSED = ("yes", "no", "noanswer")
"""Answers that are right or wrong as a whole."""
_SAME = {"true": "yes", "false": "no"}


@dataclass(frozen=True, slots=True)
class Score:
    """One number, and which scorer gave it."""

    scorer: str
    """`flashrag.em`, `autorag.em`, ..."""
    value: float
    """In [0, 1]."""

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return asdict(self)


def normalized(text: str) -> str:
    """A text as FlashRAG compares it."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_DELETED)).split())


def answer_scores(prediction: str, references: Sequence[str]) -> list[Score]:
    """How well an answer agrees with its references, by every scorer that needs no more.

    Raises:
        ConfigError: no reference holds anything after normalisation.
    """
    golds = normalized_references(references)
    said = normalized(prediction)
    words = _word_scores(said, golds)
    loose, loose_golds = _spaced(prediction), [gold for reference in references if (gold := _spaced(reference))]
    return [
        Score("flashrag.em", float(said in golds)),
        Score("flashrag.acc", float(any(gold in said for gold in golds))),
        *(Score(f"flashrag.{name}", value) for name, value in words.items()),
        Score("autorag.em", float(any(_autorag_equal(gold, loose) for gold in loose_golds))),
        Score("autorag.f1", _word_scores(loose, loose_golds)["f1"]),
    ]


def normalized_references(references: Sequence[str]) -> list[str]:
    """The references as FlashRAG compares them, without those of which nothing is left.

    Raises:
        ConfigError: none is left.
    """
    if isinstance(references, str):
        raise ConfigError("references are a list of texts, not one text", hint="[reference]")
    golds = [gold for reference in references if (gold := normalized(reference))]
    if not golds:
        raise ConfigError("no reference holds a word", hint="an answer is scored against references that are not empty")
    return golds


def _word_scores(said: str, golds: Sequence[str]) -> Mapping[str, float]:
    best = {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    for gold in golds:
        if said != gold and (said in CLOSED or gold in CLOSED):
            continue
        ours, theirs = said.split(), gold.split()
        common = (Counter(ours) & Counter(theirs)).total()
        if common:
            precision, recall = common / len(ours), common / len(theirs)
            values = {"f1": 2 * precision * recall / (precision + recall), "precision": precision, "recall": recall}
            best = {name: max(best[name], value) for name, value in values.items()}
    return best


def _spaced(text: str) -> str:
    """A text as Auto-RAG compares it: punctuation becomes spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_SPACED)).split())


def _autorag_equal(gold: str, said: str) -> bool:
    """Equal, equal but for spaces, true and false for yes and no, or as many words and all of the reference's among them."""
    if gold.replace(" ", "") == said.replace(" ", ""):
        return True
    if gold in _SAME:
        return _SAME[gold] == said
    ours, theirs = said.split(" "), gold.split(" ")
    return len(ours) == len(theirs) and set(theirs) <= set(ours)
