"""`python -m burnish.bench.retrieval`: what is found, and what finding costs. Exit status 1 if a bar is missed.

Recall is of supporting passages, on HotpotQA-100, by the bare question; it needs that data (BURNISH_DATA). Cost is on passages
that are made up, beside a plain scan of the same passages in the same process: machines differ, ratios less. Vectors are
random points around a hundred centres, so the cost of an embedding model is not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import BurnishError, ConfigError
from ..core.ids import Json
from ..retrieval import Dense, Embedded, Lexical, Retriever, build_corpus, open_retriever
from ..retrieval.extras import library
from ..retrieval.metrics import mean_scores, retrieval_scores, support_scores
from .hops import links
from .passages import titled, write_passages
from .report import Measure, Section, say, table, write
from .sets import hotpotqa

if TYPE_CHECKING:
    from ..retrieval import Corpus, Hit

PASSAGES, QUERIES, WORDS, VOCABULARY = 100_000, 200, 100, 50_000
SCANS = 5
"""Queries that are answered by a plain scan too, which takes long."""
DIMENSIONS = 384
RECALL_BARS = {"lexical": 0.87, "dense": 0.83, "hybrid": 0.88}
"""Share of supporting passages among the first 10."""
LEXICAL_BAR, DENSE_BAR, GRAPH_RECALL_BAR = 0.05, 1.0, 0.95


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.retrieval", description="what retrieval finds and costs")
    parser.add_argument("--passages", type=int, default=PASSAGES, help=f"size of the made-up corpus (default {PASSAGES:,})")
    parser.add_argument("--kinds", nargs="*", default=["lexical", "dense", "hybrid"], help="what recall is measured of")
    parser.add_argument("--data", type=Path, help="folder of HotpotQA-100; the environment variable BURNISH_DATA if left out")
    parser.add_argument("--out", type=Path, help="folder for retrieval.json")
    args = parser.parse_args(arguments)
    with _home():
        sections = [
            recall(args.kinds, args.data),
            links(args.kinds, args.data),
            lexical_cost(args.passages),
            dense_cost(args.passages),
        ]
    print(table(sections))
    if args.out:
        write(args.out / "retrieval.json", sections)
        say(f"written: {args.out / 'retrieval.json'}")
    missed = [name.strip() for section in sections for name in section.missed]
    if missed:
        say(f"missed: {'; '.join(missed)}")
    return 1 if missed else 0


def recall(kinds: Sequence[str], data: Path | None = None) -> Section:
    """How many of the supporting passages are found, by each kind of retriever."""
    try:
        folder = hotpotqa.folder_of(data)
    except ConfigError as e:
        return Section(name="recall", skipped=e.message)
    asked, passages = hotpotqa.questions(folder), hotpotqa.passages(folder)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "corpus.jsonl"
        write_passages(source, titled(passages))
        measures: list[Measure] = []
        means: dict[str, Json] = {}
        for kind in kinds:
            say(f"recall: {kind}, {len(passages)} passages, {len(asked)} questions")
            build_corpus("hotpotqa", source, kind=kind)  # pyright: ignore[reportArgumentType]
            found = _searched(open_retriever("hotpotqa", kind), [q.question for q in asked], 10)  # pyright: ignore[reportArgumentType]
            rows = [_scores(question, hits) for question, hits in zip(asked, found, strict=True)]
            mean = mean_scores(rows)
            means[kind] = dict(mean)
            bar = RECALL_BARS.get(kind)
            measures.append(Measure(name=f"{kind} recall @10", values=[mean["support_recall_top10"]], bar=bar, least=True))
            shown = {"  @2": "support_recall_top2", "  @5": "support_recall_top5", "  both @10": "support_all_top10"}
            measures += [Measure(name=f"{name}, {kind}", values=[mean[scorer]]) for name, scorer in shown.items()]
    return Section(name="recall", measures=measures, details={"set": "HotpotQA-100", "passages": len(passages), "mean": means})


def lexical_cost(size: int) -> Section:
    """Building, opening and asking a lexical index, beside counting the query's words in every passage."""
    say(f"lexical: {size:,} made-up passages")
    rng = random.Random(7)
    texts = [" ".join(words) for words in _zipf(rng, size, WORDS)]
    queries = [" ".join(words) for words in _zipf(rng, QUERIES, 8)]
    corpus, seconds = _built("words", texts, kind="lexical")
    opened = _timed(lambda: Lexical(corpus))
    retriever = Lexical(corpus)
    _searched(retriever, queries[:20], 10)
    alone, batch = _paced(retriever, queries)
    scans = [_timed(lambda q=query: _scan(texts, q)) for query in queries[:SCANS]]
    return Section(
        name="lexical",
        measures=[
            Measure(name="lexical query over plain scan", values=[alone / scan for scan in scans], bar=LEXICAL_BAR),
            *_costs("lexical", corpus, seconds, opened, alone, batch, scans),
            *_memory("words", queries[:20]),
        ],
        details={"passages": size, "words": WORDS, "queries": QUERIES},
    )


def dense_cost(size: int) -> Section:
    """Building, opening and asking a dense index, beside numpy's product with all vectors."""
    say(f"dense: {size:,} made-up vectors")
    np = library("numpy")
    embedder = _Points(size)
    corpus, seconds = _built("points", [str(row) for row in range(size)], kind="dense", embedder=embedder)
    opened = _timed(lambda: Dense(corpus, embedder))
    retriever = Dense(corpus, embedder)
    queries = [str(row) for row in range(0, size, max(1, size // QUERIES))][:QUERIES]
    _searched(retriever, queries[:20], 10)
    alone, batch = _paced(retriever, queries)
    points = embedder.points
    asked = embedder.embed(queries, query=True).vectors
    scans = [_timed(lambda v=vector: np.argpartition(-(points @ v), 10)) for vector in asked[:QUERIES]]
    true = [set(np.argpartition(-(points @ vector), 10)[:10].tolist()) for vector in asked]
    index = library("usearch.index").Index.restore(str(corpus.folder / "dense" / "vectors.usearch"), view=True)
    graph = [_timed(lambda v=vector: index.search(v, 10)) for vector in asked]
    near = [len(wanted & set(index.search(v, 10).keys.tolist())) / 10 for wanted, v in zip(true, asked, strict=True)]
    return Section(
        name="dense",
        measures=[
            Measure(name="dense query over plain scan", values=[alone / (sum(scans) / len(scans))], bar=DENSE_BAR),
            Measure(name="recall @10 of the graph", values=[sum(near) / len(near)], bar=GRAPH_RECALL_BAR, least=True),
            Measure(name="  query by the graph", values=[round(t * 1000, 3) for t in graph], unit="ms"),
            *_costs("dense", corpus, seconds, opened, alone, batch, scans),
        ],
        details={"passages": size, "dimensions": DIMENSIONS, "queries": QUERIES},
    )


class _Points:
    """An embedder that only looks up: passage and query are a row's number, a query lies near its passage."""

    name = "points"
    dimensions = DIMENSIONS
    identity: Mapping[str, Json] = {"model": "points"}

    def __init__(self, size: int) -> None:
        np = library("numpy")
        rng = np.random.default_rng(7)
        centres = rng.normal(size=(100, DIMENSIONS)).astype("f4")
        self.points = centres[rng.integers(0, 100, size)] + rng.normal(size=(size, DIMENSIONS)).astype("f4")
        self.points /= np.linalg.norm(self.points, axis=1, keepdims=True)

    def embed(self, texts: Sequence[str], *, query: bool) -> Embedded:
        np = library("numpy")
        rows = [int(text) for text in texts]
        vectors = self.points[rows]
        if query:
            vectors = vectors + np.random.default_rng(rows).normal(size=vectors.shape).astype("f4") * 0.02
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embedded(vectors, 0)


def _costs(
    kind: str, corpus: Corpus, seconds: float, opened: float, alone: float, batch: float, scans: Sequence[float]
) -> list[Measure]:
    size = sum(f.stat().st_size for f in (corpus.folder / kind).iterdir())
    return [
        Measure(name="  query", values=[round(alone * 1000, 3)], unit="ms"),
        Measure(name="  query in a batch", values=[round(batch * 1000, 3)], unit="ms"),
        Measure(name="  plain scan", values=[round(s * 1000, 3) for s in scans], unit="ms"),
        Measure(name=f"  build, {corpus.size:,} passages", values=[round(seconds, 2)], unit="s"),
        Measure(name="  open", values=[round(opened * 1000, 2)], unit="ms"),
        Measure(name="  index on disk", values=[round(size / 2**20, 1)], unit="MiB"),
    ]


_CHILD = """
import asyncio, sys
from burnish.retrieval import open_retriever
from burnish.retrieval.extras import library
def resident():
    return int(open("/proc/self/statm").read().split()[1])
library("bm25s"), library("Stemmer"), library("numpy")
before = resident()
retriever = open_retriever(sys.argv[1])
asyncio.run(retriever.search(sys.argv[2:], 10))
print(resident() - before)
"""


def _memory(name: str, queries: Sequence[str]) -> list[Measure]:
    """What a process grows by when it opens a corpus and asks, libraries not counted; nothing where the system does not say."""
    if not Path("/proc/self/statm").exists():
        return []
    done = subprocess.run([sys.executable, "-c", _CHILD, name, *queries], capture_output=True, text=True, check=True)
    grown = int(done.stdout) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return [Measure(name="  memory to open and ask", values=[round(grown, 1)], unit="MiB")]


def _built(name: str, texts: Sequence[str], **how: Any) -> tuple[Corpus, float]:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "corpus.jsonl"
        write_passages(source, texts)
        began = time.perf_counter()
        return build_corpus(name, source, **how), time.perf_counter() - began


def _scores(question: hotpotqa.Question, hits: Sequence[Hit]) -> list[Any]:
    titles = [hit.title for hit in hits]
    of_support = [score for k in (2, 5, 10) for score in support_scores(titles, question.support, k)]
    return [*of_support, *retrieval_scores(hits, [question.answer])]


def _searched(retriever: Retriever, queries: Sequence[str], k: int) -> list[list[Hit]]:
    return asyncio.run(retriever.search(queries, k))


def _paced(retriever: Retriever, queries: Sequence[str]) -> tuple[float, float]:
    """Seconds for one query: asked alone, and in one batch of all."""

    async def alone() -> float:
        began = time.perf_counter()
        for query in queries:
            await retriever.search([query], 10)
        return (time.perf_counter() - began) / len(queries)

    return asyncio.run(alone()), _timed(lambda: _searched(retriever, queries, 10)) / len(queries)


def _scan(texts: Sequence[str], query: str) -> list[int]:
    """The plain way: how often the query's words stand in each passage, the ten best."""
    words = query.split()
    counts = [sum(map(text.split().count, words)) for text in texts]
    return sorted(range(len(texts)), key=counts.__getitem__, reverse=True)[:10]


def _zipf(rng: random.Random, size: int, length: int) -> Iterator[list[str]]:
    """Texts of words that are as frequent as words are: the n-th by 1/n."""
    from itertools import accumulate

    words = [f"w{n}" for n in range(VOCABULARY)]
    weights = list(accumulate(1 / (n + 1) for n in range(VOCABULARY)))
    return (rng.choices(words, cum_weights=weights, k=length) for _ in range(size))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _home() -> Generator[None]:
    """Corpora of the benchmark are kept in a folder of their own."""
    before = os.environ.get("BURNISH_HOME")
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        os.environ["BURNISH_HOME"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["BURNISH_HOME"]
            else:
                os.environ["BURNISH_HOME"] = before


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BurnishError as e:
        say(f"error: {e}")
        sys.exit(e.exit_code)
