"""Where corpora are kept, and how their parts come there: each whole or not at all, one process at a time for a name.

    corpora/NAME/current              the version that the name stands for
    corpora/NAME/VERSION/passages/    VERSION begins the content hash of the passages
    corpora/NAME/VERSION/lexical/     an index; another one stands beside it
    corpora/.lock-NAME

A part is a folder with a manifest of its files. It is written apart and renamed when it is whole; what a killed process left
is removed by the next one that works on the same name. Who has an older version open keeps it: its files are mapped.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

from ..core import lock
from ..core.errors import ConfigError, StoreError
from ..core.text import one_line
from ..engine import models_manifest
from ..engine.models import home

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_PARTIAL = ".partial-"
CURRENT = "current"


def corpora_folder() -> Path:
    """Where the corpora's folders are."""
    return home() / "corpora"


def check_name(name: str) -> str:
    """Refuse a name that cannot be a folder's on every system, or looks like an option.

    Raises:
        ConfigError: it cannot be a corpus's name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{one_line(name)!r} cannot be a corpus's name", hint="letters, digits, dot, dash, underscore; at most 80, no path"
        )
    return name


def kept_names() -> list[str]:
    """Names of the corpora that are there."""
    with contextlib.suppress(OSError):
        return sorted(p.name for p in corpora_folder().iterdir() if _NAME.fullmatch(p.name) and (p / CURRENT).is_file())
    return []


def current_version(name: str) -> Path:
    """The folder of the version that a name stands for.

    Raises:
        ConfigError: there is no corpus of this name.
    """
    folder = corpora_folder() / check_name(name)
    try:
        version = (folder / CURRENT).read_text().strip()
    except (OSError, UnicodeDecodeError):
        version = ""
    if not re.fullmatch(r"[0-9a-f]{16}", version):
        there = ", ".join(kept_names()) or "none"
        raise ConfigError(f"there is no corpus {name!r}", code="no_corpus", hint=f"those that are there: {there}")
    return folder / version


@contextlib.contextmanager
def locked(name: str, say: Callable[[str], None]) -> Generator[Path]:
    """Within, no other process builds or drops this corpus. Gives its folder, free of what a killed process left.

    Raises:
        StoreError: the folder of corpora cannot be written, or the disk is full.
    """
    root = corpora_folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with lock.locked(root / f".lock-{name}", lambda: say(f"waiting: another process is at work on the corpus {name}")):
            for left in (root / name).glob(f"{_PARTIAL}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield root / name
    except OSError as e:
        raise StoreError(
            f"cannot store the corpus {name} in {root}: {e.strerror or e}", hint="make room there, or set BURNISH_HOME"
        ) from None


@contextlib.contextmanager
def scratch(folder: Path) -> Generator[Path]:
    """A folder for what is not whole yet, beside where it will stand; gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def seal(part: Path, *, name: str, source: str) -> None:
    """Give a part its manifest; nothing is written into it any more."""
    models_manifest.write(part, models_manifest.describe(part, models_manifest.written(part), name=name, source=source))


def put(part: Path, target: Path) -> None:
    """Put a sealed part in its place, from a scratch folder, instead of what may be there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(part.parent / f"old-{part.name}")
    part.rename(target)


def point(folder: Path, version: str) -> None:
    """Let a name stand for a version from this moment, and remove all others."""
    with scratch(folder) as apart:
        (apart / CURRENT).write_text(version + "\n")
        (apart / CURRENT).replace(folder / CURRENT)
    for other in folder.iterdir():
        if other.is_dir() and other.name != version:
            shutil.rmtree(other, ignore_errors=True)


def problem_of(part: Path, *, thorough: bool = False) -> str:
    """What is wrong with a part: sizes and times are compared with its manifest, contents if times differ or if `thorough`."""
    manifest = models_manifest.read(part)
    if manifest is None:
        return "it is missing" if not part.is_dir() else "it has no readable manifest"
    differs = models_manifest.changed(part, manifest)
    if not differs and not thorough:
        return ""
    wrong = models_manifest.damaged(part, manifest)
    if differs and not wrong:  # Copied as a whole, as from a backup: only the times are others.
        with contextlib.suppress(OSError):
            models_manifest.refresh(part, part)
    return wrong
