"""Building a corpus: its source is read into a version of its own, indexes are made beside, and then the name points there.

Whatever is there already and whole is kept: the same command again makes nothing again, and another kind of index is added to
the passages that stand. A build that is cut short leaves the name as it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..core.errors import ConfigError
from ..core.ids import Json
from ..engine.models_manifest import read
from . import passages, shelf
from .chunks import Chunking
from .corpus import ABOUT, INDEXES, PASSAGES, Corpus, IndexKind, Kind, about_of, opened
from .extras import library
from .passage import Passage
from .sources import Source

if TYPE_CHECKING:
    from .embedder import Embedder


class Progress(Protocol):
    """Told how far a build is."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """`done` of `total` passages went through a stage; the total of reading is not known."""
        ...


def build_corpus(
    name: str,
    path: Path,
    *,
    kind: Kind = "lexical",
    chunking: Chunking | None = None,
    embedder: Embedder | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda stage, done, total: None,
) -> Corpus:
    """Build a corpus from a `.jsonl` file or a folder, with the indexes that a kind of retriever needs.

    `chunking` is how a folder's documents are cut. None for the embedder takes the default one.

    Raises:
        ConfigError: the source is malformed or empty, or something is missing that the index needs.
        StoreError: the folder of corpora cannot be written.
        RetrievalFailed: the embedding model failed.
    """
    shelf.check_name(name)
    source = Source(path.expanduser().resolve(), chunking or Chunking())
    if chunking and not source.is_folder:
        raise ConfigError(f"{path} holds passages already, and they are not cut", hint="leave --chunk and --overlap out")
    made = _makers(INDEXES[kind], embedder)
    with shelf.locked(name, say) as folder, shelf.scratch(folder) as apart:
        version = _passages(name, source, folder, apart, progress)
        corpus = opened(name, folder / version)
        for index, make in made.items():
            _index(corpus, index, make, apart, say, progress)
        shelf.point(folder, version)
    return corpus


class _Maker:
    """How one kind of index is made."""

    def __init__(self, kind: IndexKind, embedder: Embedder | None) -> None:
        self.kind, self._embedder = kind, embedder

    @property
    def rules(self) -> Mapping[str, Json]:
        if self._embedder is None:
            from .lexical import RULES

            return RULES
        from .dense import rules

        return rules(self._embedder)

    def make(self, folder: Path, contents: Iterator[str], step: Callable[[int], None]) -> dict[str, Json]:
        """Write the index; returns what it says of itself."""
        if self._embedder is None:
            from . import lexical

            return lexical.build(folder, contents)
        from . import dense

        return dense.build(folder, contents, self._embedder, step)


def _makers(kinds: tuple[IndexKind, ...], embedder: Embedder | None) -> dict[IndexKind, _Maker]:
    """What makes the indexes; what they need is looked for before anything is read."""
    library("numpy")
    made: dict[IndexKind, _Maker] = {}
    if "lexical" in kinds:
        for name in ("bm25s", "Stemmer"):
            library(name)
        made["lexical"] = _Maker("lexical", None)
    if "dense" in kinds:
        library("usearch.index")
        if embedder is None:
            from .sentence_model import SentenceModel

            embedder = SentenceModel()
        made["dense"] = _Maker("dense", embedder)
    return made


def _passages(name: str, source: Source, folder: Path, apart: Path, progress: Progress) -> str:
    """Read the source into its place, unless the same passages stand there. Returns the version."""
    part = apart / PASSAGES
    part.mkdir()
    count = passages.write(part, _counted(source, progress))
    form = {"form": "folder", "chunking": source.chunking.to_json()} if source.is_folder else {"form": "jsonl"}
    about = {"source": str(source.path), **form, "passages": count, "files": source.files, "empty_files": source.empty_files}
    _describe(part, {**about, "created": time.time_ns()})
    shelf.seal(part, name=name, source=str(source.path))
    manifest = read(part)
    assert manifest is not None
    version = manifest.files[passages.LINES].sha256[:16]
    if shelf.problem_of(folder / version / PASSAGES):
        shelf.put(part, folder / version / PASSAGES)
    return version


def _index(corpus: Corpus, kind: IndexKind, maker: _Maker, apart: Path, say: Callable[[str], None], progress: Progress) -> None:
    target = corpus.folder / kind
    wanted = {"content": corpus.content, **maker.rules}
    about = about_of(target)
    if all(about.get(what) == value for what, value in wanted.items()) and not shelf.problem_of(target):
        say(f"the {kind} index of {corpus.name} is there already")
        return
    part = apart / kind
    part.mkdir()
    began = time.perf_counter()
    rows = corpus.passages()
    try:
        progress(kind, 0, corpus.size)
        told = maker.make(part, (p.contents for p in rows), lambda done: progress(kind, done, corpus.size))
    finally:
        rows.close()
    progress(kind, corpus.size, corpus.size)
    _describe(part, {"content": corpus.content, **told, "seconds": round(time.perf_counter() - began, 3)})
    shelf.seal(part, name=f"{corpus.name}/{kind}", source=corpus.content)
    shelf.put(part, target)


def _counted(source: Source, progress: Progress) -> Iterator[Passage]:
    for number, passage in enumerate(source.passages(), start=1):
        if number % 1000 == 0:
            progress("reading", number, None)
        yield passage


def _describe(part: Path, about: Mapping[str, Json]) -> None:
    (part / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
