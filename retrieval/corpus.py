"""Corpora by name: opened and checked, listed, dropped.

Each part carries the content hash of the passages that it was made from. A part that is damaged, or was made from others or by
other rules, is an error that names the command that makes it again: never a search with wrong rows.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from ..core.errors import ConfigError, StoreError
from ..core.ids import Json
from ..engine import models_manifest
from . import shelf
from .passages import LINES, Passages

IndexKind: TypeAlias = Literal["lexical", "dense"]
Kind: TypeAlias = Literal["lexical", "dense", "hybrid"]
KINDS: tuple[Kind, ...] = get_args(Kind)
INDEXES: Mapping[Kind, tuple[IndexKind, ...]] = {
    "lexical": ("lexical",),
    "dense": ("dense",),
    "hybrid": ("lexical", "dense"),
}
"""The indexes that each kind of retriever needs."""
ABOUT = "about.json"
PASSAGES = "passages"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One version of a corpus."""

    name: str
    folder: Path
    content: str
    """SHA-256 of the passages."""
    about: Mapping[str, Json]
    """What it was made from: source, form, chunking, counts."""

    @staticmethod
    def open(name: str) -> Corpus:
        """The corpus that a name stands for.

        Raises:
            ConfigError: there is none.
            StoreError: its passages are damaged.
        """
        return opened(name, shelf.current_version(name))

    @property
    def size(self) -> int:
        """Number of passages."""
        return int(cast("int", self.about["passages"]))

    @property
    def rebuild(self) -> str:
        """The command that makes the corpus again."""
        return _rebuild(self.name, self.about, self.kinds)

    @property
    def kinds(self) -> tuple[IndexKind, ...]:
        """The indexes that are there, whole or not."""
        return tuple(kind for kind in get_args(IndexKind) if (self.folder / kind).is_dir())

    def passages(self) -> Passages:
        """Its passages, mapped from disk."""
        return Passages(self.folder / PASSAGES)

    def index(self, kind: IndexKind, rules: Mapping[str, Json]) -> Path:
        """The folder of an index that was made from this content by these rules.

        Raises:
            ConfigError: the corpus has no such index.
            StoreError: the index is damaged, or was made otherwise.
        """
        folder = self.folder / kind
        if not folder.is_dir():
            there = " and ".join(self.kinds) or "no"
            raise ConfigError(f"the corpus {self.name} has {there} index, and none that is {kind}", hint=self.adding(kind))
        if problem := shelf.problem_of(folder):
            raise self.broken(kind, problem)
        about = about_of(folder)
        for what, wanted in {"content": self.content, **rules}.items():
            if about.get(what) != wanted:
                raise StoreError(
                    f"the {kind} index of {self.name} does not fit: its {what} is {about.get(what)!r}, not {wanted!r}",
                    code="index_mismatch",
                    hint=self.adding(kind),
                )
        return folder

    def broken(self, kind: IndexKind, problem: str) -> StoreError:
        """The error for an index that cannot be used."""
        return StoreError(
            f"the {kind} index of the corpus {self.name} is damaged: {problem}", code="index_damaged", hint=self.adding(kind)
        )

    def adding(self, kind: IndexKind) -> str:
        """The command that makes an index of this corpus."""
        return _rebuild(self.name, self.about, (kind,))

    def problems(self) -> list[str]:
        """What is wrong with its files, each of them being read whole."""
        parts = (PASSAGES, *self.kinds)
        found = {part: shelf.problem_of(self.folder / part, thorough=True) for part in parts}
        return [f"{part}: {problem}" for part, problem in found.items() if problem]

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        indexes: dict[str, Json] = {}
        for kind in self.kinds:
            about = about_of(self.folder / kind)
            indexes[kind] = {k: v for k, v in about.items() if k != "content"} | {"bytes": _bytes(self.folder / kind)}
        return {
            "name": self.name,
            "content": self.content,
            "bytes": _bytes(self.folder),
            "path": str(self.folder),
            **self.about,
            "indexes": indexes,
        }


def all_corpora() -> list[Corpus | str]:
    """All corpora that are there, by name; of one that cannot be opened only the name."""
    found: list[Corpus | str] = []
    for name in shelf.kept_names():
        try:
            found.append(Corpus.open(name))
        except (ConfigError, StoreError):
            found.append(name)
    return found


def drop(name: str, *, say: Callable[[str], None]) -> None:
    """Remove a corpus with all its indexes.

    Raises:
        ConfigError: there is none of this name.
        StoreError: it cannot be removed.
    """
    shelf.check_name(name)
    if not (shelf.corpora_folder() / name).is_dir():
        raise ConfigError(f"there is no corpus {name!r}", code="no_corpus", hint="burnish corpus list")
    with shelf.locked(name, say) as folder:
        (folder / shelf.CURRENT).unlink(missing_ok=True)  # The name goes first: nobody opens what is half removed.
        shutil.rmtree(folder, ignore_errors=False)


def about_of(part: Path) -> dict[str, Json]:
    """What a part says of itself; empty if that cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        value: object = json.loads((part / ABOUT).read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return cast("dict[str, Json]", value)
    return {}


def opened(name: str, folder: Path) -> Corpus:
    """The corpus in a version's folder.

    Raises:
        StoreError: its passages are damaged.
    """
    part = folder / PASSAGES
    about, manifest = about_of(part), models_manifest.read(part)
    problem = shelf.problem_of(part)
    content = manifest.files[LINES].sha256 if manifest and LINES in manifest.files else ""
    if not problem and not (content and isinstance(about.get("passages"), int)):
        problem = "it does not say what it is"
    if problem:
        raise StoreError(
            f"the corpus {name} is damaged: its passages: {problem}", code="corpus_damaged", hint=_rebuild(name, about, ())
        )
    return Corpus(name=name, folder=folder, content=content, about=about)


def _rebuild(name: str, about: Mapping[str, Json], kinds: tuple[IndexKind, ...]) -> str:
    kind = "hybrid" if len(kinds) > 1 else "".join(kinds)
    chunking: Any = about.get("chunking") or {}
    options = [f"--from {shlex.quote(str(about.get('source') or 'PATH'))}", f"--kind {kind}" if kind else ""]
    options += [f"--chunk {chunking['size']} --overlap {chunking['overlap']}" if chunking else ""]
    return " ".join(("burnish corpus build", name, *filter(None, options)))


def _bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
