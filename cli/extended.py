"""Extensions of installed distributions, loaded for a list: one that is broken is named there and does no harm to others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..core.errors import ConfigError
from ..core.extensions import Kind, extensions
from ..core.text import printable
from .output import say


@dataclass(frozen=True)
class Loaded:
    """An extension, and what it stands for."""

    name: str
    origin: str
    """Name and version of its distribution."""
    found: object
    """None if it cannot be used."""
    error: str
    """Why it cannot; empty if it can."""


def loaded_extensions(kind: Kind, builtin: Collection[str]) -> Iterator[Loaded]:
    """All extensions of a kind; of one that cannot be used a warning is printed."""
    for one in extensions(kind, builtin):
        try:
            yield Loaded(one.name, one.origin, one.load(), "")
        except ConfigError as e:
            say(f"warning: {printable(e.message)}")
            yield Loaded(one.name, one.origin, None, f"refused: it {one.refused}" if one.refused else f"broken: {e.message}")
