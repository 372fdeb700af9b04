"""Reading data files that somebody else wrote: what is wrong is named by file and line, whatever it is."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...core.errors import ConfigError
from ...core.text import one_line


@dataclass(frozen=True)
class Row:
    """One entry of a data file."""

    where: str
    """File and line, for errors."""
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field that must be a text with something in it.

        Raises:
            ConfigError: it is not.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"the field '{name}' is missing or no text")
        return value

    def error(self, what: str) -> ConfigError:
        """An error that names this entry."""
        return ConfigError(f"{self.where}: {what}", hint="take the file as its source publishes it")


def json_lines(path: Path) -> list[Row]:
    """The objects of a JSON Lines file, gzipped if its name says so. Blank lines are passed over.

    Raises:
        ConfigError: the file cannot be read, or a line is no JSON object.
    """
    lines = enumerate(_content(path).split("\n"), start=1)
    return [_row(f"{path.name}:{number}", line) for number, line in lines if line.strip()]


def json_list(path: Path, member: str = "") -> list[Row]:
    """The objects of a JSON file that holds a list, or an object with the list under `member`.

    Raises:
        ConfigError: the file cannot be read or holds something else.
    """
    value = _parsed(path.name, _content(path))
    if member:
        value = cast("dict[str, object]", value).get(member) if isinstance(value, dict) else None
    if not isinstance(value, list):
        raise Row(path.name, {}).error(f"no list{f' under {member!r}' if member else ''}")
    entries = cast("list[object]", value)
    return [_checked(f"{path.name}, entry {number}", entry) for number, entry in enumerate(entries)]


def table_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a comma-separated file with a header that names at least `columns`.

    Raises:
        ConfigError: the file cannot be read, or a column is missing.
    """
    reader = csv.DictReader(_content(path).splitlines(), strict=True)
    try:
        return [Row(f"{path.name}:{reader.line_num}", row) for row in _complete(reader, path.name, columns)]
    except csv.Error as e:
        raise Row(f"{path.name}:{reader.line_num}", {}).error(one_line(str(e), 200)) from None


def _complete(reader: csv.DictReader[str], name: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
        raise Row(f"{name}:1", {}).error(f"no column {', '.join(missing)}")
    yield from reader


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as e:
        raise ConfigError(f"{one_line(str(path), 200)} cannot be read: {one_line(str(e), 200)}", hint="fetch it again") from None


def _row(where: str, text: str) -> Row:
    return _checked(where, _parsed(where, text))


def _parsed(where: str, text: str) -> object:
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError) as e:
        raise Row(where, {}).error(f"no JSON: {one_line(str(e), 200)}") from None


def _checked(where: str, value: object) -> Row:
    if not isinstance(value, dict):
        raise Row(where, {}).error("no JSON object")
    return Row(where, cast("dict[str, Any]", value))
