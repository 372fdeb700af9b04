"""What the shell completes: names of graphs, ids of runs. A failure completes nothing."""

from __future__ import annotations

from ..core.errors import BurnishError
from ..core.runs import RunStatus


def graphs(incomplete: str) -> list[tuple[str, str]]:
    """Built-in graphs, and those of installed distributions."""
    from ..core.extensions import extensions
    from ..graphs.registry import BUILTIN

    known = [(g.name, g.summary) for g in BUILTIN.values()]
    known += [(e.name, e.origin) for e in extensions("graph", BUILTIN) if not e.refused]
    return [(name, about) for name, about in known if name.startswith(incomplete)]


def runs(incomplete: str) -> list[tuple[str, str]]:
    """The newest runs, by the last digits of their ids."""
    return _runs(incomplete, None)


def waiting_runs(incomplete: str) -> list[tuple[str, str]]:
    """The newest runs that wait for a person."""
    return _runs(incomplete, "waiting")


def _runs(incomplete: str, status: RunStatus | None) -> list[tuple[str, str]]:
    from .lookup import ended, reader
    from .output import short

    try:
        with reader(None) as found:
            rows = found.runs(status=status, limit=50)
    except BurnishError:
        return []
    return [(short(r.id), f"{ended(r)} {r.graph}") for r in rows if short(r.id).startswith(incomplete)]
