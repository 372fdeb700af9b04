"""`burnish corpus`: passages to retrieve from, kept on this machine with their indexes."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..core.errors import ConfigError
from ..core.text import one_line, printable
from .errors import FAILURE, OK
from .groups import ListByDefault
from .lookup import moment
from .options import AsJson
from .output import count, emit, indented, paint, quiet_stdout, say, show, show_table

if TYPE_CHECKING:
    from ..retrieval.build import Progress as Told
    from ..retrieval.chunks import Chunking
    from ..retrieval.corpus import Corpus
    from ..retrieval.passage import Hit
    from ..retrieval.sentence_model import SentenceModel

app = typer.Typer(cls=ListByDefault, help="Passages to retrieve from: build, list, info, search, drop.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the corpus.")]
Kind = Literal["lexical", "dense", "hybrid"]
Embedder = Annotated[
    str, typer.Option("--embedder", metavar="FOLDER", help="A sentence-transformers model; all-MiniLM-L6-v2 if left out.")
]


@app.command("build")
def build(
    name: Name,
    source: Annotated[
        Path,
        typer.Option("--from", metavar="PATH", help="FlashRAG's JSON Lines (id, contents), or a folder of .txt and .md files."),
    ],
    kind: Annotated[Kind, typer.Option("--kind", help="Which index to make; hybrid makes both.")] = "lexical",
    chunk: Annotated[
        int | None, typer.Option("--chunk", help="Most characters of a folder's passages.", show_default="800")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option("--overlap", help="Most characters that a passage repeats of the last.", show_default="100")
    ] = None,
    embedder: Embedder = "",
    as_json: AsJson = False,
) -> int:
    """Build a corpus, or add an index to one. What is there and whole is kept; a build that is cut short leaves all as it was.

    With --json, data is {name, content, bytes, path, source, form, passages, files, indexes: {KIND: {seconds, bytes, ...}}, ...}.
    """
    from ..retrieval.build import build_corpus

    with quiet_stdout(), _bar() as progress:
        corpus = build_corpus(
            name,
            source,
            kind=kind,
            chunking=_chunking(chunk, overlap),
            embedder=_embedder(embedder) if kind != "lexical" else None,
            say=say,
            progress=progress,
        )
    if as_json:
        emit(corpus.to_json())
        return OK
    empty = corpus.about.get("empty_files")
    if empty:
        say(f"{count(int(str(empty)), 'file')} without text")
    say(f"{corpus.name} has {count(corpus.size, 'passage')}; search: burnish corpus search {corpus.name} 'QUERY'")
    return OK


@app.command("list")
def list_corpora(as_json: AsJson = False) -> int:
    """List the corpora of this machine.

    With --json, data is [{name, content, bytes, path, source, form, passages, files, indexes, ...}]; of a damaged one only
    {name, problem}.
    """
    from ..retrieval.corpus import all_corpora

    found = all_corpora()
    if as_json:
        emit([{"name": c, "problem": "damaged"} if isinstance(c, str) else c.to_json() for c in found])
        return OK
    rows = [[c, "damaged", "-", "-", "-", "-"] if isinstance(c, str) else _row(c) for c in found]
    show_table(["CORPUS", "INDEXES", "PASSAGES", "SIZE", "CONTENT", "SOURCE"], rows, {"damaged": "red"})
    return OK


@app.command("info")
def info(
    name: Name,
    check: Annotated[
        bool, typer.Option("--check", help="Compare every file with its checksum; exit status 1 if one differs.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say what a corpus was made from, how large it is, and by what rules its indexes were made.

    With --json, data is {name, content, bytes, path, source, form, passages, files, indexes, problems, ...}; problems is empty
    unless --check found some.
    """
    from ..retrieval.corpus import Corpus

    corpus = Corpus.open(name)
    problems = corpus.problems() if check else []
    if as_json:
        emit({**corpus.to_json(), "problems": problems})
    else:
        _print(corpus)
        for problem in problems:
            show(paint(f"damaged: {problem}", "red"))
        if check:
            say(f"mend: {corpus.rebuild}" if problems else "every file agrees with its checksum")
    return FAILURE if problems else OK


@app.command("search")
def search(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the corpus, or the http address of a retrieval server.")],
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to search for.")],
    k: Annotated[int, typer.Option("-k", "--passages", min=1, max=10_000, help="Most passages to find.")] = 5,
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="Which index to ask.", show_default="all that there are, fused")
    ] = None,
    links: Annotated[
        int,
        typer.Option("--links", min=0, max=50, help="First passages that are read for titles of others, which are found too."),
    ] = 0,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", metavar="ID", help="Leave a passage out; repeatable.")] = None,
    embedder: Embedder = "",
    content: Annotated[bool, typer.Option("--content", help="Whole texts.")] = False,
    as_json: AsJson = False,
) -> int:
    """Search a corpus as a run would.

    With --json, data is [{id, rank, score, title, text}], the best first.
    """
    import asyncio

    from ..retrieval.opening import open_retriever

    async def found() -> list[Hit]:
        retriever = open_retriever(name, kind, links=links, embedder=_embedder(embedder) if embedder else None)
        try:
            return (await retriever.search([query], k, exclude or ()))[0]
        finally:
            await retriever.close()

    with quiet_stdout():
        hits = asyncio.run(found())
    if as_json:
        emit([hit.to_json() for hit in hits])
        return OK
    if content:
        for hit in hits:
            show(paint(f"{hit.rank}. {one_line(hit.title or hit.id, 200)} ({one_line(hit.id, 200)}, {hit.score:.4g})", "bold"))
            show(indented(hit.text))
        return OK
    rows = [[str(h.rank), f"{h.score:.4g}", h.id, h.title, one_line(h.text, 200)] for h in hits]
    show_table(["RANK", "SCORE", "ID", "TITLE", "TEXT"], rows)
    return OK


@app.command("drop")
def drop(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    """Remove a corpus with its indexes; what it was made from stays.

    With --json, data is {name, dropped}.
    """
    from ..retrieval import corpus, shelf

    folder = shelf.corpora_folder() / shelf.check_name(name)
    if folder.is_dir() and not yes:
        if as_json or not sys.stdin.isatty():
            raise ConfigError(f"dropping {name} would remove {folder}", hint="--yes does it without asking")
        say(f"remove {printable(str(folder))}? [y/N]")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("nothing was removed")
            return FAILURE
    corpus.drop(name, say=say)
    if as_json:
        emit({"name": name, "dropped": True})
    else:
        say(f"dropped {name}")
    return OK


def _chunking(size: int | None, overlap: int | None) -> Chunking | None:
    from ..retrieval.chunks import Chunking

    if size is None and overlap is None:
        return None
    size = Chunking.size if size is None else size
    return Chunking(size=size, overlap=min(Chunking.overlap, size // 8) if overlap is None else overlap)


def _embedder(folder: str) -> SentenceModel:
    from ..retrieval.sentence_model import named_embedder

    return named_embedder(folder)


def _row(corpus: Corpus) -> list[str]:
    size = sum(f.stat().st_size for f in corpus.folder.rglob("*") if f.is_file())
    source = str(corpus.about.get("source", "-"))
    return [corpus.name, ", ".join(corpus.kinds) or "none", f"{corpus.size:,}", _size(size), corpus.content[:12], source]


def _print(corpus: Corpus) -> None:
    found = corpus.to_json()
    indexes = found.pop("indexes")
    told = {"bytes": _size, "created": moment}
    for key, value in found.items():
        show(f"{key}: {told[key](int(str(value))) if key in told else one_line(str(value), 400)}")
    for kind, about in indexes.items() if isinstance(indexes, dict) else ():
        show(f"{kind} index:")
        for key, value in about.items() if isinstance(about, dict) else ():
            show(f"  {one_line(key, 80)}: {one_line(str(value), 400)}")


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


@contextmanager
def _bar() -> Generator[Told]:
    """How far a build is: a bar where stderr is a terminal, else nothing."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)
