"""`burnish runs export`: runs as JSON Lines, on stdout or in a file that is there only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .. import __version__
from ..core.errors import ConfigError
from . import completion
from .lookup import batch_id, reader
from .options import AsJson, Store
from .output import count, emit, say, show

if TYPE_CHECKING:
    from ..traces.reader import Reader

_PAGE = 1000

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Runs, by some digits of their ids.", autocompletion=completion.runs),
]
Batch = Annotated[str | None, typer.Option("--batch", metavar="ID", help="All runs of a batch, by id or name.")]
Every = Annotated[bool, typer.Option("--all", help="All runs of the store.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Where to; never over a file that is there.", show_default="stdout"),
]


def export(
    runs: Runs = None,
    batch: Batch = None,
    every: Every = False,
    out: Out = None,
    form: Annotated[
        Literal["jsonl", "otlp"], typer.Option("--format", help="Lines of burnish's own, or OpenTelemetry spans.")
    ] = "jsonl",
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="With otlp, the collector to send to: http://host:4318.")
    ] = None,
    content: Annotated[bool, typer.Option("--content", help="With otlp, prompts and replies as well.")] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Export runs with all their texts as JSON Lines: for each run a line of type run, one for each fact, one of type end.

    With --format otlp they are OpenTelemetry traces, sent to a collector only with --to; texts stay here without --content.

    The lines are documented in docs/database.md and read again by burnish.traces.export.read_export. They are data by
    themselves: --json changes only what is said of a file, {file, runs, lines, bytes}.
    """
    if form != "otlp" and (to is not None or content):
        raise ConfigError("--to and --content go with --format otlp", hint="lines of burnish's own have all texts")
    if to is not None and out is not None:
        raise ConfigError("the spans can go to one place", hint="either --to URL, or --out FILE")
    check_export(runs, batch, every, out)
    with reader(store) as found:
        wanted = _Counted(run_ids(found, runs or (), batch))
        if form == "otlp":
            from .export_otlp import export_otlp

            return export_otlp(found, wanted, to=to, out=out, content=content, as_json=as_json)
        if out is None:
            for line in _lines(found, wanted):
                show(line)
            return 0
        lines = write_lines(out, _lines(found, wanted))
    if as_json:
        emit({"file": str(out.absolute()), "runs": wanted.seen, "lines": lines, "bytes": out.stat().st_size})
    else:
        say(f"{out}: {count(wanted.seen, 'run')}, {count(lines, 'line')}")
    return 0


class _Counted:
    """Counts ids as they go by."""

    def __init__(self, ids: Iterator[str]) -> None:
        self._ids = ids
        self.seen = 0

    def __iter__(self) -> Iterator[str]:
        for run_id in self._ids:
            self.seen += 1
            yield run_id


def _lines(reader: Reader, runs: _Counted) -> Iterator[str]:
    from ..traces.export import export_lines

    return export_lines(reader, runs, __version__)


def check_export(runs: Sequence[str] | None, batch: str | None, every: bool, out: Path | None) -> None:
    """Refuse what does not say which runs are meant, and a file that is there.

    Raises:
        ConfigError: one of these.
    """
    if sum((bool(runs), batch is not None, every)) != 1:
        raise ConfigError("say which runs are to be exported", hint="one of: ID ..., --batch ID, --all")
    if out is not None and out.exists():
        raise ConfigError(f"{out} is there already", hint="move it away, or give another file with --out")


def run_ids(reader: Reader, runs: Sequence[str], batch: str | None) -> Iterator[str]:
    """Whole ids: of the runs that are named, which are looked up before anything is written; else of a batch, else of all.

    Raises:
        ConfigError: there is no such run or batch, or there are several.
    """
    if runs:
        return iter(dict.fromkeys([reader.resolve(run) for run in runs]))
    return _pages(reader, batch_id(reader, batch) if batch is not None else None)


def _pages(reader: Reader, batch: str | None) -> Iterator[str]:
    """All runs, or all of a batch, the newest first."""
    before: str | None = None
    while rows := reader.runs(batch=batch, limit=_PAGE, before=before):
        before = rows[-1].id
        yield from (row.id for row in rows)


def write_lines(path: Path, lines: Iterator[str]) -> int:
    """Write lines to a file beside its place, and put it there when all are written. Returns how many there are.

    Raises:
        ConfigError: the file cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    written = 0
    try:
        with open(partial, "w", encoding="ascii", opener=_private) as file:
            for line in lines:
                file.write(line + "\n")
                written += 1
        partial.replace(path)
    except OSError as e:
        raise ConfigError(f"{path} cannot be written: {e.strerror}", hint="give another file") from None
    finally:
        partial.unlink(missing_ok=True)
    return written


def _private(path: str, flags: int) -> int:
    """Like the database, a file that only its owner can read."""
    return os.open(path, flags, 0o600)
