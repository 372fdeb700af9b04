"""How a stored run stands, as lists say it. Light: the leases are read only when a run is at work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .views import RunRow


def is_running(run: RunRow) -> bool:
    """Whether a process is at work on the run now."""
    from .leases import is_live

    return run.status == "running" and is_live(run.owner, run.heartbeat_ns, time.time_ns())


def ended(run: RunRow) -> str:
    """How a run stands, in one word: its outcome if it is done; `killed` if its process has gone."""
    if run.status == "running" and not is_running(run):
        return "killed"
    return run.outcome or run.status


def graph_label(graph: str) -> str:
    """A graph's name for lists: of a file only its own name."""
    where, colon, attribute = graph.rpartition(":")
    return f"{Path(where).name}:{attribute}" if colon and where.endswith(".py") else graph
