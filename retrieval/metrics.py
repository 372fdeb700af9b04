"""Scores of what was retrieved, as FlashRAG computes them, and by which passages are right where that is known.

- `retrieval_recall_top5` is 1 if a reference is contained in one of the first 5 passages, `retrieval_precision_top5` the share
  of the passages found, at most 5, that contain one; texts are compared as for the answers' scores (`core/answer_scores.py`).
- Without a reference left there is no score, and without a passage both retrieval scores are 0, where FlashRAG fails.

`support_recall` and `support_all` need to know which passages are right, and not only the answer. `answer_scores`, `Score` and
`normalized` are those of `core/answer_scores.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from ..core.answer_scores import Score, answer_scores, normalized, normalized_references
from ..core.errors import ConfigError
from .passage import Hit

__all__ = ["Score", "answer_scores", "mean_scores", "normalized", "retrieval_scores", "support_scores"]


def retrieval_scores(hits: Sequence[Hit], references: Sequence[str], k: int = 5) -> list[Score]:
    """Whether the first `k` passages contain an answer.

    Raises:
        ConfigError: no reference holds anything after normalisation, or `k` is less than 1.
    """
    _check_k(k)
    golds = normalized_references(references)
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


def _check_k(k: int) -> None:
    if k < 1:
        raise ConfigError(f"the first {k} passages are none", hint="k is at least 1")
