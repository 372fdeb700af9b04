"""What a model's folder is known by: the SHA-256, size and time of each file, written once when the model is put there.

Sizes and times are compared whenever a model is used, which costs nothing; contents when somebody asks, or when times differ.
A manifest may stand for files elsewhere: then its folder holds nothing else.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..core.ids import json_hash

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Entry:
    """One file."""

    sha256: str
    bytes: int
    mtime_ns: int
    """When it was last changed, in nanoseconds."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A model's files, and where they came from."""

    name: str
    source: str
    revision: str
    """Checksum over all files."""
    files: Mapping[str, Entry]
    """By path relative to the model's folder."""
    link: str = ""
    """The folder that holds the files, if it is not the manifest's own."""


def describe(root: Path, files: Iterable[Path], *, name: str, source: str, link: bool = False) -> Manifest:
    """The manifest of files below `root`, which are read whole."""
    entries: dict[str, Entry] = {}
    for file in sorted(files):
        stat = file.stat()  # before reading: a change in between shows in the time
        entries[file.relative_to(root).as_posix()] = Entry(sha256(file), stat.st_size, stat.st_mtime_ns)
    revision = json_hash({relative: entry.sha256 for relative, entry in entries.items()})
    return Manifest(name=name, source=source, revision=revision, files=entries, link=str(root) if link else "")


def written(folder: Path) -> list[Path]:
    """All files of a folder that was written for a model."""
    return [p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST]


def write(folder: Path, manifest: Manifest) -> None:
    """Put a manifest into a model's folder."""
    (folder / MANIFEST).write_text(json.dumps({"schema": 1, **asdict(manifest)}, indent=1))


def refresh(folder: Path, root: Path) -> None:
    """Take over the times that files have, their contents being known to be right."""
    manifest = read(folder)
    if manifest is None:
        return
    files = {name: replace(entry, mtime_ns=(root / name).stat().st_mtime_ns) for name, entry in manifest.files.items()}
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch:
        write(Path(scratch), replace(manifest, files=files))
        (Path(scratch) / MANIFEST).replace(folder / MANIFEST)


def read(folder: Path) -> Manifest | None:
    """The manifest of a folder; None if there is none that can be read."""
    try:
        content = json.loads((folder / MANIFEST).read_text())
        files = {
            str(relative): Entry(str(entry["sha256"]), int(entry["bytes"]), int(entry["mtime_ns"]))
            for relative, entry in content["files"].items()
        }
        return Manifest(
            name=str(content["name"]),
            source=str(content["source"]),
            revision=str(content["revision"]),
            files=files,
            link=str(content.get("link", "")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def changed(root: Path, manifest: Manifest) -> str:
    """The first difference in sizes and times; empty if there is none."""
    for relative, entry in manifest.files.items():
        try:
            stat = (root / relative).stat()
        except OSError:
            return f"{relative} is missing"
        if stat.st_size != entry.bytes:
            return f"{relative} has another size than its manifest says"
        if stat.st_mtime_ns != entry.mtime_ns:
            return f"{relative} has changed since its manifest was written"
    return ""


def damaged(root: Path, manifest: Manifest) -> str:
    """The first difference in content, every file being read; empty if there is none."""
    for relative, entry in manifest.files.items():
        try:
            if sha256(root / relative) != entry.sha256:
                return f"{relative} differs from its checksum"
        except OSError:
            return f"{relative} cannot be read"
    return ""


def sha256(file: Path) -> str:
    """SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
