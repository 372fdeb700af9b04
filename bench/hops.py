"""How much of what one search misses a hop over titles finds, at equal numbers of passages, without a model.

On HotpotQA-100, whose questions take two passages each: the ranking of the bare question (one search), that of the same search
with links (`retrieval/linked.py`), and as the ceiling, an oracle's, that of searches for the titles of the right passages, in
turn. Every second question chose how many passages are read for titles; the numbers of the others stand beside those of all.

The corpus holds little but the questions' own passages. Where the files of two other corpora lie beside it, the same is measured
among their passages too, which have ten times as many titles to be misled by.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError
from ..core.ids import Json
from ..retrieval import build_corpus, open_retriever
from ..retrieval.linked import READ
from ..retrieval.metrics import support_scores
from ..stats import bootstrap, paired_bootstrap
from .passages import titled, write_passages
from .report import Measure, Section, say
from .sets import hotpotqa

if TYPE_CHECKING:
    from ..retrieval import Retriever
    from ..retrieval.corpus import Kind

DOCUMENTS = (6, 8, 10)
BAR = 0.5
"""Share of the gap between one search and the ceiling that is to be closed."""
OTHERS = ("musique_train_corpus.json", "2wikimultihopqa_corpus.json")
Ranking = Sequence[str]
"""Titles, the best first."""


def links(kinds: Sequence[Kind], data: Path | None = None) -> Section:
    """What links find beside one search and the ceiling, by each kind of retriever."""
    try:
        folder = hotpotqa.folder_of(data)
    except ConfigError as e:
        return Section(name="links", skipped=e.message)
    asked, own = hotpotqa.questions(folder), hotpotqa.passages(folder)
    measures: list[Measure] = []
    details: dict[str, Json] = {"set": "HotpotQA-100", "read": READ}
    pooled = _pooled(folder, own)
    plans: list[tuple[Kind, Sequence[tuple[str, str]]]] = [(kind, own) for kind in kinds]
    if len(pooled) > len(own) and "lexical" in kinds:
        plans.append(("lexical", pooled))
    for kind, passages in plans:
        where = f"{kind}, {len(passages):,} passages"
        say(f"links: {where}")
        rankings = asyncio.run(_rankings(kind, passages, asked))
        for k in DOCUMENTS:
            found = _found(asked, rankings, k)
            details[f"{where}, {k} documents"] = found
            measures += _measures(found, f"{k} documents, {where}")
    return Section(name="links", measures=measures, details=details)


def _measures(found: Mapping[str, Any], where: str) -> list[Measure]:
    shown = {"  all right ones: once": "once", "  with links": "links", "  ceiling": "titles"}
    gap = [Measure(name=f"gap closed by links, {where}", values=[found["gap_closed"]], bar=BAR, least=True)]
    return gap + [Measure(name=name, values=[found[key]["value"]]) for name, key in shown.items()]


async def _rankings(
    kind: Kind, passages: Sequence[tuple[str, str]], asked: Sequence[hotpotqa.Question]
) -> dict[str, list[Ranking]]:
    """For each way its ranking of each question."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "corpus.jsonl"
        write_passages(source, titled(passages))
        await asyncio.to_thread(build_corpus, "hops", source, kind=kind)
    plain, linked = open_retriever("hops", kind), open_retriever("hops", kind, links=READ)
    bare = [question.question for question in asked]
    return {
        "once": await _titles(plain, bare),
        "links": await _titles(linked, bare),
        "titles": [in_turn(await _titles(plain, sorted(question.support))) for question in asked],
    }


async def _titles(retriever: Retriever, queries: Sequence[str]) -> list[Ranking]:
    return [[hit.title for hit in hits] for hits in await retriever.search(queries, DOCUMENTS[-1])]


def in_turn(rankings: Sequence[Ranking]) -> Ranking:
    """One ranking of several: the best of each, then the second best, each title once."""
    return list(dict.fromkeys(title for level in zip_longest(*rankings) for title in level if title is not None))


def _found(asked: Sequence[hotpotqa.Question], rankings: Mapping[str, Sequence[Ranking]], k: int) -> dict[str, Any]:
    """How often all right passages are among the first `k`, on all questions and on those that chose nothing."""
    every = {way: [_all_found(q, r, k) for q, r in zip(asked, found, strict=True)] for way, found in rankings.items()}
    other = {way: found[1::2] for way, found in every.items()}
    return {**_compared(every), "other_half": _compared(other)}


def _all_found(question: hotpotqa.Question, titles: Ranking, k: int) -> float:
    return support_scores(titles, question.support, k)[1].value if titles else 0.0


def _compared(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    once, by_links, ceiling = (sum(found[way]) for way in ("once", "links", "titles"))
    return {
        **{way: bootstrap(values).to_json() for way, values in found.items()},
        "gain": paired_bootstrap(found["links"], found["once"]).to_json(),
        "gap_closed": (by_links - once) / (ceiling - once) if ceiling > once else 1.0,
    }


def _pooled(folder: Path, own: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """The passages with those of the other corpora behind them, no title twice."""
    found = dict(own)
    for name in OTHERS:
        if (folder / name).is_file():
            for row in json.loads((folder / name).read_text(encoding="utf-8")):
                found.setdefault(str(row["title"]), str(row["text"]))
    return list(found.items())
