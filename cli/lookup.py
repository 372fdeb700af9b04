"""Reading the store for commands that only look: opened without being made, and closed again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..traces.standing import ended as ended
from ..traces.standing import graph_label as graph_label
from ..traces.standing import is_running as is_running
from .project import load_project

if TYPE_CHECKING:
    from ..traces.reader import Reader


@contextmanager
def reader(store: str | None) -> Generator[Reader]:
    """The store that a flag, the environment or the project's file names.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    from ..traces.store import Store

    opened = Store.open_reader(store or load_project().store)
    try:
        yield opened
    finally:
        opened.close()


def batch_id(found: Reader, text: str) -> str:
    """The id of the batch that has this name, or whose id is `text` or begins or ends with it.

    Raises:
        ConfigError: there is no such batch, or there are several.
    """
    digits = text.strip().lower().replace("-", "")
    batches = found.batches()
    ids = [b.id for b in batches if b.id == digits]
    ids = ids or [b.id for b in batches if b.name == text]
    ids = ids or [b.id for b in batches if len(digits) >= 4 and (b.id.startswith(digits) or b.id.endswith(digits))]
    if len(ids) != 1:
        what = f"several batches match {text!r}" if ids else f"there is no batch {text!r}"
        raise ConfigError(what, hint=", ".join(ids[:5]) if ids else "look with: burnish runs list")
    return ids[0]


def moment(ns: int) -> str:
    """A time, in the zone of this machine."""
    return datetime.fromtimestamp(ns / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
