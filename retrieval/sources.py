"""Reading what a corpus is made from: FlashRAG's JSON Lines, or a folder of text and Markdown files.

Reading is strict: a line that is no passage, an id that comes twice, a byte that is no UTF-8 end it with the place named. A
corpus that is quietly smaller than its source would only show in answers. Blank lines are passed over, and so are files of
a folder that hold nothing but white space; how many is told.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ..core.errors import ConfigError
from ..core.text import one_line, printable
from .chunks import Chunking, spans
from .markdown import headings
from .passage import Passage

MOST_BYTES = 16 * 2**20
"""Longest line or file that is read."""
SUFFIXES = (".txt", ".md", ".markdown")
_MEND = "one object a line: id and contents, the title on the first line of contents"


@dataclass
class Source:
    """What a corpus is made from, read once."""

    path: Path
    chunking: Chunking = field(default_factory=Chunking)
    """How files of a folder are cut; lines of a JSONL file are passages already."""
    files: int = 0
    """Files read so far."""
    empty_files: int = 0
    """Of them, those without any text."""

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise ConfigError(f"there is no {one_line(str(self.path), 200)}", hint="--from takes a .jsonl file, or a folder")

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of documents."""
        return self.path.is_dir()

    def passages(self) -> Generator[Passage]:
        """All passages, ids without repetition.

        Raises:
            ConfigError: something is no passage, or there is none; the place is named.
        """
        seen: set[str] = set()
        for where, passage in self._folder() if self.is_folder else self._lines():
            if passage.id in seen:
                raise ConfigError(f"{where}: the id {one_line(passage.id)!r} comes twice", hint="give each passage its own id")
            seen.add(passage.id)
            yield passage
        if not seen:
            holds = f"text in {', '.join('*' + s for s in SUFFIXES)} files" if self.is_folder else "a passage"
            raise ConfigError(f"{one_line(str(self.path), 200)} holds no {holds.removeprefix('a ')}", hint=_MEND)

    def _lines(self) -> Iterator[tuple[str, Passage]]:
        self.files = 1
        name = one_line(self.path.name, 100)
        try:
            with self.path.open("rb") as stream:
                number = 0
                while line := stream.readline(MOST_BYTES + 1):
                    number += 1
                    where = f"{name}:{number}"
                    if len(line) > MOST_BYTES:
                        raise ConfigError(f"{where}: the line is longer than {MOST_BYTES >> 20} MiB", hint=_MEND)
                    if line.strip():
                        yield where, _passage(where, _decoded(where, line))
        except OSError as e:
            raise ConfigError(f"{name} cannot be read: {e.strerror or e}", hint="check the path and its permissions") from None

    def _folder(self) -> Iterator[tuple[str, Passage]]:
        for file in _documents(self.path):
            relative = file.relative_to(self.path).as_posix()
            where = one_line(relative, 200)
            text = _document(where, file)
            self.files += 1
            self.empty_files += not text.strip()
            heading = headings(text) if file.suffix.lower() != ".txt" else None
            for begin, end in spans(text, self.chunking):
                above = heading(begin) if heading else ""
                title = f"{where}: {above}" if above else where
                yield where, Passage(f"{printable(relative)}#{begin}", f"{title}\n{text[begin:end]}")


def _documents(root: Path) -> list[Path]:
    """Files to read, in the order of their paths. What is hidden is left out, and links are not followed."""
    found = [p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.is_symlink() and p.is_file()]
    shown = [p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    return sorted(shown, key=lambda p: p.relative_to(root).as_posix())


def _document(where: str, file: Path) -> str:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{where}: the file is larger than {MOST_BYTES >> 20} MiB", hint="part it")
        return _decoded(where, file.read_bytes())
    except OSError as e:
        raise ConfigError(f"{where} cannot be read: {e.strerror or e}", hint="check its permissions") from None


def _decoded(where: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise ConfigError(f"{where}: no UTF-8 (byte {e.start} is 0x{data[e.start]:02x})", hint="convert it to UTF-8") from None


def _passage(where: str, line: str) -> Passage:
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"{where}: no JSON: {one_line(str(e), 200)}", hint=_MEND) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: no JSON object", hint=_MEND)
    found = cast("dict[str, object]", value)
    own = found.get("id")
    if isinstance(own, int) and not isinstance(own, bool):
        own = str(own)
    if not isinstance(own, str) or not own.strip():
        raise ConfigError(f"{where}: the id is missing, empty or no text", hint=_MEND)
    contents = _contents(found)
    if not isinstance(contents, str) or not contents.strip():
        raise ConfigError(f"{where}: the contents are missing, empty or no text", hint=_MEND)
    try:
        f"{own}{contents}".encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{where}: half of a surrogate pair, which is no Unicode", hint="mend what wrote the file") from None
    return Passage(own, contents)


def _contents(found: dict[str, object]) -> object:
    """`contents`, else `text` below the `title` if there is one."""
    if "contents" in found:
        return found["contents"]
    text, title = found.get("text"), found.get("title")
    return f"{' '.join(title.split())}\n{text}" if isinstance(text, str) and isinstance(title, str) and title.strip() else text
