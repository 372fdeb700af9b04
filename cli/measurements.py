"""Measurements of RAG configurations in a file: a CSV table with a header, or JSON Lines, with the same names in both."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import ConfigError
from ..core.text import one_line

if TYPE_CHECKING:
    from ..stats.allocation_fit import Measurement

_NEEDED = ("dataset", "documents", "shots", "iterations", "score")
_MORE = ("tokens", "metric")
_FORM = '{"dataset": "nq", "documents": 5, "shots": 0, "iterations": 1, "score": 0.41, "tokens": 900}'


def read_measurements(path: Path) -> list[Measurement]:
    """The measurements of a file.

    Raises:
        ConfigError: it cannot be read, or a line is no measurement; the message names it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} cannot be read: {one_line(str(e), 200)}", hint="CSV or JSON Lines, as UTF-8") from None
    rows = _table(path, text) if path.suffix.lower() == ".csv" else _lines(path, text)
    found = [_measurement(where, row) for where, row in rows]
    if not found:
        raise ConfigError(f"there is no measurement in {path}", hint=_FORM)
    return found


def _table(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        for row in reader:
            yield f"{path}:{reader.line_num}", {name: value for name, value in row.items() if value not in (None, "")}
    except csv.Error as e:
        raise ConfigError(f"{path}:{reader.line_num}: {one_line(str(e), 200)}", hint="a CSV table with a header") from None


def _lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row: object = json.loads(line)
        except (ValueError, RecursionError) as e:
            raise ConfigError(f"{path}:{number}: no JSON: {one_line(str(e), 200)}", hint=_FORM) from None
        if not isinstance(row, dict):
            raise ConfigError(f"{path}:{number}: no JSON object", hint=_FORM)
        yield f"{path}:{number}", {name: value for name, value in cast("dict[str, Any]", row).items() if value is not None}


def _measurement(where: str, row: Mapping[str, Any]) -> Measurement:
    from ..stats.allocation_fit import Measurement
    from ..stats.effective_length import Configuration

    if unknown := sorted(str(name) for name in row.keys() - {*_NEEDED, *_MORE}):
        names = one_line(", ".join(unknown), 200)
        raise ConfigError(f"{where}: unknown: {names}", hint=f"known: {', '.join((*_NEEDED, *_MORE))}")
    if missing := [name for name in _NEEDED if name not in row]:
        raise ConfigError(f"{where}: missing: {', '.join(missing)}", hint=_FORM)
    try:
        return Measurement(
            dataset=str(row["dataset"]),
            configuration=Configuration(*(_whole(row[name]) for name in ("documents", "shots", "iterations"))),
            score=float(row["score"]),
            tokens=float(row["tokens"]) if "tokens" in row else None,
            metric=str(row.get("metric", "")),
        )
    except (TypeError, ValueError) as e:
        raise ConfigError(f"{where}: {one_line(str(e), 200)}", hint=_FORM) from None
    except ConfigError as e:
        raise ConfigError(f"{where}: {e.message}", hint=e.hint) from None


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, str) else cast("int", value)
