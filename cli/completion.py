"""What the shell completes: names of graphs, ids of runs. A failure completes nothing."""

from __future__ import annotations

from ..core.errors import BurnishError


def graphs(incomplete: str) -> list[tuple[str, str]]:
    """Built-in graphs."""
    from ..graphs.registry import BUILTIN

    return [(g.name, g.summary) for g in BUILTIN.values() if g.name.startswith(incomplete)]


def runs(incomplete: str) -> list[tuple[str, str]]:
    """The newest runs, by the last digits of their ids."""
    from .lookup import ended, reader
    from .output import short

    try:
        with reader(None) as found:
            rows = found.runs(limit=50)
    except BurnishError:
        return []
    return [(short(r.id), f"{ended(r)} {r.graph}") for r in rows if short(r.id).startswith(incomplete)]
