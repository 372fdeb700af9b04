"""`burnish runs export`: runs as JSON Lines, on stdout or in a file that is there only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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


def export(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Runs, by some digits of their ids.", autocompletion=completion.runs),
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="All runs of a batch, by id or name.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All runs of the store.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where to; never over a file that is there.", show_default="stdout"),
    ] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> int:
    """Export runs with all their texts as JSON Lines: for each run a line of type run, one for each fact, one of type end.

    The lines are documented in docs/database.md and read again by burnish.traces.export.read_export. They are data by
    themselves: --json changes only what is said of a file, {file, runs, lines, bytes}.
    """
    if sum((bool(runs), batch is not None, every)) != 1:
        raise ConfigError("say which runs are to be exported", hint="one of: ID ..., --batch ID, --all")
    if out is not None and out.exists():
        raise ConfigError(f"{out} is there already", hint="move it away, or give another file with --out")
    with reader(store) as found:
        wanted = _Counted(_ids(found, runs or [], batch))
        if out is None:
            for line in _lines(found, wanted):
                show(line)
            return 0
        lines = _write(out, _lines(found, wanted))
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


def _ids(reader: Reader, runs: list[str], batch: str | None) -> Iterator[str]:
    """Whole ids; those that were named are looked up before anything is written."""
    if runs:
        return iter(dict.fromkeys([reader.resolve(run) for run in runs]))
    return _pages(reader, batch_id(reader, batch) if batch is not None else None)


def _pages(reader: Reader, batch: str | None) -> Iterator[str]:
    """All runs, or all of a batch, the newest first."""
    before: str | None = None
    while rows := reader.runs(batch=batch, limit=_PAGE, before=before):
        before = rows[-1].id
        yield from (row.id for row in rows)


def _write(path: Path, lines: Iterator[str]) -> int:
    """Write lines to a file beside its place, and put it there when all are written. Returns how many there are."""
    partial = path.with_name(f"{path.name}.partial")
    written = 0
    try:
        with open(partial, "w", encoding="ascii", opener=_private) as file:
            for line in lines:
                file.write(line + "\n")
                written += 1
        partial.replace(path)
    except OSError as e:
        raise ConfigError(f"{path} cannot be written: {e.strerror}", hint="give another file with --out") from None
    finally:
        partial.unlink(missing_ok=True)
    return written


def _private(path: str, flags: int) -> int:
    """Like the database, a file that only its owner can read."""
    return os.open(path, flags, 0o600)
