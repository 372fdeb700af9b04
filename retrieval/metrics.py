"""Scores of answers and of what was retrieved, as FlashRAG computes them, and two of other makes under names of their own.

FlashRAG's, and where they part from it, which a scorer's name never hides:

- A text is normalised by lower case, ASCII punctuation deleted (not spaced), the words a, an, the taken out, spaces collapsed.
- `em` is equality with a reference, `acc` that one is contained; `f1`, `precision` and `recall` count words, each the best over
  the references by itself. Where one side is yes, no or noanswer and the other is not the same, they are 0.
- `retrieval_recall_top5` is 1 if a reference is contained in one of the first 5 passages, `retrieval_precision_top5` the share
  of the passages found, at most 5, that contain one.
- A reference that normalises to nothing is contained in every text: it counts for nothing here, where FlashRAG scores 1.
- Without a reference left there is no score, and without a passage both retrieval scores are 0, where FlashRAG fails.

`autorag.em` and `autorag.f1` are the scorers of Auto-RAG's repository: punctuation becomes spaces, and its `em` is more lenient.
`support_recall` and `support_all` need to know which passages are right, and not only the answer.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from ..core.errors import ConfigError
from ..core.ids import Json
from .passage import Hit

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_DELETED = str.maketrans("", "", string.punctuation)
_SPACED = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))
_CLOSED = ("yes", "no", "noanswer")
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
    golds = _golds(references)
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


def retrieval_scores(hits: Sequence[Hit], references: Sequence[str], k: int = 5) -> list[Score]:
    """Whether the first `k` passages contain an answer.

    Raises:
        ConfigError: no reference holds anything after normalisation, or `k` is less than 1.
    """
    _check_k(k)
    golds = _golds(references)
    texts = [normalized(hit.contents) for hit in hits[:k]]
    holding = [any(gold in text for gold in golds) for text in texts]
    return [
        Score(f"flashrag.retrieval_recall_top{k}", float(any(holding))),
        Score(f"flashrag.retrieval_precision_top{k}", sum(holding) / len(holding) if holding else 0.0),
    ]


def support_scores(found: Sequence[str], support: Collection[str], k: int = 5) -> list[Score]:
    """How many of the right passages are among the first `k` found, and whether all are; both told by id, or by title.

    Raises:
        ConfigError: there is no right passage, or `k` is less than 1.
    """
    _check_k(k)
    wanted = set(support)
    if not wanted:
        raise ConfigError("no passage is known to be right", hint="support_scores takes their ids or titles")
    seen = wanted & set(found[:k])
    return [
        Score(f"support_recall_top{k}", len(seen) / len(wanted)),
        Score(f"support_all_top{k}", float(seen == wanted)),
    ]


def mean_scores(rows: Sequence[Sequence[Score]]) -> dict[str, float]:
    """The mean of each scorer over questions.

    Raises:
        ConfigError: a question lacks a scorer that another has: a mean over some would pass for one over all.
    """
    totals: Counter[str] = Counter()
    for row in rows:
        totals.update(score.scorer for score in row)
    if short := sorted(name for name, n in totals.items() if n != len(rows)):
        raise ConfigError(f"not every question has one score of {', '.join(short)}", hint="score all by the same scorers")
    sums: dict[str, float] = dict.fromkeys(totals, 0.0)
    for row in rows:
        for score in row:
            sums[score.scorer] += score.value
    return {name: value / len(rows) for name, value in sums.items()}


def _word_scores(said: str, golds: Sequence[str]) -> Mapping[str, float]:
    best = {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    for gold in golds:
        if said != gold and (said in _CLOSED or gold in _CLOSED):
            continue
        ours, theirs = said.split(), gold.split()
        common = (Counter(ours) & Counter(theirs)).total()
        if common:
            precision, recall = common / len(ours), common / len(theirs)
            values = {"f1": 2 * precision * recall / (precision + recall), "precision": precision, "recall": recall}
            best = {name: max(best[name], value) for name, value in values.items()}
    return best


def _golds(references: Sequence[str]) -> list[str]:
    if isinstance(references, str):
        raise ConfigError("references are a list of texts, not one text", hint="[reference]")
    golds = [gold for reference in references if (gold := normalized(reference))]
    if not golds:
        raise ConfigError("no reference holds a word", hint="an answer is scored against references that are not empty")
    return golds


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


def _check_k(k: int) -> None:
    if k < 1:
        raise ConfigError(f"the first {k} passages are none", hint="k is at least 1")
