"""Putting a model's folder in place: one process at a time for a name, and all at once.

The folder is written apart under a name that no model can have, and renamed when it is whole; what a killed process left is
removed by the next one that works on the same model.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeAlias

from ..core import lock
from ..core.errors import EngineUnavailable
from . import models_manifest
from .models import Say, models_folder
from .models_manifest import Manifest

Fill: TypeAlias = Callable[[Path, Path], Manifest]
"""Writes a model's files into a folder, with another one for scratch, and describes them."""


@contextlib.contextmanager
def locked(name: str, say: Say) -> Generator[None]:
    """Within, no other process puts or removes this model.

    Raises:
        EngineUnavailable: the folder of models cannot be written, or the disk is full.
    """
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock.locked(folder / f".lock-{name}", lambda: say(f"waiting: another process is at work on the model {name}")):
            yield
    except OSError as e:
        raise EngineUnavailable(
            f"cannot store the model {name} in {folder}: {e.strerror or e}", hint="make room there, or set BURNISH_HOME"
        ) from None


def put(name: str, fill: Fill) -> None:
    """Make a model's folder, in place of the one that may be there; to be called with the model locked."""
    with _scratch(name) as scratch:
        result = scratch / "model"
        result.mkdir()
        models_manifest.write(result, fill(result, scratch))
        target = models_folder() / name
        if target.exists():
            target.rename(scratch / "old")
        result.rename(target)


def discard(name: str) -> None:
    """Remove a model's folder; to be called with the model locked."""
    with _scratch(name) as scratch:
        (models_folder() / name).rename(scratch / "old")


def check_room(needed: int, what: str) -> None:
    """Refuse work whose result would not fit, before it is done.

    Raises:
        EngineUnavailable: fewer than `needed` bytes are free.
    """
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EngineUnavailable(
            f"{what} needs {needed / 2**30:.1f} GiB in {folder}, and {free / 2**30:.1f} GiB are free",
            code="disk_full",
            hint="make room there, or set BURNISH_HOME",
        )


@contextlib.contextmanager
def _scratch(name: str) -> Generator[Path]:
    folder = models_folder()
    prefix = f".partial-{name}~"  # no name has a tilde: another model's folder never begins so
    for left in folder.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
