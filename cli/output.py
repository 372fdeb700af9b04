"""What goes where: data on stdout, messages on stderr, with `--json` one envelope on stdout and nothing else.

While a graph runs, the process's stdout is pointed at stderr, so that what engines and user code print never gets
between the data. Text of models reaches a terminal only through `core/text.py`. Tables are plain aligned columns:
they look the same in a terminal, a pipe and a log.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from ..core.ids import as_json
from ..core.text import one_line, printable

SCHEMA = 1
"""Version of the JSON envelope."""

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


def emit(data: object, *, truncated: bool = False) -> None:
    """Print the JSON envelope. `truncated` says that there is more than was asked for."""
    _envelope({"schema": SCHEMA, "data": as_json(data), "truncated": truncated})


def emit_error(error: Mapping[str, object]) -> None:
    """Print the JSON envelope of a failure: `kind`, `message`, `hint`, and `run_id` where there is one."""
    _envelope({"schema": SCHEMA, "error": as_json(error)})


def _envelope(value: Mapping[str, object]) -> None:
    # ASCII only: lone surrogates and terminal escapes in model text stay escaped whatever reads it.
    print(json.dumps(value, ensure_ascii=True, separators=(",", ":")))


def say(text: str) -> None:
    """A message, on stderr."""
    print(text, file=sys.stderr, flush=True)


def show(text: str = "") -> None:
    """Data, on stdout."""
    print(text)


def paint(text: str, colour: str | None) -> str:
    """`text` in a colour, if there is one and stdout is a terminal that wants colours."""
    if colour is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def width() -> int:
    """Columns to print in: the terminal's, or 120 where there is none."""
    return shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120


def table(header: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[str, str] | None = None) -> list[str]:
    """Lines of aligned columns, each cell on one line; the last column takes what room is left.

    Cells whose whole text is a key of `colours` are painted so.
    """
    cells = [[one_line(cell, 200) for cell in row] for row in rows]
    sizes = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    room = max(16, width() - sum(sizes[:-1]) - 2 * (len(sizes) - 1))

    def line(row: Sequence[str]) -> str:
        padded = [cell.ljust(size) for cell, size in zip(row[:-1], sizes, strict=False)] + [one_line(row[-1], room)]
        return "  ".join(paint(text, (colours or {}).get(cell)) for text, cell in zip(padded, row, strict=True)).rstrip()

    return [paint(line(header), "dim"), *map(line, cells)]


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[str, str] | None = None) -> None:
    """Print a table."""
    for line in table(header, rows, colours):
        show(line)


def indented(text: str, by: str = "    ") -> str:
    """Untrusted text, safe to print, each line moved in."""
    return "\n".join(by + line for line in printable(text).splitlines()) or by


def number(value: float | None, digits: int = 2) -> str:
    """A score or the like; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def count(n: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def short(run_id: str) -> str:
    """The last 8 digits of an id, by which lists call it."""
    return run_id[-8:]


@contextmanager
def quiet_stdout() -> Generator[None]:
    """Within, all that is printed goes to stderr, that of child processes included."""
    sys.stdout.flush()
    before = sys.stdout
    kept = _duplicate()
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        before.flush()
        sys.stdout = before
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _duplicate() -> int | None:
    """Point descriptor 1 at descriptor 2; the old one, or None where a descriptor is closed."""
    try:
        kept = os.dup(1)
    except OSError:
        return None
    try:
        os.dup2(2, 1)
    except OSError:
        os.close(kept)
        return None
    return kept
